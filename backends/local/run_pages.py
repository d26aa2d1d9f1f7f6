"""Pages of runs: keyset walks both ways over a million rows, numbered where that is cheap.

One sort key walks the stretches of its index. A filter is first tried row by row along that walk, for a few
milliseconds: frequent hits fill a page at once. When the time is spent hits are rare, so they are gathered as a set and
sorted. Several sort keys walk the index of the first and order the ties by the others, unless too many tie.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from backends.contract import END, START, Count, Invalid, NotFound
from backends.local import run_rows
from backends.local.run_order import (
    NEWEST,
    Place,
    Stretch,
    full_sort,
    full_values,
    joins,
    place_in,
    raw_columns,
    stretch_of,
    stretches,
    width,
)
from backends.query import Key, Node, Order, Query
from backends.query_nodes import asks

BUDGET_S: Final = 0.012
"""How long a row-by-row walk may take before hits count as rare."""
_TICK: Final = 1_000
"""SQLite operations between two looks at the clock."""
_TIES: Final = (200, 1_000, 5_000)
"""How many rows are read ahead to have whole groups of ties, before all are sorted instead."""
_LAST: Final = 2**63 - 1
FEW_HIDDEN: Final = 2_000
"""So many deleted runs are skipped by a set of their numbers; more of them by looking at each run."""


class Cut(NamedTuple):
    """The runs of one page, by seq, and where it stands."""

    seqs: tuple[int, ...]
    next: str | None
    previous: str | None
    first: int | None
    total: int | None


class _TooFarError(Exception):
    """The row-by-row walk has spent its budget."""


class _Cursor(msgspec.Struct, array_like=True):
    forward: bool
    values: list[Any]
    seq: int
    row: int | None
    """Row number of the first row beyond the cursor, or going back of the first row not wanted."""


class RunList:
    """One query over one snapshot."""

    def __init__(self, connection: sqlite3.Connection, query: Query | None, *, deleted: bool = False) -> None:
        self._connection = connection
        self._where: Node | None = query.where if query else None
        self._order: tuple[Order, ...] = (query.order if query else ()) or (NEWEST,)
        asked = self._where is not None and asks(self._where, Key("attribute", "deleted"))
        # A filter that speaks of `deleted` says itself which runs are meant.
        self._seen = "1" if asked and not deleted else f"r.deleted_at IS {'NOT ' if deleted else ''}NULL"
        counts = dict(connection.execute("SELECT value, runs FROM facets WHERE kind = 'all'").fetchall())
        self._hidden = counts.get("deleted", 0)
        self._all = counts.get("live", 0) + self._hidden
        self.total: int | None = None if self._where else counts.get("deleted" if deleted else "live", 0)
        self._walkable = not deleted and not asked
        self._stretches = self._plan() if self._walkable else []

    # ------------------------------------------------------------ conditions

    def _condition(self, by: Literal["row", "set"]) -> tuple[str, list[Any]]:
        if self._where is None:
            return "1", []
        from backends.local.compile import compile_runs  # only once somebody filters

        condition, binds = compile_runs(self._where, by=by, connection=self._connection if by == "set" else None)
        return condition, list(binds)

    def _plan(self) -> list[Stretch]:
        by = self._order[0]
        bare = None
        if self._where is None and self._hidden <= FEW_HIDDEN:
            bare = "1"
            if self._hidden:
                bare = "k.run NOT IN (SELECT d.seq FROM runs d WHERE d.deleted_at IS NOT NULL)"
        found = stretches(by, self._seen, bare=bare)
        if by.key.scope != "attribute":
            column = "measured" if by.key.scope == "metric" else "runs"
            row = self._connection.execute(
                f"SELECT {column} FROM keys WHERE scope = ? AND name = ?", (f"{by.key.scope}s", by.key.name)
            ).fetchone()
            if row is not None and row[0] == self._all:
                found.pop()  # none lacks it: looking for one would read every run
        return found

    # ------------------------------------------------------------ the page

    def page(self, at: str, limit: int) -> Cut:
        """The page at a cursor of the contract."""
        if limit < 1:
            raise Invalid(f"a page has at least one row, not {limit}.", "limit")
        if at == START:
            return self._forward(None, limit, 0)
        if at == END:
            return self._backward(None, limit, self.total)
        if at.startswith("#"):
            return self._seek(_number(at), limit)
        if at.startswith("@"):
            return self._around(at[1:], limit)
        cursor = _opened(at)
        place = Place(tuple(cursor.values), cursor.seq)
        if cursor.forward:
            return self._forward(place, limit, cursor.row)
        return self._backward(place, limit, cursor.row)

    def _forward(self, after: Place | None, limit: int, row: int | None) -> Cut:
        found = self._take(after, limit + 1, forward=True)
        return self._cut(found[:limit], row, before=after is not None, after=len(found) > limit)

    def _backward(self, before: Place | None, limit: int, row: int | None) -> Cut:
        found = self._take(before, limit + 1, forward=False)
        kept = found[:limit][::-1]
        first = None if row is None else max(0, row - len(kept))
        if len(found) <= limit:
            first = 0
        return self._cut(kept, first, before=len(found) > limit, after=before is not None)

    def _cut(self, places: Sequence[Place], first: int | None, *, before: bool, after: bool) -> Cut:
        total = self.total
        if total is None and first is not None and not after:
            total = first + len(places)
        ahead = behind = None
        if places and after:
            ahead = _sealed(True, places[-1], None if first is None else first + len(places))
        if places and before:
            behind = _sealed(False, places[0], first)
        return Cut(tuple(place.seq for place in places), ahead, behind, first, total)

    def _seek(self, row: int, limit: int) -> Cut:
        if row == 0:
            return self._forward(None, limit, 0)
        if self.total is not None:
            row = min(row, self.total)
            if self.total - row <= limit:
                found = self._take(None, self.total - row + 1, forward=False)
                return self._cut(found[: self.total - row][::-1], row, before=True, after=False)
            if row > self.total // 2:
                # From the nearer end: an offset costs what it skips.
                found = self._take(None, limit + 1, forward=False, skip=self.total - row - limit)
                return self._cut(found[:limit][::-1], row, before=True, after=True)
        found = self._take(None, limit + 1, forward=True, skip=row)
        return self._cut(found[:limit], row, before=True, after=len(found) > limit)

    def _around(self, run: str, limit: int) -> Cut:
        seq, _ = run_rows.find(self._connection, run)
        place = self._place(seq)
        if place is None:
            raise NotFound(f"run {run} is not in this list; its filter leaves it out, or it was deleted.")
        row = self._rank(place)
        lead = row % limit
        before = self._take(place, lead, forward=False)[::-1] if lead else []
        after = self._take(place, limit - lead, forward=True)
        whole = [*before, place, *after[: limit - lead - 1]]
        return self._cut(whole, row - lead, before=row > lead, after=len(after) > limit - lead - 1)

    # ------------------------------------------------------------ rows

    def _take(self, start: Place | None, count: int, *, forward: bool, skip: int = 0) -> list[Place]:
        """The next `count` places from `start`, nearest first."""
        if self._walkable:
            try:
                if len(self._order) == 1:
                    return self._walk(start, count, forward, skip)
                if not skip:
                    return self._walk_ties(start, count, forward)
            except _TooFarError:
                pass
        return self._sort(start, count, forward, skip)

    def _walk_ties(self, start: Place | None, count: int, forward: bool) -> list[Place]:
        """Walk by the first key in whole groups of equal values, and order each group by the other keys."""
        begin = None
        if start is not None:
            up = self._order[0].descending != forward
            begin = Place(start.values[: width(self._order[:1])], -1 if up else _LAST)
        for size in _TIES:
            if size < count:
                continue
            found = self._walk(begin, size, forward, 0)
            whole = len(found) < size
            if not whole:
                torn = found[-1].values
                found = [place for place in found if place.values != torn]
            kept = self._ordered([place.seq for place in found], start, forward)
            if whole or len(kept) >= count:
                return kept[:count]
        raise _TooFarError

    def _ordered(self, seqs: Sequence[int], start: Place | None, forward: bool) -> list[Place]:
        """The places of some runs in the whole order, those beyond `start`."""
        more, named = joins(self._order)
        rows = self._connection.execute(
            f"SELECT {', '.join(raw_columns(self._order))}, r.seq FROM runs r{more} "
            "WHERE r.seq IN (SELECT value FROM json_each(?))",
            (*named, msgspec.json.encode(seqs).decode()),
        )
        places = {Place(tuple(row[:-1]), row[-1]) for row in rows}
        if start is not None:
            places.add(start)
        ranked = [(full_values(self._order, place), place) for place in places]
        for column, (_, down) in reversed(list(enumerate(full_sort(self._order)))):
            # Columns that may be NULL have a flag of their own before them; here NULL must only not meet a text.
            ranked.sort(
                key=lambda pair: (True, 0) if (value := pair[0][column]) is None else (False, value),
                reverse=down == forward,
            )
        found = [place for _, place in ranked]
        return found if start is None else found[found.index(start) + 1 :]

    def _walk(self, start: Place | None, count: int, forward: bool, skip: int) -> list[Place]:
        by = self._order[0]
        condition, binds = self._condition("row")
        found: list[Place] = []
        first: int = 0
        bounds: tuple[Any, ...] = ()
        if start is not None:
            first, bounds = stretch_of(by, self._stretches, start)
            if len(bounds) != len(self._stretches[first].sort):
                # It lacked the key, and no run does any more: it stands behind them all.
                if forward:
                    return []
                bounds = ()
        elif not forward:
            first = len(self._stretches) - 1
        places = range(first, len(self._stretches)) if forward else range(first, -1, -1)
        up = by.descending != forward
        with _budget(self._connection, self._where is not None):
            for number in places:
                stretch = self._stretches[number]
                for where, values, sort in _stages(stretch, bounds if number == first else (), up):
                    rows = self._connection.execute(
                        f"SELECT {', '.join(stretch.sort)} FROM {stretch.source} "
                        f"WHERE {stretch.where} AND {where} AND {condition} "
                        f"ORDER BY {', '.join(f'{column} {_word(up)}' for column in sort)} LIMIT ? OFFSET ?",
                        (*stretch.binds, *values, *binds, count - len(found), skip),
                    ).fetchall()
                    found += [place_in(by, stretch, row) for row in rows]
                    if len(found) >= count:
                        return found
                if skip:
                    skip = 0 if found else skip - self._size(stretch, condition, binds)
        return found

    def _size(self, stretch: Stretch, condition: str, binds: Sequence[Any]) -> int:
        row = self._connection.execute(
            f"SELECT count(*) FROM {stretch.source} WHERE {stretch.where} AND {condition}", (*stretch.binds, *binds)
        ).fetchone()
        size: int = row[0]
        return size

    def _sort(self, start: Place | None, count: int, forward: bool, skip: int) -> list[Place]:
        columns = [(expression, down != forward) for expression, down in full_sort(self._order)]
        source, binds = self._sorted_source()
        where, values = _beyond(columns, full_values(self._order, start)) if start else ("1", [])
        rows = self._connection.execute(
            f"{source} WHERE {where} ORDER BY {', '.join(f'{column} {_word(up)}' for column, up in columns)} "
            "LIMIT ? OFFSET ?",
            (*binds, *values, count, skip),
        ).fetchall()
        return [Place(tuple(row[:-1]), row[-1]) for row in rows]

    def _sorted_source(self) -> tuple[str, list[Any]]:
        """SELECT … FROM of every hit with the tables of the sort."""
        condition, binds = self._condition("set")
        more, named = joins(self._order)
        return (
            # The plus keeps SQLite from walking every run by `deleted_at` where the condition has an index of its own.
            f"WITH hits AS MATERIALIZED (SELECT r.seq FROM runs r WHERE +{self._seen} AND {condition}) "
            f"SELECT {', '.join(raw_columns(self._order))}, r.seq "
            f"FROM hits h CROSS JOIN runs r ON r.seq = h.seq{more}",
            [*binds, *named],
        )

    def _place(self, seq: int) -> Place | None:
        condition, binds = self._condition("row")
        more, named = joins(self._order)
        row = self._connection.execute(
            f"SELECT {', '.join(raw_columns(self._order))}, r.seq FROM runs r{more} "
            f"WHERE r.seq = ? AND {self._seen} AND {condition}",
            (*named, seq, *binds),
        ).fetchone()
        return None if row is None else Place(tuple(row[:-1]), row[-1])

    def _rank(self, place: Place) -> int:
        """How many rows stand before a place."""
        if self._walkable and len(self._order) == 1:
            try:
                return self._walked_rank(place)
            except _TooFarError:
                pass
        columns = [(expression, down) for expression, down in full_sort(self._order)]
        source, binds = self._sorted_source()
        where, values = _beyond(columns, full_values(self._order, place))
        row = self._connection.execute(f"SELECT count(*) FROM ({source} WHERE {where})", (*binds, *values)).fetchone()
        rank: int = row[0]
        return rank

    def _walked_rank(self, place: Place) -> int:
        by = self._order[0]
        condition, binds = self._condition("row")
        mine, bounds = stretch_of(by, self._stretches, place)
        rank = 0
        with _budget(self._connection, self._where is not None):
            for stretch in self._stretches[:mine]:
                rank += self._size(stretch, condition, binds)
            stretch = self._stretches[mine]
            for where, values, _ in _stages(stretch, bounds, by.descending):
                row = self._connection.execute(
                    f"SELECT count(*) FROM {stretch.source} WHERE {stretch.where} AND {where} AND {condition}",
                    (*stretch.binds, *values, *binds),
                ).fetchone()
                rank += row[0]
        return rank

    def count(self, limit: int) -> Count:
        """How many there are, counting no further than `limit` where that takes work."""
        if self.total is not None:
            return Count(value=self.total)
        source = "SELECT 1 FROM runs r WHERE +{seen} AND {condition} LIMIT ?"
        try:
            condition, binds = self._condition("row")
            with _budget(self._connection, True):
                row = self._connection.execute(
                    f"SELECT count(*) FROM ({source.format(seen=self._seen, condition=condition)})", (*binds, limit + 1)
                ).fetchone()
        except _TooFarError:
            row = self._connection.execute(*self._rare_count(limit + 1)).fetchone()
        return Count(value=min(row[0], limit), exact=row[0] <= limit)

    def _rare_count(self, limit: int) -> tuple[str, tuple[Any, ...]]:
        """A count of at most `limit` hits, from their index where there is one: it stops as soon as it has them."""
        from backends.local.compile import compile_hits

        assert self._where is not None  # noqa: S101  # without a filter the total is known
        hits = compile_hits(self._where, connection=self._connection)
        if hits is None:
            condition, binds = self._condition("set")
            rows = f"SELECT 1 FROM runs r WHERE +{self._seen} AND {condition} LIMIT ?"
        else:
            chosen, binds = hits
            rows = (
                f"SELECT DISTINCT r.seq FROM ({chosen}) d CROSS JOIN runs r ON r.seq = d.seq "
                f"WHERE +{self._seen} LIMIT ?"
            )
        return f"SELECT count(*) FROM ({rows})", (*binds, limit)


# ---------------------------------------------------------------- cursors and clauses


def _sealed(forward: bool, place: Place, row: int | None) -> str:
    return "~" + msgspec.msgpack.encode(_Cursor(forward, list(place.values), place.seq, row)).hex()


def _opened(at: str) -> _Cursor:
    try:
        if at.startswith("~"):
            return msgspec.msgpack.decode(bytes.fromhex(at[1:]), type=_Cursor)
    except (ValueError, msgspec.MsgspecError):
        pass
    raise Invalid(f"{at!r} is no cursor of this list; start again from the first page.", "at")


def _number(at: str) -> int:
    try:
        return max(0, int(at[1:]))
    except ValueError:
        raise Invalid(f"{at!r} is no row number; rows are numbered from #0.", "at") from None


def _word(up: bool) -> str:
    return "ASC" if up else "DESC"


def _stages(stretch: Stretch, bounds: Sequence[Any], up: bool) -> list[tuple[str, Sequence[Any], Sequence[str]]]:
    """What lies beyond a place, as walks within one range of the index each: (condition, binds, sort).

    First those that differ in the last column only, then in the one before it, and so on.
    """
    if not bounds:
        return [("1", (), stretch.sort)]
    sign = ">" if up else "<"
    found: list[tuple[str, Sequence[Any], Sequence[str]]] = []
    for depth in range(len(stretch.sort), 0, -1):
        same = [f"{column} = ?" for column in stretch.sort[: depth - 1]]
        where = " AND ".join([*same, f"{stretch.sort[depth - 1]} {sign} ?"])
        found.append((where, bounds[:depth], stretch.sort[depth - 1 :]))
    return found


def _beyond(columns: Sequence[tuple[str, bool]], values: Sequence[Any]) -> tuple[str, list[Any]]:
    """The same as one condition over a whole sort; (expression, ascending)."""
    either, binds = [], []
    for depth, ((expression, up), value) in enumerate(zip(columns, values, strict=True)):
        if value is None:
            continue  # NULL stands only behind its own flag, where all are NULL
        same = [f"{column} IS ?" for column, _ in columns[:depth]]
        either.append(" AND ".join([*same, f"{expression} {'>' if up else '<'} ?"]))
        binds += [*values[:depth], value]
    return f"({' OR '.join(f'({part})' for part in either)})", binds


class _budget:  # noqa: N801
    """Stops the connection's statement with `_TooFarError` once it has taken `BUDGET_S`."""

    def __init__(self, connection: sqlite3.Connection, limited: bool) -> None:
        self._connection = connection
        self._limited = limited
        self._until = time.perf_counter() + BUDGET_S

    def __enter__(self) -> None:
        if self._limited:
            self._connection.set_progress_handler(self._tick, _TICK)

    def _tick(self) -> int:
        return time.perf_counter() > self._until

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._limited:
            self._connection.set_progress_handler(None, 0)
        if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorname == "SQLITE_INTERRUPT":
            raise _TooFarError from None
