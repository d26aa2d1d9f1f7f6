"""`mlops-console run audit`: the tests that a training stood, and those it did not."""

from __future__ import annotations

import click

from backends.contract import NotFound
from backends.entities import CheckResult, GateStatus
from console.cli.exit import Exit
from console.cli.output import Col, narrate, print_table
from console.cli.run import run
from console.cli.verb import Invocation
from console.training.audit.read import Audit, read_audit
from console.training.find import find_run

COLUMNS: list[Col[CheckResult]] = [
    Col("test", lambda item: item.check),
    Col("", lambda item: item.status.value, state=True),
    Col("found", lambda item: item.value, widest=70),
    Col("wanted", lambda item: item.rule, widest=50),
    Col("", lambda item: item.detail, widest=70),
]


@run.command("audit")
@click.argument("run_id", metavar="RUN")
@click.pass_obj
def audit(invocation: Invocation, run_id: str) -> int:
    """Whether what a run trained can be trusted: overfit, leakage, calibration, slices, fairness, latency, size.

    Exits 1 where a test failed. The thresholds are the recipe's [audit] table.
    """
    one = find_run(invocation.need("runs"), run_id)
    found = read_audit(invocation.backend, one.id)
    if found is None:
        raise NotFound(
            f"run {one.name or one.id[:8]} was not audited: only trainings from a recipe are, when they have finished"
        )
    invocation.show(found, lambda: print_audit(found))
    return Exit.FAILED if found.status is GateStatus.FAIL else Exit.DONE


def print_audit(found: Audit) -> None:
    print_table(found.results, COLUMNS)
    for each in found.results:
        for example in each.examples:
            narrate(f"{each.check}: {example}")
