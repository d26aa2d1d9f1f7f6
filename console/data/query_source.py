"""The rows of a SQL query as a source: SQLite by Python's own driver and only for reading, others through SQLAlchemy.

The query runs once. What it gives is put down as it comes, so that a second reading, should a column's type widen, has
the very same rows.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from backends.contract import BackendError, Invalid, Refused, Unauthorized, Unreachable, Unsupported
from console.data.cells import cell_array, first_turn
from console.data.inference import Guess, JsonGuess
from console.data.origin import masked
from console.data.reader import check_names
from console.data.stream import require_file

ROWS = 1 << 14
"""Fetched at once."""
SQLITE = "sqlite:///"
READS = re.compile(
    r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/|\()*(select|with|values|table|show|explain|describe|pragma)\b", re.I | re.S
)
ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, 33})
"""33 is SQLITE_RECURSIVE, which Python does not name before 3.12 everywhere."""
LOOK_EVERY = 100_000
"""Steps of SQLite between two moments in which a signal can be answered."""


class QuerySource:
    """A `Source` of the rows of one SELECT."""

    unit = "rows"
    size = 0

    def __init__(self, url: str, sql: str, staging: Path, columns: Sequence[str] = ()) -> None:
        if not READS.match(sql):
            raise Invalid(f"only a query that reads can be imported, such as SELECT …; this is {sql[:60]!r}.", "sql")
        self._url = url
        self._sql = sql
        self._wanted = tuple(columns)
        self._spool = staging / "query.arrow"
        self._spooled = False
        self._before = self._rows = 0
        self._mixed: dict[str, str] = {}

    def guess(self, field: Any) -> Guess:  # noqa: ARG002
        return JsonGuess()

    def batches(self, advanced: Callable[[int], None]) -> Iterator[Any]:
        """In the database's order."""
        self._before = self._rows = 0
        for batch in self._again() if self._spooled else self._first():
            self._before, self._rows = self._rows, self._rows + batch.num_rows
            advanced(self._rows)
            yield batch
        self._spooled = True

    def where(self, row: int) -> str:
        return f"row {self._before + row + 1} of the query"

    def part(self) -> str:
        return "the query"

    def remarks(self) -> Sequence[str]:
        if re.search(r"\border\s+by\b", self._sql, re.I):
            return ()
        return (
            "the query has no ORDER BY: the same rows may come in another order next time, and would be another "
            "version",
        )

    def about(self, column: str) -> str:
        return self._mixed.get(column, "")

    def _first(self) -> Iterator[Any]:
        import pyarrow as pa

        rows_of = _sqlite_rows if self._url.startswith(SQLITE) or self._url == "sqlite://" else _other_rows
        with self._spool.open("wb") as out, contextlib.closing(rows_of(self._url, self._sql)) as found:
            names = next(found)
            check_names(names, "the query")
            keep = self._positions(names)
            done = 0
            for rows in found:
                columns = list(zip(*rows, strict=True))
                arrays = [cell_array(columns[at], partial(_place, done, names[at])) for at in keep]
                for at, array in zip(keep, arrays, strict=True):
                    if pa.types.is_string(array.type) and names[at] not in self._mixed:
                        self._note_mixed(names[at], columns[at], done)
                done += len(rows)
                batch = pa.RecordBatch.from_arrays(arrays, [names[at] for at in keep])
                with pa.ipc.new_stream(pa.PythonFile(out, mode="w"), batch.schema) as stream:
                    stream.write_batch(batch)
                yield batch

    def _note_mixed(self, name: str, values: Sequence[Any], done: int) -> None:
        turn = first_turn(values, lambda value: type(value).__name__)
        if turn is not None:
            row, kind, before = turn
            self._mixed[name] = f"kept as text: {_place(done, name, row)}, holds a {kind} after values of {before}"

    def _again(self) -> Iterator[Any]:
        import pyarrow as pa

        with pa.memory_map(str(self._spool)) as spool:
            end = spool.size()
            while spool.tell() < end:
                with pa.ipc.open_stream(spool) as stream:
                    yield from stream

    def _positions(self, names: Sequence[str]) -> list[int]:
        missing = [name for name in self._wanted if name not in names]
        if missing:
            raise Invalid(f"the query has no column {missing[0]!r}; it has {', '.join(names[:40])}.", "columns")
        return [names.index(name) for name in self._wanted] if self._wanted else list(range(len(names)))


