"""What is measured is what pandas, scipy and scikit-learn measure, across batches and with values missing."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from console.data.checks import leaks
from console.data.checks import source as source_module
from tests.checked import Checked


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checked]:
    monkeypatch.setattr(source_module, "BATCH_ROWS", 700)
    made = Checked(tmp_path)
    yield made
    made.backend.close()


def frame(seed: int = 7, n: int = 5000, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.lognormal(3 + shift, 1, n)
    return pd.DataFrame(
        {
            "x": np.where(rng.random(n) < 0.1, np.nan, x),
            "y": x * 0.5 + rng.normal(0, 5, n),
            "big": 1e9 + rng.normal(0, 1e-3, n),
            "k": pd.array(np.where(rng.random(n) < 0.05, None, rng.poisson(20, n)), dtype="Int64"),
            "c": rng.choice(["a", "b", "c", "d"], n, p=[0.6, 0.3, 0.08, 0.02]),
            "label": rng.random(n) < 0.3,
        }
    )


@pytest.mark.parametrize("column", ["x", "y", "big", "k"])
def test_mean_is_that_of_pandas(checked: Checked, column: str) -> None:
    data = frame()
    checked.add(data)
    found = checked.figures("mean", column=column, min=0)["mean"]
    assert found == pytest.approx(float(data[column].mean()), rel=1e-12)


@pytest.mark.parametrize("q", [0.0, 0.05, 0.25, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("column", ["x", "k"])
def test_quantile_is_that_of_pandas(checked: Checked, column: str, q: float) -> None:
    data = frame()
    checked.add(data)
    found = checked.figures("quantile", column=column, q=q, min=0)["quantile"]
    assert found == pytest.approx(float(data[column].dropna().astype(float).quantile(q)), rel=1e-9)


def test_correlation_is_pearsons_over_rows_that_have_both(checked: Checked) -> None:
    data = frame()
    checked.add(data)
    both = data.dropna(subset=["x", "k"])
    for first, second in (("x", "y"), ("x", "k"), ("big", "y")):
        found = checked.figures("correlation", columns=[first, second], min=-1)["correlation"]
        there = both if "k" in (first, second) else data.dropna(subset=[first, second])
        wanted = stats.pearsonr(there[first].astype(float), there[second].astype(float)).statistic
        assert found == pytest.approx(wanted, abs=1e-9)


def test_outliers_are_those_beyond_the_fences(checked: Checked) -> None:
    data = frame()
    checked.add(data)
    first, third = data.x.quantile([0.25, 0.75])
    bad = (data.x < first - 1.5 * (third - first)) | (data.x > third + 1.5 * (third - first))
    found = checked.one("outliers", column="x", factor=1.5, share=0.01)
    assert (found.failing, found.status) == (bad.sum(), "fail")
    assert found.examples[0].startswith(f"row {np.flatnonzero(bad)[0]}: ")
    assert (
        checked.one("outliers", column="x", factor=1.5, share=float(bad.sum() / data.x.notna().sum())).status == "pass"
    )


def test_a_constant_column_and_one_that_varies(checked: Checked) -> None:
    checked.add(pa.table({"a": [3] * 2000, "b": [None] * 1999 + [1], "c": [1.0] * 1999 + [2.0]}))
    assert checked.one("constant", column="a").detail == "always 3"
    assert checked.one("constant", column="b").status == "fail"
    assert checked.one("constant", column="c").status == "pass"


def test_freshness_by_age_and_by_moment(checked: Checked) -> None:
    checked.add(pd.DataFrame({"at": pd.to_datetime(["2013-01-01T00:00", "2013-01-31T12:00"])}))
    now = int(datetime.datetime(2013, 2, 3, tzinfo=datetime.UTC).timestamp() * 1000)
    text = '[[check]]\nkind = "freshness"\ncolumn = "at"\nwithin = "{}"'
    assert checked.run(text.format("3d"), now=now).status == "pass"
    assert checked.run(text.format("59h"), now=now).status == "fail"
    assert checked.one("freshness", column="at", not_before="2013-01-31").status == "pass"
    assert checked.one("freshness", column="at", not_before="2013-02-01").status == "fail"


def test_rows_and_volume_against_the_version_before(checked: Checked) -> None:
    checked.add(pd.DataFrame({"a": range(100)}))
    assert "is the first version" in checked.one("volume").detail
    checked.add(pd.DataFrame({"a": range(75)}))
    assert checked.one("volume", drop=0.25).status == "pass"
    assert checked.one("volume", drop=0.2).status == "fail"
    assert checked.one("volume", "t@1", against="t@2", growth=0.3).status == "fail"
    assert checked.one("rows", min=75, max=75).status == "pass"
    assert checked.one("rows", min=76).status == "fail"
    assert "no version 9" in checked.one("volume", against="t@9").detail


# ---------------------------------------------------------------- repeats


def test_duplicates_unique_and_key_count_as_pandas(checked: Checked) -> None:
    rng = np.random.default_rng(1)
    data = pd.DataFrame(
        {
            "a": rng.integers(0, 40, 3000),
            "b": rng.choice(["x", "yy", None], 3000),
            "c": np.where(rng.random(3000) < 0.3, np.nan, np.round(rng.normal(size=3000), 1)),
        }
    )
    checked.add(data)
    assert checked.one("duplicates").failing == data.duplicated().sum()
    assert checked.one("duplicates", columns=["a", "b"]).failing == data.duplicated(["a", "b"]).sum()
    assert checked.one("unique", column="c").failing == data.c.dropna().duplicated().sum()
    lacking = data[["a", "b"]].isna().any(axis=1).sum()
    assert checked.one("key", columns=["a", "b"]).failing == data.duplicated(["a", "b"]).sum() + lacking
    at = int(np.flatnonzero(data.duplicated(["a", "b"]))[0])
    first = int(
        np.flatnonzero((data.a == data.a[at]) & ((data.b == data.b[at]) | (data.b.isna() & pd.isna(data.b[at]))))[0]
    )
    texts = checked.one("duplicates", columns=["a", "b"]).examples
    assert any(text.startswith("row ") and " as row " in text for text in texts)
    for text in texts:
        row, earlier = int(text.split(":")[0][4:]), int(text.rpartition(" ")[2])
        assert data.loc[row, ["a", "b"]].equals(data.loc[earlier, ["a", "b"]])
        assert earlier < row
    assert first < at


def test_values_that_look_alike_are_not_taken_for_one(checked: Checked) -> None:
    checked.add(pa.table({"k": pa.array([2**53, 2**53 + 1, 2**53 + 2, -(2**63) + 1], pa.int64())}))
    assert checked.one("unique", column="k").status == "pass"
    checked.add(pa.table({"s": ["a", "b", "ab", "", "\x00", "a\x00", "aaaaaaaa", "aaaaaaaaa", "aaaaaaaa\x00"]}), "s")
    assert checked.one("unique", "s", column="s").status == "pass"
    checked.add(pa.table({"a": ["x", "xy"], "b": ["yz", "z"]}), "p")
    assert checked.one("key", "p", columns=["a", "b"]).status == "pass"


def test_hashes_are_spread_and_the_same_whatever_the_batch_and_type() -> None:
    from console.data.checks.hashing import hash_numbers, hash_texts

    numbers = hash_numbers(np.arange(200_000))
    assert len(np.unique(numbers)) == 200_000
    assert (hash_numbers(np.arange(100).astype(float)) == numbers[:100]).all()
    assert hash_numbers(np.array([-0.0]))[0] == hash_numbers(np.array([0]))[0]
    texts = pa.array([str(i) * (i % 5) for i in range(50_000)])
    whole = hash_texts(texts)
    assert (hash_texts(texts.slice(777, 1000)) == whole[777:1777]).all()
    assert (hash_texts(texts.cast(pa.large_string())) == whole).all()
    assert len(np.unique(whole)) == len(texts.unique())
    # Each bit is set in half of the hashes: five standard errors of 200 000 flips.
    bits = np.unpackbits(numbers.view(np.uint8)).reshape(-1, 64).mean(axis=0)
    assert np.abs(bits - 0.5).max() < 5 * 0.5 / np.sqrt(200_000)


def test_determines_counts_the_rows_that_say_otherwise(checked: Checked) -> None:
    data = pd.DataFrame({"a": ["p", "p", "p", "q", "q", "r", None, None], "b": [1, 1, 2, 3, 3, 4, 5, 6]})
    checked.add(data)
    found = checked.one("determines", columns=["a"], column="b")
    assert (found.failing, found.rows) == (2, 8)
    assert "row 2: 2, but row 0: 1" in found.examples
    assert checked.one("determines", columns=["a"], column="b", share=0.25).status == "pass"
    rng = np.random.default_rng(0)
    big = pd.DataFrame({"a": rng.integers(0, 300, 9000), "b": rng.integers(0, 2, 9000)})
    checked.add(big, "big")
    sizes = big.groupby(["a", "b"]).size()
    wanted = len(big) - sizes.groupby("a").max().sum()
    assert checked.one("determines", "big", columns=["a"], column="b").failing == wanted


def test_conflicts_count_the_rows_of_torn_groups(checked: Checked) -> None:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"a": rng.integers(0, 9, 900), "b": rng.integers(0, 99, 900), "y": rng.choice(["n", "p"], 900)})
    checked.add(data)
    labels = data.groupby(["a", "b"]).y.transform("nunique")
    assert checked.one("conflicts", target="y").failing == (labels > 1).sum()
    checked.add(data.assign(y="n"), "calm")
    assert checked.one("conflicts", "calm", target="y").status == "pass"


# ---------------------------------------------------------------- leaks


def test_the_auc_of_a_feature_is_that_of_scikit_learn(checked: Checked) -> None:
    rng = np.random.default_rng(5)
    label = rng.random(4000) < 0.2
    data = pd.DataFrame({"f": np.round(rng.normal(label * 0.8, 1), 1), "g": rng.integers(0, 5, 4000), "label": label})
    checked.add(data)
    for feature in ("f", "g"):
        ranks = leaks._ranks(data[feature].to_numpy())
        assert leaks._auc(ranks, label) == pytest.approx(roc_auc_score(label, data[feature]), abs=1e-9)
    scores = checked.figures("leakage", target="label")["scores"]
    assert scores["f"] == pytest.approx(roc_auc_score(label, data.f), abs=1e-9)


def test_a_leak_is_found_whatever_it_looks_like(checked: Checked) -> None:
    rng = np.random.default_rng(5)
    n = 4000
    label = rng.choice(["no", "yes"], n, p=[0.8, 0.2])
    yes = label == "yes"
    data = pd.DataFrame(
        {
            "falls": np.where(yes, 0.0, 1.0) + rng.normal(0, 0.1, n),
            "missing": np.where(yes, np.nan, rng.normal(size=n)),
            "middle": np.where(yes, rng.uniform(-1, 1, n), rng.choice([-1, 1], n) * rng.uniform(1.001, 3, n)),
            "word": np.where(yes, "cancelled", rng.choice(["a", "b"], n)),
            "id": [f"id{i}" for i in range(n)],
            "noise": rng.normal(size=n),
            "label": label,
        }
    )
    checked.add(data)
    scores = checked.figures("leakage", target="label")["scores"]
    assert all(scores[name] > 0.97 for name in ("falls", "missing", "middle", "word")), scores
    assert all(scores[name] < 0.6 for name in ("id", "noise")), scores
    found = checked.one("leakage", target="label", max=0.95)
    assert found.status == "fail"
    assert len(found.examples) == 4


def test_leakage_of_a_number_is_r_squared(checked: Checked) -> None:
    rng = np.random.default_rng(5)
    y = rng.normal(size=3000)
    data = pd.DataFrame({"f": y + rng.normal(size=3000), "y": y})
    checked.add(data)
    figures = checked.figures("leakage", target="y")
    assert figures["measure"] == "R²"
    assert figures["scores"]["f"] == pytest.approx(stats.pearsonr(data.f, data.y).statistic ** 2, abs=1e-9)


def test_leakage_on_a_sample_is_close_to_all_rows(checked: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    label = rng.random(20_000) < 0.2
    data = pd.DataFrame({"f": rng.normal(label * 1.0, 1), "label": label})
    checked.add(data)
    monkeypatch.setattr(leaks, "SAMPLE", 5_000)
    found = checked.figures("leakage", target="label")["scores"]["f"]
    area = roc_auc_score(label, data.f)
    # Hanley and McNeil's standard error of an AUC on 5 000 rows, four times.
    error = np.sqrt(area * (1 - area) / 1000 + 0.05 / 1000)
    assert abs(found - area) < 4 * error


def test_overlap_and_ids_in_both(checked: Checked) -> None:
    rng = np.random.default_rng(2)
    train = pd.DataFrame({"who": rng.integers(0, 500, 2000), "x": rng.normal(size=2000)})
    test = pd.concat([train.sample(37, random_state=1), pd.DataFrame({"who": range(500, 700), "x": 0.5})])
    checked.add(train, "train")
    checked.add(test, "test")
    found = checked.one("overlap", "test", against="train")
    merged = test.merge(train.drop_duplicates(), on=["who", "x"])
    assert (found.failing, found.status) == (len(merged), "fail")
    share = checked.figures("id_leakage", "test", column="who", against="train")["share"]
    assert share == pytest.approx(len(set(test.who) & set(train.who)) / test.who.nunique())
    assert checked.one("overlap", "test", against="train", columns=["absent"]).status == "fail"


def test_time_split(checked: Checked) -> None:
    day = pd.Timestamp("2013-01-01")
    checked.add(pd.DataFrame({"at": day + pd.to_timedelta(np.arange(48), unit="h")}), "early")
    checked.add(pd.DataFrame({"at": day + pd.to_timedelta(np.arange(49, 90), unit="h")}), "late")
    assert checked.one("time_split", "early", column="at", against="late").status == "pass"
    assert checked.one("time_split", "early", column="at", against="late", gap="2h").status == "pass"
    assert checked.one("time_split", "early", column="at", against="late", gap="3h").status == "fail"
    assert checked.one("time_split", "late", column="at", against="early").status == "fail"
    assert checked.one("time_split", "late", column="at", against="early", order="after").status == "pass"
    assert checked.one("time_split", "late", column="at", against="late").status == "fail"


# ---------------------------------------------------------------- spread


def test_balance_representation_and_label_rate(checked: Checked) -> None:
    data = frame()
    checked.add(data)
    shares = data.c.value_counts(normalize=True)
    found = checked.one("balance", column="c", min=0.05)
    assert found.status == "fail"
    assert found.examples[0].startswith("class d: ")
    assert checked.figures("balance", column="c")["shares"] == pytest.approx(shares.to_dict(), abs=1e-12)
    assert checked.one("balance", column="label", min=0.2).status == "pass"
    assert checked.one("representation", column="c", min=0.05, groups=["a", "b"]).status == "pass"
    assert checked.one("representation", column="c", min=0.05, groups=["a", "z"]).status == "fail"
    rates = data.groupby("c").label.mean()
    figures = checked.figures("label_rate", target="label", positive=True, group="c", gap=0.1)
    assert figures["rates"] == pytest.approx(rates.to_dict(), abs=1e-12)
    assert figures["ratio"] == pytest.approx(rates.min() / rates.max(), abs=1e-12)
    assert checked.one("label_rate", target="label", positive=True, group="c", ratio=1.0).status == "fail"
    assert "no row has" in checked.one("label_rate", target="c", positive="q", group="label", gap=1.0).detail


def test_new_categories_are_those_the_other_version_lacks(checked: Checked) -> None:
    checked.add(frame())
    data = frame(8)
    data.loc[[10, 4000], "c"] = ["neu", None]
    checked.add(data)
    found = checked.one("new_category", column="c")
    assert (found.failing, found.examples) == (1, ("row 10: neu",))
    assert checked.one("new_category", column="c", share=0.01).status == "pass"
    assert checked.one("new_category", "t@1", column="c").status == "pass"


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_drift_by_ks_is_that_of_scipy_and_psi_that_of_its_formula(checked: Checked, shift: float) -> None:
    before, now = frame(1), frame(2, shift=shift)
    checked.add(before)
    checked.add(now)
    figures = checked.figures("drift", column="x", ks=0.1, psi=0.1)
    wanted = stats.ks_2samp(before.x.dropna(), now.x.dropna()).statistic
    assert figures["ks"] == pytest.approx(wanted, abs=1e-12)
    edges = np.unique(np.quantile(before.x.dropna(), np.arange(1, 10) / 10))
    cells = [
        np.histogram(side.x.dropna(), [-np.inf, *np.nextafter(edges, np.inf), np.inf])[0] for side in (before, now)
    ]
    assert figures["reference"] == [*cells[0], before.x.isna().sum()]
    assert figures["current"] == [*cells[1], now.x.isna().sum()]
    n, half = 5000, 0.5 / 5000
    p, q = ((np.array(figures[side]) / n + half) / (1 + half * 11) for side in ("reference", "current"))
    assert figures["psi"] == pytest.approx(float(((q - p) * np.log(q / p)).sum()), abs=1e-9)
    assert checked.one("drift", column="x").status == "pass" if shift == 0 else True
    assert (checked.one("drift", column="x", ks=0.1).status == "fail") is (shift > 0)


def test_drift_of_words_has_cells_for_the_most_frequent_and_one_for_the_rest(checked: Checked) -> None:
    checked.add(frame(1))
    data = frame(2)
    data.loc[:2000, "c"] = "new"
    checked.add(data)
    figures = checked.figures("drift", column="c")
    assert sum(figures["current"]) == sum(figures["reference"]) == 5000
    assert figures["current"][-2] == 2001
    assert checked.one("drift", column="c").status == "fail"
    assert "use psi" in checked.one("drift", column="c", ks=0.1).detail
    assert checked.one("drift", "t@1", column="c").detail.endswith("to compare with")


# ---------------------------------------------------------------- the columns


def test_type_required_and_strict(checked: Checked) -> None:
    checked.add(pa.table({"a": [1], "b": ["x"]}))
    assert checked.one("type", column="a", type="int").status == "pass"
    assert checked.one("type", column="a", type="float").status == "fail"
    assert checked.one("required", columns=["a", "b"]).status == "pass"
    assert checked.one("required", columns=["a", "bb"]).detail == "bb is not there; did you mean b?"
    assert checked.one("strict", columns=["a", "b", "c"]).status == "pass"
    assert checked.one("strict", columns=["a"]).detail == "not expected: b"
    assert checked.one("strict", columns=["b", "a"], ordered=True).detail == "column 1 is a, wanted b"
