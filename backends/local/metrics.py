"""The course of metrics: points arrive in a tail of rows, move into chunks, and are read as few cells.

A chunk overlaps its neighbours only where steps came far out of order; those stretches are read point by point.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from typing import Final

from backends.entities import MetricPoint, MetricSeries
from backends.local.points import (
    CHUNK,
    STRETCH,
    Cell,
    Points,
    buckets,
    cells,
    in_order,
    join,
    over,
    pack,
    pack_cells,
    unpack,
    unpack_cells,
)

REACH: Final = 4
"""How many finished chunks a step back may rewrite; a longer one leaves an overlap instead."""


def append(connection: sqlite3.Connection, run: int, points: Sequence[MetricPoint]) -> None:
    """Append points to a run's metrics, in the caller's transaction."""
    by_key: dict[str, list[MetricPoint]] = {}
    for point in points:
        by_key.setdefault(point.key, []).append(point)
    for key, added in by_key.items():
        _append(connection, run, key, added)


def _append(connection: sqlite3.Connection, run: int, key: str, added: list[MetricPoint]) -> None:
    last = max(added, key=lambda point: (point.step, point.at))
    # max() gives the first of equals; the last one said is the one that counts.
    last = next(point for point in reversed(added) if (point.step, point.at) == (last.step, last.at))
    known = connection.execute(
        "SELECT step, at, tail FROM latest_metric WHERE run = ? AND key = ?", (run, key)
    ).fetchone()
    tail = 0 if known is None else known[2]
    if tail + len(added) < CHUNK:
        _to_tail(connection, run, key, added)
        tail += len(added)
    else:
        tail = _fold(connection, run, key, added)
    if known is None:
        connection.execute(
            "INSERT INTO latest_metric (run, key, value, step, at, count, tail) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (run, key, last.value, last.step, last.at, len(added), tail),
        )
    elif (last.step, last.at) >= (known[0], known[1]):
        connection.execute(
            "UPDATE latest_metric SET value = ?, step = ?, at = ?, count = count + ?, tail = ? "
            "WHERE run = ? AND key = ?",
            (last.value, last.step, last.at, len(added), tail, run, key),
        )
    else:
        connection.execute(
            "UPDATE latest_metric SET count = count + ?, tail = ? WHERE run = ? AND key = ?",
            (len(added), tail, run, key),
        )


def _to_tail(connection: sqlite3.Connection, run: int, key: str, added: Sequence[MetricPoint]) -> None:
    connection.executemany(
        "INSERT INTO metric_tail (run, key, step, at, value) VALUES (?, ?, ?, ?, ?)",
        [(run, key, point.step, point.at, point.value) for point in added],
    )


def _fold(connection: sqlite3.Connection, run: int, key: str, added: Sequence[MetricPoint]) -> int:
    """Move the tail and the new points into chunks; what does not fill one stays. Returns the length of the tail."""
    rows = connection.execute(
        "DELETE FROM metric_tail WHERE run = ? AND key = ? RETURNING seq, step, at, value", (run, key)
    ).fetchall()
    rows.sort()
    tail = Points(*_columns([row[1:] for row in rows]))
    fresh = Points(*_columns([(point.step, point.at, point.value) for point in added]))
    points = join((tail, fresh))
    points = join((*_reached(connection, run, key, points.steps[0]), points))
    whole = points.size - points.size % CHUNK
    for start in range(0, whole, CHUNK):
        part = points.part(start, start + CHUNK)
        heights = cells(part)
        made = connection.execute(
            "INSERT INTO metric_chunks (run, key, first_step, last_step, count, summary) VALUES (?, ?, ?, ?, ?, ?)",
            (run, key, part.steps[0], part.steps[-1], CHUNK, pack_cells([over(heights)])),
        ).lastrowid
        connection.execute("INSERT INTO metric_points VALUES (?, ?, ?)", (made, pack_cells(heights), pack(part)))
    rest = points.part(whole, points.size)
    connection.executemany(
        "INSERT INTO metric_tail (run, key, step, at, value) VALUES (?, ?, ?, ?, ?)",
        [(run, key, step, at, value) for step, at, value in zip(*rest, strict=True)],
    )
    return rest.size


def _columns(rows: Sequence[tuple[int, int, float | None]]) -> Points:
    steps, times, values = zip(*rows, strict=True) if rows else ((), (), ())
    return in_order(steps, times, (math.nan if value is None else value for value in values))


def _reached(connection: sqlite3.Connection, run: int, key: str, step: int) -> list[Points]:
    """Take out the newest chunks that go beyond `step`, oldest first, unless there are more than `REACH` of them."""
    found = connection.execute(
        "SELECT chunk, last_step FROM metric_chunks WHERE run = ? AND key = ? "
        "ORDER BY first_step DESC, chunk DESC LIMIT ?",
        (run, key, REACH + 1),
    ).fetchall()
    beyond = [chunk for chunk, last_step in found if last_step > step]
    if not beyond or len(beyond) > REACH:
        return []
    taken = []
    for chunk in reversed(beyond):
        connection.execute("DELETE FROM metric_chunks WHERE chunk = ?", (chunk,))
        (blob,) = connection.execute("DELETE FROM metric_points WHERE chunk = ? RETURNING points", (chunk,)).fetchone()
        taken.append(unpack(blob))
    return taken


class _Chunk:
    """One row of `metric_chunks`, opened as far as needed."""

    def __init__(self, connection: sqlite3.Connection, row: tuple[int, int, int, int, bytes]) -> None:
        self._connection = connection
        self._chunk, self.first, self.last, self.count, self._summary = row

    def summary(self) -> bytes:
        return self._summary

    def cells(self) -> list[Cell]:
        row = self._connection.execute("SELECT pyramid FROM metric_points WHERE chunk = ?", (self._chunk,)).fetchone()
        return unpack_cells(row[0])

    def points(self) -> Points:
        row = self._connection.execute("SELECT points FROM metric_points WHERE chunk = ?", (self._chunk,)).fetchone()
        return unpack(row[0])


def every_point(connection: sqlite3.Connection, run: int, key: str) -> Points:
    """All that was logged, by step; of one step in the order logged."""
    chunks = connection.execute(
        "SELECT p.points FROM metric_chunks c JOIN metric_points p ON p.chunk = c.chunk "
        "WHERE c.run = ? AND c.key = ? ORDER BY c.first_step, c.chunk",
        (run, key),
    )
    parts = [unpack(blob) for (blob,) in chunks]
    tail = connection.execute(
        "SELECT step, at, value FROM metric_tail WHERE run = ? AND key = ? ORDER BY seq", (run, key)
    )
    return join((*parts, _columns(tail.fetchall())))


def latest(connection: sqlite3.Connection, run: int) -> tuple[MetricPoint, ...]:
    """The latest point of each metric, by key."""
    return tuple(
        MetricPoint(key=key, value=math.nan if value is None else value, step=step, at=at)
        for key, value, step, at in connection.execute(
            "SELECT key, value, step, at FROM latest_metric WHERE run = ? ORDER BY key", (run,)
        )
    )


def series(
    connection: sqlite3.Connection,
    run: int,
    name: str,
    key: str,
    *,
    most: int,
    first_step: int | None,
    last_step: int | None,
) -> MetricSeries:
    """The course between two steps, in at most `most` buckets. `name` is the run's id in the answer."""
    low = -(2**63) if first_step is None else first_step
    high = 2**63 - 1 if last_step is None else last_step
    bind = (run, key, high, low)
    chunks = [
        _Chunk(connection, row)
        for row in connection.execute(
            "SELECT chunk, first_step, last_step, count, summary FROM metric_chunks "
            "WHERE run = ? AND key = ? AND first_step <= ? AND last_step >= ? ORDER BY first_step, chunk",
            bind,
        )
    ]
    tail = _columns(
        connection.execute(
            "SELECT step, at, value FROM metric_tail "
            "WHERE run = ? AND key = ? AND step <= ? AND step >= ? ORDER BY seq",
            bind,
        ).fetchall()
    )
    loose: list[Points] = []
    found: list[Cell] = []
    summaries: list[bytes] = []
    total = sum(chunk.count for chunk in chunks) + tail.size
    reached = low
    for place, chunk in enumerate(chunks):
        follower = chunks[place + 1].first if place + 1 < len(chunks) else high
        apart = reached <= chunk.first and chunk.last <= follower and not (tail.size and tail.steps[0] < chunk.last)
        reached = max(reached, chunk.last)
        if not apart or chunk.last > high or total <= most * STRETCH:
            loose.append(chunk.points())
        elif total < most * CHUNK:
            found += chunk.cells()
        else:
            summaries.append(chunk.summary())
    found += unpack_cells(b"".join(summaries))
    points = join((*loose, tail)).between(first_step, last_step)
    # A quarter of a bucket is fine enough to share out.
    width = max(1, min(total // (4 * most), STRETCH))
    found += cells(points, width)
    found.sort(key=lambda cell: cell.first)
    return MetricSeries(
        run=name, key=key, buckets=buckets(found, most), count=sum(cell.filled + cell.gaps for cell in found)
    )
