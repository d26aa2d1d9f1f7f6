"""`mlops-console model explain`: what a version looks at, and what moved one prediction."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from backends.entities import Report
from console.cli.model import model
from console.cli.output import Col, gap, narrate, print_table
from console.cli.verb import Invocation
from console.training.explain.figures import ONE, Curve, ExplainJob, Explanation, Importance, Moved, PredictionExplained
from console.training.held_out_report import WorseSlice
from console.wording import number, thousands

BAR = 24


@model.command("explain")
@click.argument("name", metavar="MODEL")
@click.argument("version", default="@champion")
@click.option("--row", type=click.IntRange(0), help="One prediction: this row of its data, or of FILE, from 0.")
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="CSV, Parquet, JSON or JSON lines that holds the row.",
)
@click.option("--prediction", default="", metavar="ID", help="One that was served, by its id in the prediction log.")
@click.option("--curve", multiple=True, metavar="COLUMN", help="Draw these columns' curves, not the most important's.")
@click.pass_obj
def explain(
    invocation: Invocation,
    name: str,
    version: str,
    row: int | None,
    file: Path | None,
    prediction: str,
    curve: tuple[str, ...],
) -> None:
    """What VERSION (a number or @alias) looks at: importance, curves, worst slices. Measured once, and kept.

    With --row, --file or --prediction: what moved that one prediction away from the mean, by Shapley values.
    """
    from console.cli.follow import ProgressLine
    from console.training.examiner import explained

    if prediction and row is not None:
        raise click.UsageError("--row and --prediction both name the row; give one of them")
    backend = invocation.backend
    if prediction and file is None:
        file = _segment(invocation, name, prediction)
    job = ExplainJob(
        model=name,
        version=invocation.need("registry").version(name, version).version,
        columns=curve,
        row=row,
        file=str(file.expanduser().absolute()) if file is not None else "",
        prediction=prediction,
    )
    with ProgressLine() as line:
        report = explained(backend, job, invocation.session.actor, on_progress=line.follow)
    invocation.show(report, lambda: _print(report))


def _segment(invocation: Invocation, name: str, prediction: str) -> Path:
    from backends.contract import all_pages
    from console.serving.deployment.place import segment_with

    store = invocation.need("deployments")
    serving = [each.name for each in all_pages(lambda at: store.page(at=at)) if each.model == name]
    return segment_with(invocation.home(), serving, prediction)


def _print(report: Report) -> None:
    if report.kind == ONE:
        _print_one(msgspec.convert(report.figures, PredictionExplained))
    else:
        _print_whole(report.subject, msgspec.convert(report.figures, Explanation))


def _print_whole(ref: str, found: Explanation) -> None:
    largest = max((abs(each.fall) for each in found.importance), default=0.0) or 1.0
    columns: list[Col[Importance]] = [
        Col("column", lambda item: item.column),
        Col("importance", lambda item: f"{item.fall:+.4g}", right=True),
        Col("±", lambda item: number(item.spread, 2), right=True),
        Col("", lambda item: "█" * round(BAR * max(0.0, item.fall) / largest)),
    ]
    print_table(found.importance, columns)
    for curve in found.curves:
        gap()
        print_table(_points(curve), [Col(curve.column, lambda p: p[0]), Col(found.score, lambda p: p[1], right=True)])
    if found.slices:
        gap()
        slices: list[Col[WorseSlice]] = [
            Col("worst slices", lambda item: item.where, widest=60),
            Col("rows", lambda item: thousands(item.rows), right=True),
            Col("times the loss", lambda item: f"{item.ratio:.2f}", right=True),
        ]
        print_table(found.slices, slices)
    narrate(
        f"{ref}: how far {found.metric} ({number(found.whole)}) gets worse when a column is shuffled, mean and spread "
        f"of {found.repeats} times over {thousands(found.rows)} held-out rows"
    )


def _points(curve: Curve) -> list[tuple[str, str]]:
    names = [number(value) for value in curve.values] or list(curve.levels)
    return [(name, number(mean)) for name, mean in zip(names, curve.means, strict=True)]


def _print_one(found: PredictionExplained) -> None:
    largest = max((abs(each.by) for each in found.moved), default=0.0) or 1.0
    columns: list[Col[Moved]] = [
        Col("column", lambda item: item.column),
        Col("value", lambda item: item.value, widest=30),
        Col("moved it by", lambda item: f"{item.by:+.4g}", right=True),
        Col("±", lambda item: number(item.spread, 2) if item.spread else "", right=True),
        Col("", lambda item: ("█" if item.by > 0 else "▒") * round(BAR * abs(item.by) / largest)),
    ]
    print_table(found.moved, columns)
    how = "all orders of columns" if found.orders is None else f"{found.orders} orders of columns drawn"
    truth = f"; the truth is {found.truth}" if found.truth else ""
    narrate(
        f"{found.row}: {found.of} is {number(found.score)}, {number(found.base)} on average{truth}. The values add up "
        f"to the difference (Shapley values, {how}, {found.background} background rows)"
    )
