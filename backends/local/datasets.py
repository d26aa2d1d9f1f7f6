"""Datasets: content-addressed versions under a name. The verbs of `DatasetStore`."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from backends.contract import START, Invalid, Mutation, NotFound, Page, Refused, Unreachable
from backends.entities import Column, Dataset, DatasetVersion
from backends.listing import cut
from backends.local import idempotency, journal
from backends.local.absent import absent, absent_among
from backends.local.database import Database, file_trouble, now
from backends.local.limits import check_name, check_text
from backends.local.objects import ObjectStore
from backends.query import Query, select

SHORTEST_DIGEST: Final = 8


class LocalDatasets:
    """`DatasetStore` of a workspace. Versions count from 1."""

    def __init__(self, database: Database, objects: ObjectStore) -> None:
        self._database = database
        self._objects = objects

    def page(self, query: Query | None = None, *, at: str = START, limit: int = 100) -> Page[Dataset]:
        """By name without an order."""
        with self._database.read() as connection:
            found = _datasets(connection)
        return cut(select(query, found), at, limit, name=lambda dataset: dataset.name)

    def get(self, name: str) -> Dataset:
        with self._database.read() as connection:
            return _dataset(connection, name)

    def versions(self, name: str, *, at: str = START, limit: int = 100) -> Page[DatasetVersion]:
        """Newest first."""
        with self._database.read() as connection:
            _dataset(connection, name)
            rows = connection.execute(
                "SELECT record FROM dataset_versions WHERE dataset = ? ORDER BY version DESC", (name,)
            ).fetchall()
            notes = _column_notes(connection, name)
        return cut(
            [_with_notes(_version(row[0]), notes) for row in rows], at, limit, name=lambda version: version.version
        )

    def version(self, ref: str) -> DatasetVersion:
        """By `name@version`, by name (the latest), or by a digest or its unique beginning."""
        with self._database.read() as connection:
            name, at, number = ref.rpartition("@")
            if at:
                dataset = _dataset(connection, name)
                found = _numbered(connection, name, number)
                if found is None:
                    there = "version 1" if dataset.versions == 1 else f"versions 1 to {dataset.latest}"
                    raise NotFound(f"dataset {name} has no version {number}; it has {there}.")
                return _noted(connection, name, found)
            row = connection.execute(
                "SELECT record FROM dataset_versions WHERE dataset = ? ORDER BY version DESC LIMIT 1", (ref,)
            ).fetchone()
            version = _version(row[0]) if row else _by_digest(connection, ref)
            return _noted(connection, version.dataset, version)

    def path(self, ref: str) -> Path:
        version = self.version(ref)
        return self._objects.path(version.object, version.bytes)

    def add(
        self,
        name: str,
        file: Path,
        *,
        digest: str,
        rows: int,
        columns: Sequence[Column],
        source: str,
        mutation: Mutation,
        parent: str = "",
        note: str = "",
        inputs: Sequence[str] = (),
        made_by: str = "",
    ) -> tuple[DatasetVersion, bool]:
        """The next version, moved in; or the version that has this digest already, and False."""
        check_name("dataset", name)
        check_text("a note", note, "note")
        if "@" in name:
            raise Invalid(f"a dataset's name cannot hold @, which stands before its version: {name[:200]}.", "name")
        with self._database.read() as connection:
            made = idempotency.made_before(connection, "dataset.add", mutation)
            if made is not None:
                dataset, _, number = made.rpartition("@")
                first = _numbered(connection, dataset, number)
                if first is not None:
                    return _noted(connection, dataset, first), True
            known = _with_digest(connection, name, digest)
        if known is not None and self._objects.has(known.object, known.bytes):
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                raise file_trouble(error, f"remove {file}") from error
            return self.version(known.ref), False
        stored = self._objects.move_in(file)
        at = now()
        with self._database.write(durable=True) as connection:
            if not self._objects.has(stored.sha256):
                raise Unreachable(
                    f"a clean-up took the file of {name} before it was kept; nothing was kept. Try again."
                )
            known = _with_digest(connection, name, digest)
            if known is not None:
                return _noted(connection, name, known), False
            connection.execute(
                "INSERT INTO datasets (name, created_at, created_by, updated_at, versions, latest, rows) "
                "VALUES (?, ?, ?, ?, 0, '', 0) ON CONFLICT (name) DO NOTHING",
                (name, at, mutation.actor, at),
            )
            (number,) = connection.execute(
                "UPDATE datasets SET versions = versions + 1, latest = versions + 1, rows = ?, updated_at = ? "
                "WHERE name = ? RETURNING versions",
                (rows, at, name),
            ).fetchone()
            version = DatasetVersion(
                dataset=name,
                version=str(number),
                digest=digest,
                rows=rows,
                bytes=stored.bytes,
                columns=tuple(columns),
                source=source,
                created_at=at,
                created_by=mutation.actor,
                parent=parent,
                inputs=tuple(inputs),
                made_by=made_by,
                object=stored.sha256,
                note=note,
            )
            connection.execute(
                "INSERT INTO dataset_versions (dataset, version, digest, object, record) VALUES (?, ?, ?, ?, ?)",
                (name, number, digest, stored.sha256, msgspec.msgpack.encode(version)),
            )
            after = {"version": version.version, "digest": digest, "rows": rows, "source": source}
            if made_by:
                after["made_by"] = made_by
            journal.append(connection, "dataset.import", version.ref, mutation, after=after, at=at)
            idempotency.note(connection, "dataset.add", mutation, version.ref)
            return _noted(connection, name, version), True

    def set_column(
        self, name: str, column: str, mutation: Mutation, *, note: str | None = None, unit: str | None = None
    ) -> None:
        """What a column means and is measured in, for all versions of the dataset."""
        for what, text in (("note", note), ("unit", unit)):
            check_text(f"a {what}", text or "", what)
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "dataset.column", mutation) is not None:
                return
            _dataset(connection, name)
            latest = _one(connection, "dataset = ? ORDER BY version DESC LIMIT 1", (name,))
            known = [each.name for each in latest.columns] if latest else []
            if column not in known:
                raise absent_among(known, f"column of {name}", column)
            row = connection.execute(
                "SELECT unit, note FROM column_notes WHERE dataset = ? AND name = ?", (name, column)
            ).fetchone()
            before = {"unit": row[0] if row else "", "note": row[1] if row else ""}
            after = {key: before[key] if given is None else given for key, given in (("unit", unit), ("note", note))}
            if after != before:
                connection.execute(
                    "INSERT OR REPLACE INTO column_notes (dataset, name, unit, note) VALUES (?, ?, ?, ?)",
                    (name, column, after["unit"], after["note"]),
                )
                journal.append(connection, "dataset.column", f"{name}.{column}", mutation, before=before, after=after)
            idempotency.note(connection, "dataset.column", mutation)

    def set_note(self, ref: str, note: str, mutation: Mutation) -> None:
        """Of a version (`name@version`), or of the dataset itself (`name`)."""
        check_text("a note", note, "note")
        name, at, number = ref.rpartition("@")
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "dataset.note", mutation) is not None:
                return
            if at:
                version = _numbered(connection, name, number)
                if version is None:
                    raise absent(connection, "dataset", ref)
                before = version.note
                record = msgspec.msgpack.encode(msgspec.structs.replace(version, note=note))
                connection.execute(
                    "UPDATE dataset_versions SET record = ? WHERE dataset = ? AND version = ?",
                    (record, name, int(number)),
                )
            else:
                before = _dataset(connection, ref).note
                connection.execute("UPDATE datasets SET note = ? WHERE name = ?", (note, ref))
            if before != note:
                journal.append(connection, "dataset.note", ref, mutation, before={"note": before}, after={"note": note})
            idempotency.note(connection, "dataset.note", mutation)

    def delete(self, ref: str, mutation: Mutation) -> int:
        """The dataset (`name`) or one version of it; runs keep the digests that they read. Bytes nothing names now."""
        name, at, number = ref.rpartition("@")
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "dataset.delete", mutation) is not None:
                return 0
            if at:
                gone, before = _delete_version(connection, name, number)
            else:
                dataset = _dataset(connection, ref)
                gone = _all_versions(connection, ref)
                before = {"versions": dataset.versions, "rows": dataset.rows}
                connection.execute("DELETE FROM dataset_versions WHERE dataset = ?", (ref,))
                connection.execute("DELETE FROM datasets WHERE name = ?", (ref,))
                connection.execute("DELETE FROM column_notes WHERE dataset = ?", (ref,))
            freed = _unnamed_bytes(connection, gone)
            journal.append(connection, "dataset.delete", ref, mutation, before=before, after={"bytes": freed})
            idempotency.note(connection, "dataset.delete", mutation)
        return freed


def delete_version(connection: sqlite3.Connection, ref: str, mutation: Mutation) -> None:
    """One version, with its journal entry, in the caller's transaction; its file is the caller's."""
    name, _, number = ref.rpartition("@")
    gone, before = _delete_version(connection, name, number)
    after = {"bytes": _unnamed_bytes(connection, gone)}
    journal.append(connection, "dataset.delete", ref, mutation, before=before, after=after)


def _delete_version(
    connection: sqlite3.Connection, name: str, number: str
) -> tuple[list[DatasetVersion], dict[str, object]]:
    version = _numbered(connection, name, number)
    if version is None:
        raise absent(connection, "dataset", f"{name}@{number}")
    left = [each for each in _all_versions(connection, name) if each.version != number]
    if not left:
        raise Refused(
            f"{version.ref} is the only version of {name}; nothing was changed. Delete {name} itself instead."
        )
    connection.execute("DELETE FROM dataset_versions WHERE dataset = ? AND version = ?", (name, int(number)))
    # `versions` stays: the next number is made from it, and none is used twice
    latest = max(left, key=lambda each: int(each.version))
    connection.execute("UPDATE datasets SET latest = ?, rows = ? WHERE name = ?", (latest.version, latest.rows, name))
    return [version], {"digest": version.digest, "rows": version.rows, "source": version.source}


def _all_versions(connection: sqlite3.Connection, name: str) -> list[DatasetVersion]:
    rows = connection.execute("SELECT record FROM dataset_versions WHERE dataset = ?", (name,))
    return [_version(row[0]) for row in rows]


def _unnamed_bytes(connection: sqlite3.Connection, gone: list[DatasetVersion]) -> int:
    """Of the stored files of these deleted versions those that nothing else names, each once."""
    files = {version.object: version.bytes for version in gone}
    for sha256 in list(files):
        row = connection.execute(
            "SELECT EXISTS (SELECT 1 FROM dataset_versions WHERE object = ?1) "
            "OR EXISTS (SELECT 1 FROM artifacts WHERE sha256 = ?1)",
            (sha256,),
        ).fetchone()
        if row[0]:
            del files[sha256]
    return sum(files.values())


def _datasets(connection: sqlite3.Connection, name: str | None = None) -> list[Dataset]:
    rows = connection.execute(
        "SELECT name, created_at, created_by, updated_at, "
        "(SELECT COUNT(*) FROM dataset_versions WHERE dataset = datasets.name), latest, rows, note, tags FROM datasets "
        "WHERE ?1 IS NULL OR name = ?1 ORDER BY name",
        (name,),
    )
    return [
        Dataset(
            name=row[0],
            created_at=row[1],
            created_by=row[2],
            updated_at=row[3],
            versions=row[4],
            latest=row[5],
            rows=row[6],
            note=row[7],
            tags=msgspec.json.decode(row[8]),
        )
        for row in rows
    ]


def _dataset(connection: sqlite3.Connection, name: str) -> Dataset:
    found = _datasets(connection, name)
    if not found:
        raise absent(connection, "dataset", name)
    return found[0]


def _version(record: bytes) -> DatasetVersion:
    return msgspec.msgpack.decode(record, type=DatasetVersion)


def _column_notes(connection: sqlite3.Connection, dataset: str) -> dict[str, tuple[str, str]]:
    """column → (unit, note)."""
    rows = connection.execute("SELECT name, unit, note FROM column_notes WHERE dataset = ?", (dataset,))
    return {name: (unit, note) for name, unit, note in rows}


def _noted(connection: sqlite3.Connection, dataset: str, version: DatasetVersion) -> DatasetVersion:
    return _with_notes(version, _column_notes(connection, dataset))


def _with_notes(version: DatasetVersion, notes: dict[str, tuple[str, str]]) -> DatasetVersion:
    if not notes:
        return version
    columns = tuple(
        msgspec.structs.replace(column, unit=notes[column.name][0], note=notes[column.name][1])
        if column.name in notes
        else column
        for column in version.columns
    )
    return msgspec.structs.replace(version, columns=columns)


def _one(connection: sqlite3.Connection, where: str, bind: tuple[Any, ...]) -> DatasetVersion | None:
    row = connection.execute(f"SELECT record FROM dataset_versions WHERE {where}", bind).fetchone()
    return _version(row[0]) if row else None


def _numbered(connection: sqlite3.Connection, name: str, number: str) -> DatasetVersion | None:
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        return None
    return _one(connection, "dataset = ? AND version = ?", (name, int(number)))


def _with_digest(connection: sqlite3.Connection, name: str, digest: str) -> DatasetVersion | None:
    return _one(connection, "dataset = ? AND digest = ?", (name, digest))


def _by_digest(connection: sqlite3.Connection, ref: str) -> DatasetVersion:
    rows = []
    if len(ref) >= SHORTEST_DIGEST:
        rows = connection.execute(
            "SELECT record FROM dataset_versions WHERE digest >= ? AND digest < ? ORDER BY seq",
            (ref, ref + "\U0010ffff"),
        ).fetchall()
    found = [_version(row[0]) for row in rows]
    if not found:
        also = ", nor a version with a digest that begins so" if len(ref) >= SHORTEST_DIGEST else ""
        raise absent(connection, "dataset", ref, also)
    if len({version.digest for version in found}) > 1:
        raise Invalid(f"several versions have a digest that begins with {ref}; give more of it.", "ref")
    return found[0]
