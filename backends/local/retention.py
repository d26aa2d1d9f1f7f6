"""What goes for good: the verbs of `RetentionStore`.

Rows go first, with their journal entry, in one transaction; then the files that no row names any more. A process that
is killed between leaves files without a name, which the next clean-up finds, and never a row without its file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from backends.contract import BackendError, Mutation, Refused
from backends.entities.holdings import ARTIFACTS_GONE, LOG_GONE, Freed, Going, Holdings, Part, Room, RunHolding
from backends.local import DATABASE, idempotency, journal, run_rows
from backends.local.database import Database, file_trouble, now
from backends.local.datasets import delete_version
from backends.local.held import data_holdings, pinned_objects, run_files, run_holdings
from backends.local.leftovers import (
    IDLE_S,
    is_named,
    leftovers,
    remove_folder,
    remove_leftover,
    remove_tree,
    tree_bytes,
)
from backends.local.objects import ObjectStore
from backends.local.run_folder import RunFolder
from backends.local.run_log import log_files

BATCH: Final = 50
"""Things whose rows go in one transaction: others who write wait for no more than that."""

_OF_SEQ: Final = ("latest_metric", "params", "tags", "run_inputs", "metric_tail", "metric_chunks")
_HOLDERS: Final = (
    "SELECT run FROM artifacts WHERE sha256 = ? UNION ALL SELECT 'data' FROM dataset_versions WHERE object = ?"
)
_VERB: Final = "retention.remove"
_BESIDE: Final = (
    "runs and their artifacts are the server's: delete and restore work from here, and what is deleted there goes for "
    "good by the server's own `mlflow gc`"
)


class LocalRetention:
    """`RetentionStore` of a workspace."""

    def __init__(self, database: Database, objects: ObjectStore, home: Path) -> None:
        self._database = database
        self._objects = objects
        self._home = home

    def holdings(self, *, idle_s: float = IDLE_S) -> Holdings:
        beside = self._beside
        with self._database.read() as connection:
            runs = tuple(run_holdings(connection, self._home))
            # Beside a server nobody here knows which versions its models were trained on.
            data = () if beside else tuple(data_holdings(connection))
            pinned = pinned_objects(connection)
            if beside:
                rows = connection.execute("SELECT object FROM dataset_versions").fetchall()
                pinned |= {sha256 for (sha256,) in rows}
        try:
            found = tuple(leftovers(self._database, self._objects, self._home, idle_s=idle_s, beside=beside))
            whole = tree_bytes(self._home)
        except OSError as error:
            raise file_trouble(error, f"look through {self._home}") from error
        return Holdings(
            runs=runs, data=data, leftovers=found, pinned=pinned, bytes=whole, note=_BESIDE if beside else ""
        )

    def room(self, run: str) -> Room | None:
        if self._beside:
            return None
        with self._database.read() as connection:
            name = run_rows.find(connection, run)[1]
            files = run_files(connection, (name,)).get(name, ())
            sizes = {file.sha256: file.bytes for file in files}
            owners = {file.owner or name for file in files}
            shared = [
                sha256
                for sha256 in sizes
                if {who for (who,) in connection.execute(_HOLDERS, (sha256, sha256))} - owners
            ]
        folder = RunFolder(self._home / "runs" / name)
        there = folder.path.is_dir()
        return Room(
            bytes=sum(sizes.values()) + (tree_bytes(folder.path) if there else 0),
            log=sum(map(tree_bytes, log_files(folder.log))) if there else 0,
            shared=sum(sizes[sha256] for sha256 in shared),
        )

    @property
    def _beside(self) -> bool:
        """Whether this store stands beside a server that keeps the runs."""
        from backends.connect import server_of_runs

        return server_of_runs(self._home) is not None

    def remove(
        self,
        going: Sequence[Going],
        mutation: Mutation,
        *,
        told: Callable[[int], object] | None = None,
        idle_s: float = IDLE_S,
    ) -> Freed:
        """Leftovers first: their going needs no room, and makes some where the disk is full."""
        with self._database.read() as connection:
            made = idempotency.made_before(connection, _VERB, mutation)
        if made is not None:
            return msgspec.json.decode(made, type=Freed)
        task = _Task(self._database, self._objects, self._home, mutation, self._beside, idle_s)
        first = [each for each in going if each.part is Part.LEFTOVER]
        rest = [each for each in going if each.part is not Part.LEFTOVER]
        done = 0
        for batch in (*([each] for each in first), *(rest[at : at + BATCH] for at in range(0, len(rest), BATCH))):
            try:
                task.remove(batch)
            except BackendError as error:
                if not done:
                    raise
                raise type(error)(
                    f"{error} Of {len(going)} things {done} were dealt with before; the rest is as it was, and the "
                    "same command goes on with it."
                ) from error
            done += len(batch)
            if told is not None:
                told(done)
        freed = task.freed()
        if freed.gone:
            with self._database.write(durable=True) as connection:
                after = {"things": freed.gone, "files": freed.files, "bytes": freed.bytes, "stayed": len(freed.left)}
                journal.append(connection, "workspace.clean", self._home.name, mutation, after=after)
                idempotency.note(connection, _VERB, mutation, msgspec.json.encode(freed).decode())
        return freed


class _Task:
    """One removal, and what it has done so far."""

    def __init__(
        self, database: Database, objects: ObjectStore, home: Path, mutation: Mutation, beside: bool, idle_s: float
    ) -> None:
        self._database = database
        self._objects = objects
        self._home = home
        self._mutation = mutation
        self._beside = beside
        self._idle_s = idle_s
        self._gone = self._files = self._bytes = 0
        self._left: list[str] = []

    def freed(self) -> Freed:
        return Freed(gone=self._gone, files=self._files, bytes=self._bytes, left=tuple(self._left))

    def remove(self, batch: Sequence[Going]) -> None:
        if batch[0].part is Part.LEFTOVER:
            self._leftover(batch[0])
            return
        unnamed: set[str] = set()
        files: list[Callable[[], int]] = []
        with self._database.write(durable=True) as connection:
            asked = {each.target for each in batch if each.part is not Part.DATA}
            known = {held.run: held for held in run_holdings(connection, self._home, asked)}
            data = {held.ref: held for held in data_holdings(connection)} if len(asked) < len(batch) else {}
            gone = 0
            for each in batch:
                try:
                    if each.part is Part.DATA:
                        if each.target not in data:
                            continue
                        if data[each.target].needed:
                            raise Refused(f"{each.target} stays: {data[each.target].needed}.")
                        delete_version(connection, each.target, self._because(each))
                        unnamed.add(data[each.target].object)
                    elif each.target in known:
                        held = known[each.target]
                        _check(each, held)
                        unnamed |= self._rows(connection, each, held)
                        files += self._of_folder(each)
                    else:
                        continue  # gone already, or runs again
                    gone += 1
                except Refused as refused:
                    self._left.append(str(refused))
        self._gone += gone
        for remove in files:
            self._count(remove())
        with self._database.write() as connection:
            for sha256 in sorted(unnamed):
                if not is_named(connection, sha256):
                    self._count(self._objects.remove(sha256))

    def _count(self, size: int) -> None:
        self._files += size > 0
        self._bytes += size

    def _leftover(self, each: Going) -> None:
        try:
            size = remove_leftover(
                self._database, self._objects, self._home, each.target, idle_s=self._idle_s, beside=self._beside
            )
        except Refused as refused:
            self._left.append(str(refused))
            return
        self._gone += 1
        self._count(size)

    def _because(self, each: Going) -> Mutation:
        """The mutation with this thing's own reason, and a key of its own."""
        reason = ": ".join(part for part in (self._mutation.reason, each.why) if part)
        return msgspec.structs.replace(self._mutation, reason=reason, key="", action="")

    def _rows(self, connection: sqlite3.Connection, each: Going, held: RunHolding) -> set[str]:
        """Take the thing out of the database; the objects that it named."""
        mutation = self._because(each)
        seq = run_rows.find(connection, held.run)[0]
        if each.part is Part.RUN:
            _purge(connection, seq, held, mutation)
            return {file.sha256 for file in held.files}
        gone = (
            [file for file in held.files if file.owner or file.path not in each.stays]
            if each.part is Part.ARTIFACTS
            else []
        )
        connection.executemany(
            "DELETE FROM artifacts WHERE run = ? AND path = ?", [(file.owner or held.run, file.path) for file in gone]
        )
        at = now()
        stamp = f"on {datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M} UTC by {mutation.actor}"
        tag, action = (
            (ARTIFACTS_GONE, "run.drop_artifacts") if each.part is Part.ARTIFACTS else (LOG_GONE, "run.drop_log")
        )
        said = f"{stamp}: {mutation.reason}" if mutation.reason else stamp
        connection.execute(
            "INSERT OR REPLACE INTO tags (run, key, value, number) VALUES (?, ?, ?, NULL)", (seq, tag, said[:1000])
        )
        run_rows.write_text(connection, seq)
        before: dict[str, Any] = {"bytes": held.log_bytes}
        if each.part is Part.ARTIFACTS:
            before = {"files": len(gone), "bytes": sum(file.bytes for file in gone)}
        journal.append(connection, action, held.run, mutation, before=before, at=at)
        return {file.sha256 for file in gone}

    def _of_folder(self, each: Going) -> list[Callable[[], int]]:
        """What goes of the run's folder once the rows are gone."""
        folder = RunFolder(self._home / "runs" / each.target)
        if each.part is Part.RUN:
            return [lambda: remove_folder(self._home, folder.path)]
        if each.part is Part.LOG:
            if not folder.path.is_dir():
                return []
            return [lambda file=file: remove_tree(file) for file in log_files(folder.log)]  # type: ignore[misc]
        return [lambda: remove_tree(folder.artifacts)]


