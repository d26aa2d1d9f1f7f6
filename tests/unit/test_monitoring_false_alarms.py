"""How often a quiet window is called odd, from 50 rows to a million: counts are drawn, never rows.

Reference and window are both samples of one distribution, as in life: what is drawn many times is the pair.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from backends.entities import MonitorState
from console.monitoring.counted import distances, thresholds
from console.monitoring.counted.cells import coarse, gathered, in_order
from console.monitoring.counted.columns import Vector, as_text, count_categorical
from console.monitoring.counted.counts import empty, layout_of
from console.monitoring.counted.profile import (
    ALPHA,
    SCORE_CELLS,
    CategoricalColumn,
    NumericColumn,
    Profile,
    ReferenceColumn,
    ScoreCells,
    build_profile,
    categorical_column,
    group_starts,
    numeric_column,
)
from console.monitoring.counted.windows import FALSE_DISCOVERIES, MIN_SHARE, RARE, limit, make_window, score_column

SIZES = [50, 100, 250, 1000, 5000, 100_000, 1_000_000]
REFERENCE = 4000
DRAWS = 1500


def slack(level: float, draws: int) -> float:
    """1.5 points, and 2.5 standard errors of the simulation itself."""
    return float(0.015 + 2.5 * np.sqrt(level * (1 - level) / draws))


def share_over(
    bound: float, statistic: Callable[[list[int], list[int]], float], pairs: list[tuple[list[int], list[int]]]
) -> float:
    return float(np.mean([statistic(before, now) > bound for before, now in pairs]))


def bare(column: ReferenceColumn) -> Profile:
    return Profile(
        task="binary",
        rows=sum(column.counts),
        score_rows=0,
        columns=(column,),
        score=ScoreCells(low=0.0, high=1.0, counts=(), groups=()),
        metrics={},
    )


def sampled(shares: Vector, rows: int, seed: int) -> tuple[Vector, Vector]:
    """References and windows from one distribution, each of shape (DRAWS, cells)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(REFERENCE, shares, size=DRAWS), rng.multinomial(rows, shares, size=DRAWS)


@pytest.fixture(scope="module")
def references() -> list[NumericColumn]:
    rng = np.random.default_rng(0)
    return [numeric_column("x", rng.normal(size=REFERENCE)) for _ in range(DRAWS)]


@pytest.mark.parametrize("rows", SIZES)
def test_limits_of_a_number_hold_whatever_edges_its_reference_gave_it(
    references: list[NumericColumn], rows: int
) -> None:
    """The edges are quantiles of a sample: each reference has its own."""
    rng = np.random.default_rng(rows)
    limits = thresholds.resample(references[0].counts, references[0], rng)
    by_psi, by_ks = [], []
    for column in references:
        reached = stats.norm.cdf(column.edges)
        drawn = rng.multinomial(rows, np.diff([0.0, *reached, 1.0])).tolist()
        now = [*drawn[1:-1], drawn[0], drawn[-1], 0, 0]
        by_psi.append((coarse(column, column.counts), coarse(column, now)))
        by_ks.append((in_order(column, column.counts), in_order(column, now)))
    for name, statistic, pairs in (("psi", distances.psi, by_psi), ("ks", distances.ks, by_ks)):
        rate = share_over(limit(limits, name, REFERENCE, rows), statistic, pairs)
        assert 0.1 * ALPHA < rate <= ALPHA + slack(ALPHA, DRAWS), (name, rate)


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("shape", ["even", "skewed", "two labels"])
def test_limits_of_categories_and_labels_hold(rows: int, shape: str) -> None:
    shares = {
        "even": np.full(10, 0.1),
        "skewed": np.array([0.6, 0.2, 0.1, 0.05, 0.03, 0.015, 0.005]),
        "two labels": np.array([0.83, 0.17]),
    }[shape]
    column = CategoricalColumn(
        name="c",
        levels=tuple(f"l{n}" for n in range(len(shares))),
        counts=(*(round(REFERENCE * share) for share in shares), 0, 0, 0),
        groups=tuple(range(len(shares))),
    )
    limits = thresholds.resample(column.counts, column, np.random.default_rng(1))
    before, now = sampled(shares, rows, rows)
    pairs = [
        (coarse(column, [*old, 0, 0, 0]), coarse(column, [*new, 0, 0, 0]))
        for old, new in zip(before.tolist(), now.tolist(), strict=True)
    ]
    rate = share_over(limit(limits, "psi", REFERENCE, rows), distances.psi, pairs)
    assert 0.1 * ALPHA < rate <= ALPHA + slack(ALPHA, DRAWS), rate


@pytest.mark.parametrize("rows", SIZES)
def test_limits_of_the_score_hold(rows: int) -> None:
    edges = np.linspace(0, 1, SCORE_CELLS + 1)
    shares = np.diff(stats.beta.cdf(edges, 2, 5))
    shares = shares / shares.sum()
    counts = [round(REFERENCE * share) for share in shares]
    groups = group_starts(counts, 10)
    score = ScoreCells(low=0.0, high=1.0, counts=(*counts, *[0] * (2 * SCORE_CELLS)), groups=groups)
    limits = thresholds.resample_score(score, np.random.default_rng(1))
    before, now = sampled(shares, rows, rows)
    whole = list(zip(before.tolist(), now.tolist(), strict=True))
    grouped = [(gathered(old, groups), gathered(new, groups)) for old, new in whole]
    for name, statistic, pairs in (("psi", distances.psi, grouped), ("ks", distances.ks, whole)):
        rate = share_over(limit(limits, name, REFERENCE, rows), statistic, pairs)
        assert 0.1 * ALPHA < rate <= ALPHA + slack(ALPHA, DRAWS), (name, rate)


