"""The rows of a query: SQLite opened for reading only, other databases by SQLAlchemy, no password anywhere."""

from __future__ import annotations

import datetime as dt
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backends.contract import Backend, BackendError, Invalid, Mutation, NotFound, Refused
from backends.local import open_local
from console.data.cells import cell_array
from console.data.importing import Imported, import_origin
from console.data.offloaded import import_offloaded
from console.data.origin import ORIGIN, Origin

ACTOR = Mutation(actor="tester@here")
ROOT = Path(__file__).parents[2]
ROWS = 40_000


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    opened = open_local(tmp_path / "workspace")
    yield opened
    opened.close()


@pytest.fixture
def flights(tmp_path: Path) -> Path:
    path = tmp_path / "flights.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE f (id INTEGER, carrier TEXT, day TEXT, delay, raw BLOB)")
        connection.executemany(
            "INSERT INTO f VALUES (?, ?, ?, ?, ?)",
            [
                (n, ("UA", None)[n % 2], f"2013-01-{n % 28 + 1:02d}", n / 4 if n < ROWS - 5 else "late", b"\x00\xff")
                for n in range(ROWS)
            ],
        )
        connection.commit()
    return path


def take(backend: Backend, sql: str, place: str, name: str = "q", **more: Any) -> Imported:
    assert backend.datasets is not None
    assert backend.home is not None
    origin = Origin(target=place, sql=sql, **more)
    try:
        return import_origin(backend.datasets, origin, name, ACTOR, staging=backend.home / "tmp")
    finally:
        assert not list((backend.home / "tmp").iterdir())


def test_a_query_becomes_a_typed_version(backend: Backend, flights: Path) -> None:
    done = take(backend, "SELECT id, carrier, day, raw FROM f ORDER BY id", f"sqlite:///{flights}")
    assert [column.type.value for column in done.version.columns] == ["int", "string", "date", "other"]
    assert done.version.rows == ROWS
    assert done.version.columns[1].nulls == ROWS // 2
    assert done.remarks == ()
    assert done.version.source == f"sqlite:///{flights} SELECT id, carrier, day, raw FROM f ORDER BY id"
    again = take(backend, "SELECT id, carrier, day, raw FROM f ORDER BY id", f"sqlite:///{flights}")
    assert (again.version.ref, again.created) == (done.version.ref, False)


def test_a_type_that_widens_late_reads_the_very_rows_again(backend: Backend, flights: Path) -> None:
    done = take(backend, "SELECT id, delay FROM f", f"sqlite:///{flights}", columns=("delay", "id"))
    assert backend.datasets is not None
    table = pq.read_table(backend.datasets.path(done.version.ref))
    assert table.column_names == ["delay", "id"]
    assert table["delay"].to_pylist()[:2] + table["delay"].to_pylist()[-1:] == ["0", "0.25", "late"]
    assert f"row {ROWS - 4} of the query" in done.version.columns[0].note
    assert "no ORDER BY" in done.remarks[0]


def test_the_same_rows_through_sqlalchemy_are_the_same_version(backend: Backend, flights: Path) -> None:
    pytest.importorskip("sqlalchemy", reason="comes with the extra sql")
    sql = "SELECT id, carrier, day, delay FROM f WHERE carrier LIKE 'U%' OR carrier IS NULL ORDER BY id"
    first = take(backend, sql, f"sqlite:///{flights}")
    other = take(backend, sql, f"sqlite+pysqlite:///{flights}")
    assert other.version.ref == first.version.ref


@pytest.mark.parametrize(
    ("sql", "kind", "words"),
    [
        ("DELETE FROM f", Invalid, "only a query that reads"),
        ("WITH x AS (SELECT 1) DELETE FROM f", Refused, "more than read"),
        ("PRAGMA user_version = 7", Refused, "more than read"),
        ("SELECT 1; DROP TABLE f", Invalid, "one statement"),
        ("SELECT nonesuch FROM f", Invalid, "no such column"),
        ("SELECT id, id FROM f", Invalid, "'id' appears 2 times"),
        ("SELECT id FROM f WHERE id < 0", Invalid, "gives no row"),
    ],
)
def test_a_query_that_will_not_do_is_told_and_changes_nothing(
    backend: Backend, flights: Path, sql: str, kind: type[BackendError], words: str
) -> None:
    before = flights.read_bytes()
    with pytest.raises(kind, match=words):
        take(backend, sql, f"sqlite:///{flights}")
    assert flights.read_bytes() == before
    assert sorted(path.name for path in flights.parent.iterdir()) == ["flights.db", "workspace"]
    assert not backend.need("datasets").page().items


