"""What `context test` says of a backend: what it has, which promises it keeps, and what it cannot do."""

from __future__ import annotations

from typing import Final

from backends.checks import Finding, Verdict, examine
from backends.contract import Backend, Features
from backends.readonly import READING
from console.cli.follow import ProgressLine
from console.cli.output import Col, gap, narrate, print_table
from console.wording import duration, plural

WHOLE: Final = "backend"
CANNOT: Final[dict[str, str]] = {
    "seek": "jump to a row by its number: lists are walked from one end",
    "count": "say how long a list of runs is",
    "server_sort": "sort all runs at once: a bounded part is sorted here, and the list says so",
    "compare_and_set": "compare and set an alias in one step: it is read, set, read back, and a change between is told",
    "actor": "keep who changed something: the journal here does",
    "history": "keep how aliases moved",
    "delete": "delete and restore",
    "metric_history": "keep the course of metrics: the latest values alone",
    "own_ids": "take the id that a run is to have",
    "any_keys": "take any text as the name of a metric, parameter or tag",
    "whole_series": "draw a metric with all its lows and highs: a chart shows some of its points",
}
"""Feature → what a person cannot do without it."""


def checked(backend: Backend, *, seconds: float, shown: bool) -> list[Finding]:
    """Every promise in turn, with a line of progress."""
    from backends.checks.examine import promises

    many, found = len(promises(backend)), list[Finding]()
    with ProgressLine() as line:
        for each in examine(backend, seconds=seconds):
            found.append(each)
            if shown:
                line.update(fraction=len(found) / many, stage=f"{each.capability}: {each.promise}")
    return found


def cannot(features: Features) -> list[str]:
    return [words for name, words in CANNOT.items() if not getattr(features, name)]


def print_capabilities(backend: Backend, found: list[Finding]) -> None:
    """A row for each: whether it is there, and what came of its promises."""
    rows = [WHOLE, *READING] if found else list(READING)

    def many(capability: str, verdict: Verdict) -> object:
        count = sum(each.capability == capability and each.verdict is verdict for each in found)
        return count or ""

    columns: list[Col[str]] = [
        Col("capability", lambda each: each),
        Col("there", lambda each: "yes" if each == WHOLE or getattr(backend, each) is not None else "no"),
    ]
    if found:
        columns += [
            Col("ok", lambda each: many(each, Verdict.OK), right=True),
            Col("wrong", lambda each: many(each, Verdict.WRONG), right=True),
            Col("lacks", lambda each: many(each, Verdict.LACKS), right=True),
            Col("unseen", lambda each: many(each, Verdict.UNSEEN), right=True),
        ]
    columns.append(Col("why not", lambda each: "" if each == WHOLE else _why_not(backend, each), widest=80))
    print_table(rows, columns)


def _why_not(backend: Backend, capability: str) -> str:
    if getattr(backend, capability) is not None:
        return ""
    if capability == "metrics":
        return backend.missing.get(capability, "no metrics store is named in this context")
    return backend.missing.get(capability, "")


def print_findings(found: list[Finding]) -> None:
    """What is wrong and what is lacking, each in words; what could not be seen, by its reason."""
    told = [each for verdict in (Verdict.WRONG, Verdict.LACKS) for each in found if each.verdict is verdict]
    if told:
        gap()
        print_table(
            told,
            [
                Col("", lambda each: str(each.verdict), state=True),
                Col("capability", lambda each: each.capability),
                Col("promise", lambda each: each.sentence, widest=400),
            ],
        )
    unseen: dict[str, list[str]] = {}
    for each in found:
        if each.verdict is Verdict.UNSEEN:
            unseen.setdefault(each.said, []).append(each.promise)
    for why, promises in unseen.items():
        narrate(f"not seen, {why}: {promises[0] if len(promises) == 1 else plural(len(promises), 'promise')}")


def print_cannot(backend: Backend) -> None:
    """What a person cannot do in this context."""
    for what, why in backend.missing.items():
        if what not in READING:
            narrate(f"without {what}: {why}")
    for words in cannot(backend.features) if backend.runs is not None else ():
        narrate(f"it cannot {words}")
    if backend.features.read_only:
        narrate("the context is read-only: every change is refused")


def print_sum(found: list[Finding]) -> None:
    """How many of the promises are kept."""
    kept, seen = (
        sum(each.verdict in which for each in found) for which in ((Verdict.OK,), (Verdict.OK, Verdict.WRONG))
    )
    calls, seconds = sum(each.calls for each in found), sum(each.seconds for each in found)
    narrate(f"{kept} of {seen} promises that could be seen are kept ({plural(calls, 'question')}, {duration(seconds)})")
