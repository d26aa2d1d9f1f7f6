"""Files of a workspace that nothing names any more, or that nobody finished."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from backends.contract import Refused
from backends.entities.holdings import Leftover
from backends.local.database import Database, file_trouble
from backends.local.objects import ObjectStore
from backends.local.run_folder import RunFolder
from backends.local.settle import AT_REST, standing

IDLE_S: Final = 3600.0
"""What nobody names and nobody touched for so long is left over."""

_NAMED: Final = "SELECT object FROM dataset_versions UNION SELECT sha256 FROM artifacts"
_IS_NAMED: Final = (
    "SELECT EXISTS (SELECT 1 FROM dataset_versions WHERE object = ?1) "
    "OR EXISTS (SELECT 1 FROM artifacts WHERE sha256 = ?1)"
)
_RUN_ID: Final = re.compile(r"[0-9a-f]{32}")


def named_objects(database: Database) -> set[str]:
    """sha256 of every object that a row names."""
    with database.read() as connection:
        return {sha256 for (sha256,) in connection.execute(_NAMED)}


def is_named(connection: sqlite3.Connection, sha256: str) -> bool:
    return bool(connection.execute(_IS_NAMED, (sha256,)).fetchone()[0])


def leftovers(
    database: Database, objects: ObjectStore, home: Path, *, idle_s: float, beside: bool
) -> Iterator[Leftover]:
    """Objects without a name, drafts without an end and, unless the runs are a server's (`beside`), folders of runs
    that are gone. What was written to within `idle_s` is left alone: somebody may be about to name it."""
    named = named_objects(database)
    for sha256, file in objects.all():
        if sha256 not in named and _idle(file) > idle_s:
            yield Leftover(path=str(file.relative_to(home)), bytes=tree_bytes(file), why="named by nothing")
    for draft in sorted((home / "tmp").glob("*")):
        if _rests(draft, idle_s):
            yield Leftover(path=str(draft.relative_to(home)), bytes=tree_bytes(draft), why="never finished")
    if not beside:
        for folder in sorted((home / "runs").glob("*")):
            if _orphan(database, folder, idle_s):
                yield Leftover(path=str(folder.relative_to(home)), bytes=tree_bytes(folder), why="its run is gone")


def remove_leftover(
    database: Database, objects: ObjectStore, home: Path, path: str, *, idle_s: float, beside: bool
) -> int:
    """Bytes given back; none where it is gone. Refused where it is no leftover any more."""
    target = home / path
    parts = Path(path).parts
    if ".." in parts or len(parts) not in (2, 3) or target.is_symlink():
        raise Refused(f"{path[:200]} is no leftover of this workspace; it stays.")
    if not target.exists():
        return 0
    if parts[0] == "objects" and len(parts) == 3:
        with database.write() as connection:
            if is_named(connection, parts[1] + parts[2]) or _idle(target) <= idle_s:
                raise Refused(f"{path} is in use again; it stays.")
            return objects.remove(parts[1] + parts[2])
    if parts[0] == "tmp" and _rests(target, idle_s):
        return remove_tree(target)
    if parts[0] == "runs" and not beside and _orphan(database, target, idle_s):
        return remove_folder(home, target)
    raise Refused(f"{path[:200]} is in use again; it stays.")


def remove_folder(home: Path, folder: Path) -> int:
    """Take a run's folder out of sight at once, then remove it: a crash between leaves a draft that nobody finished."""
    gone = home / "tmp" / f"purged-{folder.name}-{os.urandom(4).hex()}"
    try:
        gone.parent.mkdir(mode=0o700, exist_ok=True)
        folder.rename(gone)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise file_trouble(error, f"remove {folder}") from error
    return remove_tree(gone)


def remove_tree(path: Path) -> int:
    """Bytes of what is truly gone afterwards."""
    before = tree_bytes(path)
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        pass  # somebody else removes the same
    except OSError as error:
        raise file_trouble(error, f"remove {path}") from error
    return before - tree_bytes(path)


def tree_bytes(path: Path) -> int:
    """Of a file, or of all files under a folder; links are counted as links."""
    try:
        if path.is_dir() and not path.is_symlink():
            return sum(tree_bytes(entry) for entry in path.iterdir())
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def _orphan(database: Database, folder: Path, idle_s: float) -> bool:
    if not _RUN_ID.fullmatch(folder.name) or not _rests(folder, idle_s):
        return False
    with database.read() as connection:
        if connection.execute("SELECT 1 FROM runs WHERE id = ?", (folder.name,)).fetchone() is not None:
            return False
    return standing(RunFolder(folder)) in AT_REST


def _rests(path: Path, idle_s: float) -> bool:
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    return min(map(_idle, files)) > idle_s


def _idle(file: Path) -> float:
    """Seconds since it was written; none where it has gone meanwhile."""
    try:
        return time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return 0.0
