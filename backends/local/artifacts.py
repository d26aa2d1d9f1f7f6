"""Files that runs and logged models leave: paths in the database, content in the object store."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from backends.contract import Invalid, Mutation, NotFound
from backends.entities import Artifact
from backends.entities.holdings import ARTIFACTS_GONE
from backends.local import idempotency, journal, logged_models, run_rows
from backends.local.database import Database, now
from backends.local.logged_models import PREFIX
from backends.local.objects import ObjectStore

_LONGEST_PATH: Final = 1024
_LONGEST_PART: Final = 255


def check_path(path: str) -> str:
    """A relative path that cannot leave its run: plain parts between single slashes."""
    parts = path.split("/")
    wrong = (
        "it is empty"
        if not path
        else "it begins at the root"
        if path.startswith("/")
        else "it holds a backslash"
        if "\\" in path
        else "it holds a control character"
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in path)
        else "it holds '..', '.' or an empty part"
        if any(part in ("", ".", "..") for part in parts)
        else f"it is longer than {_LONGEST_PATH} bytes, or a part than {_LONGEST_PART}"
        if len(_bytes(path)) > _LONGEST_PATH or any(len(_bytes(part)) > _LONGEST_PART for part in parts)
        else ""
    )
    if wrong:
        raise Invalid(f"an artifact needs a relative path within its run, and {path[:200]!r} is none: {wrong}.", "path")
    return path


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


class LocalArtifacts:
    """`ArtifactStore` of a workspace."""

    def __init__(self, database: Database, objects: ObjectStore) -> None:
        self._database = database
        self._objects = objects

    def list(self, run: str, *, prefix: str = "") -> tuple[Artifact, ...]:
        """By path; `prefix` is the beginning of a path."""
        with self._database.read() as connection:
            name = _owner(connection, run)
            rows = connection.execute(
                "SELECT run, path, bytes, sha256, created_at FROM artifacts "
                "WHERE run = ? AND path >= ? AND path < ? ORDER BY path",
                (name, prefix, prefix + "\U0010ffff"),
            )
            return tuple(
                Artifact(run=row[0], path=row[1], bytes=row[2], sha256=row[3], created_at=row[4]) for row in rows
            )

    def children(self, run: str, path: str = "") -> tuple[Artifact, ...]:
        """Folders, then files, each by name."""
        prefix = f"{check_path(path)}/" if path else ""
        files: list[Artifact] = []
        folders: dict[str, Artifact] = {}
        for found in self.list(run, prefix=prefix):
            name, slash, _ = found.path[len(prefix) :].partition("/")
            if slash:
                folders.setdefault(name, Artifact(run=found.run, path=prefix + name, bytes=0, sha256="", folder=True))
            else:
                files.append(found)
        return (*folders.values(), *files)

    def put(self, run: str, path: str, file: Path) -> Artifact:
        """Keep a copy of the file under the run. A second file at the same path takes the first one's place."""
        check_path(path)
        with self._database.read() as connection:
            name = _owner(connection, run)
        while True:
            stored = self._objects.put(file)
            made = Artifact(run=name, path=path, bytes=stored.bytes, sha256=stored.sha256, created_at=now())
            with self._database.write(durable=True) as connection:
                if not self._objects.has(stored.sha256):
                    continue  # a clean-up took it before this row named it; under this lock none can
                _owner(connection, name)
                connection.execute(
                    "INSERT OR REPLACE INTO artifacts (run, path, bytes, sha256, created_at) VALUES (?, ?, ?, ?, ?)",
                    (made.run, made.path, made.bytes, made.sha256, made.created_at),
                )
            return made

    def open(self, run: str, path: str, *, fetched: Callable[[int], object] | None = None) -> Path:  # noqa: ARG002
        return self._objects.path(self._sha256(run, path))

    def verify(self, run: str, path: str, sha256: str = "") -> bool:
        recorded = self._sha256(run, path)
        return sha256 in ("", recorded) and self._objects.verify(recorded)

    def remove(self, run: str, path: str, mutation: Mutation) -> None:
        """The content stays in the object store: others may hold it too."""
        check_path(path)
        with self._database.write(durable=True) as connection:
            if idempotency.made_before(connection, "artifact.remove", mutation) is not None:
                return
            name = _owner(connection, run)
            gone = connection.execute(
                "DELETE FROM artifacts WHERE run = ? AND (path = ? OR path >= ? AND path < ?) RETURNING path, sha256",
                (name, path, f"{path}/", f"{path}0"),
            ).fetchall()
            if not gone:
                raise NotFound(f"{name} has no artifact {path[:200]}; nothing was removed.")
            before = {"files": len(gone), "sha256": dict(gone[:20])}
            journal.append(connection, "artifact.remove", f"{name}/{path}", mutation, before=before)
            idempotency.note(connection, "artifact.remove", mutation)

    def _sha256(self, run: str, path: str) -> str:
        with self._database.read() as connection:
            name = _owner(connection, run)
            row = connection.execute("SELECT sha256 FROM artifacts WHERE run = ? AND path = ?", (name, path)).fetchone()
            gone = None if row is not None else removed(connection, name)
        if gone:
            raise NotFound(f"run {name} has no artifact {path[:200]} any more: its artifacts were removed {gone}.")
        if row is None:
            raise NotFound(f"{'model' if name.startswith(PREFIX) else 'run'} {name} has no artifact {path[:200]}.")
        sha256: str = row[0]
        return sha256


def _owner(connection: sqlite3.Connection, owner: str) -> str:
    """The whole id of a run, or of a logged model."""
    if owner.startswith(PREFIX):
        return logged_models.get(connection, owner).id
    return run_rows.find(connection, owner)[1]


def removed(connection: sqlite3.Connection, run: str) -> str:
    """When and by whom the artifacts of this run were removed, or empty."""
    row = connection.execute(
        "SELECT value FROM tags WHERE run = (SELECT seq FROM runs WHERE id = ?) AND key = ?", (run, ARTIFACTS_GONE)
    ).fetchone()
    return str(row[0]) if row else ""
