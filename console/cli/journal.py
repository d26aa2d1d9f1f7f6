"""`mlops-console journal …`: who changed what, when, and why."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backends.entities import JournalEntry
from console.cli.output import Col, gap, narrate, print_json, print_record, print_table
from console.cli.verb import Invocation, Noun, listing, parsed_query
from console.wording import local_time, thousands

if TYPE_CHECKING:
    from backends.query import Query


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


def asked_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Who, since when, until when, on what, what was done."""
    for decorate in (
        click.option("--verb", default="", metavar="VERB", help="model.promote; promote of anything; or all of model."),
        click.option("--target", default="", metavar="NAME", help="On this, with all its versions."),
        click.option("--until", default="", metavar="TIME", help="As --since."),
        click.option("--since", default="", metavar="TIME", help="7d ago, or a time: 2026-11-01T02:00 (local), …Z."),
        click.option("--who", default="", metavar="NAME", help="ann@box, or ann wherever she was."),
    ):
        command = decorate(command)
    return command


def _narrowed(query: Query, who: str, since: str, until: str, target: str, verb: str) -> Query:
    from console.moment import moment
    from console.promotion.journal_reading import Asked, narrowed

    asked = Asked(
        who=who,
        since=moment(since) if since else None,
        until=moment(until) if until else None,
        target=target,
        verb=verb,
    )
    return narrowed(query, asked)


@journal.command("list")
@listing
@asked_options
@click.pass_obj
def list_(
    invocation: Invocation,
    /,
    query: tuple[str, ...],
    where: str,
    sort: str,
    limit: int,
    at: str,
    **asked: str,
) -> None:
    """Entries, newest first. QUERY: action = model.promote and actor ~ user1"""
    from backends.query import JOURNAL_FIELDS

    wanted = _narrowed(parsed_query(query, where, sort, JOURNAL_FIELDS), **asked)
    page = invocation.need("journal").page(wanted, at=at, limit=limit)
    invocation.show_page(page, JOURNAL_COLUMNS, empty="no entry matches")


@journal.command("export")
@click.argument("query", nargs=-1)
@click.option(
    "--format", "kind", type=click.Choice(["csv", "json", "jsonl"]), help="By default by FILE's ending, jsonl."
)
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write it here; nothing is overwritten."
)
@asked_options
@click.pass_obj
def export(
    invocation: Invocation, /, query: tuple[str, ...], kind: str | None, output: Path | None, **asked: str
) -> None:
    """Entries in full, newest first, with hashes, as CSV, JSON or JSON lines."""
    from backends.query import JOURNAL_FIELDS
    from console.promotion.journal_reading import FORMATS, entries, written

    ending = output.suffix.lower().removeprefix(".") if output is not None else ""
    chosen = kind or (ending if ending in FORMATS else "json" if invocation.json else "jsonl")
    found = entries(invocation.backend, _narrowed(parsed_query(query, "", "", JOURNAL_FIELDS), **asked))
    if output is None:
        for piece in written(found, chosen):
            sys.stdout.write(piece)
        sys.stdout.flush()
        return
    _write(output, written(found, chosen))
    invocation.show({"file": str(output), "format": chosen}, lambda: narrate(f"journal in {output}"))


def _write(target: Path, pieces: Iterator[str]) -> None:
    """The whole file or none, over nothing."""
    from backends.contract import Refused

    part = target.with_name(f".{target.name[:100]}.{os.getpid()}.part")
    try:
        with part.open("x", encoding="utf-8", newline="") as file:
            file.writelines(pieces)
        os.link(part, target)  # fails where the file is there already
    except FileExistsError:
        raise Refused(f"{target} is there already; nothing was written. Name another file.") from None
    finally:
        part.unlink(missing_ok=True)


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
@click.option("--anchor", "kept", metavar="SEQ:HASH", help="What an earlier verify printed, kept elsewhere.")
@click.pass_context
def verify(ctx: click.Context, kept: str | None) -> int:
    """Check the chain of hashes; exit 1 where it does not hold.

    It prints the anchor of the newest entry. Whoever can write the file can cut or rewrite all of it, chain and all;
    only against an anchor that was kept elsewhere does that show.
    """
    from console.cli.exit import Exit
    from console.promotion.journal_reading import anchor, fault_against

    invocation = ctx.find_object(Invocation)
    assert invocation is not None  # noqa: S101
    checked, fault = invocation.need("journal").verify()
    if kept is not None and not fault:
        fault = fault_against(invocation.backend, kept)
    head = "" if fault else anchor(invocation.backend)
    if invocation.json:
        print_json({"entries": checked, "holds": not fault, "fault": fault, "anchor": head})
    elif fault:
        narrate(f"the chain holds for {thousands(checked)} entries, then not: {fault}")
    else:
        narrate(f"the chain holds: {thousands(checked)} entries; anchor {head or 'none yet'}")
    return Exit.FAILED if fault else Exit.DONE
