"""Model cards: what is known is said, what is not known is said to be so, and what others wrote does no harm."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import msgspec
import pytest

from backends.contract import Invalid, NotFound
from backends.entities import (
    AliasMove,
    CheckResult,
    Column,
    ColumnType,
    GateResult,
    GateStatus,
    ModelFile,
    Report,
    Signature,
)
from console.promotion.card import (
    Card,
    CardData,
    CardFairness,
    CardMetric,
    CardMoves,
    CardSlice,
    CardSplit,
    CardTraining,
)
from console.promotion.card_facts import card_of
from console.promotion.card_sections import UNKNOWN, sections
from console.promotion.card_text import card_text
from console.promotion.promote import promote
from tests.hostile import HOSTILE
from tests.unit.registry import ME, version_of, workspace


@pytest.fixture
def backend(tmp_path):
    opened = workspace(tmp_path)
    yield opened
    opened.close()


def test_a_card_says_what_the_registry_the_run_and_the_journal_know(backend, tmp_path):
    version_of(backend, tmp_path, auc=0.7)
    version_of(backend, tmp_path, auc=0.8, content=b"another")
    promote(backend, "churn", "2", "champion", ME, expected=None)
    backend.registry.set_tags("churn", "", {"owner": "risk team", "limits": "not for loans"}, ME)
    backend.registry.set_tags("churn", "2", {"limits": "only for flights"}, ME)
    card = card_of(backend, "churn", "@champion")
    assert (card.model, card.version, card.aliases) == ("churn", "2", ("champion",))
    assert (card.owners, card.limits) == ("risk team", "only for flights")
    assert [(each.dataset, each.role, each.rows) for each in card.data] == [
        ("flights", "training", None),
        ("flights", "test", None),
    ]
    assert card.split is not None
    assert (card.split.test_rows, card.split.test_rows_sha256) == (100, "r1")
    metric = card.metrics[0]
    assert (metric.name, metric.value, metric.baseline, metric.primary) == ("auc", 0.8, 0.5, True)
    assert metric.low is None
    assert card.training.params == {"lr": "0.1"}
    assert card.signature.inputs[0].name == "dep_delay"
    move = card.history[0].move
    assert (move.alias, move.version, move.actor, move.reason) == ("champion", "2", ME.actor, ME.reason)
    said = [each.partition(":")[0] for each in card.unknown]
    assert "code commit" in said
    assert "confidence intervals" in said
    assert "who answers for it" not in said


def test_an_overridden_gate_stands_in_the_history(backend, tmp_path):
    worse = version_of(backend, tmp_path, auc=0.4)  # below the baseline
    promote(backend, "churn", worse.version, "champion", ME, expected=None, override=True)
    card = card_of(backend, "churn", worse.version)
    assert card.history[0].overridden == ("baseline",)
    assert "baseline" in card_text(card, "md").split("## History")[1]


def test_intervals_of_another_file_or_another_value_are_not_shown(backend, tmp_path):
    version = version_of(backend, tmp_path, auc=0.7)
    figures = {"metrics": {"auc": {"value": 0.7, "low": 0.65, "high": 0.75}}, "how": "so", "sliced": True}

    def keep(digest: str, value: float) -> None:
        figures["metrics"]["auc"]["value"] = value
        backend.reports.add(
            Report(kind="held-out", subject="churn@1", status=GateStatus.PASS, at=1, digest=digest, figures=figures)
        )

    keep("another file", 0.7)
    assert card_of(backend, "churn", "1").metrics[0].low is None
    keep(version.file.sha256, 0.7)
    assert card_of(backend, "churn", "1").metrics[0].low == 0.65
    keep(version.file.sha256, 0.72)
    card = card_of(backend, "churn", "1")
    assert card.metrics[0].low is None
    assert any("do not belong together" in each for each in card.unknown)


def test_a_version_about_which_nothing_is_known_says_so_everywhere(backend):
    backend.registry.register("bare", run="", file=ModelFile(), signature=Signature(), mutation=ME)
    card = card_of(backend, "bare", "1")
    by_title = {section.title: section for section in sections(card)}
    for title in ("Metrics", "Worst slices", "Bias", "Signature"):
        assert by_title[title].remark == UNKNOWN
    for kind in ("md", "html"):
        assert card_text(card, kind).count(UNKNOWN) > 15
    with pytest.raises(NotFound):
        card_of(backend, "bare", "7")
    with pytest.raises(Invalid, match="no format"):
        card_text(card, "pdf")


# ---------------------------------------------------------------- hostile


def hostile_card(text: str) -> Card:
    """A card whose every string is this one."""
    result = CheckResult(check=text, kind=text, status=GateStatus.WARN, value=text, rule=text, detail=text)
    column = Column(name=text, type=ColumnType.OTHER, unit=text, note=text)
    move = AliasMove(
        model=text, alias=text, version=text, previous=text, at=1, actor=text, reason=text, action=text, entry=text
    )
    return Card(
        model=text, version=text, made_at=1, context=text, note=text, model_note=text, aliases=(text,),
        registered_by=text, owners=text, uses=text, limits=text, tags={text: text},
        data=(CardData(dataset=text, version=text, digest=text, role=text, source=text),),
        split=CardSplit(by=text, column=text, test_rows_sha256=text, periods={"test": (text, text)}),
        training=CardTraining(
            run=text, name=text, by=text, task=text, target=text, estimator=text, recipe=f"{text}\n```\n{text}",
            params={text: text}, entry=text, repo=text, commit=text, branch=text, environment=text,
            libraries={text: text}, left_out={text: text},
        ),
        metrics=(CardMetric(name=text, value=1.0),), intervals=text,
        slices=(CardSlice(where=text, rows=3, ratio=2.0),), sliced=True, importance={text: 1.0},
        fairness=CardFairness(by=text, on=text, at=1, actor=text, status=text, results=(result,)),
        checks=(result,), audit=(result,), signature=Signature(inputs=(column,), outputs=(column,)),
        file=ModelFile(sha256=text, format=text, untrusted=(text,)), gates_alias=text,
        gates=(GateResult(gate=text, status=GateStatus.FAIL, value=text, rule=text, detail=text),),
        history=(CardMoves(move=move, overridden=(text,)),), approvals=(text,), unknown=(f"{text}: {text}",),
    )  # fmt: skip


MARKUP = {
    **HOSTILE,
    "script": "</td></pre><script>alert(1)</script>",
    "attribute": "\" onload='x' autofocus",
    "comment": "--><img src=x onerror=alert(1)>",
    "entity": "&lt;b&gt;&#60;",
    "cell": "a|b||c\\|d",
    "link": "[x](javascript:alert(1)) ![i](http://example.org/i.png) <http://example.org>",
    "heading": "# h\n## h2\n---\n- item\n1. one",
    "fence": "```\n~~~~\n`````",
    "formula": "$x$ $$y$$ \\(z\\)",
}


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, tuple(name for name, _ in attrs)))


def tags_of(page: str) -> list[tuple[str, tuple[str, ...]]]:
    parser = Tags()
    parser.feed(page)
    return parser.found


PLAIN = hostile_card("plain")


@pytest.mark.parametrize("name", sorted(set(MARKUP) - {"empty", "long wide"}))
def test_no_string_makes_markup_of_its_own(name):
    card = hostile_card(MARKUP[name])
    page = card_text(card, "html")
    assert tags_of(page) == tags_of(card_text(PLAIN, "html"))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", page)
    text = card_text(card, "md")
    outside = re.sub(r"(?s)\n(`{3,})toml\n.*?\n\1\n", "\n", text)
    assert outside != text  # the recipe's fence was found whole
    for line in outside.splitlines():
        if line.startswith("|") and "---" not in line:
            inner = re.sub(r"\\.", "", line.strip("|"))
            assert not re.search(r"[`*_\[\]<>#!~$&@=^{}]", inner), line
    plain = re.sub(r"(?s)\n(`{3,})toml\n.*?\n\1\n", "\n", card_text(PLAIN, "md"))
    bars = [len(re.findall(r"(?<!\\)\|", re.sub(r"\\\\", "", line))) for line in outside.splitlines()]
    assert bars == [line.count("|") for line in plain.splitlines()]


@pytest.mark.parametrize("name", sorted(set(MARKUP) - {"surrogate"}))
def test_json_holds_what_was_written_and_reads_back_as_the_same_card(name):
    card = hostile_card(MARKUP[name])
    text = card_text(card, "json")
    assert msgspec.json.decode(text, type=Card) == card
    assert json.loads(text)["format"] == 1


def test_the_page_fetches_nothing():
    page = card_text(PLAIN, "html")
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=", page)
