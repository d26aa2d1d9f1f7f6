"""Aliases that move together: promoted, put back and taken back as one, or not at all."""

from __future__ import annotations

import json

import pytest

from backends.alias_changes import changes_in
from backends.contract import Conflict, Invalid, Refused
from backends.entities import AliasMove
from console.cli.main import main
from console.promotion import approvals
from console.promotion.along import changes_for, moved_with, said
from console.promotion.approvals import Waiting, waiting
from console.promotion.approve import approve
from console.promotion.card_facts import card_of
from console.promotion.card_text import card_text
from console.promotion.consent import consents_to, words
from console.promotion.policy import FILE, policy_for
from console.promotion.promote import case_for, promote
from console.promotion.reject import reject
from console.promotion.rollback import rollback
from console.promotion.undo import undo, undoable
from console.tui.journal_change import change
from tests.unit.registry import ME, by, version_of, workspace

TOGETHER = '[[promotion]]\nalias = "champion"\ntogether = { previous = "holder", challenger = "clear" }\n'
OTHER = by("user2@host")


@pytest.fixture
def backend(tmp_path, monkeypatch):
    """Three versions of churn; v1 is champion, v2 challenger."""
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config.toml"))
    opened = workspace(tmp_path)
    for at in range(3):
        version_of(opened, tmp_path, auc=0.7 + at / 20, content=f"model {at}".encode())
    promote(opened, "churn", "1", "champion", ME, expected=None)
    promote(opened, "churn", "2", "challenger", ME, expected=None)
    rules(opened, TOGETHER)
    yield opened
    opened.close()


def rules(backend, text):
    (backend.home / FILE).write_text(text)


def held(backend):
    return backend.registry.get("churn").aliases


def test_a_promotion_takes_along_what_the_policy_says(backend):
    case = case_for(backend, "churn", "2", "champion")
    assert said(case.changes) == "champion v1 → v2, challenger v2 → nothing, previous nothing → v1"
    move = promote(backend, "churn", "2", "champion", ME, expected="1", seen=case.changes)
    assert (move.alias, move.version, set(move.along)) == ("champion", "2", {"previous", "challenger"})
    assert held(backend) == {"champion": "2", "previous": "1"}
    assert {each.alias for each in moved_with(backend, move)} == {"champion", "previous", "challenger"}
    assert set(changes_in(backend.journal.get(move.entry))) == set(case.changes)


def test_the_journal_says_in_few_words_where_each_went(backend):
    move = promote(backend, "churn", "2", "champion", ME, expected="1")
    assert change(backend.journal.get(move.entry)) == "v1 → v2, challenger v2 → –, previous – → v1"


def test_a_challenger_that_is_another_version_stays(backend):
    promote(backend, "churn", "3", "champion", ME, expected="1")
    assert held(backend) == {"champion": "3", "challenger": "2", "previous": "1"}


def test_several_that_a_person_names_move_at_once_each_judged_by_its_own_rules(backend, tmp_path):
    promote(backend, "churn", "3", "blue", ME, expected=None)
    worse = version_of(backend, tmp_path, auc=0.72, content=b"worse than blue").version
    with pytest.raises(Refused, match=r"holder \(blue\)"):
        promote(backend, "churn", worse, "champion", ME, expected="1", also=("blue",))
    assert held(backend) == {"champion": "1", "challenger": "2", "blue": "3"}
    promote(backend, "churn", worse, "champion", ME, expected="1", also=("blue",), override=True)
    assert held(backend) == {"champion": worse, "challenger": "2", "blue": worse, "previous": "1"}


def test_an_alias_that_is_sent_to_the_version_is_judged_and_wants_its_approvals(backend):
    sent = '[[promotion]]\nalias = "champion"\ntogether = { blue = "version" }\n'
    rules(backend, sent + '[[promotion]]\nalias = "blue"\napprovals = 1\n')
    request = promote(backend, "churn", "2", "champion", ME, expected="1")
    assert isinstance(request, Waiting)
    assert "with blue" in request.what()
    move = approve(backend, request.id, OTHER)
    assert isinstance(move, AliasMove)
    assert held(backend) == {"champion": "2", "challenger": "2", "blue": "2"}


