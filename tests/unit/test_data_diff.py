"""The difference of two versions: columns, rows, and how far each distribution moved, against scipy and pandas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from backends.contract import Backend, Invalid
from backends.local import open_local
from console.data.diff import VersionDiff, diff_versions
from console.data.diff_columns import chance, ks_distance, wasserstein_distance
from console.data.diff_rows import compare_rows
from console.data.diff_text import facts, figures
from tests.unit.test_data_profile import keep

RNG = np.random.default_rng


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    opened = open_local(tmp_path / "workspace")
    yield opened
    opened.close()


def differ(backend: Backend, before: dict[str, Any], after: dict[str, Any], **more: Any) -> VersionDiff:
    first = keep(backend, pa.table(before), "before", group=400)
    second = keep(backend, pa.table(after), "after", group=300)
    return diff_versions(backend.need("datasets"), first, second, **more)


def test_columns_that_came_went_changed_type_or_name(backend: Backend) -> None:
    found = differ(
        backend,
        {"a": [1, 2], "dep_delay": [1.0, 2.0], "gone": ["x", "y"], "kind": [1, 2]},
        {"a": [1, 2], "departure_delay": [1.0, 2.0], "kind": ["1", "2"], "fresh": [True, False]},
    )
    assert found.added == ("departure_delay", "fresh")
    assert found.removed == ("dep_delay", "gone")
    assert found.retyped == (("kind", "int", "string"),)
    assert [(r.before, r.after) for r in found.renamed] == [("dep_delay", "departure_delay")]
    assert ("retyped", "kind: int → string") in facts(found)


lists = st.lists(st.floats(-1e6, 1e6) | st.integers(-3, 3).map(float), min_size=1, max_size=40)


@given(old=lists, new=lists)
@settings(max_examples=150, deadline=None)
def test_distances_are_those_of_scipy(old: list[float], new: list[float]) -> None:
    a, b = np.sort(old), np.sort(new)
    assert ks_distance(a, b) == pytest.approx(stats.ks_2samp(a, b, method="asymp").statistic, abs=1e-12)
    assert wasserstein_distance(a, b) == pytest.approx(stats.wasserstein_distance(a, b), rel=1e-9, abs=1e-9)


def test_numbers_that_moved_come_first_with_their_figures(backend: Backend) -> None:
    rng = RNG(1)
    still, old, new = rng.normal(size=5000), rng.normal(10, 2, 5000), rng.normal(13, 2, 4000)
    found = differ(
        backend,
        {"still": still, "moved": old, "holes": pa.array(still)},
        {"still": still[::-1][:4000], "moved": new, "holes": pa.array(still[:4000], mask=rng.random(4000) < 0.3)},
    )
    assert [move.name for move in found.moved] == ["moved", "holes", "still"]
    moved, holes, same = found.moved
    cuts = np.unique(np.quantile(old, np.linspace(0, 1, 11)[1:-1], method="inverted_cdf"))
    a, b = (np.bincount(np.searchsorted(cuts, side, "left"), minlength=10) for side in (old, new))
    assert moved.js == pytest.approx(distance.jensenshannon(a, b), rel=1e-9)
    p, q = a / a.sum(), b / b.sum()
    assert moved.psi == pytest.approx(((q - p) * np.log(q / p)).sum(), rel=0.02), "but for half a row more in each cell"
    assert moved.ks == pytest.approx(stats.ks_2samp(old, new).statistic, rel=1e-9)
    assert moved.wasserstein == pytest.approx(stats.wasserstein_distance(old, new), rel=1e-9)
    assert moved.median == pytest.approx((np.median(old), np.median(new)))
    assert list(moved.before) == np.histogram(old, moved.edges)[0].tolist()
    assert list(moved.after) == np.histogram(new, moved.edges)[0].tolist()
    assert (moved.words, same.words) == ("moved far", "no more than chance")
    assert holes.missing[0] == 0
    assert 0.25 < holes.missing[1] < 0.35
    assert figures(moved)["KS"] == f"{moved.ks:.3f}"


def test_what_stays_within_chance_is_said_to_in_simulation() -> None:
    from console.monitoring.counted.distances import psi

    rng = RNG(2)
    over = 0
    for _ in range(2000):
        a, b = rng.multinomial(800, [0.1] * 10), rng.multinomial(500, [0.1] * 10)
        over += psi(a.tolist(), b.tolist()) > chance(10, 800, 500)
    assert over <= 8
    assert chance(10, 800, 500) == pytest.approx(stats.chi2.ppf(0.999, 9) * (1 / 800 + 1 / 500), rel=0.01)


def test_categories_that_came_and_went(backend: Backend) -> None:
    rng = RNG(3)
    old = rng.choice(["AA", "UA", "B6"], 3000, p=[0.5, 0.3, 0.2])
    new = rng.choice(["AA", "UA", "WN"], 3000, p=[0.2, 0.3, 0.5])
    (move,) = differ(backend, {"carrier": old}, {"carrier": new}).moved
    assert (move.new, move.lost, move.words) == (("WN",), ("B6",), "moved far")
    counts = [Counter(old.tolist()), Counter(new.tolist())]
    assert {label: (a, b) for label, a, b in zip(move.labels, move.before, move.after, strict=True)} == {
        label: (counts[0][label], counts[1][label]) for label in ("AA", "UA", "B6", "WN")
    }


def test_long_columns_are_compared_by_samples_within_the_error_they_state(backend: Backend) -> None:
    from console.data.diff_columns import compare_column
    from console.data.stored import stored_file

    old, new = RNG(4).normal(size=20_000), RNG(5).normal(0.4, 1, 20_000)
    datasets = backend.need("datasets")
    first = datasets.version(keep(backend, pa.table({"x": old}), "a"))
    second = datasets.version(keep(backend, pa.table({"x": new}), "b"))
    with stored_file(datasets, first) as left, stored_file(datasets, second) as right:
        move = compare_column(left, right, first.columns[0], 4000)
    assert 0 < move.error < 0.05
    assert move.ks is not None
    assert abs(move.ks - stats.ks_2samp(old, new).statistic) <= 2 * move.error


rows = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["a", "b", None])), max_size=30)


@given(old=rows, new=rows)
@settings(max_examples=60, deadline=None)
def test_rows_are_counted_as_a_bag(old: list[Any], new: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("bags")
    files = []
    for name, bag in (("old", old), ("new", new)):
        table = pa.table(
            {"n": pa.array([r[0] for r in bag], pa.int64()), "t": pa.array([r[1] for r in bag], pa.string())}
        )
        pq.write_table(table, folder / name, row_group_size=7)
        files.append(pq.ParquetFile(folder / name))
    added, removed = Counter(new) - Counter(old), Counter(old) - Counter(new)
    expected = (added.total(), removed.total(), None)
    assert compare_rows(*files, ["n", "t"], [], "a", "b", lambda _: None) == expected
    assert compare_rows(*files, ["n", "t"], [], "a", "b", lambda _: None, at_once=4) == expected


def test_with_a_key_rows_are_added_removed_or_changed(backend: Backend) -> None:
    old = pd.DataFrame({"id": range(1000), "x": np.arange(1000) * 1.5})
    new = old.iloc[100:].copy()
    new.loc[new.id % 10 == 0, "x"] += 1
    new = pd.concat([new.sample(frac=1, random_state=0), pd.DataFrame({"id": [5000, 5001], "x": [0.0, 1.0]})])
    frames = [dict(frame.reset_index(drop=True).items()) for frame in (old, new)]
    found = differ(backend, *frames, key=("id",))
    assert (found.rows_added, found.rows_removed, found.rows_changed) == (2, 100, 90)
    by_content = diff_versions(backend.need("datasets"), "before@1", "after@1")
    assert (by_content.rows_added, by_content.rows_removed, by_content.rows_changed) == (92, 190, None)
    with pytest.raises(Invalid, match="nothing is not a column of both"):
        diff_versions(backend.need("datasets"), "before@1", "after@1", key=("nothing",))


def test_a_key_that_repeats_is_refused(backend: Backend) -> None:
    with pytest.raises(Invalid, match="no key of after@1: 1 rows repeat"):
        differ(backend, {"id": [1, 2], "x": [1, 2]}, {"id": [1, 1], "x": [1, 2]}, key=("id",))


def test_a_version_does_not_differ_from_itself(backend: Backend) -> None:
    ref = keep(backend, pa.table({"x": [1, 2, 2, None], "t": ["a", None, "b", "b"], "none": pa.nulls(4, pa.float64())}))
    found = diff_versions(backend.need("datasets"), ref, ref)
    assert (found.rows_added, found.rows_removed, found.added, found.removed) == (0, 0, (), ())
    assert {move.words for move in found.moved} == {"no more than chance", "no value before"}
