"""The course of metrics: points arrive in a tail of rows, move into chunks, and are read as few cells.

A chunk overlaps its neighbours only where steps came far out of order; those stretches are read point by point.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Collection, Sequence
from itertools import accumulate, groupby
from operator import le
from typing import Final, NamedTuple

from backends.contract import Invalid
from backends.entities import MetricPoint, MetricSeries
from backends.local.limits import METRICS
from backends.local.points import (
    CHUNK,
    STRETCH,
    Columns,
    Points,
    buckets,
    cells,
    columns,
    in_order,
    join,
    over,
    pack,
    pack_cells,
    put_together,
    unpack,
    unpack_columns,
)

REACH: Final = 4
"""How many finished chunks a step back may rewrite; a longer one leaves an overlap instead."""


def append(connection: sqlite3.Connection, run: int, points: Sequence[MetricPoint]) -> None:
    """Append points to a run's metrics, in the caller's transaction. Invalid where that would be too many names."""
    by_key: dict[str, list[MetricPoint]] = {}
    for point in points:
        by_key.setdefault(point.key, []).append(point)
    _bound(connection, run, by_key)
    for key, added in by_key.items():
        _append(connection, run, key, added)


def _bound(connection: sqlite3.Connection, run: int, keys: Collection[str]) -> None:
    known = "SELECT 1 FROM latest_metric WHERE run = ? AND key = ?"
    fresh = list(keys)
    if len(keys) <= METRICS:
        fresh = [key for key in keys if connection.execute(known, (run, key)).fetchone() is None]
    if not fresh:
        return
    (had,) = connection.execute("SELECT count(*) FROM latest_metric WHERE run = ?", (run,)).fetchone()
    if had + len(fresh) > METRICS:
        raise Invalid(
            f"a run may have {METRICS:,} metrics and this one has {had:,}; of {len(keys):,} names given "
            f"{fresh[0][:80]!r} is one too many; nothing was logged. Put what varies into the step, not into the name.",
            "key",
        )


def _append(connection: sqlite3.Connection, run: int, key: str, added: list[MetricPoint]) -> None:
    last = max(added, key=lambda point: (point.step, point.at))
    # max() gives the first of equals; the last one said is the one that counts.
    last = next(point for point in reversed(added) if (point.step, point.at) == (last.step, last.at))
    known = connection.execute(
        "SELECT step, at, tail, value, broke FROM latest_metric WHERE run = ? AND key = ?", (run, key)
    ).fetchone()
    tail = 0 if known is None else known[2]
    if tail + len(added) < CHUNK:
        _to_tail(connection, run, key, added)
        tail += len(added)
    else:
        tail = _fold(connection, run, key, added)
    if known is None:
        connection.execute(
            "INSERT INTO latest_metric (run, key, value, step, at, count, tail, broke) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (run, key, last.value, last.step, last.at, len(added), tail, _broke(None, None, added, last)),
        )
    elif (last.step, last.at) >= (known[0], known[1]):
        connection.execute(
            "UPDATE latest_metric SET value = ?, step = ?, at = ?, count = count + ?, tail = ?, broke = ? "
            "WHERE run = ? AND key = ?",
            (last.value, last.step, last.at, len(added), tail, _broke(known[3], known[4], added, last), run, key),
        )
    else:
        connection.execute(
            "UPDATE latest_metric SET count = count + ?, tail = ? WHERE run = ? AND key = ?",
            (len(added), tail, run, key),
        )


def _broke(value: float | None, broke: int | None, added: Sequence[MetricPoint], last: MetricPoint) -> int | None:
    """From which step on the metric is not finite, though it was before; None while it is, or where it never was.

    `value` and `broke` are what was known before `added` came, both None of a new metric; `last` is the latest of it.
    """
    if math.isfinite(last.value):
        return None
    was_finite = value is not None and math.isfinite(value)
    for point in sorted(added, key=lambda point: (point.step, point.at)):
        if math.isfinite(point.value):
            was_finite, broke = True, None
        elif was_finite and broke is None:
            broke = point.step
    return broke


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
    if None in values:  # a NaN, as it is stored
        values = tuple(math.nan if value is None else value for value in values)
    return in_order(steps, times, values)


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


class _Chunks(NamedTuple):
    """Rows of `metric_chunks`, a column for each field."""

    chunk: tuple[int, ...] = ()
    first: tuple[int, ...] = ()
    last: tuple[int, ...] = ()
    points: tuple[int, ...] = ()
    summary: tuple[bytes, ...] = ()

    def apart(self, low: int, high: int, tail: Points) -> list[bool]:
        """Of each whether no other, nor the tail, has steps in between its own, and all of them are asked for."""
        if not self.first:
            return []
        until = min(high, tail.steps[0]) if tail.size else high
        if low <= self.first[0] and self.last[-1] <= until and all(map(le, self.last, self.first[1:])):
            return [True] * len(self.first)
        reached = accumulate(self.last, max, initial=low)
        followers = (*self.first[1:], high)
        return [
            before <= first and last <= min(follower, until)
            for before, first, last, follower in zip(reached, self.first, self.last, followers, strict=False)
        ]


def _pyramid(connection: sqlite3.Connection, chunk: int) -> Columns:
    row = connection.execute("SELECT pyramid FROM metric_points WHERE chunk = ?", (chunk,)).fetchone()
    return unpack_columns(row[0])


def _points(connection: sqlite3.Connection, chunk: int) -> Points:
    row = connection.execute("SELECT points FROM metric_points WHERE chunk = ?", (chunk,)).fetchone()
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
    rows = connection.execute(
        "SELECT chunk, first_step, last_step, count, summary FROM metric_chunks "
        "WHERE run = ? AND key = ? AND first_step <= ? AND last_step >= ? ORDER BY first_step, chunk",
        bind,
    ).fetchall()
    chunks = _Chunks(*zip(*rows, strict=True))
    tail = _columns(
        connection.execute(
            "SELECT step, at, value FROM metric_tail "
            "WHERE run = ? AND key = ? AND step <= ? AND step >= ? ORDER BY seq",
            bind,
        ).fetchall()
    )
    total = sum(chunks.points) + tail.size
    apart = chunks.apart(low, high, tail) if total > most * STRETCH else [False] * len(rows)
    # A quarter of a bucket is fine enough to share out.
    width = max(1, min(total // (4 * most), STRETCH))
    found: list[Columns] = []
    loose: list[Points] = []

    def cut() -> None:
        """Cells of what was opened point by point; none reaches over what was not."""
        found.append(columns(cells(join(loose).between(first_step, last_step), width)))
        loose.clear()

    for alone, places in groupby(range(len(rows)), apart.__getitem__):
        if not alone:
            loose += [_points(connection, chunks.chunk[place]) for place in places]
            continue
        cut()
        if total < most * CHUNK:
            found += [_pyramid(connection, chunks.chunk[place]) for place in places]
        else:
            found.append(unpack_columns(b"".join(chunks.summary[place] for place in places)))
    loose.append(tail)
    cut()
    whole = put_together(found)
    return MetricSeries(run=name, key=key, buckets=buckets(whole, most), count=sum(whole.filled) + sum(whole.gaps))
