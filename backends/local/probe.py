"""What is wrong with a workspace, if anything: for `doctor`."""

from __future__ import annotations

import os
import shutil
import sqlite3
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
from backends.local.leftovers import named_objects
from backends.local.objects import ObjectStore

LOW_SPACE: Final = 500 * 1024**2
BIG_LOG: Final = 256 * 1024**2


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
    named = named_objects(database)
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
