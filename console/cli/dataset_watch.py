"""`mlops-console dataset watch`: new files of a folder become versions as they arrive."""

from __future__ import annotations

import time
from pathlib import Path

import click

from console.cli.dataset import dataset
from console.cli.dataset_import import read_as, reading_options
from console.cli.exit import Exit
from console.cli.output import narrate, print_json_line, print_lines
from console.cli.verb import Invocation, interruptible
from console.data.origin import Origin, origin_name
from console.data.taken import Taken
from console.wording import thousands


@dataset.command("watch")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.argument("name", required=False)
@click.option("--append", is_flag=True, help="Each version holds all rows so far; without it, the rows of one file.")
@click.option("--once", is_flag=True, help="Take what is there, then end; exit 1 if a file failed.")
@click.option("--retry", is_flag=True, help="Try files again that failed earlier.")
@click.option(
    "--every",
    default=2.0,
    show_default=True,
    type=click.FloatRange(0.1, 3600),
    metavar="SECONDS",
    help="Between looks.",
)
@reading_options
@click.option("--reason", "-m", default="", metavar="TEXT", help="Why; it stands in the journal.")
@click.pass_obj
def watch(
    invocation: Invocation,
    folder: Path,
    name: str | None,
    append: bool,
    once: bool,
    retry: bool,
    every: float,
    kind: str,
    encoding: str,
    delimiter: str,
    columns: str,
    most: str,
    follow_links: bool,
    reason: str,
) -> int:
    """Keep each new file of FOLDER as a version of dataset NAME, until Ctrl-C.

    A file is taken once it did not change between two looks. What was taken is remembered by its content: started
    again, the watch goes on where it was.
    """
    from backends.contract import Refused
    from console.cli.follow import ProgressLine
    from console.data.taken import taken_log
    from console.data.watching import FolderWatch

    backend = invocation.backend
    if backend.features.read_only:
        raise Refused(f"context {backend.name} is read-only: nothing can be taken. Open it without --read-only.")
    named = name or origin_name(Origin(target=str(folder)))
    reading = Origin(**read_as(kind, encoding, delimiter, columns, most, follow_links))
    failed = 0
    with interruptible(), taken_log(backend, named) as log, ProgressLine() as line:
        watching = FolderWatch(
            backend=backend,
            folder=folder.expanduser().absolute(),
            dataset=named,
            log=log,
            mutation=invocation.mutation(reason),
            append=append,
            reading=reading,
            every=every,
            on_progress=line.follow,
        )
        if retry:
            watching.forget_failures()
        if not once:
            narrate(f"watching {folder} for {named}; Ctrl-C ends it")
        while True:
            for taken in watching.look():
                line.close()
                failed += taken.state in ("failed", "waiting")
                _say(invocation, taken)
            if once and not watching.waiting:
                break
            time.sleep(every)
    return Exit.FAILED if once and failed else Exit.DONE


def _say(invocation: Invocation, taken: Taken) -> None:
    if invocation.json:
        print_json_line(taken)
    elif taken.state == "taken":
        print_lines(f"{taken.file}  {taken.version}  {thousands(taken.rows)} rows")
    elif taken.state == "known":
        said = f"failed before: {taken.reason}" if taken.reason else f"holds what is in {taken.version} already"
        print_lines(f"{taken.file}  {said}")
    else:
        again = "; it is tried again later" if taken.state == "waiting" else ""
        print_lines(f"{taken.file}  {taken.state}: {taken.reason}{again}")
