"""Bias by group: fairlearn says the same; intervals cover what they promise; what cannot be measured is told."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from fairlearn import metrics as fair
from scipy import stats
from sklearn.metrics import accuracy_score

from backends.contract import Invalid
from backends.entities import Column, ColumnType, GateStatus
from console.data.bias.groups import Asked, Cells, Reading, count_groups
from console.data.bias.intervals import newcombe, ratio_interval, wilson, z_of
from console.data.bias.measures import Bias, measure_bias
from console.data.bias.report import Limits, bias_of, bias_report

COLUMNS = [
    Column(name="sex", type=ColumnType.STRING),
    Column(name="race", type=ColumnType.STRING),
    Column(name="age", type=ColumnType.FLOAT),
    Column(name="late", type=ColumnType.INT),
    Column(name="said", type=ColumnType.STRING),
    Column(name="score", type=ColumnType.FLOAT),
    Column(name="a.b", type=ColumnType.BOOL),
]


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 9_000
    sex = rng.choice(["f", "m"], n, p=[0.4, 0.6])
    race = rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1])
    truth = rng.random(n) < np.where(sex == "f", 0.3, 0.45)
    score = np.clip(0.35 + 0.3 * truth + np.where(race == "c", -0.15, 0.0) + rng.normal(0, 0.15, n), 0, 1)
    return pd.DataFrame(
        {
            "sex": sex, "race": race, "age": rng.normal(40, 12, n), "late": truth.astype(int),
            "said": np.where(score >= 0.5, "yes", "no"), "score": score, "a.b": truth,
        }
    )  # fmt: skip


def measured(frame: pd.DataFrame, batch: int = 1_000, least: int = 30, **asked: Any) -> Bias:
    reading = Reading(Asked(**asked), COLUMNS)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return measure_bias(count_groups(reading, table.to_batches(max_chunksize=batch)), least=least)


def values(bias: Bias) -> dict[str, float]:
    return {measure.name: measure.value for measure in bias.measures}


@pytest.mark.parametrize("by", [("sex",), ("race",), ("sex", "race")])
def test_every_measure_is_that_of_fairlearn(people: pd.DataFrame, by: tuple[str, ...]) -> None:
    bias = measured(people, by=by, label="late", score="score")
    y, hat, groups = people["late"], (people["score"] >= 0.5).astype(int), people[list(by)]
    found = values(bias)
    kwargs = {"y_true": y, "y_pred": hat, "sensitive_features": groups}
    wanted = {
        "demographic parity difference": fair.demographic_parity_difference(**kwargs),
        "demographic parity ratio": fair.demographic_parity_ratio(**kwargs),
        "equal opportunity difference": fair.equal_opportunity_difference(**kwargs),
        "equal opportunity ratio": fair.equal_opportunity_ratio(**kwargs),
        "equalized odds difference": fair.equalized_odds_difference(**kwargs),
        "equalized odds ratio": fair.equalized_odds_ratio(**kwargs),
    }
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name
    frame = fair.MetricFrame(
        metrics={
            "accuracy": accuracy_score, "selection_rate": fair.selection_rate, "n": fair.count,
            "true_positive_rate": fair.true_positive_rate, "false_positive_rate": fair.false_positive_rate,
        },
        **kwargs,
    )  # fmt: skip
    for group in bias.groups:
        key = tuple(group.name.split(" × "))
        row = frame.by_group.loc[key if len(key) > 1 else key[0]]
        assert group.rows == row["n"]
        for name in ("accuracy", "selection_rate", "true_positive_rate", "false_positive_rate"):
            assert group.rates[name].value == pytest.approx(row[name], abs=1e-12)
    assert found["accuracy difference"] == pytest.approx(frame.difference()["accuracy"], abs=1e-12)


def test_label_rates_and_calibration_are_those_of_pandas(people: pd.DataFrame) -> None:
    bias = measured(people, by=("race",), label="late", score="score")
    rates = people.groupby("race")["late"].mean()
    gaps = people.groupby("race")["score"].mean() - rates
    for group in bias.groups:
        assert group.rates["label_rate"].value == pytest.approx(rates[group.name], abs=1e-12)
        assert group.calibration_gap == pytest.approx(gaps[group.name], abs=1e-12)
        part = people[people["race"] == group.name]
        cut = np.minimum((part["score"] * 10).astype(int), 9)
        error = part.groupby(cut).apply(lambda g: abs(g["score"].sum() - g["late"].sum())).sum() / len(part)
        assert group.calibration_error == pytest.approx(error, abs=1e-12)
    assert values(bias)["label rate ratio"] == pytest.approx(rates.min() / rates.max(), abs=1e-12)
    assert values(bias)["calibration difference"] == pytest.approx(gaps.max() - gaps.min(), abs=1e-12)


def test_where_a_batch_ends_does_not_matter(people: pd.DataFrame) -> None:
    whole, cut = (
        measured(people, batch=batch, by=("sex", "race"), label="late", score="score") for batch in (9_000, 7)
    )
    for one, other in zip(whole.measures, cut.measures, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-12)
    assert [each.rows for each in whole.groups] == [each.rows for each in cut.groups]


def test_groups_and_labels_may_be_expressions(people: pd.DataFrame) -> None:
    bias = measured(people, by=("age < 25",), label="late = 1", prediction="said", positive="yes")
    young = people["age"] < 25
    assert {group.name: group.rows for group in bias.groups} == {"true": young.sum(), "false": (~young).sum()}
    rates = (people["said"] == "yes").groupby(young).mean()
    assert values(bias)["demographic parity difference"] == pytest.approx(abs(rates[True] - rates[False]), abs=1e-12)
    assert measured(people, by=("a.b",), label="late").groups  # a column whose name is no plain word


def test_missing_values_are_a_group_and_no_label(people: pd.DataFrame) -> None:
    holes = people.head(1_000).copy()
    holes.loc[:99, "sex"] = None
    holes["late"] = holes["late"].astype("Int64")
    holes.loc[500:, "late"] = pd.NA
    bias = measured(holes, by=("sex",), label="late")
    missing = next(group for group in bias.groups if group.name == "(missing)")
    assert missing.rows == 100
    assert sum(group.rates["label_rate"].n for group in bias.groups) == 500


def test_small_groups_are_shown_and_not_compared(people: pd.DataFrame) -> None:
    odd = pd.concat([people, people.head(5).assign(race="z", late=1)])
    bias = measured(odd, by=("race",), label="late")
    assert bias.small == ("z",)
    assert next(group for group in bias.groups if group.name == "z").rates["label_rate"].value == 1.0
    assert values(bias) == values(measured(people, by=("race",), label="late"))


# ---------------------------------------------------------------- intervals


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (3, 10), (10, 10), (1, 1), (700, 1_000)])
def test_wilson_is_that_of_scipy(hits: int, n: int) -> None:
    wanted = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert wilson(hits, n, z_of()) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [  # Newcombe 1998, Table II, method 10
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((10, 10), (0, 20), (0.6791, 1.0)),
        ((0, 10), (0, 20), (-0.1611, 0.2775)),
    ],
)
def test_newcombe_is_that_of_its_paper(a: tuple[int, int], b: tuple[int, int], wanted: tuple[float, float]) -> None:
    assert newcombe(a, b, z_of()) == pytest.approx(wanted, abs=5e-5)


@pytest.mark.parametrize(("p", "q"), [(0.5, 0.5), (0.1, 0.3), (0.9, 0.85)])
def test_intervals_hold_the_truth_as_often_as_they_say(p: float, q: float) -> None:
    rng = np.random.default_rng(1)
    z, inside = z_of(), np.zeros(2)
    tries = 4_000
    for a, b in zip(rng.binomial(200, p, tries), rng.binomial(150, q, tries), strict=True):
        low, high = newcombe((int(a), 200), (int(b), 150), z)
        inside[0] += low <= p - q <= high
        low, high = ratio_interval((int(a), 200), (int(b), 150), z)
        inside[1] += low <= p / q <= high
    assert (inside / tries) == pytest.approx(0.95, abs=0.015)


def test_equal_groups_rarely_fail(people: pd.DataFrame) -> None:
    """Six groups of one rate: `surely beyond the limit` must be rare however the furthest two were picked."""
    rng = np.random.default_rng(2)
    failed = 0
    for _ in range(2_000):
        hits = rng.binomial(100, 0.5, 6)
        cells = [Cells(key=(str(i),), rows=100, labelled=100, positive=int(h)) for i, h in enumerate(hits)]
        report = report_of(measure_bias(cells), Limits(difference=0.0))
        failed += any(r.status is GateStatus.FAIL and r.check == "label rate difference" for r in report.results)
    assert failed / 2_000 == pytest.approx(0.04, abs=0.02)  # 5 % nominal, less for what Bonferroni gives away


# ---------------------------------------------------------------- the report, and what cannot be measured


def report_of(bias: Bias, limits: Limits | None = None) -> Any:
    return bias_report(
        bias, Asked(by=("sex",), label="late"), subject="d@1", digest="x", on="d@1", at=1, actor="a",
        limits=limits or Limits(),
    )  # fmt: skip


def test_a_report_fails_only_for_what_is_sure(people: pd.DataFrame) -> None:
    bias = measured(people, by=("sex",), label="late")
    report = report_of(bias)
    by_name = {result.check: result for result in report.results}
    assert by_name["label rate difference"].status is GateStatus.FAIL
    assert by_name["label rate ratio"].status is GateStatus.FAIL
    assert "between f and m" in by_name["label rate ratio"].detail
    assert bias_of(report) == bias
    few = report_of(measured(people.head(90), by=("sex",), label="late"), Limits(difference=0.05))
    doubtful = next(r for r in few.results if r.check == "label rate difference")
    assert (doubtful.status, "more rows would tell" in doubtful.detail) == (GateStatus.WARN, True)
    assert report_of(bias, Limits(difference=0.5, ratio=0.1)).status is GateStatus.PASS
    one = report_of(measured(people[people["sex"] == "f"], by=("sex",), label="late"))
    assert (one.status, one.results[0].value) == (GateStatus.WARN, "there is one group only")


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"by": ()}, "which groups"),
        ({"by": ("sex",)}, "give a label, a prediction or a score"),
        ({"by": ("sexx",), "label": "late"}, "did you mean sex"),
        ({"by": ("age",), "label": "late"}, "age is a measurement"),
        ({"by": ("sex",), "label": "said"}, "which value is the positive one"),
        ({"by": ("sex",), "label": "age"}, "make a condition of it"),
        ({"by": ("sex",), "label": "late", "score": "said"}, "wanted a probability"),
        ({"by": ("sex",), "label": "late", "threshold": 3}, "a probability from 0 to 1"),
        ({"by": ("sex",), "label": "late +"}, "something is missing at the end"),
    ],
)
def test_what_cannot_be_asked_is_told(asked: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        Reading(Asked(**asked), COLUMNS)


def test_what_is_in_the_rows_and_cannot_be_is_told(people: pd.DataFrame) -> None:
    with pytest.raises(Invalid, match='"late" has the value 2, wanted 0 or 1'):
        measured(people.assign(late=2), by=("sex",), label="late")
    with pytest.raises(Invalid, match="has the value 7, wanted probabilities"):
        measured(people.assign(score=7.0), by=("sex",), label="late", score="score")
    names = people.assign(sex=[f"person {at}" for at in range(len(people))])
    with pytest.raises(Invalid, match="400"):
        measured(names, by=("sex",), label="late")
    assert math.isinf(ratio_interval((1, 0), (1, 1), 2.0)[1])
