"""A card as sections of facts and tables: what the screen, Markdown and HTML have in common.

Values are raw: whoever writes them makes them safe for where they go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backends.entities import CheckResult, Column, Millis, Record
from console.promotion.card import Card
from console.serving.replay.words import changed_words, moved_words
from console.wording import figure, local_time, number, plural, size, thousands

UNKNOWN = "not known"


class Table(Record, frozen=True, kw_only=True):
    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Section(Record, frozen=True, kw_only=True):
    """A heading, then facts, then tables, then text as it was written, then a remark."""

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()
    text: str = ""
    """Verbatim, such as a recipe."""
    remark: str = ""


def sections(card: Card) -> tuple[Section, ...]:
    """Every part, in the order in which a card is read; one without facts says that they are not known."""
    return (
        _about(card), _metrics(card), _slices(card), _data(card), _training(card), _importance(card), _bias(card),
        _checks(card), _speed(card), _replay(card), _signature(card), _file(card), _gates(card),
        _history(card), _unknown(card),
    )  # fmt: skip


def title_of(card: Card) -> str:
    return f"{card.model} v{card.version}"


def _known(value: object) -> str:
    return str(value) if value not in (None, "", ()) else UNKNOWN


def _when(at: Millis | None) -> str:
    return local_time(at) if at else UNKNOWN


def _about(card: Card) -> Section:
    facts = [
        ("version", title_of(card)),
        ("aliases", ", ".join(card.aliases) or "none"),
        ("note", _known(card.note)),
        ("about the model", _known(card.model_note)),
        ("owner", _known(card.owners)),
        ("meant for", _known(card.uses)),
        ("limits", _known(card.limits)),
        ("registered", f"{_when(card.registered_at)} by {_known(card.registered_by)}"),
        ("context", card.context),
        ("card made", _when(card.made_at)),
    ]
    tags = Table(titles=("tag", "value"), rows=tuple(sorted(card.tags.items())))
    return Section(title="About", facts=tuple(facts), tables=(tags,) if tags.rows else ())


def _metrics(card: Card) -> Section:
    rows = tuple(
        (
            each.name + (" (primary)" if each.primary else ""),
            number(each.value, 5),
            f"{number(each.low)} to {number(each.high)}" if each.low is not None else UNKNOWN,
            number(each.baseline) if each.baseline is not None else UNKNOWN,
            number(each.training) if each.training is not None else UNKNOWN,
            "lower" if each.lower_is_better else "higher",
        )
        for each in card.metrics
    )
    titles = ("metric", "held out", "95 % interval", "baseline", "training", "better is")
    return _tabled("Metrics", titles, rows, remark=card.intervals)


def _slices(card: Card) -> Section:
    rows = tuple((each.where, thousands(each.rows), f"{each.ratio:.2f}") for each in card.slices)
    if card.sliced and not rows:
        return Section(title="Worst slices", remark="no slice of the held-out rows is surely worse than the rest")
    remark = "times the loss of all held-out rows; those surely worse than the rest" if rows else ""
    return _tabled("Worst slices", ("where", "rows", "times the loss"), rows, remark=remark)


def _data(card: Card) -> Section:
    tables = []
    if card.data:
        tables.append(
            Table(
                titles=("dataset", "for", "rows", "columns", "digest", "from"),
                rows=tuple(
                    (
                        f"{each.dataset}@{each.version}",
                        each.role,
                        thousands(each.rows) if each.rows is not None else UNKNOWN,
                        str(each.columns) if each.columns is not None else UNKNOWN,
                        each.digest or UNKNOWN,
                        each.made_by or each.source or UNKNOWN,
                    )
                    for each in card.data
                ),
            )
        )
    split, facts = card.split, []
    if split is None:
        facts.append(("held out", UNKNOWN))
    else:
        how = f"by {split.by}" if split.by else UNKNOWN
        facts.append(("held out", how + (f" of {split.column}" if split.column else "")))
        facts.append(("share held out", f"{split.share:.0%}" if split.share is not None else UNKNOWN))
        facts.append(("folds", str(split.folds) if split.folds else "none"))
        for name, count in (("training rows", split.train_rows), ("test rows", split.test_rows)):
            facts.append((name, thousands(count) if count is not None else UNKNOWN))
        facts.append(("sha256 of the test rows", _known(split.test_rows_sha256)))
        for name in ("training", "test"):
            first_last = split.periods.get(name)
            facts.append((f"period of {name}", " to ".join(first_last) if first_last else UNKNOWN))
    remark = "" if card.data else UNKNOWN
    return Section(title="Data", facts=tuple(facts), tables=tuple(tables), remark=remark)


def _training(card: Card) -> Section:
    told = card.training
    dirty = {True: " with changes that were not committed", False: "", None: ""}[told.dirty]
    took = ""
    if told.started_at and told.ended_at:
        took = f", ended {_when(told.ended_at)}"
    facts = (
        ("run", f"{told.name} {told.run}".strip() or UNKNOWN),
        ("by", _known(told.by)),
        ("started", _when(told.started_at) + took),
        ("task", _known(told.task)),
        ("target", _known(told.target)),
        ("estimator", _known(told.estimator)),
        ("seed", str(told.seed) if told.seed is not None else UNKNOWN),
        ("code", (f"{told.commit}{dirty}" if told.commit else UNKNOWN) + (f" on {told.branch}" if told.branch else "")),
        ("repository", _known(told.repo)),
        ("entry", _known(told.entry)),
        ("environment", _known(told.environment)),
        ("packages", f"{plural(told.packages, 'package')} in environment.txt" if told.packages else UNKNOWN),
        ("libraries", ", ".join(f"{name} {held}" for name, held in told.libraries.items()) or UNKNOWN),
    )
    tables = []
    if told.params:
        tables.append(Table(titles=("parameter", "value"), rows=tuple(sorted(told.params.items()))))
    if told.left_out:
        tables.append(Table(titles=("column left out", "why"), rows=tuple(told.left_out.items())))
    return Section(title="Training", facts=facts, tables=tuple(tables), text=told.recipe)


def _importance(card: Card) -> Section:
    rows = tuple((name, f"{fall:+.4g}") for name, fall in card.importance.items())
    remark = "the fall of the primary metric on test rows when the column's values are shuffled" if rows else ""
    return _tabled("What it looks at", ("column", "importance"), rows, remark=remark)


def _bias(card: Card) -> Section:
    found = card.fairness
    if found is None:
        return Section(title="Bias", remark=UNKNOWN)
    facts = (
        ("groups by", found.by),
        ("on", _known(found.on)),
        ("examined", f"{_when(found.at)} by {_known(found.actor)}"),
        ("result", found.status),
    )
    return Section(title="Bias", facts=facts, tables=(_results(found.results),))


def _checks(card: Card) -> Section:
    tables = tuple(_results(results, title) for title, results in _judged(card) if results)
    missing = [title for title, results in _judged(card) if not results]
    return Section(title="Checks and audit", tables=tables, remark="; ".join(f"{each}: {UNKNOWN}" for each in missing))


def _judged(card: Card) -> tuple[tuple[str, Sequence[CheckResult]], ...]:
    return (("check of the data", card.checks), ("audit of the training", card.audit))


def _results(results: Sequence[CheckResult], title: str = "measure") -> Table:
    rows = tuple((each.check, str(each.status), each.value, each.rule, each.detail) for each in results)
    return Table(titles=(title, "result", "measured", "wanted", "detail"), rows=rows)


def _speed(card: Card) -> Section:
    if not any(each.one_p95 is not None for each in card.speed):
        return Section(title="Latency", remark=UNKNOWN)
    rows = tuple(
        (
            f"v{each.version}",
            figure(each.one_p50),
            figure(each.one_p95),
            figure(each.batch_p50),
            figure(each.batch_p95),
            each.how or UNKNOWN,
        )
        for each in card.speed
    )
    batch = next((each.batch_rows for each in card.speed if each.batch_rows), 0)
    titles = ("version", "1 row p50 ms", "p95 ms", f"{batch} rows p50 ms", "p95 ms", "measured")
    return _tabled("Latency", titles, rows)


def _replay(card: Card) -> Section:
    """Counts alone: a card is passed on, and rows of callers are not for everybody who reads it."""
    found = card.replay
    if found is None or not found.logged:
        return Section(title="Replay of logged requests", remark=UNKNOWN)
    facts = (
        ("requests", f"{thousands(found.logged)}, {_when(found.first)} to {_when(found.last)}"),
        ("against", f"v{found.against}" if found.against else "the logged answers"),
        ("answers change", changed_words(found)),
        ("score moves", moved_words(found)),
        ("without an answer", plural(found.failed_rows, "row")),
        ("cannot be replayed", plural(found.skipped_rows, "row")),
        ("replayed", _when(card.replayed_at)),
    )
    rows = tuple((each.column, each.kind, str(each.status), thousands(each.rows)) for each in found.sent)
    tables = (Table(titles=("column", "callers", "result", "rows"), rows=rows),) if rows else ()
    return Section(title="Replay of logged requests", facts=facts, tables=tables)


def _signature(card: Card) -> Section:
    rows = tuple(_columns("takes", card.signature.inputs)) + tuple(_columns("gives", card.signature.outputs))
    return _tabled("Signature", ("", "column", "type", "unit", "note"), rows)


def _columns(word: str, columns: Sequence[Column]) -> Iterator[tuple[str, ...]]:
    for each in columns:
        yield word, each.name, str(each.type), each.unit, each.note


def _file(card: Card) -> Section:
    file = card.file
    types = ", ".join(file.untrusted) or ("none" if file.inspected else UNKNOWN)
    facts = (
        ("format", _known(file.format)),
        ("size", size(file.bytes) if file.bytes else UNKNOWN),
        ("sha256", _known(file.sha256)),
        ("untrusted types", types),
        *((("ONNX form", card.onnx),) if card.onnx else ()),
    )
    return Section(title="File", facts=facts)


def _gates(card: Card) -> Section:
    rows = tuple((each.gate, str(each.status), each.value, each.rule, each.detail) for each in card.gates)
    remark = f"as they stand when the card is made, for {card.gates_alias}" if rows else ""
    return _tabled("Gates", ("gate", "result", "measured", "wanted", "detail"), rows, remark=remark)


def _history(card: Card) -> Section:
    rows = tuple(
        (
            _when(each.move.at),
            each.move.alias,
            f"v{each.move.previous}" if each.move.previous else "nothing",
            f"v{each.move.version}" if each.move.version else "nothing",
            each.move.action,
            each.move.actor or UNKNOWN,
            each.move.reason,
            ", ".join(each.overridden),
            each.move.entry[:8],
        )
        for each in card.history
    )
    titles = ("when", "alias", "from", "to", "how", "by", "why", "gates overridden", "journal")
    return Section(
        title="History and approvals",
        tables=(*((Table(titles=titles, rows=rows),) if rows else ()), *_requests(card)),
        facts=(("approvals", ", ".join(card.approvals) or "none are recorded"),),
        remark="" if rows else "no alias was ever moved to it or from it",
    )


def _requests(card: Card) -> tuple[Table, ...]:
    """Who asked others to agree, and what each said."""
    rows: list[tuple[str, ...]] = []
    for asked in card.requests:
        over = f"v{asked.over}" if asked.over else "nothing"
        along = f", with {', '.join(asked.along)}" if asked.along else ""
        what = f"asked for {asked.alias} over {over}{along}: {asked.state}"
        rows.append((_when(asked.at), asked.by, what, asked.reason))
        rows += [
            (_when(each.at), each.actor, "agreed" if each.agreed else "said no", each.reason) for each in asked.answers
        ]
    return (Table(titles=("when", "who", "said", "why"), rows=tuple(rows)),) if rows else ()


def _unknown(card: Card) -> Section:
    rows = tuple((each.partition(": ")[0], each.partition(": ")[2]) for each in card.unknown)
    if not rows:
        return Section(title="What is not known", remark="nothing that a card asks for is missing")
    return Section(title="What is not known", tables=(Table(titles=("fact", "why"), rows=rows),))


def _tabled(title: str, titles: tuple[str, ...], rows: tuple[tuple[str, ...], ...], *, remark: str = "") -> Section:
    if not rows:
        return Section(title=title, remark=UNKNOWN)
    return Section(title=title, tables=(Table(titles=titles, rows=rows),), remark=remark)
