"""`mlops-console run logs`, `run artifacts`, `run download`: what a run wrote, and the files that it left."""

from __future__ import annotations

from pathlib import Path

import click

from console.cli.output import narrate
from console.cli.run import run
from console.cli.verb import Invocation
from console.training.find import find_run


@run.command("logs")
@click.argument("run_id", metavar="RUN")
@click.option("--follow", "-f", is_flag=True, help="Go on until the run ends.")
@click.option(
    "--tail",
    type=click.IntRange(1, 1_000_000),
    is_flag=False,
    flag_value=20,
    metavar="[LINES]",
    help="Only the last LINES (20) of what is asked for.",
)
@click.option(
    "--level",
    type=click.Choice(["debug", "info", "warning", "error", "critical"]),
    help="Only lines of this level and above, with their tracebacks.",
)
@click.option("--grep", default="", metavar="TEXT", help="Only lines that hold TEXT, in small or capital letters.")
@click.pass_obj
def logs(invocation: Invocation, run_id: str, follow: bool, tail: int | None, level: str | None, grep: str) -> None:
    """What a run wrote: all of it, or its lines of a level, or those that hold a text."""
    from backends.entities.holdings import LOG_GONE
    from console.cli.logs import print_log
    from console.training.log.levels import level_named

    found = find_run(invocation.need("runs"), run_id)
    if LOG_GONE in found.tags:
        narrate(f"the log of {found.name} was removed {found.tags[LOG_GONE]}")
    print_log(invocation, found.id, follow=follow, tail=tail, least=level_named(level) if level else None, word=grep)


@run.command("artifacts")
@click.argument("run_id", metavar="RUN")
@click.argument("path", required=False)
@click.option("--show", is_flag=True, help="What is in the file PATH: text, JSON, a table's first rows, measures.")
@click.pass_obj
def artifacts(invocation: Invocation, run_id: str, path: str | None, show: bool) -> None:
    """The files that a run left, one folder at a time (RUN may be the id of a logged model, m-…)."""
    from console.cli.files import ARTIFACT_COLUMNS, show_file

    if show and not path:
        raise click.UsageError("--show wants the PATH of a file: run artifacts RUN PATH --show")
    owner = run_id if run_id.startswith("m-") else find_run(invocation.need("runs"), run_id).id
    inside = (path or "").strip("/")
    if show:
        show_file(invocation, owner, inside)
        return
    found = invocation.need("artifacts").children(owner, inside)
    invocation.show_items(found, ARTIFACT_COLUMNS, empty="nothing there")


@run.command("download")
@click.argument("run_id", metavar="RUN")
@click.argument("path")
@click.argument("target", metavar="TARGET", type=click.Path(path_type=Path), required=False)
@click.pass_obj
def download(invocation: Invocation, run_id: str, path: str, target: Path | None) -> None:
    """Copy a file or folder of a run to TARGET (its own name here without it). What is there already is kept."""
    from console.cli.files import save

    owner = run_id if run_id.startswith("m-") else find_run(invocation.need("runs"), run_id).id
    save(invocation, owner, path.strip("/"), target or Path(Path(path).name))