def _place(before: int, column: str, row: int) -> str:
    return f"row {before + row + 1} of the query, column {column!r}"


def _sqlite_rows(url: str, sql: str) -> Generator[Any, None, None]:
    """The column names, then lists of rows."""
    path = Path(unquote(url.removeprefix(SQLITE).partition("?")[0])).expanduser()
    if not url.startswith(SQLITE) or not path.name:
        raise Invalid("a SQLite database is named by its file: --from sqlite:///folder/file.db", "from")
    require_file(path)
    with path.open("rb") as file:
        if file.read(16) != b"SQLite format 3\0":
            raise Invalid(f"{path} is not a SQLite database.", "from")
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.set_authorizer(lambda deed, *_: sqlite3.SQLITE_OK if deed in ALLOWED else sqlite3.SQLITE_DENY)
            connection.set_progress_handler(lambda: 0, LOOK_EVERY)
            cursor = connection.execute(sql)
            yield [str(column[0]) for column in cursor.description or ()]
            while rows := cursor.fetchmany(ROWS):
                yield rows
    except sqlite3.Warning as error:
        raise Invalid(f"the query: {error}.", "sql") from error
    except sqlite3.Error as error:
        if "interrupted" in str(error):  # a signal's handler raised within the look, and SQLite has swallowed it
            raise SystemExit(143) from error
        raise _sqlite_words(error, path) from error


def _sqlite_words(error: sqlite3.Error, path: Path) -> BackendError:
    said = str(error)
    if "not authorized" in said or "prohibited" in said or "readonly" in said or "query_only" in said:
        return Refused(f"the query would do more than read ({said}); {path.name} is opened for reading only.")
    if "locked" in said or "busy" in said:
        return Unreachable(f"{path.name} is locked by another program; try again once that has ended.")
    if "malformed" in said or "not a database" in said:
        return Invalid(f"{path.name} is damaged ({said}); restore it, or dump what can be read: sqlite3 … .recover")
    return Invalid(f"{path.name} does not answer the query: {said.rstrip('.')}.", "sql")


def _other_rows(url: str, sql: str) -> Generator[Any, None, None]:
    """As `_sqlite_rows`, through SQLAlchemy. Nothing is committed, and no message holds the password."""
    try:
        import sqlalchemy
        from sqlalchemy import exc
    except ModuleNotFoundError as error:
        raise Unsupported(
            f"{masked(url)}: databases other than SQLite need SQLAlchemy: pip install 'mlops-console[sql]', and the "
            "database's driver."
        ) from error
    try:
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)
    except exc.ArgumentError:
        raise Invalid(f"{masked(url)} is no database URL; wanted dialect://user@host/database.", "from") from None
    except exc.NoSuchModuleError as error:
        raise Unsupported(f"{masked(url)}: SQLAlchemy knows no such database ({error}).") from None
    except ModuleNotFoundError as error:
        raise Unsupported(f"{masked(url)}: its driver is not installed: pip install {error.name}") from None
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                connection = connection.execution_options(postgresql_readonly=True)
            found = connection.execution_options(stream_results=True, max_row_buffer=ROWS).exec_driver_sql(sql)
            if not found.returns_rows:
                raise Invalid("the query gives no rows: it is not one that reads.", "sql")
            yield [str(name) for name in found.keys()]  # noqa: SIM118  (a result is no dict)
            while rows := found.fetchmany(ROWS):
                yield rows
            connection.rollback()
    except exc.SQLAlchemyError as error:
        raise _other_words(error, url) from None
    finally:
        engine.dispose()


def _other_words(error: Any, url: str) -> BackendError:
    said = str(getattr(error, "orig", None) or error).split("\n")[0].replace(url, masked(url))
    password = url.partition("://")[2].rpartition("@")[0].partition(":")[2]
    if password:
        said = said.replace(password, "***").replace(unquote(password), "***")
    lowered = said.lower()
    if any(word in lowered for word in ("authentication", "access denied", "password")):
        return Unauthorized(f"{masked(url)} does not accept the login: {said}")
    if any(word in lowered for word in ("connect", "could not translate", "timeout", "timed out", "unknown host")):
        return Unreachable(f"{masked(url)} does not answer: {said}")
    return Invalid(f"{masked(url)} does not answer the query: {said}", "sql")
