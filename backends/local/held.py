"""What a workspace holds for its runs and datasets, and what needs it: rows in one snapshot, files as they are."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from backends.entities import DatasetVersion, ModelVersion, RunStatus
from backends.entities.holdings import KEEP, DataHolding, HeldFile, RunHolding
from backends.local.leftovers import tree_bytes
from backends.local.run_folder import RunFolder
from backends.local.run_log import log_files
from backends.local.settle import AT_REST, standing

ENDED: Final = tuple(status.value for status in RunStatus if status.ended)
_MARKS: Final = ", ".join("?" * len(ENDED))
_UNKEPT: Final = ("", "false", "no", "0")
_SOURCE: Final = re.compile(r"(?:runs|models):/+([^/]+)")


def run_holdings(
    connection: sqlite3.Connection, home: Path, only: Collection[str] | None = None
) -> Iterator[RunHolding]:
    """Runs that have ended and are deleted or hold something, the oldest first; of `only` those that have ended."""
    files = run_files(connection, only)
    registered = _registered(connection)
    folders = set(only) if only is not None else {entry.name for entry in _entries(home / "runs")}
    tags = _tags(connection, only)
    within, binds = _within("parent", only)
    parents = dict(
        connection.execute(
            f"SELECT parent, COUNT(*) FROM runs WHERE parent <> '' AND deleted_at IS NULL{within} GROUP BY parent",
            binds,
        ).fetchall()
    )
    within, binds = _within("id", only)
    for seq, run, name, experiment, at, deleted_at, note in connection.execute(
        "SELECT seq, id, name, experiment, coalesce(ended_at, created_at), deleted_at, note FROM runs "
        f"WHERE status IN ({_MARKS}){within} ORDER BY coalesce(ended_at, created_at), seq",
        (*ENDED, *binds),
    ):
        held = files.get(run, ())
        if deleted_at is None and not held and run not in folders:
            continue
        folder = RunFolder(home / "runs" / run)
        there = run in folders and folder.path.is_dir()
        log = sum(tree_bytes(file) for file in log_files(folder.log)) if there else 0
        copies = tree_bytes(folder.artifacts) if there else 0
        own = tags.get(seq, {})
        needed = (
            f"registered as {registered[run]}"
            if run in registered
            else "its supervisor is at work"
            if there and standing(folder) not in AT_REST
            else f"parent of {parents[run]} runs that stay"
            if run in parents and deleted_at is not None
            else ""
        )
        wanted = "it has a note" if note else ""
        if own.get(KEEP, "").strip().lower() not in _UNKEPT:
            wanted = "it is tagged keep"
        yield RunHolding(
            run=run,
            name=name,
            experiment=experiment,
            at=at,
            deleted_at=deleted_at,
            files=tuple(held),
            folder_bytes=max(0, tree_bytes(folder.path) - log - copies) if there else 0,
            copies_bytes=copies,
            log_bytes=log,
            tags=tuple(own),
            needed=needed,
            wanted=wanted,
        )


def pinned_objects(connection: sqlite3.Connection) -> frozenset[str]:
    """Files of runs that have not ended, and of models without a run."""
    rows = connection.execute(
        "SELECT DISTINCT a.sha256 FROM artifacts a LEFT JOIN logged_models m ON m.id = a.run "
        f"LEFT JOIN runs r ON r.id = coalesce(m.run, a.run) WHERE r.seq IS NULL OR r.status NOT IN ({_MARKS})",
        ENDED,
    )
    return frozenset(sha256 for (sha256,) in rows)


def data_holdings(connection: sqlite3.Connection) -> Iterator[DataHolding]:
    """Every dataset version, oldest first, with what needs it."""
    versions = [
        msgspec.msgpack.decode(record, type=DatasetVersion)
        for (record,) in connection.execute("SELECT record FROM dataset_versions ORDER BY seq")
    ]
    latest = dict(connection.execute("SELECT name, latest FROM datasets").fetchall())
    read = dict(
        connection.execute(
            "SELECT i.digest, COUNT(DISTINCT i.run) FROM run_inputs i JOIN runs r ON r.seq = i.run GROUP BY i.digest"
        ).fetchall()
    )
    trained = {used.digest: version.ref for version in _model_versions(connection) for used in version.inputs}
    made = {source: version.ref for version in versions for source in (version.parent, *version.inputs)}
    for version in versions:
        ref = version.ref
        needed = (
            f"the latest of {version.dataset}"
            if latest.get(version.dataset) == version.version
            else f"{trained[version.digest]} was trained on it"
            if version.digest in trained
            else f"read by {read[version.digest]} runs"
            if version.digest in read
            else f"{made[ref]} was made from it"
            if ref in made
            else "it has a note"
            if version.note
            else ""
        )
        yield DataHolding(
            ref=ref,
            digest=version.digest,
            at=version.created_at,
            object=version.object,
            bytes=version.bytes,
            needed=needed,
        )


def _within(column: str, only: Collection[str] | None) -> tuple[str, tuple[str, ...]]:
    """A further condition, and what it binds."""
    if only is None:
        return "", ()
    return f" AND {column} IN (SELECT value FROM json_each(?))", (msgspec.json.encode(list(only)).decode(),)


def run_files(connection: sqlite3.Connection, only: Collection[str] | None) -> dict[str, list[HeldFile]]:
    """By run: its artifacts and those of the models that it logged."""
    found: dict[str, list[HeldFile]] = {}
    within, binds = _within("m.run", only)
    of_models = connection.execute(
        "SELECT m.run, m.id, a.path, a.sha256, a.bytes FROM logged_models m JOIN artifacts a ON a.run = m.id "
        f"WHERE m.run <> ''{within} ORDER BY m.run, a.run, a.path",
        binds,
    )
    within, binds = _within("run", only)
    of_runs = connection.execute(
        f"SELECT run, '', path, sha256, bytes FROM artifacts WHERE run NOT GLOB 'm-*'{within} ORDER BY run, path", binds
    )
    for run, owner, path, sha256, size in (*of_runs, *of_models):
        found.setdefault(run, []).append(HeldFile(path=path, sha256=sha256, bytes=size, owner=owner))
    return found


def _registered(connection: sqlite3.Connection) -> dict[str, str]:
    """By run a registered version that stands on it: by its run, its file, its model or its source."""
    runs_of = dict(connection.execute("SELECT id, run FROM logged_models").fetchall())
    found: dict[str, str] = {}
    for version in _model_versions(connection):
        for owner in (version.run, version.logged_model, version.file.owner, *_SOURCE.findall(version.source)):
            if run := runs_of.get(owner, owner):
                found[run] = version.ref
    return found


def _model_versions(connection: sqlite3.Connection) -> Iterator[ModelVersion]:
    # The model's own name: a record may say the one from before a renaming.
    for model, record in connection.execute("SELECT model, record FROM model_versions ORDER BY seq"):
        yield msgspec.structs.replace(msgspec.msgpack.decode(record, type=ModelVersion), model=model)


def _tags(connection: sqlite3.Connection, only: Collection[str] | None) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    within, binds = _within("run", only)
    within = within.replace("(SELECT value", "(SELECT seq FROM runs WHERE id IN (SELECT value") + ")" * bool(within)
    for run, key, value in connection.execute(
        f"SELECT run, key, value FROM tags WHERE key NOT GLOB 'console.*' AND key NOT GLOB 'mlflow.*'{within}", binds
    ):
        found.setdefault(run, {})[key] = value
    return found


def _entries(folder: Path) -> Iterable[Path]:
    return folder.iterdir() if folder.is_dir() else ()
