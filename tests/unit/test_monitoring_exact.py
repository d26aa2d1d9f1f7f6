"""Exact statistics against scipy; and two files held against each other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from backends.contract import Invalid
from backends.entities import MonitorState
from console.cli.main import main
from console.monitoring.counted.columns import as_text, count_categorical, count_numeric, count_tallied, tally
from console.monitoring.counted.profile import NUMERIC_CELLS, categorical_column, numeric_column
from console.monitoring.drift import exact, ordered
from console.monitoring.drift.compare import compare, compare_files

numbers = st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=200)


@given(numbers, numbers)
@settings(max_examples=300, deadline=None)
def test_exact_distances_are_scipys(first: list[float], second: list[float]) -> None:
    gap, moved = exact.distances(np.array(first), np.array(second))
    assert gap == pytest.approx(stats.ks_2samp(first, second, method="asymp").statistic, abs=1e-12)
    assert moved == pytest.approx(stats.wasserstein_distance(first, second), rel=1e-12, abs=1e-9)


def test_exact_distances_are_scipys_on_many_rows_with_ties() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(0, 1, 50_000).round(2), rng.normal(0.1, 1.2, 70_000).round(2)
    gap, moved = exact.distances(first, second)
    assert gap == pytest.approx(stats.ks_2samp(first, second, method="asymp").statistic, abs=1e-12)
    assert moved == pytest.approx(stats.wasserstein_distance(first, second), abs=1e-12)


@pytest.mark.parametrize("block", [5, 1 << 14])
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: rng.normal(size=n),
        lambda rng, n: rng.integers(0, 9, n).astype(float),
        lambda rng, n: rng.exponential(5, n).round(),
        lambda rng, n: 1.7e9 + rng.random(n) / 1000,
        lambda rng, n: np.where(rng.random(n) < 0.5, 0.0, rng.normal(size=n)),
    ],
    ids=["normal", "whole numbers", "falling counts", "close together and far out", "half of them one value"],
)
def test_what_is_skipped_and_what_is_merged_add_up_to_scipys(
    draw: Callable[[np.random.Generator, int], np.ndarray[Any, Any]], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordered, "BLOCK", block)
    rng = np.random.default_rng(3)
    for n, m, moved_by in ((900, 900, 0.0), (1500, 40, 0.0), (30, 1200, 0.3), (2000, 1000, 2.0), (1, 1, 0.0)):
        first, second = draw(rng, n), draw(rng, m) + moved_by
        gap, moved = exact.distances(first, second)
        assert gap == pytest.approx(stats.ks_2samp(first, second, method="asymp").statistic, abs=1e-12)
        assert moved == pytest.approx(stats.wasserstein_distance(first, second), rel=1e-12)
        assert exact.distances(first, first) == (0.0, 0.0)


def test_distances_of_the_largest_numbers_are_no_nan() -> None:
    first, second = np.array([-1e308, 0.0, 1.0, 1e308]), np.array([-1e308, 5.0, 6.0, 1e308])
    gap, moved = exact.distances(first, second)
    assert gap == 0.5
    assert moved == pytest.approx(2.5)


def test_chi_square_of_levels_is_scipys() -> None:
    rng = np.random.default_rng(1)
    first = pd.Series(rng.choice(list("abcd"), 3000))
    second = pd.Series(rng.choice(list("abce"), 2000))
    table = pd.crosstab(
        np.r_[np.zeros(3000), np.ones(2000)], pd.concat([first, second], ignore_index=True).to_numpy()
    ).to_numpy()
    expected = stats.chi2_contingency(table, correction=False)
    statistic, freedom, p_value = exact.chi_square_test(tally(as_text(first)), tally(as_text(second)))
    assert statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert (freedom, p_value) == (expected.dof, pytest.approx(expected.pvalue, rel=1e-9))


def test_one_outlier_and_infinite_values_leave_the_exact_distances_finite() -> None:
    rng = np.random.default_rng(2)
    old, new = pd.DataFrame({"x": rng.normal(size=3000)}), pd.DataFrame({"x": rng.normal(size=900)})
    new.loc[:2, "x"] = [np.inf, -np.inf, np.nan]
    found = compare(old, new).columns[0]
    known = new["x"].to_numpy()[3:]
    assert found.ks == pytest.approx(stats.ks_2samp(old["x"], known).statistic, abs=1e-12)
    assert found.wasserstein == pytest.approx(stats.wasserstein_distance(old["x"], known) / np.std(old["x"]), rel=1e-12)
    assert found.missing == 1 / 900


@given(st.lists(st.floats(allow_subnormal=False), min_size=1, max_size=400))
@settings(deadline=None)
def test_edges_are_the_quantiles_of_the_reference(values: list[float]) -> None:
    column = numeric_column("x", np.array(values))
    finite = np.array(values)[np.isfinite(values)]
    if len(np.unique(finite)) > NUMERIC_CELLS:
        cuts = np.quantile(finite, np.linspace(0, 1, NUMERIC_CELLS + 1), method="inverted_cdf")
        assert list(column.edges) == np.unique(cuts).tolist()
    assert list(column.counts) == count_numeric(np.array(values), column.edges).tolist()


@pytest.mark.parametrize("levels", [3, 40, 200, 90_000])
def test_rows_counted_by_level_fill_the_cells_that_rows_would(levels: int) -> None:
    rng = np.random.default_rng(levels)
    old = pd.Series(rng.integers(0, levels, 60_000)).map("level {}".format)
    new = pd.Series(rng.integers(0, int(levels * 1.2), 5000)).map("level {}".format)
    new[rng.random(5000) < 0.1] = None
    column, text = categorical_column("c", old), as_text(new)
    by_row, seen = count_categorical(text, column)
    by_level, found = count_tallied(tally(text), text.null_count, column)
    assert by_level.tolist() == by_row.tolist()
    assert found == seen


def table(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.normal(40, 10, rows),
            "income": rng.lognormal(10, 0.5, rows),
            "city": rng.choice(["a", "b", "c"], rows),
            "id": [f"u{n}" for n in rng.integers(0, 10**9, rows)],
        }
    )


def test_what_drifted_comes_first_and_quiet_columns_are_called_so(tmp_path: Path) -> None:
    old, new = table(5000, 0), table(2000, 1)
    new["age"] += 12
    new.loc[:99, "city"] = "z"
    old.to_csv(tmp_path / "old.csv", index=False)
    new.to_parquet(tmp_path / "new.parquet")
    found = compare_files(tmp_path / "old.csv", tmp_path / "new.parquet", ["age", "income", "city"])
    by_name = {each.column: each for each in found.columns}
    assert found.columns[0].column == "age"
    assert by_name["age"].state is MonitorState.FIRING
    assert by_name["age"].ks == pytest.approx(stats.ks_2samp(old["age"], new["age"]).statistic, abs=1e-9)
    assert by_name["age"].wasserstein == pytest.approx(
        stats.wasserstein_distance(old["age"], new["age"]) / old["age"].std(ddof=0), rel=1e-9
    )
    assert by_name["city"].fault == "new level"
    assert by_name["city"].new_levels == ("z",)
    assert by_name["income"].state is MonitorState.OK


def test_samples_of_one_population_are_called_quiet() -> None:
    """At most 5 % of comparisons, and what chance adds, call any column far."""
    called = 0
    for seed in range(60):
        found = compare(table(2000, seed), table(500, 900 + seed))
        called += any(each.state is not MonitorState.OK for each in found.columns)
    assert called <= 0.065 * 60 + 2.5 * np.sqrt(60 * 0.05 * 0.95)


def test_what_does_not_fit_is_said() -> None:
    old, new = table(500, 0), table(500, 1).rename(columns={"age": "years"})
    found = compare(old, new)
    assert (found.gone, found.added) == (("age",), ("years",))
    with pytest.raises(Invalid, match="no column 'nope'"):
        compare(old, new, ["nope"])
    with pytest.raises(Invalid, match="no column in common"):
        compare(old[["age"]], new[["years"]])
    text = new.assign(income="many")
    odd = next(each for each in compare(old, text, ["income"]).columns if each.column == "income")
    assert odd.state is MonitorState.FIRING
    assert "should hold float" in odd.reason


def test_the_command_compares_two_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    old, new = table(600, 0), table(600, 1)
    new["income"] *= 3
    old.to_csv(tmp_path / "old.csv", index=False)
    new.to_csv(tmp_path / "new.csv", index=False)
    files = [str(tmp_path / "old.csv"), str(tmp_path / "new.csv")]
    assert main(["--json", "monitor", "compare", *files, "--column", "income", "--column", "city"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert [each["column"] for each in said["columns"]] == ["income", "city"]
    assert said["columns"][0]["state"] == "firing"
    assert main(["monitor", "compare", files[0], str(tmp_path / "none.csv")]) != 0
    assert "there is no file" in capfd.readouterr().err


def test_files_are_compared_without_loading_pandas(tmp_path: Path) -> None:
    """It takes half a second to load, which is most of what a small comparison would cost."""
    old, new = table(3000, 0), table(900, 1)
    new["age"] += 12
    old.to_parquet(tmp_path / "old.parquet")
    new.to_csv(tmp_path / "new.csv", index=False)
    script = (
        "import sys; from pathlib import Path; from console.monitoring.drift.compare import compare_files as c; "
        "found = c(Path(sys.argv[1]), Path(sys.argv[2])); print(found.columns[0].column, 'pandas' in sys.modules)"
    )
    files = [str(tmp_path / "old.parquet"), str(tmp_path / "new.csv")]
    done = subprocess.run([sys.executable, "-c", script, *files], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["age", "False"]


def test_arrow_and_pandas_rows_are_compared_alike(tmp_path: Path) -> None:
    def mixed(rows: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        frame = table(rows, seed).assign(
            flag=rng.random(rows) < 0.3,
            count=rng.integers(0, 9, rows),
            when=pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 10**6, rows), unit="s"),
            kind=pd.Categorical(rng.choice(["x", "y"], rows)),
            empty=None,
        )
        frame.loc[rng.random(rows) < 0.1, ["income", "city"]] = None
        return frame

    old, new = mixed(2000, 0), mixed(9000, 1)
    files = [tmp_path / name for name in ("reference", "current")]
    for frame, file in zip((old, new), files, strict=True):
        frame.to_parquet(file.with_suffix(".parquet"))
        frame.to_csv(file.with_suffix(".csv"), index=False)
    by_frame = compare(old, new)
    by_file = compare_files(*(file.with_suffix(".parquet") for file in files))
    assert by_file.columns == by_frame.columns
    text = {each.column: each for each in compare_files(*(file.with_suffix(".csv") for file in files)).columns}
    for each in by_frame.columns:
        if each.column in ("age", "income", "count", "city", "kind"):
            # The correction looks at the other columns too, and as text these are compared otherwise.
            assert msgspec.structs.replace(text[each.column], q_value=None) == msgspec.structs.replace(
                each, q_value=None
            )


@pytest.mark.parametrize("spelled", ["oops", "+5", "1,000"])
def test_single_values_that_are_no_numbers_are_said(tmp_path: Path, spelled: str) -> None:
    old = pd.DataFrame({"x": np.arange(2000.0)}).astype("str")
    new = old.copy()
    new.loc[7, "x"] = spelled
    old.to_csv(tmp_path / "old.csv", index=False)
    new.to_csv(tmp_path / "new.csv", index=False)
    found = compare_files(tmp_path / "old.csv", tmp_path / "new.csv").columns[0]
    assert found.wasserstein is not None
    assert ("1 of 2000 values are not" in found.reason) is (spelled != "+5")
