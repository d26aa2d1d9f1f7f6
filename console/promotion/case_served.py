"""The parts of a case that tell of serving: how fast, what callers send, what a replay changed."""

from __future__ import annotations

from console.promotion.card_sections import Table
from console.promotion.case_facts import Facts
from console.promotion.case_part import Part
from console.promotion.replayed import Replayed, replay_command
from console.promotion.speed import AS_SERVED, SpeedOf
from console.serving.replay.figures import Changed, Reason
from console.serving.replay.words import changed_words, inputs_words, moved_words
from console.wording import ago, figure, local_time, number, plural, size, thousands


def speed_part(found: Facts) -> Part:
    """Both versions' times beside each other, and how they were taken."""
    rows = tuple(_speed_row(each) for each in found.speed)
    batch = next((each.batch_rows for each in found.speed if each.batch_rows), 1_000)
    titles = ("version", "1 row p50 ms", "p95 ms", f"{batch} rows p50 ms", "p95 ms", "file")
    hows = list(dict.fromkeys(each.how for each in found.speed))
    if hows == [AS_SERVED]:
        said = "asked in turns in one process, as a server asks them, without the network"
    elif any(hows):
        said = "each in the process that trained it, so that a busy machine can be the difference"
    else:
        said = ""
    if not any(each.how == AS_SERVED for each in found.speed):
        more = f"side by side: {replay_command(found.case.candidate, found.case.alias)}"
        said = f"{said}; {more}" if said else f"not measured; {more}"
    return Part(title="latency and size", tables=(Table(titles=titles, rows=rows),), remark=said)


def _speed_row(each: SpeedOf) -> tuple[str, ...]:
    return (
        f"v{each.version}",
        figure(each.one_p50),
        figure(each.one_p95),
        figure(each.batch_p50),
        figure(each.batch_p95),
        size(each.bytes) if each.bytes else "not recorded",
    )


def signature_part(found: Facts) -> Part:
    """What the version takes, and what callers were seen to send."""
    candidate, replay = found.case.candidate, found.replay
    takes = ", ".join(f"{each.name} {each.type}" for each in candidate.signature.inputs)
    gives = ", ".join(f"{each.name} {each.type}" for each in candidate.signature.outputs)
    facts = (("takes", takes or "not recorded"), ("gives", gives or "not recorded"))
    if replay is None:
        how = replay_command(candidate, found.case.alias)
        return Part(title="signature and callers", facts=facts, remark=f"what callers send was not examined: {how}")
    if replay.figures.nothing:
        return Part(title="signature and callers", facts=facts, remark=replay.figures.nothing)
    sent = replay.figures.sent
    rows = tuple((each.column, str(each.status), each.kind, thousands(each.rows), each.note) for each in sent)
    tables = (Table(titles=("column", "result", "callers", "rows", ""), rows=rows),) if rows else ()
    said = f"{thousands(replay.figures.logged)} requests looked at {ago(replay.report.at)}"
    if not rows:
        said += "; all of them fit"
    if replay.figures.categories:
        said += f"; unseen texts are not known: {replay.figures.categories}"
    return Part(title="signature and callers", facts=facts, tables=tables, remark=said)


def replay_part(found: Facts) -> Part:
    """What changes for those who call."""
    candidate, replay = found.case.candidate, found.replay
    how = replay_command(candidate, found.case.alias)
    if replay is None:
        return Part(title="replay", remark=f"not examined: {how}")
    figures = replay.figures
    if figures.nothing:
        return Part(title="replay", remark=f"{figures.nothing} Again: {how}")
    facts = (
        ("requests", f"{thousands(figures.logged)} of {', '.join(figures.deployments)}"),
        ("from", f"{local_time(figures.first)} to {local_time(figures.last)}"),
        ("against", f"v{figures.against}" if figures.against else f"the logged answers: {figures.why_logged}"),
        ("answers change", changed_words(figures)),
        ("score moves", moved_words(figures)),
        ("no answer", _reasons(figures.failed)),
        ("cannot be replayed", _reasons(figures.skipped)),
    )
    tables = (Table(titles=("changed most", "before", "after", "moved", "of"), rows=tuple(map(_row, figures.most))),)
    return Part(
        title="replay",
        facts=tuple((name, value) for name, value in facts if value),
        tables=tables if figures.most else (),
        remark=_age(replay, found, how),
    )


def _row(each: Changed) -> tuple[str, ...]:
    return (
        each.ident,
        _answer(each.before, each.before_score),
        _answer(each.after, each.after_score),
        number(each.moved),
        inputs_words(each),
    )


def _answer(value: str, score: float | None) -> str:
    told = number(score)
    return value if score is None or value == told else f"{value} {told}"


def _reasons(reasons: tuple[Reason, ...]) -> str:
    if not reasons:
        return ""
    few = "; ".join(f"{each.why} ({thousands(each.rows)})" for each in reasons[:3])
    return f"{plural(sum(each.rows for each in reasons), 'row')}: {few}"


def _age(replay: Replayed, found: Facts, how: str) -> str:
    stale = replay.stale(found.case.candidate, found.case.holder)
    said = f"replayed {ago(replay.report.at)} by {replay.report.actor}"
    again = f"{said}, {stale}; run it again: {how}" if stale else f"{said}; again: {how}"
    if not replay.figures.most:
        return again
    candidate = found.case.candidate
    why = f"mlops-console model explain {candidate.model} {candidate.version} --prediction ID"
    return f"{again}; why one moved: {why}"
