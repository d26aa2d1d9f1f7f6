"""What makes the windows of monitors fewer: verbs of `MonitorStore`. Each is one transaction, so that whoever is killed
leaves either what was there before or what was wanted; none of them changes how many rows a monitor has counted."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Sequence

import msgspec

from backends.contract import Conflict, Invalid, Mutation
from backends.entities import Holding, Millis, Window
from backends.local import journal, service_rows
from backends.local.absent import absent
from backends.local.database import Database

_ALIGNED = "start - ((start % ?2) + ?2) % ?2"
"""Start of the stretch of ?2 ms that a window begins in; SQLite's remainder of a negative number is negative."""


class LocalCompaction:
    """The verbs of `MonitorStore` by which windows become fewer."""

    _database: Database

    def crowded(
        self, monitor: str, *, length: Millis, until: Millis, limit: int = 100_000
    ) -> tuple[tuple[Millis, int], ...]:
        """The stretches of `length` ms that have ended by `until` and hold more than one shorter window of the whole:
        the start of each, and how many it holds, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT {_ALIGNED} AS stretch, count(*) FROM windows WHERE monitor = ?1 AND segment = '' "
                'AND start < ?3 AND "end" - start < ?2 GROUP BY stretch HAVING count(*) > 1 AND stretch + ?2 <= ?3 '
                "ORDER BY stretch LIMIT ?4",
                (monitor, length, until, limit),
            ).fetchall()
        return tuple((start, count) for start, count in rows)

    def begun(
        self, monitor: str, *, length: Millis, offset: Millis = 0, since: Millis, until: Millis, segment: str = ""
    ) -> tuple[Millis, ...]:
        """Starts of the stretches of `length` ms in which a window begins, oldest first; from the index alone."""
        stretch = "({0} - ((({0} + ?3) % ?2) + ?2) % ?2)".format
        first = "SELECT min(start) FROM windows WHERE monitor = ?1 AND segment = ?4 AND start < ?6 AND start >="
        with self._database.read() as connection:
            # From stretch to stretch by one look into the index each: a year has half a million minutes.
            rows = connection.execute(
                f"WITH RECURSIVE found(start) AS ({first} ?5 UNION ALL "
                f"SELECT ({first} {stretch('found.start')} + ?2) FROM found WHERE found.start IS NOT NULL) "
                f"SELECT {stretch('start')} FROM found WHERE start IS NOT NULL",
                (monitor, length, offset, segment, since, until),
            ).fetchall()
        return tuple(start for (start,) in rows)

    def kept_segments(self, monitor: str) -> tuple[str, ...]:
        """Of which segments there are windows, whether they are counted on or not; without the whole, and without what
        is made from others."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT DISTINCT segment FROM windows WHERE monitor = ? AND segment <> '' ORDER BY segment", (monitor,)
            ).fetchall()
        return tuple(segment for (segment,) in rows if not segment.startswith("~"))

    def replace_windows(self, monitor: str, gone: Sequence[tuple[str, Millis]], made: Sequence[Window]) -> None:
        """Put windows in place of others (each by segment and start). Those of the whole, and of each segment, must
        hold as many rows as before; what stands under `~` is made from others and may go without a successor."""
        with self._database.write() as connection:
            before: Counter[str] = Counter()
            fewer = 0
            for segment, start in gone:
                row = connection.execute(
                    "DELETE FROM windows WHERE monitor = ? AND segment = ? AND start = ? RETURNING rows",
                    (monitor, segment, start),
                ).fetchone()
                if row is None and not segment.startswith("~"):
                    raise Conflict(
                        f"the window of {monitor} at {start} was to be merged and is not there any more; nothing was "
                        "changed, and the next pass looks again."
                    )
                if row is not None:
                    before[segment] += row[0]
                    fewer += not segment
            after: Counter[str] = Counter()
            for window in made:
                after[window.segment] += window.rows
                # One that stands there and was not named would be lost: its rows count as gone, and are missed.
                before[window.segment] += put_window(connection, window) or 0
            for segment in {*before, *after}:
                if not segment.startswith("~") and before[segment] != after[segment]:
                    raise Invalid(
                        f"windows of {monitor} with {before[segment]} rows were to be replaced by some with "
                        f"{after[segment]}; nothing was changed.",
                        "made",
                    )
            more = sum(not window.segment for window in made)
            connection.execute("UPDATE monitors SET windows = windows + ? WHERE name = ?", (more - fewer, monitor))

    def forget_windows(self, monitor: str, *, until: Millis, mutation: Mutation) -> int:
        """Let go of windows that ended by then, with an entry in the journal; how many of the whole. The newest stays.
        The rows that the monitor says to have counted stay, too."""
        where = (
            'monitor = ?1 AND start < ?2 AND "end" <= ?2 AND '
            "start < (SELECT max(start) FROM windows w WHERE w.monitor = ?1 AND w.segment = '')"
        )
        with self._database.write(durable=True) as connection:
            whole, rows = connection.execute(
                f"SELECT count(*), coalesce(sum(rows), 0) FROM windows WHERE {where} AND segment = ''", (monitor, until)
            ).fetchone()
            connection.execute(f"DELETE FROM windows WHERE {where}", (monitor, until))
            if whole:
                connection.execute("UPDATE monitors SET windows = windows - ? WHERE name = ?", (whole, monitor))
                journal.append(
                    connection, "monitor.forget", monitor, mutation,
                    before={"windows": whole, "rows": rows, "until": until},
                )  # fmt: skip
        return int(whole)

    def forget_batches(self, monitor: str, batches: Collection[str]) -> int:
        """Batches (and windows of batches) that need not be known again; how many were."""
        with self._database.write() as connection:
            return sum(
                connection.execute("DELETE FROM batches WHERE monitor = ? AND batch = ?", (monitor, batch)).rowcount
                for batch in batches
            )

    def holdings(self, monitor: str) -> tuple[Holding, ...]:
        """What is stored of a monitor, by what it is: how many, and about how many bytes."""
        with self._database.read() as connection:
            found = connection.execute("SELECT name FROM monitors WHERE name = ?", (monitor,)).fetchone()
            if found is None:
                raise absent(connection, "monitor", monitor)
            windows = connection.execute(
                "SELECT CASE WHEN substr(segment, 1, 1) = '~' THEN 'views' "
                "WHEN \"end\" - start >= 86400000 THEN 'days' "
                "WHEN \"end\" - start >= 3600000 THEN 'hours' ELSE 'minutes' END AS what, segment <> '' AS part, "
                "count(*), sum(length(record) + length(counts) + length(segment) + length(monitor) + 80) "
                "FROM windows WHERE monitor = ? GROUP BY what, part",
                (monitor,),
            ).fetchall()
            batches = connection.execute(
                "SELECT count(*), coalesce(sum(length(batch) + length(monitor) + 10), 0) FROM batches "
                "WHERE monitor = ?",
                (monitor,),
            ).fetchone()
        held = [Holding(what=what, segments=bool(part), count=count, bytes=size) for what, part, count, size in windows]
        return (*held, Holding(what="ids", count=batches[0], bytes=batches[1]))

    # ------------------------------------------------------------ services

    def service_sources(self) -> tuple[tuple[str, Millis], ...]:
        """Whose service windows are kept, each with the start of its newest."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT source, max(start) FROM service_windows GROUP BY source ORDER BY source"
            ).fetchall()
        return tuple((source, newest) for source, newest in rows)

    def compact_services(self, source: str, *, length: Millis, until: Millis, limit: int = 24) -> int:
        """Merge the shorter windows of a source by stretches of `length` ms that ended by then, at most `limit`
        stretches, the oldest; how many were merged into one."""
        with self._database.write() as connection:
            stretches = connection.execute(
                f"SELECT {_ALIGNED} AS stretch FROM service_windows WHERE source = ?1 AND start < ?3 "
                'AND "end" - start < ?2 GROUP BY stretch HAVING count(*) > 1 AND stretch + ?2 <= ?3 '
                "ORDER BY stretch LIMIT ?4",
                (source, length, until, limit),
            ).fetchall()
            for (start,) in stretches:
                service_rows.merge(connection, source, start, start + length)
        return len(stretches)

    def forget_services(self, source: str, *, until: Millis) -> int:
        """Let go of the service windows that ended by then."""
        with self._database.write() as connection:
            gone = connection.execute(
                'DELETE FROM service_windows WHERE source = ? AND start < ? AND "end" <= ?', (source, until, until)
            )
            return gone.rowcount


def put_window(connection: sqlite3.Connection, window: Window) -> int | None:
    """Keep a window in place of one with the same monitor, segment and start; the rows of that one, None without."""
    same = (window.monitor, window.segment, window.start)
    old = connection.execute(
        "DELETE FROM windows WHERE monitor = ? AND segment = ? AND start = ? RETURNING rows", same
    ).fetchone()
    connection.execute(
        'INSERT INTO windows (monitor, segment, start, "end", rows, state, record, counts) '
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *same,
            window.end,
            window.rows,
            window.state.value,
            msgspec.msgpack.encode(msgspec.structs.replace(window, counts=b"")),
            window.counts,
        ),
    )
    return None if old is None else int(old[0])