def _check(each: Going, held: RunHolding) -> None:
    """Refused where something needs it by now."""
    called = f"{each.part} of {held.name} ({held.run[:8]})" if each.part is not Part.RUN else f"run {held.name}"
    why = held.needed or ("" if each.asked else held.wanted)
    if why:
        raise Refused(f"{called} stays: {why}.")
    if each.part is Part.RUN and held.deleted_at is None:
        raise Refused(f"{called} stays: it is not deleted, or was restored.")
    if each.part is not Part.RUN and held.deleted_at is not None:
        raise Refused(f"{called} stays: the run was deleted meanwhile, and can be restored whole.")


def _purge(connection: sqlite3.Connection, seq: int, held: RunHolding, mutation: Mutation) -> None:
    """Every row that is about the run alone. The journal stays, and what other things say of it."""
    run = held.run
    before = {
        "name": held.name,
        "experiment": held.experiment,
        "deleted_at": held.deleted_at,
        "files": len(held.files),
        "bytes": sum(file.bytes for file in held.files) + held.folder_bytes + held.copies_bytes + held.log_bytes,
    }
    models = "(SELECT id FROM logged_models WHERE run = ?)"
    connection.execute(
        "DELETE FROM metric_points WHERE chunk IN (SELECT chunk FROM metric_chunks WHERE run = ?)", (seq,)
    )
    text = connection.execute("SELECT text FROM run_text WHERE run = ?", (seq,)).fetchone()
    if text is not None:
        connection.execute("INSERT INTO run_search (run_search, rowid, text) VALUES ('delete', ?, ?)", (seq, text[0]))
        connection.execute("DELETE FROM run_text WHERE run = ?", (seq,))
    for table in _OF_SEQ:
        connection.execute(f"DELETE FROM {table} WHERE run = ?", (seq,))
    connection.execute(f"DELETE FROM artifacts WHERE run = ? OR run IN {models}", (run, run))
    connection.execute(f"DELETE FROM logged_metrics WHERE run = ? OR model IN {models}", (run, run))
    connection.execute(f"DELETE FROM run_outputs WHERE run = ? OR model IN {models}", (run, run))
    connection.execute("DELETE FROM logged_models WHERE run = ?", (run,))
    connection.execute("DELETE FROM reports WHERE subject = ?", (run,))
    connection.execute("DELETE FROM runs WHERE seq = ?", (seq,))
    journal.append(connection, "run.purge", run, mutation, before=before)


def shrink(home: Path) -> int:
    """Give unused pages of the database back to the disk; bytes. Takes the write lock for as long as it copies it."""
    files = [home / DATABASE, home / f"{DATABASE}-wal"]
    before = sum(map(tree_bytes, files))
    database = Database(home / DATABASE, create=False)
    try:
        database.shrink()
    finally:
        database.close()
    return max(0, before - sum(map(tree_bytes, files)))