def test_what_moved_along_meanwhile_makes_it_a_conflict(backend):
    case = case_for(backend, "churn", "2", "champion")
    backend.registry.set_alias("churn", "previous", "3", expected=None, mutation=OTHER)
    with pytest.raises(Conflict, match="previous of churn moved to v3 from nothing by user2@host"):
        promote(backend, "churn", "2", "champion", ME, expected="1", seen=case.changes)
    assert held(backend) == {"champion": "1", "challenger": "2", "previous": "3"}
    case = case_for(backend, "churn", "2", "champion")
    rules(backend, "")
    with pytest.raises(Conflict, match="what moves together changed while you were looking"):
        promote(backend, "churn", "2", "champion", ME, expected="1", seen=case.changes)
    assert held(backend)["champion"] == "1"


def test_a_rollback_takes_all_of_it_back(backend):
    promote(backend, "churn", "2", "champion", ME, expected="1")
    move = rollback(backend, "churn", "champion", ME, expected="2")
    assert held(backend) == {"champion": "1", "challenger": "2"}
    assert backend.journal.get(move.entry).action == "model.rollback"


def test_a_rollback_over_several_goes_to_what_was_then(backend):
    promote(backend, "churn", "2", "champion", ME, expected="1")
    promote(backend, "churn", "3", "champion", ME, expected="2")
    assert held(backend) == {"champion": "3", "previous": "2"}
    rollback(backend, "churn", "champion", ME, to="1", expected="3")
    assert held(backend) == {"champion": "1", "challenger": "2"}
    rollback(backend, "churn", "champion", ME, to="3", expected="1")
    assert held(backend) == {"champion": "3", "previous": "2"}


def test_what_somebody_moved_on_since_stays_where_they_put_it(backend):
    promote(backend, "churn", "2", "champion", ME, expected="1")
    promote(backend, "churn", "3", "challenger", OTHER, expected=None)
    rollback(backend, "churn", "champion", ME, expected="2")
    assert held(backend) == {"champion": "1", "challenger": "3"}


def test_undo_takes_back_the_whole_change_or_nothing(backend):
    promote(backend, "churn", "2", "champion", ME, expected="1")
    entry = undoable(backend, ME.actor)
    assert entry is not None
    move = undo(backend, entry, ME)
    assert held(backend) == {"champion": "1", "challenger": "2"}
    assert set(move.along) == {"previous", "challenger"}
    assert backend.journal.get(entry.id).undone_by == move.entry

    promote(backend, "churn", "2", "champion", ME, expected="1")
    entry = undoable(backend, ME.actor)
    promote(backend, "churn", "3", "challenger", OTHER, expected=None)
    assert undoable(backend, ME.actor) is None
    with pytest.raises(Refused, match="alias challenger of churn was moved again since by user2@host"):
        undo(backend, entry, ME)
    assert held(backend) == {"champion": "2", "previous": "1", "challenger": "3"}


def test_others_agree_to_the_whole_change_as_it_was_asked(backend):
    rules(backend, TOGETHER + "approvals = 1\n")
    request = promote(backend, "churn", "2", "champion", ME, expected="1")
    assert promote(backend, "churn", "2", "champion", ME, expected="1") == request, "the same asked twice is one"
    assert "with challenger, previous" in request.what()
    backend.registry.set_alias("churn", "challenger", "3", expected="2", mutation=OTHER)
    with pytest.raises(Conflict, match="challenger of churn was at v2 when user1@host asked, and is at v3 now"):
        approve(backend, request.id, OTHER)
    backend.registry.set_alias("churn", "challenger", "2", expected="3", mutation=OTHER)
    rules(backend, '[[promotion]]\nalias = "champion"\napprovals = 1\n')
    assert approve(backend, request.id, OTHER).version == "2"
    assert held(backend) == {"champion": "2", "previous": "1"}
    assert waiting(backend) == ()


