"""`mlops-console dataset bias`: how groups are represented, labelled and predicted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from backends.entities import CheckResult, GateStatus, Report
from console.cli.dataset import dataset
from console.cli.exit import Exit
from console.cli.output import Col, gap, narrate, print_table
from console.cli.verb import Invocation
from console.data.bias.measures import Group
from console.data.bias.report import bias_of, rate_text, rates_of
from console.wording import thousands

RESULT_COLUMNS: list[Col[CheckResult]] = [
    Col("measure", lambda item: item.check),
    Col("", lambda item: item.status.value, state=True),
    Col("value (95 %)", lambda item: item.value),
    Col("wanted", lambda item: item.rule),
    Col("", lambda item: item.detail, widest=70),
]


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """When a row counts as predicted positive, how many rows a group needs, and what is still fair."""
    for decorate in (
        click.option(
            "--min-ratio",
            default=0.8,
            show_default=True,
            type=click.FloatRange(0, 1),
            help="Of two groups' rates; the four-fifths rule's.",
        ),
        click.option(
            "--max-difference",
            default=0.1,
            show_default=True,
            type=click.FloatRange(0, 1),
            help="Between two groups' rates.",
        ),
        click.option(
            "--min-group",
            default=30,
            show_default=True,
            type=click.IntRange(1),
            help="Rows below which a group is shown and not compared.",
        ),
        click.option(
            "--threshold",
            default=0.5,
            show_default=True,
            type=click.FloatRange(0, 1),
            help="Score from which a row counts as predicted positive.",
        ),
    ):
        command = decorate(command)
    return command


@dataset.command("bias")
@click.argument("ref", metavar="NAME[@VERSION]")
@click.option(
    "--by", multiple=True, required=True, metavar="COLUMN", help="Protected column or condition; several cross."
)
@click.option("--label", default="", metavar="COLUMN", help="What happened: a column or a condition.")
@click.option("--prediction", default="", metavar="COLUMN", help="What was predicted.")
@click.option("--score", default="", metavar="COLUMN", help="Predicted probability, 0 to 1.")
@click.option(
    "--positive", default="", metavar="VALUE", help="The value of label and prediction that is the positive one."
)
@limit_options
@click.pass_obj
def bias(
    invocation: Invocation,
    ref: str,
    by: tuple[str, ...],
    label: str,
    prediction: str,
    score: str,
    positive: str,
    threshold: float,
    min_group: int,
    max_difference: float,
    min_ratio: float,
) -> int:
    """Compare groups: how many, how often labelled, how often and how rightly predicted.

    A measure fails where its whole interval is beyond the limit; then the exit code is 1. It warns where the rows are
    too few to tell.

        dataset bias people --by sex --by 'age < 25' --label hired --score p
    """
    from console.cli.follow import ProgressLine
    from console.data.bias.examine import BiasJob
    from console.data.bias.groups import Asked
    from console.data.bias.report import Limits
    from console.data.offloaded import bias_offloaded

    job = BiasJob(
        ref=ref,
        asked=Asked(
            by=by, label=label, prediction=prediction, score=score, positive=positive, threshold=threshold
        ),
        least=min_group,
        limits=Limits(difference=max_difference, ratio=min_ratio),
    )  # fmt: skip
    with ProgressLine() as line:
        report = bias_offloaded(invocation.backend, job, invocation.mutation().actor, on_progress=line.follow)
    invocation.show(report, lambda: print_bias(report))
    return Exit.FAILED if report.status is GateStatus.FAIL else Exit.DONE


def print_bias(report: Report) -> None:
    """Groups, then measures, the worst first."""
    found = bias_of(report)
    names = rates_of(found.groups)
    columns: list[Col[Group]] = [
        Col(report.definition, lambda item: item.name + ("" if item.compared else " (few)")),
        Col("rows", lambda item: thousands(item.rows), right=True),
        Col("share", lambda item: f"{item.share:.1%}", right=True),
        *(_rate(name) for name in names),
    ]
    if any(group.calibration_gap is not None for group in found.groups):
        columns.append(Col("score − truth", lambda g: "" if g.calibration_gap is None else f"{g.calibration_gap:+.3f}"))
    print_table(found.groups, columns)
    gap()
    print_table(report.results, RESULT_COLUMNS)
    if found.small:
        narrate(f"under {found.least} rows, shown and not compared: {', '.join(found.small[:20])}")


def _rate(name: str) -> Col[Group]:
    return Col(name.replace("_", " "), lambda item: rate_text(item, name))
