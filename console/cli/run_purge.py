"""`mlops-console run purge`: deleted runs go for good."""

from __future__ import annotations

import click

from backends.contract import Refused
from console.cli.clean import answer_freed, document, print_plan
from console.cli.run import run
from console.cli.verb import Invocation, reason_option
from console.training.find import find_run
from console.wording import plural, size


@run.command("purge")
@click.argument("run_ids", metavar="RUN...", nargs=-1, required=True)
@click.option("--dry-run", "preview_only", is_flag=True, help="Say what would go, and remove nothing.")
@click.option("--confirm", metavar="NAME", help="Name of the context, to go on without being asked.")
@reason_option
@click.pass_obj
def purge(
    invocation: Invocation, run_ids: tuple[str, ...], preview_only: bool, confirm: str | None, reason: str, key: str
) -> None:
    """Remove deleted runs for good, with parameters, metrics, log and files; their journal stays.

    Files that other runs or versions have too stay. Until then, run restore brings a deleted run back.
    """
    from console.retention.apply import carry_out, preview_purge

    runs = invocation.need("runs")
    found = preview_purge(invocation.backend, [find_run(runs, run_id).id for run_id in run_ids])
    if preview_only:
        invocation.show(document(found), lambda: print_plan(found, would=True))
        return
    if invocation.backend.features.read_only:
        raise Refused(
            f"context {invocation.backend.name} is read-only; nothing was removed. Open it without --read-only."
        )
    deed = f"remove {plural(len(found.going), 'run')} with {size(found.bytes)} for good"
    invocation.confirm(invocation.session.context.name, confirm, deed=deed, production_only=False)
    freed = carry_out(invocation.backend, found, invocation.mutation(reason, key))
    answer_freed(invocation, freed, shrink=False)
