"""`mlops-console monitor why|slices`: what is behind a monitor's trouble, as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import click

from console.cli.follow import ProgressLine
from console.cli.monitor import monitor
from console.cli.output import Col, gap, narrate, print_lines, print_table
from console.cli.verb import Invocation
from console.monitoring.reasons.found_slices import Slice
from console.monitoring.reasons.upstream import Upstream
from console.monitoring.reasons.why import Carrier, Cause, Example, Why
from console.wording import local_time, number, plural, thousands

T = TypeVar("T")

CAUSE_COLUMNS: list[Col[Cause]] = [
    Col("feature", lambda item: item.column),
    Col("share", lambda item: f"{item.weight * 100:.0f} %", right=True),
    Col("because", lambda item: item.text, widest=110),
]
CARRIER_COLUMNS: list[Col[Carrier]] = [
    Col("part", lambda item: item.name, widest=60),
    Col("kind", lambda item: item.kind),
    Col("rows", lambda item: thousands(item.rows), right=True),
    Col("carries", lambda item: item.text, widest=90),
]
EXAMPLE_COLUMNS: list[Col[Example]] = [
    Col("id", lambda item: item.id),
    Col("when", lambda item: local_time(item.at)),
    Col("answered", lambda item: item.answer),
    Col("truth", lambda item: item.truth),
    Col("score", lambda item: number(item.score, 3), right=True),
    Col("row", lambda item: "  ".join(f"{name}={value}" for name, value in item.values.items()), widest=90),
]
UPSTREAM_COLUMNS: list[Col[Upstream]] = [
    Col("when", lambda item: local_time(item.at)),
    Col("kind", lambda item: item.kind),
    Col("what", lambda item: item.what, widest=80),
    Col("who", lambda item: item.who),
    Col("why", lambda item: item.reason, widest=60),
]
SLICE_COLUMNS: list[Col[Slice]] = [
    Col("where", lambda item: item.where, widest=70),
    Col("rows", lambda item: thousands(item.rows), right=True),
    Col("error", lambda item: number(item.error, 3), right=True),
    Col("elsewhere", lambda item: number(item.rest, 3), right=True),
    Col("carries", lambda item: f"{item.contribution * 100:.0f} %", right=True),
    Col("q", lambda item: f"{item.q_value:.1e}", right=True),
]
CAUSES = 5
"""Features that are told; the others are in the JSON."""


@monitor.command("why")
@click.argument("name")
@click.option("--alert", default="", metavar="ID", help="About this alert; else about the worst open one.")
@click.option("--quick", is_flag=True, help="From stored windows alone: no sampled rows are read.")
@click.pass_obj
def why_(invocation: Invocation, name: str, alert: str, quick: bool) -> None:
    """Why a monitor is off: since when, by which features, in which part of the rows, after which changes."""
    if quick:
        from console.monitoring.reasons.why import why

        found = why(invocation.backend, name, alert=alert)
    else:
        from console.monitoring.reasons.why_offloaded import explain_offloaded

        with ProgressLine() as line:
            found = explain_offloaded(invocation.backend, name, alert=alert, on_progress=line.follow)
    invocation.show(found, lambda: _print(found))


def _print(found: Why) -> None:
    print_lines(found.headline)
    if found.onset is not None and found.onset.certain:
        print_lines(f"onset {local_time(found.onset.start)}, between {local_time(found.onset.earliest)} and "
                    f"{local_time(found.onset.latest)}")  # fmt: skip
    _part("features, by importance × drift × effect on error", found.causes[:CAUSES], CAUSE_COLUMNS)
    _part("parts of the rows that carry it", found.carriers, CARRIER_COLUMNS)
    _part("wrong and sure", found.examples, EXAMPLE_COLUMNS)
    _part("changed near the onset", found.upstream, UPSTREAM_COLUMNS)
    for change in found.upstream:
        if change.difference:
            gap()
            print_lines("\n  ".join((f"{change.before} → {change.after}", *change.difference)))
    if not found.upstream:
        gap()
        print_lines("nothing near the onset was changed here, as far as the journal knows")
    for note in found.notes:
        narrate(note)


def _part(title: str, items: Sequence[T], columns: list[Col[T]]) -> None:
    if items:
        gap()
        print_lines(title)
        print_table(items, columns)


@monitor.command("slices")
@click.argument("name")
@click.option("--since", default="", metavar="TIME", help="From this time on: 2026-01-31, 7d.")
@click.option("--until", default="", metavar="TIME", help="Before this time.")
@click.pass_obj
def slices(invocation: Invocation, name: str, since: str, until: str) -> None:
    """The parts of the rows that are answered worst, found by themselves among the sampled rows."""
    from console.monitoring.reasons.why_offloaded import slices_offloaded

    first, last = _time(since, "--since"), _time(until, "--until")
    with ProgressLine() as line:
        found = slices_offloaded(invocation.backend, name, since=first, until=last, on_progress=line.follow)

    def human() -> None:
        print_table(
            found.slices,
            SLICE_COLUMNS,
            empty=f"no part of {plural(found.rows, 'labelled row')} is answered worse than the rest, of "
            f"{plural(found.tried, 'part')} tried",
        )
        for note in found.notes:
            narrate(note)

    invocation.show(found, human)


def _time(text: str, option: str) -> int | None:
    """A time as the query language reads it."""
    from backends.query import JOURNAL_FIELDS, Compare, QueryError, parse

    if not text:
        return None
    try:
        node = parse(f"at >= '{text}'", JOURNAL_FIELDS).where
    except QueryError as error:
        raise click.UsageError(f"{option} {text}: {error.summary}") from None
    assert isinstance(node, Compare)  # noqa: S101
    return int(node.value)
