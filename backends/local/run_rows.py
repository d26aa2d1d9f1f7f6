"""Runs as records: rows of several tables, gathered for a handful of runs at a time."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from backends.contract import Invalid, NotFound
from backends.entities import DatasetInput, Progress, Run, RunStatus, Source

_COLUMNS: Final = (
    "seq, id, name, experiment, status, created_at, created_by, started_at, ended_at, parent, engine, exit_code, "
    "reason, deleted_at, note, source, progress, heard_at"
)
_SCOPES: Final = {"metrics": "latest_metric", "params": "params", "tags": "tags"}
_NO_SOURCE: Final = Source()
SHORTEST_ID: Final = 4
HEARD_MS: Final = 500
"""What comes sooner than this after a run's last word is not written down as a further one."""


def find(connection: sqlite3.Connection, run: str) -> tuple[int, str]:
    """(seq, whole id) of a run named by its id or by a unique beginning of it."""
    row: tuple[int, str] | None = connection.execute("SELECT seq, id FROM runs WHERE id = ?", (run,)).fetchone()
    if row is not None:
        return row
    if len(run) >= SHORTEST_ID:
        rows = connection.execute(
            "SELECT seq, id FROM runs WHERE id >= ? AND id < ? ORDER BY id LIMIT 2", (run, run + "\U0010ffff")
        ).fetchall()
        if len(rows) == 1:
            found: tuple[int, str] = rows[0]
            return found
        if rows:
            raise Invalid(f"several runs begin with {run}: {rows[0][1]}, {rows[1][1]}, …; give more of the id.", "run")
    raise _no_run(connection, run)


def _no_run(connection: sqlite3.Connection, run: str) -> NotFound:
    named = connection.execute("SELECT id FROM runs WHERE name = ? ORDER BY seq DESC LIMIT 1", (run,)).fetchone()
    if named is not None:
        return NotFound(f"run {run} is not there by that id; a run of that name has the id {named[0]}.")
    return NotFound(f"run {run} is not there; give a run's id, or its first {SHORTEST_ID} characters or more.")


def gather(
    connection: sqlite3.Connection, seqs: Sequence[int], columns: Sequence[str] | None = None
) -> tuple[Run, ...]:
    """The runs in the order given; `columns` (`metrics.auc`, …) limits which keys are filled in."""
    if not seqs:
        return ()
    marks = ", ".join("?" * len(seqs))
    rows = {
        row[0]: row for row in connection.execute(f"SELECT {_COLUMNS} FROM runs WHERE seq IN ({marks})", tuple(seqs))
    }
    keyed = {scope: _keyed(connection, scope, seqs, columns) for scope in _SCOPES}
    inputs: dict[int, list[DatasetInput]] = {}
    for seq, *read in connection.execute(
        f"SELECT run, dataset, version, digest, context, source_type, source FROM run_inputs WHERE run IN ({marks})",
        tuple(seqs),
    ):
        inputs.setdefault(seq, []).append(
            DatasetInput(
                dataset=read[0], version=read[1], digest=read[2], context=read[3], source_type=read[4], source=read[5]
            )
        )
    broken: dict[int, dict[str, int]] = {}
    for seq, key, step in connection.execute(
        f"SELECT run, key, broke FROM latest_metric WHERE broke IS NOT NULL AND run IN ({marks})", tuple(seqs)
    ):
        broken.setdefault(seq, {})[key] = step
    return tuple(
        _run(
            rows[seq],
            {scope: found.get(seq, {}) for scope, found in keyed.items()},
            tuple(inputs.get(seq, ())),
            broken.get(seq, {}),
        )
        for seq in seqs
        if seq in rows
    )


def detailed(connection: sqlite3.Connection, run: Run) -> Run:
    """The run with what was logged of its datasets in full."""
    if not run.inputs:
        return run
    inputs = []
    for read in run.inputs:
        row = connection.execute(
            "SELECT schema, profile FROM input_details WHERE dataset = ? AND digest = ?", (read.dataset, read.digest)
        ).fetchone()
        inputs.append(msgspec.structs.replace(read, schema=row[0], profile=row[1]) if row else read)
    return msgspec.structs.replace(run, inputs=tuple(inputs))


def _keyed(
    connection: sqlite3.Connection, scope: str, seqs: Sequence[int], columns: Sequence[str] | None
) -> dict[int, dict[str, Any]]:
    chosen: Iterable[str] = ()
    among = ""
    if columns is not None:
        chosen = [name.removeprefix(f"{scope}.") for name in columns if name.startswith(f"{scope}.")]
        if not chosen:
            return {}
        among = f" AND key IN ({', '.join('?' * len(chosen))})"
    found: dict[int, dict[str, Any]] = {}
    for seq, key, value in connection.execute(
        f"SELECT run, key, value FROM {_SCOPES[scope]} WHERE run IN ({', '.join('?' * len(seqs))}){among}",
        (*seqs, *chosen),
    ):
        found.setdefault(seq, {})[key] = math.nan if value is None else value
    return found


def _run(
    row: tuple[Any, ...], keyed: dict[str, dict[str, Any]], inputs: tuple[DatasetInput, ...], broken: dict[str, int]
) -> Run:
    return Run(
        id=row[1],
        name=row[2],
        experiment=row[3],
        status=RunStatus(row[4]),
        created_at=row[5],
        created_by=row[6],
        started_at=row[7],
        ended_at=row[8],
        parent=row[9],
        engine=row[10],
        exit_code=row[11],
        reason=row[12],
        deleted_at=row[13],
        note=row[14],
        source=_NO_SOURCE if row[15] == "{}" else msgspec.json.decode(row[15], type=Source),
        progress=None if row[16] is None else msgspec.json.decode(row[16], type=Progress),
        heard_at=row[17],
        broken=broken,
        params=keyed["params"],
        metrics=keyed["metrics"],
        tags=keyed["tags"],
        inputs=inputs,
    )


def write_heard(connection: sqlite3.Connection, seq: int, at: int) -> None:
    """The run said something. `at` is by the store's clock: what a client calls the time may be another machine's."""
    connection.execute(
        "UPDATE runs SET heard_at = ?1 WHERE seq = ?2 AND coalesce(heard_at, 0) <= ?1 - ?3", (at, seq, HEARD_MS)
    )


def write_text(connection: sqlite3.Connection, seq: int) -> None:
    """Bring the searchable text of a run up to date."""
    (text,) = connection.execute(
        "SELECT name || char(10) || note || char(10) || experiment FROM runs WHERE seq = ?", (seq,)
    ).fetchone()
    values = connection.execute(
        "SELECT value FROM params WHERE run = :run UNION ALL SELECT value FROM tags WHERE run = :run", {"run": seq}
    )
    text = searchable(text, (value for (value,) in values))
    old = connection.execute("SELECT text FROM run_text WHERE run = ?", (seq,)).fetchone()
    if old is not None:
        if old[0] == text:
            return
        connection.execute("INSERT INTO run_search (run_search, rowid, text) VALUES ('delete', ?, ?)", (seq, old[0]))
    connection.execute("INSERT OR REPLACE INTO run_text VALUES (?, ?)", (seq, text))
    connection.execute("INSERT INTO run_search (rowid, text) VALUES (?, ?)", (seq, text))


def searchable(head: str, values: Iterable[str]) -> str:
    """Name, note and experiment, then each different value on a line of its own, in lower case."""
    return "\n".join((head, *dict.fromkeys(values))).lower()