def test_a_database_that_is_none_is_told(backend: Backend, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        take(backend, "SELECT 1", f"sqlite:///{tmp_path}/none.db")
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "text.db").write_text("hello, this is no database at all")
    with pytest.raises(Invalid, match="is not a SQLite database"):
        take(backend, "SELECT 1", f"sqlite:///{tmp_path}/text.db")


def test_a_column_that_is_not_in_the_query_is_told(backend: Backend, flights: Path) -> None:
    with pytest.raises(Invalid, match="no column 'zz'; it has id"):
        take(backend, "SELECT id FROM f", f"sqlite:///{flights}", columns=("zz",))


SECRET = "gehe1m%40wort"


def test_a_password_is_in_no_command_line_message_or_record(
    backend: Backend, flights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sqlalchemy", reason="comes with the extra sql")
    url = f"postgresql+nodriver://ann:{SECRET}@127.0.0.1:1/flights"
    with pytest.raises(Invalid, match="environment variable") as caught:
        import_offloaded(backend, Origin(target=url, sql="SELECT 1"), "q", ACTOR)
    assert SECRET not in str(caught.value)
    monkeypatch.setenv("FLIGHTS_DB", url)
    with pytest.raises(BackendError) as caught:
        import_offloaded(backend, Origin(env="FLIGHTS_DB", sql="SELECT 1"), "q", ACTOR)
    assert SECRET not in str(caught.value)
    assert "wort" not in str(caught.value)
    monkeypatch.setenv("FLIGHTS_DB", f"sqlite:///{flights}")
    done = import_offloaded(backend, Origin(env="FLIGHTS_DB", sql="SELECT id FROM f ORDER BY id"), "q", ACTOR)
    assert done.version.rows == ROWS
    monkeypatch.delenv("FLIGHTS_DB")
    with pytest.raises(Invalid, match="FLIGHTS_DB, which is not set"):
        import_offloaded(backend, Origin(env="FLIGHTS_DB", sql="SELECT 1"), "q", ACTOR)


def test_a_query_that_runs_for_ever_is_ended_by_a_signal(backend: Backend, flights: Path) -> None:
    sql = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
    assert backend.home is not None
    origin = Origin(target=f"sqlite:///{flights}", sql=sql)
    with subprocess.Popen(
        [sys.executable, "-m", "console.data.worker", f"local:{backend.home}", "import", "--actor=a", "--", "q"],
        env={**os.environ, ORIGIN: msgspec.json.encode(origin).decode()},
        cwd=ROOT,
    ) as process:
        deadline = time.monotonic() + 60
        while not list((backend.home / "tmp").glob("import-*/query.arrow")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
    assert not list((backend.home / "tmp").iterdir())


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, 2], pa.int64()),
        ([2**63, 1], pa.string()),
        ([1, 0.5], pa.float64()),
        ([2**53 + 1, 0.5], pa.string()),
        ([Decimal("1.50"), Decimal("2")], pa.float64()),
        ([Decimal("3"), None], pa.int64()),
        ([Decimal("0.1234567890123456789")], pa.string()),
        ([dt.date(2013, 1, 1)], pa.date32()),
        ([dt.datetime(2013, 1, 1, 5)], pa.timestamp("us")),
        ([dt.datetime(2013, 1, 1, 5, tzinfo=dt.UTC)], pa.timestamp("us", "UTC")),
        ([True, None], pa.bool_()),
        ([True, 1], pa.string()),
        ([b"\xff", memoryview(b"a")], pa.binary()),
        ([{"a": 1}, [1]], pa.string()),
        ([None], pa.null()),
    ],
)
def test_what_a_databases_values_become(values: list[Any], kind: pa.DataType) -> None:
    assert cell_array(values, str).type == kind
