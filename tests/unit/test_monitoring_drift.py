"""Distances and tests between counted windows, against scipy and by simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from backends.entities import ColumnScore, MonitorState
from console.monitoring.counted import distances
from console.monitoring.counted.cells import coarse, in_order
from console.monitoring.counted.columns import as_text, count_categorical, count_features, count_numeric, numeric_values
from console.monitoring.counted.counts import layout_of
from console.monitoring.counted.profile import (
    ALPHA,
    CategoricalColumn,
    NumericColumn,
    Profile,
    build_profile,
    numeric_column,
)
from console.monitoring.counted.windows import limit, make_window, score_column

counts_pairs = st.integers(2, 12).flatmap(
    lambda cells: st.tuples(*[st.lists(st.integers(0, 500), min_size=cells, max_size=cells)] * 2)
)


def profile_of(frame: pd.DataFrame, seed: int = 0) -> Profile:
    rng = np.random.default_rng(seed)
    scores = rng.random(200)
    labels = np.where(rng.random(200) < scores, "yes", "no")
    return build_profile(frame, scores, labels, task="classification", positive="yes", classes=["no", "yes"], seed=seed)


def judged(profile: Profile, frame: pd.DataFrame, name: str) -> ColumnScore:
    layout = layout_of(profile)
    counts = count_features(frame, profile, layout)
    column = profile.column(name)
    assert column is not None
    return score_column(profile, column, counts.column(layout, name), counts.new_levels.get(name, {}))


@given(counts_pairs)
@settings(max_examples=200, deadline=None)
def test_chi_square_is_scipys_contingency_test(pair: tuple[list[int], list[int]]) -> None:
    first, second = pair
    table = np.array([first, second])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or (table.sum(axis=1) == 0).any():
        assert distances.chi_square(first, second)[2] == 1.0
        return
    expected = stats.chi2_contingency(table, correction=False)
    statistic, freedom, p_value = distances.chi_square(first, second)
    assert statistic == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    assert freedom == expected.dof
    assert p_value == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-12)


@given(counts_pairs)
@settings(max_examples=200, deadline=None)
def test_jensen_shannon_is_scipys_distance(pair: tuple[list[int], list[int]]) -> None:
    first, second = pair
    if sum(first) and sum(second):
        assert distances.jensen_shannon(first, second) == pytest.approx(float(jensenshannon(first, second)), abs=1e-7)


@given(st.floats(0.001, 400), st.integers(1, 100))
def test_the_chi_square_tail_is_scipys(statistic: float, freedom: int) -> None:
    assert distances.chi_square_tail(statistic, freedom) == pytest.approx(
        stats.chi2.sf(statistic, freedom), rel=1e-8, abs=1e-14
    )


@given(st.integers(1, 2000), st.floats(1e-6, 0.5), st.data())
def test_the_binomial_tail_is_scipys_above_the_mean(n: int, share: float, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    found = distances.binomial_tail(hits, n, share)
    if hits > n * share and hits > 0:
        assert found == pytest.approx(stats.binom.sf(hits - 1, n, share), rel=1e-6, abs=1e-12)
    else:
        assert found == 1.0


@given(st.integers(0, 60), st.integers(60, 100), st.integers(0, 60), st.integers(60, 3000))
@settings(deadline=None)
def test_the_exact_test_for_more_is_fishers(hits: int, n: int, old: int, total: int) -> None:
    found = distances.fisher_more(hits, n, old, total)
    if hits * total > old * n:
        expected = stats.fisher_exact([[hits, n - hits], [old, total - old]], alternative="greater").pvalue
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-12)
    else:
        assert found == 1.0


def test_binned_ks_is_within_a_cell_of_scipys_and_its_p_value_is_kolmogorovs() -> None:
    rng = np.random.default_rng(3)
    reference, current = rng.normal(size=5000), rng.normal(0.3, 1, 2000)
    column = profile_of(pd.DataFrame({"x": reference})).column("x")
    assert isinstance(column, NumericColumn)
    now = count_numeric(current, column.edges).tolist()
    exact = stats.ks_2samp(reference, current)
    binned = distances.ks(
        [column.counts[-4], *column.counts[: column.cells], column.counts[-3]], [now[-4], *now[: column.cells], now[-3]]
    )
    assert exact.statistic - 1 / 64 - 1e-3 <= binned <= exact.statistic + 1e-12
    assert distances.ks_p_value(0.05, 1000, 1000) == pytest.approx(stats.kstwobign.sf(0.05 * np.sqrt(500)), rel=1e-9)


def test_one_outlier_changes_psi_by_less_than_a_hundredth() -> None:
    rng = np.random.default_rng(4)
    profile = profile_of(pd.DataFrame({"x": rng.normal(size=5000)}))
    for shift in (0.0, 0.3, 1.0):
        current = rng.normal(shift, 1, 5000)
        before = judged(profile, pd.DataFrame({"x": current}), "x").psi
        current[7] = 1e6
        after = judged(profile, pd.DataFrame({"x": current}), "x").psi
        assert before is not None
        assert after is not None
        assert abs(after - before) < 0.01 * max(before, 0.1)


def test_half_the_values_gone_missing_is_named_at_once() -> None:
    rng = np.random.default_rng(5)
    profile = profile_of(pd.DataFrame({"x": rng.normal(size=5000)}))
    current = rng.normal(size=1000)
    current[rng.random(1000) < 0.5] = np.nan
    found = judged(profile, pd.DataFrame({"x": current}), "x")
    assert found.state is MonitorState.FIRING
    assert "missing" in found.reason.split(";")[0]
    assert 0.45 < found.missing < 0.55


def test_an_empty_column_is_named_whatever_its_kind() -> None:
    profile = profile_of(pd.DataFrame({"x": np.arange(500.0), "c": ["a", "b"] * 250}))
    empty = pd.DataFrame({"x": np.full(60, np.nan), "c": pd.Series([None] * 60, dtype="str")})
    for name in ("x", "c"):
        found = judged(profile, empty, name)
        assert found.state is MonitorState.FIRING
        assert found.reason.startswith("every value is missing")


@pytest.mark.parametrize("times", [1, 2, 20])
def test_a_new_category_is_named_at_any_count(times: int) -> None:
    rng = np.random.default_rng(6)
    profile = profile_of(pd.DataFrame({"c": rng.choice(["a", "b", "c"], 20_000)}))
    current = pd.Series(rng.choice(["a", "b", "c"], 1000), dtype="str")
    current.iloc[:times] = "zeppelin"
    found = judged(profile, pd.DataFrame({"c": current}), "c")
    assert found.new_levels == ("zeppelin",)
    assert "zeppelin" in found.reason
    assert found.new == times / 1000
    # Named always; a warning once chance no longer explains it (one unseen level in 20 000 rows is no surprise).
    assert found.state is (MonitorState.WARN if times == 20 else MonitorState.OK)


def test_a_rare_known_level_is_no_new_one() -> None:
    levels = [f"tail{number}" for number in range(3000)]
    profile = profile_of(pd.DataFrame({"plane": levels * 2}))
    column = profile.column("plane")
    assert isinstance(column, CategoricalColumn)
    counts, new = count_categorical(as_text(pd.Series(["tail2999", "tail7", "never seen", None])), column)
    assert new == {"never seen": 1}
    assert counts[-3] + sum(counts[: len(column.levels)]) == 2
    assert list(counts[-2:]) == [1, 1]


def test_infinite_and_outside_values_have_cells_of_their_own() -> None:
    profile = profile_of(pd.DataFrame({"x": np.linspace(0, 1, 1000)}))
    column = profile.column("x")
    assert isinstance(column, NumericColumn)
    values = np.array([0.0, 1.0, 0.5, -0.1, 1.1, 7.0, np.inf, -np.inf, np.nan])
    below, above, infinite, missing = count_numeric(values, column.edges)[-4:]
    assert (below, above, infinite, missing) == (1, 2, 2, 1)
    assert count_numeric(values, column.edges).sum() == len(values)


@given(
    st.lists(st.one_of(st.floats(), st.integers(-3, 3).map(float)), min_size=1, max_size=200),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=100),
)
@settings(deadline=None)
def test_every_value_falls_into_exactly_the_cell_that_its_edges_say(current: list[float], seen: list[float]) -> None:
    from console.monitoring.counted.profile import numeric_column

    column = numeric_column("x", np.array(seen))
    counts = count_numeric(np.array(current), column.edges)
    expected = [0] * len(counts)
    for value in current:
        if value != value:
            expected[-1] += 1
        elif value in (np.inf, -np.inf):
            expected[-2] += 1
        elif value < column.edges[0]:
            expected[-4] += 1
        elif value > column.edges[-1]:
            expected[-3] += 1
        else:
            cells = column.cells
            expected[next((c for c in range(cells) if value < column.edges[c + 1]), cells - 1)] += 1
    assert counts.tolist() == expected


@pytest.mark.parametrize("rows", [50, 300, 5000, 200_000])
def test_without_drift_psi_passes_its_limit_as_often_as_asked(rows: int) -> None:
    rng = np.random.default_rng(rows)
    shares = {"flat": np.full(10, 0.1), "skewed": np.array([0.6, 0.2, 0.1, 0.05, 0.03, 0.015, 0.005])}
    for name, true in shares.items():
        alarms = total = 0
        for trial in range(8):
            reference = rng.choice(len(true), 4000, p=true)
            frame = pd.DataFrame({"c": pd.Series(reference).map(lambda code: f"l{code}")})
            column = profile_of(frame, seed=trial).columns[0]
            assert isinstance(column, CategoricalColumn)
            order = [int(level[1:]) for level in column.levels]
            bound = limit(column.limits, "psi", 4000, rows)
            base = coarse(column, column.counts)
            # Fewer windows of one reference than of all: the reference's own luck must average out.
            for drawn in rng.multinomial(rows, true[order] / true[order].sum(), size=250):
                alarms += distances.psi(base, coarse(column, [*drawn.tolist(), 0, 0, 0])) > bound
                total += 1
        assert abs(alarms / total - ALPHA) < 0.015, (name, rows, alarms / total)


def test_times_count_by_their_second_of_the_day() -> None:
    stamps = pd.Series(pd.to_datetime(["2024-01-01T00:01:00", None, "2030-07-01T23:59:59"]))
    assert numeric_values(stamps)[[0, 2]].tolist() == [60.0, 86399.0]
    assert np.isnan(numeric_values(stamps)[1])


@given(counts_pairs)
@settings(max_examples=100, deadline=None)
def test_the_g_test_is_scipys(pair: tuple[list[int], list[int]]) -> None:
    table = np.array(pair)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or (table.sum(axis=1) == 0).any():
        assert distances.g_test(*pair)[2] == 1.0
        return
    expected = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
    statistic, freedom, p_value = distances.g_test(*pair)
    assert statistic == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    assert freedom == expected.dof
    # Of equal samples the statistic is 0 but for rounding, and its tail is steepest there.
    assert p_value == pytest.approx(expected.pvalue, rel=1e-7, abs=1e-6)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_correction_is_scipys(p_values: list[float]) -> None:
    expected = stats.false_discovery_control(p_values, method="bh")
    assert distances.benjamini_hochberg(p_values) == pytest.approx(list(expected), abs=1e-12)


@pytest.mark.parametrize("rows", [200, 5000])
def test_binned_wasserstein_is_near_scipys(rows: int) -> None:
    rng = np.random.default_rng(rows)
    column = numeric_column("x", rng.normal(10, 3, 20_000))
    before = in_order(column, column.counts)
    for shift, spread in ((0.0, 1.0), (0.5, 1.0), (2.0, 1.0), (0.0, 1.6)):
        current = rng.normal(10 + shift * 3, 3 * spread, rows)
        # What lies outside counts as at the edge.
        clipped = np.clip(current, column.edges[0], column.edges[-1])
        inside = rng.normal(10, 3, 200_000)
        expected = stats.wasserstein_distance(inside, clipped) / 3
        now = in_order(column, count_numeric(current, column.edges).tolist())
        assert distances.wasserstein(column.edges, before, now) == pytest.approx(expected, abs=0.04)


def test_one_outlier_moves_wasserstein_by_no_more_than_its_row() -> None:
    rng = np.random.default_rng(3)
    column = numeric_column("x", rng.normal(0, 1, 10_000))
    before, values = in_order(column, column.counts), rng.normal(0.5, 1, 1000)

    def distance(current: np.ndarray) -> float:
        return distances.wasserstein(
            column.edges, before, in_order(column, count_numeric(current, column.edges).tolist())
        )

    spoiled = values.copy()
    spoiled[0] = 1e6
    assert abs(distance(spoiled) - distance(values)) < 0.01


@pytest.mark.parametrize("rows", [50, 100, 250, 1000, 10_000, 1_000_000])
@pytest.mark.parametrize("kind", ["numeric", "few levels", "many levels"])
def test_without_drift_p_values_are_what_they_say(rows: int, kind: str) -> None:
    """False alarms at 5 % and at 1 % lie within 1.5 points of nominal: both sides drawn anew from one distribution."""
    rng = np.random.default_rng(rows)
    shares = {
        "numeric": np.array([0.1] * 10 + [0.0, 0.02]),
        "few levels": np.array([0.6, 0.3, 0.1, 0.0, 0.0, 0.0]),
        "many levels": 1 / np.arange(1, 22) ** 1.3,
    }[kind]
    shares = shares / shares.sum()
    draws = 1500
    before = rng.multinomial(20_000, shares, size=draws).tolist()
    now = rng.multinomial(rows, shares, size=draws).tolist()
    found = np.array([distances.two_sample_p(old, new) for old, new in zip(before, now, strict=True)])
    for level in (0.05, 0.01):
        # 2.5 standard errors of the simulation itself are added.
        slack = 0.015 + 2.5 * np.sqrt(level * (1 - level) / draws)
        assert (found <= level).mean() <= level + slack
        if kind == "numeric":
            assert (found <= level).mean() >= level - slack


@pytest.mark.parametrize("rows", [50, 250, 1000, 10_000])
def test_a_window_of_twenty_quiet_columns_calls_none_of_them_far(rows: int) -> None:
    """The correction over columns holds: at most 5 % of quiet windows, and 1.5 points, warn of any distance."""
    rng = np.random.default_rng(rows)
    profile = profile_of(pd.DataFrame({f"x{n}": rng.normal(0, 1, 5000) for n in range(20)}))
    layout, warned, draws = layout_of(profile), 0, 150
    for _ in range(draws):
        counts = count_features(pd.DataFrame({f"x{n}": rng.normal(0, 1, rows) for n in range(20)}), profile, layout)
        window = make_window("m", profile, layout, counts, start=0, end=3_600_000, version="1")
        warned += any("PSI" in each.reason and each.state is not MonitorState.OK for each in window.columns)
    assert warned / draws <= 0.05 + 0.015 + 2.5 * np.sqrt(0.05 * 0.95 / draws)


@pytest.mark.parametrize("rows", [1, 4095, 100_000])
def test_numbers_of_any_kind_are_counted_in_the_cell_that_holds_them(rows: int) -> None:
    rng = np.random.default_rng(rows)
    edges = tuple(np.quantile(rng.normal(size=5000), np.linspace(0, 1, 33)).tolist())
    values = rng.normal(size=rows) * 1.5
    for odd in (np.nan, np.inf, -np.inf, 1e300, -1e300, edges[0], edges[-1], edges[7]):
        values[rng.random(rows) < 0.05] = odd
    inside = values[(values >= edges[0]) & (values <= edges[-1])]
    expected = [
        *np.histogram(inside, edges)[0],
        (np.isfinite(values) & (values < edges[0])).sum(),
        (np.isfinite(values) & (values > edges[-1])).sum(),
        np.isinf(values).sum(),
        np.isnan(values).sum(),
    ]
    assert count_numeric(values, edges).tolist() == expected
