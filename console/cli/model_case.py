"""`mlops-console model case`: everything that speaks for and against a promotion, on one page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from backends.entities import CheckResult, GateStatus
from console.cli.exit import Exit
from console.cli.model import alias_option, model, replay_option
from console.cli.model_text import GATE_COLUMNS
from console.cli.output import Col, gap, narrate, print_lines, print_record, print_table
from console.cli.verb import Invocation

if TYPE_CHECKING:
    from console.promotion.card_sections import Table
    from console.promotion.case_part import Part


RESULTS: list[Col[CheckResult]] = [
    Col("examined", lambda item: item.check),
    Col("result", lambda item: item.status, state=True),
    Col("measured", lambda item: item.value, widest=70),
    Col("wanted", lambda item: item.rule, widest=60),
    Col("detail", lambda item: item.detail, widest=60),
]


@model.command("case")
@click.argument("name", metavar="MODEL")
@click.argument("version")
@alias_option
@replay_option
@click.pass_obj
def case(invocation: Invocation, name: str, version: str, alias: str, replay: int | None) -> int:
    """The case for promoting VERSION: gates, metrics beside the holder's with intervals, data, training tests, bias,
    latency and size, callers, file, replay, lineage.

    What was not examined says which command examines it. Exit 1 when a gate fails, as `model gates`.
    """
    from console.cli.model_replay import replay_first
    from console.promotion.case_facts import facts_of
    from console.promotion.case_parts import parts
    from console.promotion.promote import case_for

    replay_first(invocation, name, version, alias, replay)
    found = facts_of(invocation.backend, case_for(invocation.backend, name, version, alias))
    document = {
        "case": found.case,
        "paired": found.paired,
        "not_paired": found.not_paired,
        "checked": found.checked,
        "audit": found.audit,
        "bias": found.bias,
        "speed": found.speed,
        "replay": found.replay,
        "lineage": found.lineage,
        "unknown": found.unknown,
    }
    invocation.show(document, lambda: _print(f"{name} v{found.case.candidate.version} → {alias}", parts(found)))
    return Exit.FAILED if any(gate.status is GateStatus.FAIL for gate in found.case.gates) else Exit.DONE


def _print(title: str, parts: Sequence[Part]) -> None:
    print_lines(title)
    for part in parts:
        gap()
        print_lines(part.title.upper())
        if part.gates:
            print_table(part.gates, GATE_COLUMNS)
        if part.facts:
            print_record(dict(part.facts))
        if part.results:
            print_table(part.results, RESULTS)
        for table in part.tables:
            print_table(table.rows, _columns(table))
        if part.lines:
            print_lines("\n".join(part.lines))
        if part.remark:
            narrate(part.remark)


def _columns(table: Table) -> list[Col[tuple[str, ...]]]:
    def column(at: int, title: str) -> Col[tuple[str, ...]]:
        return Col(title, lambda row: row[at], state=title == "result", widest=80)

    return [column(at, title) for at, title in enumerate(table.titles)]
