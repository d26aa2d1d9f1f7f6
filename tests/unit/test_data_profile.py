"""Profiles of columns: what is exact agrees with pandas and numpy, what is estimated keeps to the error it states."""

from __future__ import annotations

import datetime
import itertools
import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.contract import Backend, Mutation
from backends.entities import Column
from backends.local import open_local
from console.data import profile as profiling
from console.data.inference import column_type
from console.data.kept import kept_profile, profile_kept
from console.data.profile import QUANTILES, ColumnProfile, VersionProfile, profile_version
from console.data.profile_texts import LISTED
from console.data.sketch import DISTINCT_ERROR, Chooser, HyperLogLog, rank_error
from console.data.text_hash import LONG, text_hashes

BY = Mutation(actor="tester@here")
DIGESTS = itertools.count(1)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    opened = open_local(tmp_path / "workspace")
    yield opened
    opened.close()


def keep(backend: Backend, table: pa.Table, name: str = "table", group: int = 1000) -> str:
    """The table as a version, in row groups of some rows, as an import would have made it."""
    assert backend.home is not None
    path = backend.home / "made.parquet"
    pq.write_table(table, path, row_group_size=group)
    version, _ = backend.need("datasets").add(
        name,
        path,
        digest=f"{next(DIGESTS):064d}",
        rows=table.num_rows,
        columns=[Column(name=field.name, type=column_type(field.type)) for field in table.schema],
        source="test",
        mutation=BY,
    )
    return str(version.ref)


def profiled(backend: Backend, values: Any, **more: Any) -> ColumnProfile:
    ref = keep(backend, pa.table({"x": values}))
    return profile_version(backend.need("datasets"), ref, **more).columns[0]


def agrees(found: ColumnProfile, series: pd.Series) -> None:
    """Every figure of numbers, against pandas and numpy, to 1e-9."""
    there = series.dropna()
    there = there[np.isfinite(there)]
    assert found.missing == int(series.isna().sum())
    assert found.distinct == there.nunique()
    assert found.exact
    assert found.minimum == there.min()
    assert found.maximum == there.max()
    assert found.mean == pytest.approx(there.mean(), rel=1e-9, abs=1e-12)
    if len(there) > 1:
        assert found.std == pytest.approx(there.std(), rel=1e-9, abs=1e-12)
    for q in QUANTILES:
        assert found.quantiles[str(q)] == pytest.approx(there.quantile(q), rel=1e-9, abs=1e-12)
    low, high = there.min(), there.max()
    span = (low, high) if high > low else (low - 0.5, high + 0.5)
    counts, edges = np.histogram(there, len(found.counts), span)
    assert list(found.counts) == counts.tolist()
    assert found.edges == pytest.approx(edges.tolist(), rel=1e-9)
    frequent = there.value_counts()
    assert [count for _, count in found.top] == sorted(frequent.tolist(), reverse=True)[:10]
    for text, count in found.top:
        assert frequent[int(text) if there.dtype.kind in "iu" else float(text)] == count


@pytest.mark.parametrize(
    "make",
    [
        lambda rng: rng.normal(1e6, 1e-3, 5000),
        lambda rng: rng.normal(size=5000).round(1),
        lambda rng: np.array([3.25]),
        lambda rng: np.full(2000, -1.5),
        lambda rng: np.array([0.0, -0.0, 1.0, 2.0]),
    ],
    ids=["narrow", "rounded", "one", "constant", "zeros"],
)
def test_numbers_agree_with_pandas(backend: Backend, make: Any) -> None:
    values = make(np.random.default_rng(1))
    agrees(profiled(backend, values), pd.Series(values))


def test_missing_values_and_nan_are_missing_and_infinities_are_counted_apart(backend: Backend) -> None:
    found = profiled(backend, pa.array([1.0, None, math.nan, math.inf, -math.inf, 2.0]))
    assert (found.missing, found.infinite, found.distinct) == (2, 2, 2)
    assert (found.minimum, found.maximum, found.mean) == (1.0, 2.0, 1.5)
    nothing = profiled(backend, pa.array([None, None, None], pa.float64()))
    assert (nothing.missing, nothing.distinct, nothing.mean, nothing.counts) == (3, 0, None, ())