def test_a_clock_that_was_set_back_neither_ends_nor_doubles_a_promotion(backend, monkeypatch):
    rules(backend, TOGETHER + 'approvals = 1\nexpires = "1 h"\n')
    request = promote(backend, "churn", "2", "champion", ME, expected="1")
    now = approvals.now_ms()
    for module in ("backends.local.alias_moves.now", "backends.local.journal.now"):
        monkeypatch.setattr(module, lambda: now - 86_400_000)
    monkeypatch.setattr(approvals, "now_ms", lambda: now - 86_400_000)
    assert [each.id for each in waiting(backend)] == [request.id]
    move = approve(backend, request.id, OTHER)
    assert (move.version, move.at) == ("2", now - 86_400_000)
    assert approve(backend, request.id, OTHER) == move, "found again although it is dated before it was asked"
    assert backend.registry.history("churn", alias="champion")[0] == move, "newest is what was written last"
    assert [entry.seq for entry in backend.journal.page(limit=3).items] == [
        backend.journal.page(limit=1).total - at for at in range(3)
    ]
    assert backend.journal.verify()[1] == ""
    rollback(backend, "churn", "champion", ME, expected="2")
    assert held(backend) == {"champion": "1", "challenger": "2"}


@pytest.mark.parametrize(
    ("text", "said_of"),
    [
        ('together = { previous = "there" }', r"together.*'version', 'holder', 'clear'|together"),
        ('together = { "" = "clear" }', "alias without a name"),
    ],
)
def test_a_policy_that_sends_nowhere_is_told_with_its_line(backend, text, said_of):
    rules(backend, f"[[promotion]]\n{text}\n")
    with pytest.raises(Invalid, match=said_of) as caught:
        policy_for(backend, "churn", "champion")
    assert f"{FILE}:2" in str(caught.value)


def test_a_pattern_that_fits_what_it_sends_along_sends_it_nowhere_twice(backend):
    rules(backend, '[[promotion]]\ntogether = { champion = "version" }\n')
    assert changes_for(backend, "churn", "2", ("champion",))[1:] == ()


def test_who_asked_and_who_agreed_stands_in_history_card_and_at_a_time(backend, capsys):
    rules(backend, TOGETHER + "approvals = 1\n")
    asked = promote(backend, "churn", "2", "champion", by("ann@box", "better on the tail"), expected="1")
    approve(backend, asked.id, by("bob@box", "looked at it"))
    no = promote(backend, "churn", "3", "champion", by("ann@box"), expected="2")
    reject(backend, no.id, by("eve@box", "too slow"))

    moves = backend.registry.history("churn")
    found = consents_to(backend, "churn", moves)
    assert list(found) == [moves[0].entry], "of what nobody was asked about there is none"
    assert words(found[moves[0].entry]) == "asked by ann@box, bob@box agreed (looked at it)"

    card = card_of(backend, "churn", "2")
    assert card.approvals == ("bob@box",)
    assert [(each.by, each.state, each.reason) for each in card.requests] == [("ann@box", "done", "better on the tail")]
    (refused,) = card_of(backend, "churn", "3").requests
    assert (refused.state, refused.answers[0].actor, refused.answers[0].reason) == ("rejected", "eve@box", "too slow")
    assert card_of(backend, "churn", "3").approvals == ()
    text = card_text(card_of(backend, "churn", "3"), "md").replace("\\", "")  # Markdown's own
    for said_there in ("eve@box", "said no", "too slow", "asked for champion over v2"):
        assert said_there in text

    where = ["--workspace", str(backend.home)]
    assert main(["model", "history", "churn", "--alias", "champion", "--json", *where]) == 0
    newest, first = json.loads(capsys.readouterr().out)["items"]
    assert newest["consent"]["answers"][0]["actor"] == "bob@box"
    assert set(newest["along"]) == {"previous", "challenger"}
    assert "consent" not in first
    assert main(["model", "at", "churn", "0d", *where]) == 0
    told = capsys.readouterr().err
    assert "champion at" in told
    assert "asked by ann@box, bob@box agreed (looked at it)" in told


def test_a_program_that_asks_for_one_document_gets_no_words_beside_it(backend, capsys):
    where = ["--workspace", str(backend.home), "--json"]
    assert main(["model", "promote", "churn", "2", "--alias", "champion", "--alias", "blue", *where]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["alias"], err) == ("champion", "")
    assert {each["alias"] for each in document["moves"]} == {"champion", "blue", "challenger", "previous"}
    assert main(["model", "rollback", "churn", *where]) == 0
    assert held(backend) == {"champion": "1", "challenger": "2"}
