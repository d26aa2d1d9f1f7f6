"""`mlops-console model bias`: how a model treats groups, on the rows held out from its training."""

from __future__ import annotations

import click

from backends.entities import GateStatus
from console.cli.dataset_bias import limit_options, print_bias
from console.cli.exit import Exit
from console.cli.model import model
from console.cli.verb import Invocation


@model.command("bias")
@click.argument("name", metavar="MODEL")
@click.argument("version", default="@champion")
@click.option(
    "--by", multiple=True, required=True, metavar="COLUMN", help="Protected column or condition; several cross."
)
@limit_options
@click.pass_obj
def bias(
    invocation: Invocation,
    name: str,
    version: str,
    by: tuple[str, ...],
    threshold: float,
    min_group: int,
    max_difference: float,
    min_ratio: float,
) -> int:
    """Compare groups by what the model said of its held-out rows: parity, equal odds, calibration.

    The columns are those of the dataset version it was trained on, whether or not the model was given them.
    """
    from console.cli.follow import ProgressLine
    from console.data.bias.report import Limits
    from console.training.bias import ModelBiasJob
    from console.training.examiner import bias_of_model

    job = ModelBiasJob(
        model=name,
        version=version,
        by=by,
        threshold=threshold,
        least=min_group,
        limits=Limits(difference=max_difference, ratio=min_ratio),
    )
    with ProgressLine() as line:
        report = bias_of_model(invocation.backend, job, invocation.mutation().actor, on_progress=line.follow)
    invocation.show(report, lambda: print_bias(report))
    return Exit.FAILED if report.status is GateStatus.FAIL else Exit.DONE
