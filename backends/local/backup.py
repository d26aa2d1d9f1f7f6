"""A copy of a workspace that is in use, and the way back.

A backup is a folder: `console.db` as of one moment, `objects/` with every file it names, and `manifest.json` with the
sha256 of each. Logs and working folders of runs are not in it. It is built beside its name and renamed when whole.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from backends.contract import Conflict, Invalid, Unreachable
from backends.entities import Millis, Record
from backends.local import DATABASE, schema
from backends.local.database import Database, file_trouble, now
from backends.local.objects import ObjectStore, Stored, sync_folder

MANIFEST: Final = "manifest.json"
_NAMED: Final = "SELECT object FROM dataset_versions UNION SELECT sha256 FROM artifacts ORDER BY 1"


class Manifest(Record, frozen=True, kw_only=True):
    """What a backup holds."""

    made_at: Millis
    schema: int
    database: str
    """sha256 of the database file."""
    objects: dict[str, int]
    """sha256 → bytes."""


def back_up(home: Path, target: Path, *, progress: Callable[[int, int], None] | None = None) -> Manifest:
    """Copy a workspace to a folder that is not there yet. Others may read and write meanwhile."""
    if target.exists():
        raise Conflict(f"{target} is there already; nothing was copied. Give the backup a new name.")
    draft = target.with_name(f"{target.name}.part-{os.getpid()}")
    database = Database(home / DATABASE, create=False)
    try:
        draft.mkdir(mode=0o700, parents=True)
        with closing(sqlite3.connect(draft / DATABASE)) as copy:
            # In one step: page by page the copy would begin anew with every write of another process.
            database.connection().backup(copy, pages=-1)
            copy.execute("PRAGMA journal_mode = DELETE")
            named = [sha256 for (sha256,) in copy.execute(_NAMED)]
        kept = ObjectStore(draft)
        source = ObjectStore(home)
        objects: dict[str, int] = {}
        for number, sha256 in enumerate(named):
            stored = kept.put(source.path(sha256))
            if stored.sha256 != sha256:
                raise Unreachable(f"object {sha256[:12]} of {home} is damaged: its content has another sha256.")
            objects[sha256] = stored.bytes
            if progress is not None:
                progress(number + 1, len(named))
        shutil.rmtree(draft / "tmp", ignore_errors=True)
        manifest = Manifest(
            made_at=now(), schema=schema.VERSION, database=_sha256(draft / DATABASE).sha256, objects=objects
        )
        (draft / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        for file in (draft / DATABASE, draft / MANIFEST):
            _sync(file)
        draft.rename(target)
        sync_folder(target.parent)
        return manifest
    except OSError as error:
        raise file_trouble(error, f"write the backup {target}") from error
    finally:
        database.close()
        shutil.rmtree(draft, ignore_errors=True)


def check_backup(folder: Path) -> Manifest:
    """Read a backup through and compare every file with the manifest."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise Invalid(f"{folder} is no backup of a workspace: {MANIFEST} is not readable.", "folder") from error
    kept = ObjectStore(folder)
    wrong = [sha256 for sha256 in manifest.objects if not (kept.has(sha256) and kept.verify(sha256))]
    if _sha256(folder / DATABASE).sha256 != manifest.database:
        wrong.insert(0, DATABASE)
    if wrong:
        raise Unreachable(f"backup {folder} is damaged: {len(wrong)} files changed, first {wrong[0][:16]}.")
    return manifest


def restore(folder: Path, home: Path) -> Manifest:
    """Lay a checked backup out as a new workspace."""
    if (home / DATABASE).exists():
        raise Conflict(f"{home} holds a workspace already; nothing was restored. Name an empty folder.")
    manifest = check_backup(folder)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept, target = ObjectStore(folder), ObjectStore(home)
        for sha256 in manifest.objects:
            target.put(kept.path(sha256))
        # The database last: a workspace without it is none, so that half a restore is never opened.
        draft = home / f"{DATABASE}.part"
        shutil.copyfile(folder / DATABASE, draft)
        with closing(sqlite3.connect(draft)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        draft.chmod(0o600)
        _sync(draft)
        draft.rename(home / DATABASE)
        sync_folder(home)
    except OSError as error:
        raise file_trouble(error, f"restore into {home}") from error
    return manifest


def _sha256(file: Path) -> Stored:
    import hashlib

    with open(file, "rb") as source:
        return Stored(hashlib.file_digest(source, "sha256").hexdigest(), file.stat().st_size)


def _sync(file: Path) -> None:
    with open(file, "rb") as opened:
        os.fsync(opened.fileno())
