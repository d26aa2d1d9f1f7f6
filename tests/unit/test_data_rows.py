"""Pages of rows anywhere in a version, and finding rows in it, by a process that stays."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from backends.contract import Backend, BackendError, Invalid, NotFound
from backends.local import open_local
from console.data.expression import ExpressionError
from console.data.finding import condition_of, find_rows
from console.data.reading import RowReader
from console.data.rows import read_rows
from console.data.stored import stored_file
from console.offload import Cancelled
from tests.unit.test_data_profile import keep

ROWS = 4_321
THIRD = datetime.date(2013, 1, 3)
FRAME = pd.DataFrame(
    {
        "number": range(ROWS),
        "half": [n / 2 for n in range(ROWS)],
        "text": [f"Town {n % 50}" for n in range(ROWS)],
        "day": [datetime.date(2013, 1, 1) + datetime.timedelta(days=n // 100) for n in range(ROWS)],
        "at": [datetime.datetime(2013, 1, 1) + datetime.timedelta(minutes=n) for n in range(ROWS)],
        "flag": [n == 77 for n in range(ROWS)],
        "rare": [None if n % 1000 else n for n in range(ROWS)],
    }
)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    opened = open_local(tmp_path / "workspace")
    keep(opened, pa.Table.from_pandas(FRAME.convert_dtypes(), preserve_index=False), "big", group=500)
    yield opened
    opened.close()


def found(backend: Backend, text: str, start: int = 0, *, backwards: bool = False) -> list[int]:
    """All hits from there on."""
    datasets = backend.need("datasets")
    version = datasets.version("big@1")
    hits: list[int] = []
    with stored_file(datasets, version) as file:
        condition = condition_of(text, version.columns)
        while True:
            some = find_rows(file, condition, start, backwards=backwards)
            hits += some.rows
            if some.end:
                return hits
            start = some.reached + (-1 if backwards else 1)


@pytest.mark.parametrize(("offset", "limit"), [(0, 10), (490, 30), (ROWS - 7, 7), (ROWS - 3, 50), (ROWS + 9, 5)])
def test_a_page_is_the_same_from_the_process_that_stays(backend: Backend, offset: int, limit: int) -> None:
    reader = RowReader(backend)
    try:
        page = reader.rows("big@1", offset, limit)
        assert page == read_rows(backend.need("datasets"), "big@1", offset, limit)
        assert [row[0] for row in page.rows] == list(range(ROWS))[offset : offset + limit]
        assert page.total == ROWS
    finally:
        reader.close()


def test_the_process_answers_on_after_an_error_and_after_its_death(backend: Backend) -> None:
    reader = RowReader(backend)
    try:
        with pytest.raises(NotFound):
            reader.rows("absent@1", 0, 5)
        with pytest.raises(Invalid):
            reader.rows("big@1", 0, 10**6)
        assert reader.rows("big@1", 5, 1).rows[0][0] == 5
        process = reader._process._process
        assert process is not None
        process.kill()
        process.wait()
        assert reader.rows("big@1", 6, 1).rows[0][0] == 6
    finally:
        reader.close()
    assert process.poll() is not None


def test_closing_ends_the_process(backend: Backend) -> None:
    reader = RowReader(backend)
    reader.rows("big@1", 0, 1)
    process = reader._process._process
    assert process is not None
    reader.close()
    assert process.poll() is not None


def test_a_search_that_is_cancelled_says_so_and_the_next_question_is_answered(backend: Backend) -> None:
    reader = RowReader(backend)
    try:
        stop = threading.Event()
        stop.set()
        with pytest.raises(Cancelled):
            reader.find("big@1", "no such thing", 0, cancel=stop.is_set)
        assert reader.find("big@1", "number == 3", 0).rows == (3,)
    finally:
        reader.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("number > 4315", FRAME.index[FRAME.number > 4315]),
        ("number >= 100 and text == 'Town 7'", FRAME.index[(FRAME.number >= 100) & (FRAME.text == "Town 7")]),
        ("rare is not null", FRAME.index[FRAME.rare.notna()]),
        ("town 13", FRAME.index[FRAME.text == "Town 13"]),
        ("Town 1", FRAME.index[FRAME.text.str.contains("Town 1")]),
        ("TOWN", []),
        ("7.5", [15]),
        ("1000", FRAME.index[(FRAME.number == 1000) | (FRAME.half == 1000) | (FRAME.rare == 1000)]),
        ("2013-01-03", FRAME.index[(FRAME["day"] == THIRD) | (FRAME["at"].dt.date == THIRD)]),
        ("2013-01-02 03:0", FRAME.index[FRAME["at"].astype(str).str.startswith("2013-01-02 03:0")]),
        ("true", [77]),
        ("nothing of the kind", []),
    ],
)  # fmt: skip
def test_what_is_looked_for_is_found_down_and_up(backend: Backend, text: str, expected: object) -> None:
    wanted = list(expected)  # type: ignore[call-overload]
    assert found(backend, text) == wanted
    assert found(backend, text, ROWS - 1, backwards=True) == wanted[::-1]
    half = [row for row in wanted if row >= 1234]
    assert found(backend, text, 1234) == half
    assert found(backend, text, 1234, backwards=True) == [row for row in wanted[::-1] if row <= 1234]


def test_a_faulty_expression_is_told_and_a_sentence_is_a_word(backend: Backend) -> None:
    columns = backend.need("datasets").version("big@1").columns
    with pytest.raises(ExpressionError):
        condition_of("number >", columns)
    with pytest.raises(ExpressionError):
        condition_of("text > 5", columns)
    assert condition_of("in and out", columns).columns == ("text",)
    with pytest.raises(Invalid, match="nothing to look for"):
        condition_of("  ", columns)


def test_many_hits_come_in_parts(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.data.finding.MOST", 100)
    assert found(backend, "number >= 0") == list(range(ROWS))
    assert found(backend, "number >= 0", ROWS - 1, backwards=True) == list(range(ROWS))[::-1]


def test_a_damaged_file_is_told_by_the_process_too(backend: Backend) -> None:
    path = backend.need("datasets").path("big@1")
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[40:4000] = bytes(3960)
    path.write_bytes(data)
    reader = RowReader(backend)
    try:
        with pytest.raises(BackendError, match="damaged"):
            reader.rows("big@1", 0, 10)
    finally:
        reader.close()