@pytest.mark.parametrize("rows", SIZES)
def test_the_p_value_of_binned_ks_never_cries_wolf(rows: int) -> None:
    """It is conservative, for the largest gap may lie within a cell; but never by an order of size."""
    shares = np.full(64, 1 / 64)
    before, now = sampled(shares, rows, rows)
    found = np.array(
        [
            distances.ks_p_value(distances.ks(old, new), REFERENCE, rows)
            for old, new in zip(before.tolist(), now.tolist(), strict=True)
        ]
    )
    for level in (0.05, 0.01):
        assert (found <= level).mean() <= level + slack(level, DRAWS)
    assert (found <= 0.05).mean() >= 0.01


@pytest.mark.parametrize("rows", [250, 1000, 5000, 100_000, 1_000_000])
def test_the_g_test_holds_its_level_where_cells_are_well_filled(rows: int) -> None:
    before, now = sampled(np.array([0.4, 0.3, 0.15, 0.1, 0.05]), rows, rows)
    found = np.array([distances.g_test(old, new)[2] for old, new in zip(before.tolist(), now.tolist(), strict=True)])
    for level in (0.05, 0.01):
        assert abs((found <= level).mean() - level) <= slack(level, DRAWS)


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("share", [0.0, 0.002, 0.05, 0.4])
def test_more_missing_values_than_chance_are_called_as_rarely_as_asked(rows: int, share: float) -> None:
    rng = np.random.default_rng(rows)
    before, now = rng.binomial(REFERENCE, share, size=DRAWS), rng.binomial(rows, share, size=DRAWS)
    pairs = zip(before.tolist(), now.tolist(), strict=True)
    called = np.mean([distances.fisher_more(new, rows, old, REFERENCE) < RARE for old, new in pairs])
    assert called <= RARE + 2.5 * np.sqrt(RARE / DRAWS)


@pytest.mark.parametrize("rows", SIZES)
def test_values_beyond_the_range_are_called_as_rarely_as_asked(rows: int) -> None:
    """Each reference has its own least and largest value: how much lies beyond them is itself drawn."""
    rng = np.random.default_rng(rows)
    # The shares below the least and above the largest of N even draws, exactly: Beta(2, N - 1) together.
    beyond = rng.beta(2, REFERENCE - 1, size=DRAWS)
    hits = rng.binomial(rows, beyond)
    called = [
        hit / rows >= MIN_SHARE and distances.binomial_tail(hit, rows, 2 / (REFERENCE + 1)) < RARE
        for hit in hits.tolist()
    ]
    assert np.mean(called) <= RARE + 2.5 * np.sqrt(RARE / DRAWS)


@pytest.mark.parametrize("rows", SIZES)
def test_a_quiet_window_of_twenty_columns_names_nothing_at_any_size(rows: int) -> None:
    """Twelve numbers and eight categories, each with its missing cell; PSI, q-values, shares and faults together."""
    rng = np.random.default_rng(rows)
    frame = pd.DataFrame({"x": rng.normal(size=REFERENCE), "c": rng.choice(list("abcde"), REFERENCE)})
    scores = rng.random(400)
    made = build_profile(
        frame, scores, (rng.random(400) < scores).astype(int), task="classification", positive=1, classes=[0, 1]
    )
    number, category = made.columns
    within = np.full(len(number.counts) - 4, 0.97 / (len(number.counts) - 4))
    shares = {
        "x": np.array([*within, 0.0, 0.0, 0.0, 0.03]),
        "c": np.array([*np.array([0.4, 0.25, 0.2, 0.1, 0.05]) * 0.99, 0.0, 0.0, 0.01]),
    }
    draws, odd = 100, 0
    for _ in range(draws):
        columns = [
            msgspec.structs.replace(
                base,
                name=f"{base.name}{n}",
                counts=tuple(rng.multinomial(REFERENCE, shares[base.name]).tolist()),
            )
            for base, many in ((number, 12), (category, 8))
            for n in range(many)
        ]
        profile = msgspec.structs.replace(made, columns=tuple(columns))
        layout = layout_of(profile)
        counts = empty(layout)
        counts.rows = rows
        for column in columns:
            start, stop = layout.columns[column.name]
            for at, count in zip(range(start, stop), rng.multinomial(rows, shares[column.name[0]]), strict=True):
                counts.cells[at] = int(count)
        window = make_window("m", profile, layout, counts, start=0, end=3_600_000, version="1")
        odd += any(each.state in (MonitorState.WARN, MonitorState.FIRING) or each.fault for each in window.columns)
    assert odd / draws <= FALSE_DISCOVERIES + slack(FALSE_DISCOVERIES, draws)


@pytest.mark.parametrize("rows", [50, 250, 1000, 5000])
@pytest.mark.parametrize("kind", ["ids", "long tail"])
def test_levels_that_are_always_new_are_no_drift(rows: int, kind: str) -> None:
    """Ids, names, a long tail of towns: each window has levels that its reference had not, and none is called far."""
    rng = np.random.default_rng(rows)

    def drawn(many: int) -> pd.Series:
        numbers = rng.integers(0, 10**9, many) if kind == "ids" else rng.zipf(1.5, many)
        return pd.Series(numbers).map("town {}".format)

    first = categorical_column("c", drawn(REFERENCE))
    limits = thresholds.resample(first.counts, first, rng)
    called, draws = 0, 40
    for _ in range(draws):
        column = categorical_column("c", drawn(REFERENCE))
        counts, fresh = count_categorical(as_text(drawn(rows)), column)
        column = msgspec.structs.replace(column, limits=limits)
        found = score_column(bare(column), column, counts.tolist(), fresh)
        called += found.state is not MonitorState.OK
    assert called / draws <= ALPHA + slack(ALPHA, draws)
