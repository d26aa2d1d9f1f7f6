"""What is wrong with a workspace, if anything: for `doctor`. And the clean-up that `doctor` recommends."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Final

from backends.contract import BackendError
from backends.entities import Record
from backends.local import DATABASE
from backends.local.database import Database, file_trouble, trouble
from backends.local.journal import LocalJournal
from backends.local.objects import ObjectStore

LOW_SPACE: Final = 500 * 1024**2
BIG_LOG: Final = 256 * 1024**2
IDLE_S: Final = 3600.0
"""What nobody names and nobody touched for so long is left over."""


class Health(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(Record, frozen=True, kw_only=True):
    """One check: what was found, and what to do where it is not well."""

    check: str
    health: Health
    found: str
    remedy: str = ""


def probe(home: Path, *, thorough: bool = False) -> tuple[Finding, ...]:
    """Check a workspace without changing it. `thorough` reads the whole database and every object."""
    if not (home / DATABASE).exists():
        return (Finding(check="store", health=Health.WARN, found=f"there is no workspace in {home} yet"),)
    findings = [*_space(home), *_mode(home)]
    try:
        with closing(sqlite3.connect(f"{(home / DATABASE).absolute().as_uri()}?mode=rw", uri=True, timeout=2)) as raw:
            findings += _writable(raw, home)
            findings += _whole(raw, home, thorough)
        database = Database(home / DATABASE, create=False)
    except sqlite3.Error as error:
        return (*findings, _failed("store", trouble(error, home / DATABASE)))
    except BackendError as error:
        return (*findings, _failed("store", error))
    try:
        findings += _journal(database)
        findings += _objects(database, ObjectStore(home), thorough)
    except BackendError as error:
        findings.append(_failed("store", error))
    finally:
        database.close()
    return tuple(findings)


def _failed(check: str, error: BackendError) -> Finding:
    return Finding(check=check, health=Health.FAIL, found=str(error))


def _space(home: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(home).free
    yield Finding(
        check="disk space",
        health=Health.OK if free > LOW_SPACE else Health.WARN if free > LOW_SPACE // 10 else Health.FAIL,
        found=f"{free / 1024**3:,.1f} GB free under {home}",
        remedy="" if free > LOW_SPACE else "free some space: nothing can be logged on a full disk",
    )
    log = home / f"{DATABASE}-wal"
    size = log.stat().st_size if log.exists() else 0
    if size > BIG_LOG:
        yield Finding(
            check="write-ahead log",
            health=Health.WARN,
            found=f"{size / 1024**2:,.0f} MB",
            remedy="a reader that never ends keeps it growing: close old consoles",
        )


def _mode(home: Path) -> Iterator[Finding]:
    mode = home.stat().st_mode & 0o777
    open_to_others = bool(mode & 0o077)
    yield Finding(
        check="permissions",
        health=Health.WARN if open_to_others else Health.OK,
        found=f"{home} has mode {mode:04o}",
        remedy=f"chmod 700 {home}: other users of this machine can look in" if open_to_others else "",
    )


def _writable(raw: sqlite3.Connection, home: Path) -> Iterator[Finding]:
    try:
        raw.isolation_level = None
        raw.execute("BEGIN IMMEDIATE")
        raw.execute("ROLLBACK")
        trial = home / "tmp" / f"probe-{os.getpid()}"
        trial.parent.mkdir(mode=0o700, exist_ok=True)
        trial.write_bytes(b"")
        trial.unlink()
    except sqlite3.Error as error:
        yield _failed("writable", trouble(error, home / DATABASE))
    except OSError as error:
        yield _failed("writable", file_trouble(error, f"write under {home}"))
    else:
        yield Finding(check="writable", health=Health.OK, found="the store takes writes")


def _whole(raw: sqlite3.Connection, home: Path, thorough: bool) -> Iterator[Finding]:
    pragma = "integrity_check" if thorough else "quick_check"
    found = raw.execute(f"PRAGMA {pragma}(3)").fetchall()
    whole = found == [("ok",)]
    yield Finding(
        check="integrity",
        health=Health.OK if whole else Health.FAIL,
        found=f"{pragma} finds nothing wrong" if whole else "; ".join(str(row[0]) for row in found),
        remedy="" if whole else f"restore the newest backup of {home}, and check the disk",
    )


def _journal(database: Database) -> Iterator[Finding]:
    held, wrong = LocalJournal(database).verify()
    yield Finding(
        check="journal",
        health=Health.FAIL if wrong else Health.OK,
        found=wrong or f"{held:,} entries, the chain holds",
        remedy="somebody edited the database by hand: compare with a backup" if wrong else "",
    )


def _objects(database: Database, objects: ObjectStore, thorough: bool) -> Iterator[Finding]:
    named = _named(database)
    missing = [sha256 for sha256 in named if not objects.has(sha256)]
    damaged = [sha256 for sha256 in named if sha256 not in missing and not objects.verify(sha256)] if thorough else []
    wrong = missing + damaged
    yield Finding(
        check="objects",
        health=Health.FAIL if wrong else Health.OK,
        found=f"{len(missing)} missing and {len(damaged)} damaged of {len(named):,}, first {wrong[0][:12]}"
        if wrong
        else f"{len(named):,} files, {'each with its sha256' if thorough else 'all there'}",
        remedy="restore them from a backup" if wrong else "",
    )


def _named(database: Database) -> set[str]:
    with database.read() as connection:
        rows = connection.execute("SELECT object FROM dataset_versions UNION SELECT sha256 FROM artifacts").fetchall()
    return {sha256 for (sha256,) in rows}


class Leftover(Record, frozen=True, kw_only=True):
    """What nothing names any more, or nobody finished."""

    path: str
    """Within the workspace."""
    bytes: int
    why: str


def leftovers(home: Path, *, idle_s: float = IDLE_S) -> tuple[Leftover, ...]:
    """What `clean` would remove: objects that no version and no run names, drafts that nobody finished. What was
    written to within `idle_s` is left alone: somebody may be about to name it."""
    database = Database(home / DATABASE, create=False)
    try:
        named = _named(database)
        found = [
            Leftover(path=str(file.relative_to(home)), bytes=_bytes(file), why="named by nothing")
            for sha256, file in ObjectStore(home).all()
            if sha256 not in named and _idle(file) > idle_s
        ]
        for draft in sorted((home / "tmp").glob("*")):
            files = [draft, *draft.rglob("*")] if draft.is_dir() else [draft]
            if min(map(_idle, files)) > idle_s:
                size = sum(_bytes(file) for file in files)
                found.append(Leftover(path=str(draft.relative_to(home)), bytes=size, why="never finished"))
    except OSError as error:
        raise file_trouble(error, f"look through {home}") from error
    finally:
        database.close()
    return tuple(found)


def clean(home: Path, *, idle_s: float = IDLE_S) -> int:
    """Remove what is left over, and shrink the database; bytes given back."""
    freed = 0
    for each in leftovers(home, idle_s=idle_s):
        path = home / each.path
        freed += each.bytes
        try:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise file_trouble(error, f"remove {path}") from error
    before = _size(home)
    database = Database(home / DATABASE, create=False)
    try:
        database.shrink()
    finally:
        database.close()
    return freed + max(0, before - _size(home))


def _bytes(file: Path) -> int:
    try:
        found = file.lstat()
    except FileNotFoundError:
        return 0
    return found.st_size if not file.is_dir() else 0


def _idle(file: Path) -> float:
    """Seconds since it was written; none where it has gone meanwhile."""
    try:
        return time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _size(home: Path) -> int:
    """Bytes of the database."""
    return sum(_bytes(file) for file in (home / DATABASE, home / f"{DATABASE}-wal"))
