"""`mlops-console backup …`: copy a workspace while it is in use, check a copy, go back to one."""

from __future__ import annotations

from pathlib import Path

import click

from backends.contract import Unsupported
from console.cli.follow import ProgressLine
from console.cli.output import narrate
from console.cli.verb import Invocation, Noun
from console.config import choose_context, load_config
from console.wording import local_time, plural, size

folder_argument = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))


@click.group("backup", cls=Noun)
def backup() -> None:
    """Copy the workspace while it is in use, check a copy, go back to one."""


@backup.command("create")
@folder_argument
@click.pass_obj
def create(invocation: Invocation, folder: Path) -> None:
    """Copy the workspace to FOLDER (not there yet). Others may read and write meanwhile."""
    from backends.local.backup import back_up

    home = _home(invocation)
    with ProgressLine() as line:
        made = back_up(
            home,
            folder.absolute(),
            progress=lambda done, whole: line.update(fraction=done / whole, stage=f"{done} of {plural(whole, 'file')}"),
        )
    _say(invocation, folder, made, "made")


@backup.command("check")
@folder_argument
@click.pass_obj
def check(invocation: Invocation, folder: Path) -> None:
    """Read a backup through and compare every file with what was written."""
    from backends.local.backup import check_backup

    _say(invocation, folder, check_backup(folder.absolute()), "whole")


@backup.command("restore")
@folder_argument
@click.pass_obj
def restore(invocation: Invocation, folder: Path) -> None:
    """Lay a backup out as the workspace (--workspace DIR, which holds none yet)."""
    from backends.local.backup import restore as lay_out

    home = _home(invocation)
    _say(invocation, folder, lay_out(folder.absolute(), home), f"restored to {home}")


def _home(invocation: Invocation) -> Path:
    chosen = choose_context(load_config(), invocation.context, invocation.workspace)
    if chosen.registry or chosen.directory is None:
        raise Unsupported(f"context {chosen.name}: what is kept at {chosen.url} is backed up there, not here")
    return chosen.directory


def _say(invocation: Invocation, folder: Path, manifest: object, what: str) -> None:
    from backends.local.backup import Manifest

    assert isinstance(manifest, Manifest)  # noqa: S101
    total = sum(manifest.objects.values())
    invocation.show(
        {
            "folder": str(folder.absolute()),
            "made_at": manifest.made_at,
            "schema": manifest.schema,
            "files": len(manifest.objects),
            "bytes": total,
        },
        lambda: narrate(
            f"{folder}: {what}; of {local_time(manifest.made_at)}, "
            f"{plural(len(manifest.objects), 'file')}, {size(total)}"
        ),
    )
