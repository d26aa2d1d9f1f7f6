"""What a monitor keeps beside its windows: a folder of its own, and the lock that whoever changes its counts holds."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from backends.contract import Backend, Invalid, Unsupported

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_name(name: str) -> str:
    """The name, if it can be a monitor's: it becomes a folder."""
    if not NAME.fullmatch(name):
        raise Invalid(
            f"monitor name {name!r}: use letters, digits, '.', '_' and '-', first a letter or digit, at most 100",
            "name",
        )
    return name


def monitor_folder(backend: Backend, name: str) -> Path:
    """The monitor's folder in the workspace, made if it is not there."""
    if backend.home is None:
        raise Unsupported(f"context {backend.name} has no workspace folder, where a monitor keeps its predictions")
    if name in (".", ".."):
        raise Invalid(f"{name!r} cannot be a monitor's name, because it names a folder of the workspace itself", "name")
    # Quoted as the agent does, so that no name leads out of the workspace.
    folder = backend.home / "monitors" / quote(name, safe="")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Only one process at a time changes a monitor's counts: each change reads a window and writes it back."""
    with (folder / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
