"""`mlops-console model case`: everything that speaks for and against a promotion, on one page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from backends.contract import BackendError
from backends.entities import GateStatus
from console.cli.exit import Exit
from console.cli.model import alias_option, model
from console.cli.model_text import GATE_COLUMNS
from console.cli.output import Col, gap, narrate, print_record, print_table
from console.cli.verb import Invocation
from console.wording import local_time, number, size

if TYPE_CHECKING:
    from console.promotion.comparer import Paired
    from console.promotion.measures import Measure
    from console.promotion.promote import Case


@model.command("case")
@click.argument("name", metavar="MODEL")
@click.argument("version")
@alias_option
@click.pass_obj
def case(invocation: Invocation, name: str, version: str, alias: str) -> int:
    """The case for promoting VERSION: gates, metrics beside the holder's with intervals, file, policy, who waits.

    Exit 1 when a gate fails, as `model gates`.
    """
    from console.promotion.comparer import compare_rows
    from console.promotion.promote import case_for

    found = case_for(invocation.backend, name, version, alias)
    paired: Sequence[Paired] = ()
    why = "" if found.holder is not None else f"{alias} has no holder yet"
    if found.holder is not None and found.holder.version == found.candidate.version:
        why = f"v{found.candidate.version} is {alias} already"
    elif found.holder is not None:
        try:
            paired = compare_rows(invocation.backend, found.candidate, found.holder)
        except BackendError as error:
            why = str(error)
    invocation.show({"case": found, "paired": paired, "not_paired": why}, lambda: _print(found, paired, why))
    return Exit.FAILED if any(gate.status is GateStatus.FAIL for gate in found.gates) else Exit.DONE


def _print(found: Case, paired: Sequence[Paired], why: str) -> None:
    candidate, policy = found.candidate, found.policy
    file = candidate.file
    print_record(
        {
            "promotion": f"{found.model} v{candidate.version} → {found.alias}",
            "over": f"v{found.holder.version}" if found.holder is not None else "nothing",
            "run": candidate.run,
            "registered": f"{local_time(candidate.created_at)} by {candidate.created_by}",
            "data": ", ".join(f"{item.dataset}@{item.version} {item.digest[:12]}" for item in candidate.inputs),
            "file": f"{file.format} {size(file.bytes)} sha256 {file.sha256}" if file.sha256 else "not recorded",
            "untrusted": ", ".join(file.untrusted),
            "approvals": f"{policy.approvals} besides who asks" if policy.approvals else "",
            "waits": f"asked by {found.waiting.by}, {len(found.waiting.agreed)} agreed" if found.waiting else "",
            "policy": ", ".join(policy.sources),
        }
    )
    gap()
    print_table(found.gates, GATE_COLUMNS)
    if found.measures:
        gap()
        measures: list[Col[Measure]] = [
            Col("metric", lambda item: item.name),
            Col("candidate", lambda item: number(item.candidate, 5), right=True),
            Col("holder", lambda item: number(item.holder, 5), right=True),
            Col("difference", lambda item: number(item.difference, 4), right=True),
        ]
        print_table(found.measures, measures)
    gap()
    if why:
        narrate(f"no interval of the difference: {why}")
        return
    intervals: list[Col[Paired]] = [
        Col("same rows", lambda item: item.metric),
        Col("difference", lambda item: f"{item.difference:+.5f}", right=True),
        Col("95 % from", lambda item: f"{item.low:+.5f}", right=True),
        Col("to", lambda item: f"{item.high:+.5f}", right=True),
        Col(
            "says", lambda item: "cannot be told apart" if item.better is None else "better" if item.better else "worse"
        ),
        Col("rows", lambda item: item.rows, right=True),
        Col("by", lambda item: item.method, widest=40),
    ]
    print_table(paired, intervals)
