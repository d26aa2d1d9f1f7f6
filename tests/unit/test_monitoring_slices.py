"""Worst slices: planted ones are found and named, nothing is found where nothing is, conditions mean their rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from backends.entities import Column, ColumnType, Segment
from console.monitoring.counted.members import mask_of
from console.monitoring.counted.segments import read_segment
from console.monitoring.reasons.slices import worst_slices

ROWS = 1200


def rows(rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "carrier": rng.choice(["ups", "dhl", "hermes"], ROWS, p=[0.5, 0.3, 0.2]),
            "odd name": rng.choice(["north", "south east", "west"], ROWS),
            "weight": np.where(rng.random(ROWS) < 0.1, np.nan, rng.normal(5, 2, ROWS)),
            "distance": rng.gamma(3, 100, ROWS),
            "stops": rng.integers(1, 4, ROWS).astype(float),
        }
    )


def wrong(rng: np.random.Generator, chance: np.ndarray | float) -> np.ndarray:
    return (rng.random(ROWS) < chance).astype(float)


def test_where_nothing_is_worse_nothing_is_found_but_for_the_promised_rate() -> None:
    rng = np.random.default_rng(1)
    alarms = sum(bool(worst_slices(rows(rng), wrong(rng, 0.2))[0]) for _ in range(150))
    assert alarms <= 150 * 0.05 + 3 * np.sqrt(150 * 0.05 * 0.95)
    amounts = sum(bool(worst_slices(rows(rng), rng.gamma(2, 3, ROWS))[0]) for _ in range(60))
    assert amounts <= 60 * 0.05 + 3 * np.sqrt(60 * 0.05 * 0.95)


def test_a_planted_level_is_found_alone() -> None:
    rng = np.random.default_rng(2)
    hits = extra = 0
    for _ in range(40):
        frame = rows(rng)
        found, tried = worst_slices(frame, wrong(rng, np.where(frame["carrier"] == "hermes", 0.45, 0.2)))
        hits += bool(found) and found[0].where == "carrier = hermes"
        extra += max(0, len(found) - 1)
        assert tried > 100
    assert hits >= 38
    assert extra <= 8


def test_a_planted_pair_is_found_as_a_pair() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(40):
        frame = rows(rng)
        both = (frame["carrier"] == "dhl") & (frame["stops"] == 2)
        errors = wrong(rng, np.where(both, 0.6, 0.15))
        found, _ = worst_slices(frame, errors)
        if found[0].where == "carrier = dhl and stops = 2":
            left = np.where(both, errors[~both].mean(), errors).sum()  # were it answered like the rest
            assert found[0].contribution == pytest.approx(1 - left / errors.sum())
            assert 0 < found[0].contribution < 0.9, "the rest has errors too"
        hits += found[0].depth == 2 and found[0].where == "carrier = dhl and stops = 2"
    assert hits >= 36


def test_missing_values_and_large_errors_of_a_regression_are_found() -> None:
    rng = np.random.default_rng(4)
    frame = rows(rng)
    amounts = rng.gamma(2, 1, ROWS) * np.where(frame["weight"].isna(), 3.0, 1.0)
    found, _ = worst_slices(frame, amounts)
    assert found[0].where == "weight is null"
    assert found[0].error > 2 * found[0].rest


def test_a_slice_is_a_condition_that_a_segment_can_have() -> None:
    rng = np.random.default_rng(5)
    frame = rows(rng)
    bad = (frame["odd name"] == "south east") & (frame["distance"] > 300)
    found, _ = worst_slices(frame, wrong(rng, np.where(bad, 0.7, 0.1)))
    columns = tuple(
        Column(name=name, type=ColumnType.FLOAT if frame[name].dtype == float else ColumnType.STRING)
        for name in frame.columns
    )
    assert "`odd name` = 'south east'" in found[0].where
    for each in found:
        mask = mask_of(read_segment(Segment(name="s", where=each.where), columns), frame, columns)
        assert int(mask.sum()) == each.rows


def test_too_few_rows_are_not_searched() -> None:
    rng = np.random.default_rng(6)
    assert worst_slices(rows(rng)[:50], wrong(rng, 0.5)[:50]) == ([], 0)
