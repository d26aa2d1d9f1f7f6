"""Kinds that look at each row: which rows fail, against pandas; what a batch boundary and missing values do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from console.data.checks import source as source_module
from tests.checked import Checked


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checked]:
    monkeypatch.setattr(source_module, "BATCH_ROWS", 100)  # so that every test crosses batches
    made = Checked(tmp_path)
    yield made
    made.backend.close()


def frame(n: int = 1000) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "x": np.where(rng.random(n) < 0.1, np.nan, rng.normal(0, 10, n)),
            "k": pd.array(np.where(rng.random(n) < 0.05, None, rng.integers(0, 9, n)), dtype="Int64"),
            "code": rng.choice(["AA", "UA", "B6", None], n),
            "name": [f"N{i:04d}" if i % 7 else f"n{i}é" for i in range(n)],
            "flag": rng.choice([True, False], n),
            "at": pd.Timestamp("2013-01-01") + pd.to_timedelta(np.arange(n), unit="h"),
        }
    )


def test_missing_counts_null_and_nan(checked: Checked) -> None:
    data = frame()
    checked.add(data)
    found = checked.one("complete", column="x", missing=0.0)
    assert found.status == "fail"
    assert found.failing == data.x.isna().sum()
    assert found.rows == 1000
    first = int(np.flatnonzero(data.x.isna())[0])
    assert found.examples[0] == f"row {first}: missing"
    assert checked.one("complete", column="x", missing=0.2).status == "pass"
    assert checked.one("complete", column="k").failing == data.k.isna().sum()


def test_nan_in_a_parquet_is_missing_too(checked: Checked) -> None:
    checked.add(pa.table({"x": pa.array([1.0, float("nan"), None, 4.0])}))
    assert checked.one("complete", column="x").failing == 2
    assert checked.one("range", column="x", min=0, max=4).failing == 0
    assert checked.one("mean", column="x", min=2.5, max=2.5).status == "pass"


@pytest.mark.parametrize(("low", "high"), [(-5.0, 5.0), (None, 12.5), (-20, None), (-1e9, 1e9)])
def test_range_fails_the_rows_that_pandas_finds_outside(
    checked: Checked, low: float | None, high: float | None
) -> None:
    data = frame()
    checked.add(data)
    bounds = {key: value for key, value in (("min", low), ("max", high)) if value is not None}
    found = checked.one("range", column="x", **bounds)
    bad = ((data.x < low) if low is not None else False) | ((data.x > high) if high is not None else False)
    bad = pd.Series(bad, index=data.index) if isinstance(bad, bool) else bad
    assert found.failing == bad.sum()
    assert [int(text.split(":")[0][4:]) for text in found.examples] == np.flatnonzero(bad)[:5].tolist()


def test_range_of_nullable_whole_numbers_does_not_take_a_missing_one_for_zero(checked: Checked) -> None:
    checked.add(pa.table({"k": pa.array([5, None, 7], pa.int64())}))
    assert checked.one("range", column="k", min=5).status == "pass"
    assert checked.one("range", column="k", min=6).examples == ("row 0: 5",)


def test_range_takes_dates_and_times(checked: Checked) -> None:
    data = frame()
    checked.add(data)
    found = checked.one("range", column="at", min="2013-01-02", max="2013-01-03T12:00")
    assert found.failing == ((data["at"] < "2013-01-02") | (data["at"] > "2013-01-03T12:00")).sum()
    assert "wants" in checked.one("range", column="at", min=3).detail
    assert "wanted numbers, dates or times" in checked.one("range", column="name", min=3).detail


@pytest.mark.parametrize("values", [["AA", "UA"], ["B6"]])
def test_set_of_texts(checked: Checked, values: list[str]) -> None:
    data = frame()
    checked.add(data)
    assert checked.one("set", column="code", values=values).failing == (~data.code.isin([*values, None])).sum()


def test_set_of_numbers_and_booleans(checked: Checked) -> None:
    data = frame()
    checked.add(data)
    assert checked.one("set", column="k", values=[1, 2, 3]).failing == (~data.k.isin([1, 2, 3]) & data.k.notna()).sum()
    assert checked.one("set", column="flag", values=[True]).failing == (~data.flag).sum()
    assert checked.one("set", column="flag", values=[True, False]).status == "pass"


def test_regex_matches_the_whole_text_and_length_counts_characters(checked: Checked) -> None:
    data = frame()
    checked.add(data)
    assert (
        checked.one("regex", column="name", pattern="N[0-9]{4}").failing
        == (~data.name.str.fullmatch("N[0-9]{4}")).sum()
    )
    assert checked.one("regex", column="name", pattern="N|n").failing == 1000
    assert checked.one("length", column="name", min=5, max=5).failing == (data.name.str.len() != 5).sum()
    assert "wanted texts" in checked.one("regex", column="id", pattern="x").detail
    assert "not RE2" in checked.one("regex", column="name", pattern="(?=x)").detail


def test_tolerance_is_a_share_of_the_rows(checked: Checked) -> None:
    checked.add(pd.DataFrame({"x": [1] * 98 + [9, 9]}))
    assert checked.one("range", column="x", max=5, tolerance=0.02).status == "pass"
    assert checked.one("range", column="x", max=5, tolerance=0.019).status == "fail"


def test_expression_passes_where_it_cannot_be_told(checked: Checked) -> None:
    checked.add(pa.table({"a": pa.array([1, 5, None]), "b": pa.array([2, 3, 1])}))
    found = checked.one("expression", expression="a < b")
    assert (found.failing, found.examples) == (1, ("row 1: a 5, b 3",))
    assert "true or false" in checked.one("expression", expression="a + b").detail
    assert (
        "there is no" in checked.one("expression", expression="c > 1").detail
        or checked.one("expression", expression="c > 1").detail
    )


@pytest.mark.parametrize("strictly", [True, False])
def test_monotonic_crosses_batches_and_skips_missing(checked: Checked, strictly: bool) -> None:
    rng = np.random.default_rng(3)
    values = pd.Series(np.cumsum(rng.integers(-1 if strictly else 0, 4, 1000)).astype(float))
    values[rng.random(1000) < 0.2] = np.nan
    checked.add(pd.DataFrame({"x": values}))
    there = values.dropna()
    steps = there.diff().dropna()
    wanted = int((steps <= 0).sum() if strictly else (steps < 0).sum())
    assert checked.one("monotonic", column="x", strictly=strictly).failing == wanted


def test_a_column_that_is_not_there_fails_with_the_nearest(checked: Checked) -> None:
    checked.add(frame())
    found = checked.one("range", column="idd", min=0)
    assert (found.status, found.detail) == ("fail", "there is no column idd; did you mean id?")


def test_severity_owner_and_note_are_on_the_result(checked: Checked) -> None:
    checked.add(frame())
    report = checked.run('[columns.id]\nmax = 3\nseverity = "warn"\nowner = "ann"\nnote = "why"')
    assert report.status == "warn"
    (result,) = report.results
    assert (result.status, result.owner, result.note) == ("warn", "ann", "why")


def test_texts_of_few_and_of_many_values_give_the_same(checked: Checked) -> None:
    few = checked.add(pd.DataFrame({"c": ["a", "bb", None, "a"] * 200}), "few")
    many = checked.add(pd.DataFrame({"c": ["a", "bb", None, *(f"x{i}" for i in range(797))]}), "many")
    assert checked.one("length", few, column="c", max=1).failing == 200
    assert checked.one("length", many, column="c", max=1).failing == 798
    assert checked.one("set", many, column="c", values=["a", "bb"]).failing == 797


def test_zero_rows_and_only_missing_values_do_not_break_any_kind(checked: Checked) -> None:
    checked.add(pa.table({"x": pa.nulls(3, pa.float64()), "s": pa.nulls(3, pa.string()), "k": pa.nulls(3, pa.int64())}))
    text = """
[columns.x]
min = 0
missing = 1.0
unique = true
[columns.s]
values = ["a"]
pattern = "a"
length = 3
unique = true
[columns.k]
min = 1
values = [1]
[table]
duplicates = 1.0
"""
    report = checked.run(text)
    assert {result.check: result.status.value for result in report.results if result.status != "pass"} == {}
