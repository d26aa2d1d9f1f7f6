"""What a rollback would change, as the command line prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.cli.exit import Exit
from console.cli.output import Col, gap, narrate, print_record, print_table
from console.wording import local_time, number, traffic

if TYPE_CHECKING:
    from console.cli.verb import Invocation
    from console.promotion.callers import ColumnChange, ServedChange
    from console.promotion.measures import Measure
    from console.promotion.rollback_case import Holder, RollbackCase


_CALLERS = {"added": "must send it", "removed": "must leave it out", "type": "must send that type"}


def show_case(invocation: Invocation, name: str, alias: str, to: str | None) -> int:
    """Print it; exit 1 where the version could not be put back."""
    from console.promotion.rollback_case import rollback_case

    case = rollback_case(invocation.backend, name, alias, to=to)
    invocation.show(case, lambda: _print(case))
    return Exit.DONE if case.whole else Exit.FAILED


def _print(case: RollbackCase) -> None:
    from console.promotion.along import said

    gate = case.artifact
    print_record(
        {
            "rollback": f"{case.model} {said(case.changes)}",
            "stays": ", ".join(case.stay),
            gate.gate: f"{gate.status}: {gate.value}{f' ({gate.detail})' if gate.detail else ''}",
            "note": case.target.note,
        }
    )
    if case.served:
        gap()
        served: list[Col[ServedChange]] = [
            Col("deployment", lambda item: item.deployment),
            Col("share", traffic),
            Col("state", lambda item: item.state, state=True),
            Col("answers with", lambda item: f"v{item.was}" if item.was else "nothing", right=True),
            Col("then", lambda item: f"v{item.will}", right=True),
        ]
        print_table(case.served, served)
    else:
        narrate(f"no deployment follows {case.alias} of {case.model}")
    _print_columns(case)
    if case.measures:
        gap()
        measures: list[Col[Measure]] = [
            Col("metric", lambda item: item.name),
            Col("now", lambda item: number(item.holder, 5), right=True),
            Col("then", lambda item: number(item.candidate, 5), right=True),
            Col("difference", lambda item: number(item.difference, 4), right=True),
        ]
        print_table(case.measures, measures)
        if case.held is not None and not case.same_test:
            narrate("not measured on the same rows: the difference says little")
    gap()
    holders: list[Col[Holder]] = [
        Col("earlier holder", lambda item: f"v{item.version}", right=True),
        Col("since", lambda item: local_time(item.since) if item.since else ""),
        Col("until", lambda item: local_time(item.until)),
        Col("by", lambda item: item.by),
        Col("why", lambda item: item.reason, widest=60),
    ]
    print_table(case.holders, holders)


def _print_columns(case: RollbackCase) -> None:
    if not case.signatures:
        if case.held is not None:
            narrate("columns: a signature is not recorded, so whether callers must send others is not known")
        return
    if not case.columns:
        narrate("columns: callers send what they send today")
        return
    gap()
    columns: list[Col[ColumnChange]] = [
        Col("column", lambda item: item.name),
        Col("change", lambda item: item.what),
        Col("now", lambda item: item.was),
        Col("then", lambda item: item.will),
        Col("callers", lambda item: _CALLERS[item.what] if item.breaks else "need not change"),
    ]
    print_table(case.columns, columns)
