"""`mlops-console run reproduce`: the same run again, and whether it came out the same."""

from __future__ import annotations

import click

from backends.contract import Refused
from backends.entities import CheckResult, GateStatus, Run
from console.cli.agent_needed import ready_to_track
from console.cli.exit import Exit
from console.cli.output import Col, narrate, print_table
from console.cli.run import run
from console.cli.verb import Invocation, reason_option
from console.training.find import find_run

PARTS: list[Col[CheckResult]] = [
    Col("part", lambda item: item.check),
    Col("", lambda item: item.status.value, state=True),
    Col("found", lambda item: item.value, widest=60),
    Col("", lambda item: item.detail, widest=60),
]


@run.command("reproduce")
@click.argument("run_id", metavar="RUN")
@click.option(
    "--tolerance", default=0.0, show_default=True, type=click.FloatRange(0, 1), help="Relative, for each metric."
)
@click.option("--plan", "only_plan", is_flag=True, help="Say what could be restored, and start nothing.")
@click.option("--compare", is_flag=True, help="RUN is a reproduction that has ended: compare it, and start nothing.")
@reason_option
@click.pass_obj
def reproduce(
    invocation: Invocation, run_id: str, tolerance: float, only_plan: bool, compare: bool, reason: str, key: str
) -> int:
    """Run the same again from its pinned data, code, parameters and seed; then compare each metric.

    Exits 1 where a metric is different. Ctrl-C leaves the new run running; --compare takes it up later.
    """
    from console.cli.follow import wait_for_run
    from console.training.reproduce import compare_runs, original_of, plan, reproduce_run

    backend = invocation.backend
    one: Run = find_run(invocation.need("runs"), run_id)
    if only_plan:
        found = plan(backend, one)
        invocation.show(found, lambda: print_table(found.parts, PARTS))
        return Exit.DONE if found.possible else Exit.FAILED
    mutation = invocation.mutation(reason, key)
    if compare:
        again, original = one, original_of(backend, one)
    else:
        for part in plan(backend, one).parts:
            if part.status is GateStatus.WARN:
                narrate(f"{part.check}: {part.value}; {part.detail}")
        original, again = one, reproduce_run(backend, one, mutation)
        narrate(f"run {again.id[:8]} reproduces {original.name} ({original.id[:8]})")
        ready_to_track(invocation)
        again = wait_for_run(invocation, again.id)
    report = compare_runs(backend, again, invocation.mutation(), tolerance=tolerance)
    invocation.show(report, lambda: print_table(report.results, PARTS))
    if report.status is GateStatus.FAIL:
        raise Refused(f"{again.name} ({again.id[:8]}) came out different from {original.id[:8]}")
    return Exit.DONE
