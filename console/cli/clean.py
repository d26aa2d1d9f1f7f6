"""`mlops-console clean`: give back the disk space of what nothing names any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from console.cli.output import Col, narrate, print_table
from console.cli.verb import Invocation, Verb
from console.wording import plural, size

if TYPE_CHECKING:
    from backends.local.probe import Leftover


@click.command("clean", cls=Verb)
@click.option("--preview", is_flag=True, help="Say what would go, and remove nothing.")
@click.pass_obj
def clean(invocation: Invocation, preview: bool) -> None:
    """Remove files of deleted versions and runs, and drafts that nobody finished; shrink the database.

    What any version or run still names stays, and so does what was written within the hour. Runs that are deleted but
    can be restored keep their files.
    """
    from backends.contract import Refused
    from backends.local.probe import clean as clean_up
    from backends.local.probe import leftovers

    home = invocation.home()
    found = leftovers(home)
    if preview:
        columns: list[Col[Leftover]] = [
            Col("size", lambda item: size(item.bytes), right=True),
            Col("why", lambda item: item.why),
            Col("file", lambda item: item.path, widest=100),
        ]
        total = sum(each.bytes for each in found)

        def human() -> None:
            print_table(sorted(found, key=lambda each: -each.bytes), columns, empty="nothing is left over")
            if found:
                narrate(f"{plural(len(found), 'file')} with {size(total)} would go")

        invocation.show({"items": found, "bytes": total}, human)
        return
    if invocation.backend.features.read_only:
        raise Refused(
            f"context {invocation.backend.name} is read-only; nothing was removed. Open it without --read-only."
        )
    freed = clean_up(home)
    invocation.show(
        {"files": len(found), "bytes": freed},
        lambda: narrate(f"{plural(len(found), 'file')} removed, {size(freed)} given back"),
    )
