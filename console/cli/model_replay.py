"""`mlops-console model replay`: the last logged requests, asked again of another version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from console.cli.model import alias_option, model
from console.cli.output import Col, gap, narrate, print_record, print_table
from console.cli.verb import Invocation
from console.serving.replay.figures import MOST_ROWS, ROWS, Changed, Reason, Replay, ReplayJob, Sent, Timing
from console.serving.replay.words import changed_words, inputs_words, moved_words
from console.wording import ago, figure, local_time, number, plural, size, thousands

if TYPE_CHECKING:
    from backends.entities import Report


def replay_first(invocation: Invocation, name: str, version: str, alias: str, rows: int | None) -> None:
    """What `--replay N` of another verb asks for; nothing without a number."""
    if rows is None:
        return
    from console.cli.follow import ProgressLine
    from console.serving.replayer import replayed

    found = invocation.need("registry").version(name, version).version
    job = ReplayJob(model=name, version=found, alias=alias, rows=rows)
    with ProgressLine() as line:
        replayed(invocation.backend, job, invocation.session.actor, on_progress=line.follow)


@model.command("replay")
@click.argument("name", metavar="MODEL")
@click.argument("version")
@alias_option
@click.option(
    "--replay", "rows", default=ROWS, show_default=True, type=click.IntRange(1, MOST_ROWS), help="The newest requests."
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    help="A number changed if it moved by more than this; else by a tenth of the answers' standard deviation.",
)
@click.option(
    "--log",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Read the segments of this folder, not of the deployments.",
)
@click.pass_obj
def replay(
    invocation: Invocation, name: str, version: str, alias: str, rows: int, tolerance: float | None, log: Path | None
) -> None:
    """Ask VERSION what callers asked the deployments of MODEL, and compare with what the alias's holder answers.

    Kept as a report, which `model case`, `model gates` (where the policy names `replay`) and the card read.
    """
    from console.cli.follow import ProgressLine
    from console.serving.replayer import replayed

    job = ReplayJob(
        model=name,
        version=invocation.need("registry").version(name, version).version,
        alias=alias,
        rows=rows,
        tolerance=tolerance,
        log=str(log.expanduser().absolute()) if log is not None else "",
    )
    with ProgressLine() as line:
        report = replayed(invocation.backend, job, invocation.session.actor, on_progress=line.follow)
    invocation.show(report, lambda: print_replay(report))


def print_replay(report: Report) -> None:
    found = msgspec.convert(report.figures, Replay)
    if found.nothing:
        print_timings(found.timings)
        narrate(f"{found.nothing} What was measured are times, on held-out rows")
        return
    print_record(
        {
            "replay": f"{report.subject} against {f'v{found.against}' if found.against else 'the logged answers'}",
            "requests": f"{thousands(found.logged)} of {', '.join(found.deployments)}, "
            f"{local_time(found.first)} to {local_time(found.last)}",
            "answered by": ", ".join(f"v{each} {thousands(rows)}" for each, rows in found.answered_by.items()),
            "made": f"{ago(report.at)} by {report.actor}",
            "answers change": changed_words(found),
            "score moves": moved_words(found),
            "cannot be replayed": _rows(found.skipped_rows),
            "without an answer": _rows(found.failed_rows),
            "as logged": _rows(found.as_logged),
            "unreadable lines": _rows(found.unreadable),
        }
    )
    if found.most:
        gap()
        changed: list[Col[Changed]] = [
            Col("changed most", lambda item: item.ident, widest=24),
            Col("before", lambda item: item.before, widest=16),
            Col("after", lambda item: item.after, widest=16),
            Col("from", lambda item: number(item.before_score), right=True),
            Col("to", lambda item: number(item.after_score), right=True),
            Col("moved", lambda item: number(item.moved), right=True),
            Col("of", lambda item: inputs_words(item), widest=100),
        ]
        print_table(found.most, changed)
    print_callers(found)
    print_timings(found.timings)
    for title, reasons in (("cannot be replayed", found.skipped), ("no answer", found.failed)):
        if reasons:
            gap()
            columns: list[Col[Reason]] = [
                Col(title, lambda item: item.why, widest=80),
                Col("rows", lambda item: thousands(item.rows), right=True),
                Col("such as", lambda item: item.ident, widest=40),
            ]
            print_table(reasons, columns)
    for said in (found.why_logged, found.categories and f"unseen texts are not known: {found.categories}"):
        if said:
            narrate(said)
    if found.differed:
        narrate(
            f"v{found.against} answers {plural(found.differed, 'row')} of {thousands(found.echoed + found.differed)} "
            "otherwise than it did when they were logged: libraries or data changed meanwhile"
        )


def print_callers(found: Replay) -> None:
    if not found.sent:
        return
    gap()
    columns: list[Col[Sent]] = [
        Col("callers", lambda item: item.column, widest=32),
        Col("result", lambda item: item.status, state=True),
        Col("what", lambda item: item.kind),
        Col("rows", lambda item: thousands(item.rows), right=True),
        Col("", lambda item: item.note, widest=80),
    ]
    print_table(found.sent, columns)


def print_timings(timings: tuple[Timing, ...]) -> None:
    if not timings:
        return
    gap()
    columns: list[Col[Timing]] = [
        Col("as served", lambda item: f"v{item.version}"),
        Col("one row p50 ms", lambda item: figure(item.one_p50), right=True),
        Col("p95 ms", lambda item: figure(item.one_p95), right=True),
        Col(f"{timings[0].batch_rows} rows p50 ms", lambda item: figure(item.batch_p50), right=True),
        Col("p95 ms", lambda item: figure(item.batch_p95), right=True),
        Col("file", lambda item: size(item.bytes), right=True),
    ]
    print_table(timings, columns)


def _rows(count: int) -> str:
    return plural(count, "row") if count else ""