@pytest.mark.parametrize("kind", ["int8", "int32", "int64", "uint16", "uint64"])
def test_whole_numbers_of_any_width_agree_with_pandas(backend: Backend, kind: str) -> None:
    information = np.iinfo(kind)
    values = np.random.default_rng(2).integers(max(information.min, -100), 100, 5000, dtype=kind)
    agrees(profiled(backend, values), pd.Series(values))
    wide = np.random.default_rng(2).integers(information.min // 4, information.max // 4, 5000, dtype=kind)
    agrees(profiled(backend, wide), pd.Series(wide))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(values=st.lists(st.integers(-(2**52), 2**52) | st.integers(-3, 3), min_size=2, max_size=60))
def test_whole_numbers_of_any_spread_agree_with_pandas(backend: Backend, values: list[int]) -> None:
    from console.data.profile_numbers import rank

    ranked = rank(np.array(values))
    series = pd.Series(values)
    assert ranked.distinct == series.nunique()
    assert [ranked.quantile(q) for q in QUANTILES] == pytest.approx([series.quantile(q) for q in QUANTILES], rel=1e-9)
    assert [count for _, count in ranked.top()] == sorted(series.value_counts(), reverse=True)[:10]
    edges = np.linspace(min(values), max(values) + 1, 8)
    assert ranked.cells(edges.tolist()) == np.histogram(series, edges)[0].tolist()


def test_the_most_frequent_are_found_across_stretches(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.data.profile_numbers.LONG_CHUNK", 7)
    values = np.repeat(np.arange(40) * 1.5, np.arange(40) % 13 + 1)
    agrees(profiled(backend, values), pd.Series(values))


def test_times_are_milliseconds_and_dates_too(backend: Backend) -> None:
    moments = pd.Series(pd.date_range("2013-01-01", periods=500, freq="37min"))
    found = profiled(backend, pa.array(moments, pa.timestamp("us")))
    numbers = moments.astype("datetime64[ms]").astype("int64")
    assert found.minimum == numbers.min()
    assert found.maximum == numbers.max()
    assert found.mean == pytest.approx(numbers.mean(), rel=1e-12)
    assert found.quantiles["0.5"] == pytest.approx(numbers.quantile(0.5), rel=1e-12)
    assert found.top[0] == ("2013-01-01 00:00:00", 1)
    days = profiled(backend, pa.array([datetime.date(1969, 12, 31), datetime.date(2020, 2, 29), None]))
    assert (days.minimum, days.missing) == (-86_400_000.0, 1)
    assert days.top[0][0] == "1969-12-31"


def test_few_texts_are_counted_and_measured(backend: Backend) -> None:
    series = pd.Series(["AA", "UA", None, "", "naïve 🛫", "UA", "AA", "UA"] * 700)
    found = profiled(backend, pa.array(series, pa.string()))
    lengths = series.dropna().str.len()
    assert (found.missing, found.distinct, found.exact) == (700, 4, True)
    assert dict(found.top) == series.value_counts().to_dict()
    assert found.top[0] == ("UA", 2100)
    assert (found.shortest, found.longest) == (lengths.min(), lengths.max())
    assert found.mean_length == pytest.approx(lengths.mean(), rel=1e-9)


def test_many_texts_are_counted_by_their_hashes(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.data.profile_texts.LISTED", 50)
    rng = np.random.default_rng(3)
    series = pd.Series([f"{'é' * (n % 5)}{n}" for n in rng.integers(0, 3000, 9000)] + [None] * 10 + ["often"] * 99)
    found = profiled(backend, pa.array(series, pa.string()))
    frequent = series.value_counts()
    assert (found.missing, found.distinct, found.exact) == (10, series.nunique(), True)
    assert [count for _, count in found.top] == frequent.tolist()[:10]
    assert all(frequent[text] == count for text, count in found.top)
    assert found.mean_length == pytest.approx(series.dropna().str.len().mean(), rel=1e-9)


def test_flags_and_odd_values_are_counted(backend: Backend) -> None:
    flags = profiled(backend, pa.array([True, False, None, True]))
    assert (flags.missing, flags.distinct, flags.top) == (1, 2, (("true", 2), ("false", 1)))
    money = profiled(backend, pa.array([Decimal("1.50"), Decimal("1.50"), None]))
    assert (money.missing, money.distinct, money.top, money.shortest) == (1, 1, (("1.50", 2),), None)
    nested = profiled(backend, pa.array([[1, 2], [1, 2], None]))
    assert (nested.distinct, nested.top[0]) == (1, ("[1, 2]", 2))


def test_samples_are_values_of_the_column(backend: Backend) -> None:
    found = profiled(backend, pa.array([f"v{n}" for n in range(5000)]))
    assert len(found.samples) == profiling.SAMPLES
    assert len(set(found.samples)) == len(found.samples)
    assert all(text.startswith("v") for text in found.samples)


# ---------------------------------------------------------------- estimates


def test_a_longer_column_is_ranked_by_a_sample_within_the_error_it_states(backend: Backend) -> None:
    values = np.random.default_rng(4).gamma(2.0, 3.0, 60_000)
    found = profiled(backend, values, exact_values=8000)
    assert not found.exact
    assert 0 < found.rank_error < 0.05
    assert found.mean == pytest.approx(values.mean(), rel=1e-9)
    assert found.std == pytest.approx(values.std(ddof=1), rel=1e-9)
    assert (found.minimum, found.maximum) == (values.min(), values.max())
    for q in QUANTILES:
        assert abs((values <= found.quantiles[str(q)]).mean() - q) <= found.rank_error
    assert abs(found.distinct / len(np.unique(values)) - 1) <= found.distinct_error
    shares = np.histogram(values, found.edges)[0] / len(values)
    assert np.abs(np.array(found.counts) / len(values) - shares).max() <= 2 * found.rank_error


def test_a_longer_column_of_texts_is_sampled_too(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.data.profile_texts.LISTED", 50)
    texts = pd.Series([f"t{n}" for n in np.random.default_rng(5).integers(0, 20_000, 30_000)] + ["often"] * 9000)
    found = profiled(backend, pa.array(texts, pa.string()), exact_values=8000)
    assert not found.exact
    assert abs(found.distinct / texts.nunique() - 1) <= found.distinct_error
    assert found.top[0][0] == "often"
    assert abs(found.top[0][1] / len(texts) - 9000 / len(texts)) <= found.rank_error


@pytest.mark.parametrize("distinct", [10, 3_000, 40_000, 500_000])
def test_the_count_of_distinct_hashes_keeps_to_its_error(distinct: int) -> None:
    from pandas.util import hash_array

    misses = 0
    for trial in range(20):
        sketch = HyperLogLog()
        hashes = hash_array(np.arange(trial * 10**7, trial * 10**7 + distinct))
        sketch.add(hashes)
        sketch.add(hashes[: distinct // 2])
        misses += abs(sketch.count() / distinct - 1) > DISTINCT_ERROR
    assert misses <= 1


def test_the_error_of_ranks_is_that_of_simulation() -> None:
    rng = np.random.default_rng(6)
    places = np.sort(rng.random((2000, 400)), axis=1)
    steps = np.arange(1, 401) / 400
    worst = np.maximum(np.abs(places - steps), np.abs(places - steps + 1 / 400)).max(axis=1)
    missed = (worst > rank_error(400)).mean()
    assert missed <= 0.004
    assert (worst > rank_error(400) * 0.7).mean() > 0.004, "the bound is no wider than it must be"


def test_every_value_has_the_same_chance_to_be_sampled() -> None:
    chooser = Chooser(100_000, 20_000)
    taken = np.concatenate([chooser.places(1000) for _ in range(100)])
    assert abs(len(taken) - 20_000) < 5 * math.sqrt(100_000 * 0.2 * 0.8)
    counts = np.bincount(taken // 100, minlength=10)
    assert ((counts - 2000) ** 2 / 2000).sum() < 30


@given(texts=st.lists(st.text(max_size=40) | st.integers(0, 3).map(lambda n: "x" * (LONG - 1 + n)), max_size=30))
@settings(max_examples=60, deadline=None)
def test_a_text_has_one_hash_whatever_stands_around_it(texts: list[str]) -> None:
    texts = [text for text in texts if text.isprintable()]
    together = text_hashes(pa.array([*texts, "end"], pa.string())).tolist()
    alone = [int(text_hashes(pa.array(["pad", text], pa.string()).slice(1))[0]) for text in texts]
    assert together[:-1] == alone
    assert len(set(alone)) == len(set(texts))


# ---------------------------------------------------------------- kept


def test_a_profile_is_made_once_for_a_content(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = keep(backend, pa.table({"x": [1, 2, 3]}))
    datasets = backend.need("datasets")
    made = profile_kept(datasets, backend.home, ref)
    monkeypatch.setattr("console.data.kept.profile_version", lambda *_, **__: pytest.fail("it was made before"))
    assert profile_kept(datasets, backend.home, ref) == made
    assert kept_profile(backend.home, datasets.version(ref)) == made


def test_a_kept_profile_that_cannot_be_read_is_made_again(backend: Backend) -> None:
    ref = keep(backend, pa.table({"x": [1, 2, 3]}))
    made = profile_kept(backend.need("datasets"), backend.home, ref)
    assert backend.home is not None
    (file,) = (backend.home / "profiles").iterdir()
    file.write_bytes(file.read_bytes()[:-40])
    assert profile_kept(backend.need("datasets"), backend.home, ref) == made
    assert isinstance(made, VersionProfile)


def test_a_column_with_too_many_texts_is_not_listed(backend: Backend) -> None:
    found = profiled(backend, pa.array([f"{n:06d}" for n in range(LISTED + 5)]))
    assert found.distinct == LISTED + 5
    assert found.exact
