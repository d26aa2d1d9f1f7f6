"""`mlops-console journal …`: who changed what, when, and why."""

from __future__ import annotations

import click

from backends.entities import JournalEntry
from console.cli.output import Col, gap, narrate, print_json, print_record, print_table
from console.cli.verb import Invocation, Noun, listing, parsed_query
from console.wording import local_time, thousands


@click.group("journal", cls=Noun)
def journal() -> None:
    """Who changed what, when, and why."""


JOURNAL_COLUMNS: list[Col[JournalEntry]] = [
    Col("no", lambda item: item.seq, right=True),
    Col("when", lambda item: local_time(item.at)),
    Col("by", lambda item: item.actor),
    Col("action", lambda item: item.action),
    Col("target", lambda item: item.target),
    Col("outcome", lambda item: item.outcome, state=True),
    Col("why", lambda item: item.reason, widest=60),
    Col("detail", lambda item: item.detail, widest=60),
    Col("undone by", lambda item: item.undone_by[:8]),
]


@journal.command("list")
@listing
@click.pass_obj
def list_(invocation: Invocation, query: tuple[str, ...], where: str, sort: str, limit: int, at: str) -> None:
    """Entries, newest first. QUERY: action = model.promote and actor ~ user1"""
    from backends.query import JOURNAL_FIELDS

    page = invocation.need("journal").page(parsed_query(query, where, sort, JOURNAL_FIELDS), at=at, limit=limit)
    invocation.show_page(page, JOURNAL_COLUMNS, empty="no entry matches")


@journal.command("show")
@click.argument("entry")
@click.pass_obj
def show(invocation: Invocation, entry: str) -> None:
    """One entry in full: before, after, gates, hash."""
    from console.cli.model_text import GATE_COLUMNS

    found: JournalEntry = invocation.need("journal").get(entry)

    def human() -> None:
        print_record(
            {
                "entry": f"{found.seq}  {found.id}",
                "when": local_time(found.at),
                "by": found.actor,
                "action": found.action,
                "target": found.target,
                "outcome": found.outcome,
                "why": found.reason,
                "detail": found.detail,
                "before": ", ".join(f"{key} = {value}" for key, value in found.before.items()),
                "after": ", ".join(f"{key} = {value}" for key, value in found.after.items()),
                "undoes": found.undoes,
                "undone by": found.undone_by,
                "hash": found.hash,
                "previous": found.previous_hash,
            }
        )
        if found.gates:
            gap()
            print_table(found.gates, GATE_COLUMNS)

    invocation.show(found, human)


@journal.command("verify")
@click.pass_context
def verify(ctx: click.Context) -> int:
    """Check the chain of hashes; exit 1 where it does not hold."""
    from console.cli.exit import Exit

    invocation = ctx.find_object(Invocation)
    assert invocation is not None  # noqa: S101
    checked, fault = invocation.need("journal").verify()
    if invocation.json:
        print_json({"entries": checked, "holds": not fault, "fault": fault})
    elif fault:
        narrate(f"the chain holds for {thousands(checked)} entries, then not: {fault}")
    else:
        narrate(f"the chain holds: {thousands(checked)} entries")
    return Exit.FAILED if fault else Exit.DONE
