"""What steps learn and make agrees with scikit-learn and pandas to 1e-9."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import preprocessing as sk
from sklearn.impute import SimpleImputer

from console.data.transform import source
from console.data.transform.learners import places_hash
from tests.transforming import Bench, bench

N = 5_000
NEAR = {"rtol": 1e-9, "atol": 1e-9}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(source, "CHUNK", 777)  # many batches, none of them whole
    with bench(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    x = rng.lognormal(3, 1, N) + 1e4
    x[rng.random(N) < 0.1] = np.nan
    return pd.DataFrame(
        {
            "x": x,
            "y": rng.normal(-5, 1e-3, N),
            "whole": rng.integers(-50, 50, N),
            "flag": rng.random(N) < 0.3,
            "same": np.full(N, 0.1),
            "level": rng.choice(["b", "a", "Z", "é", "longer level"], N, p=[0.5, 0.3, 0.1, 0.07, 0.03]),
            "code": rng.choice([7, 3, 11], N),
            "hole": pd.Series(rng.choice(["u", "v", None], N), dtype=object),
            "goal": rng.random(N) < 0.2,
            "amount": rng.normal(100, 10, N),
        }
    )


def step(do: str, columns: str, rest: str = "") -> str:
    return f'[[step]]\ndo = "{do}"\ncolumns = {columns}\n{rest}\n'


def same(made: pd.DataFrame, wanted: Any, columns: list[str]) -> None:
    np.testing.assert_allclose(made[columns].to_numpy("float64"), np.asarray(wanted, "float64"), **NEAR)


def test_standardise_is_standard_scaler(desk: Bench, table: pd.DataFrame) -> None:
    names = ["x", "y", "whole", "flag", "same"]
    same(desk.made(table, step("standardise", str(names))), sk.StandardScaler().fit_transform(table[names]), names)


def test_normalise_is_min_max_scaler(desk: Bench, table: pd.DataFrame) -> None:
    names = ["x", "y", "whole", "same"]
    wanted = sk.MinMaxScaler((-1, 1)).fit_transform(table[names])
    same(desk.made(table, step("normalise", str(names), "range = [-1, 1]")), wanted, names)


@pytest.mark.parametrize("how", ["mean", "median", "most_frequent"])
def test_impute_is_simple_imputer(desk: Bench, table: pd.DataFrame, how: str) -> None:
    holed = table.assign(x=table["x"].round(-2), whole=table["whole"].where(table["whole"] != 7))
    names = ["x", "whole"]
    wanted = SimpleImputer(strategy=how).fit_transform(holed[names])
    same(desk.made(holed, step("impute", str(names), f'with = "{how}"')), wanted, names)


def test_impute_takes_the_most_frequent_text_and_marks_where_it_was(desk: Bench, table: pd.DataFrame) -> None:
    made = desk.made(table, step("impute", '"hole"', 'with = "most_frequent"\nindicator = true'))
    most = SimpleImputer(strategy="most_frequent", missing_values=None).fit(table[["hole"]]).statistics_[0]
    assert made["hole"].tolist() == table["hole"].fillna(most).tolist()
    assert made["hole_missing"].tolist() == table["hole"].isna().tolist()


def test_onehot_is_one_hot_encoder(desk: Bench, table: pd.DataFrame) -> None:
    names = ["level", "code", "flag"]
    encoder = sk.OneHotEncoder(sparse_output=False).fit(table[names])
    wanted = encoder.transform(table[names])
    made = desk.made(table, step("onehot", str(names)))
    columns = [f"{name}_{str(level).lower() if name == 'flag' else level}"
               for name, levels in zip(names, encoder.categories_, strict=True) for level in levels]  # fmt: skip
    same(made, wanted, columns)
    assert not set(names) & set(made.columns)


def test_ordinal_is_ordinal_encoder_also_where_values_are_missing(desk: Bench, table: pd.DataFrame) -> None:
    names = ["level", "code", "hole"]
    wanted = sk.OrdinalEncoder().fit_transform(table[names].assign(hole=table["hole"].fillna(np.nan)))
    same(desk.made(table, step("ordinal", str(names))), wanted, names)


@pytest.mark.parametrize(("by", "strategy"), [("quantile", "quantile"), ("width", "uniform")])
def test_bucket_is_k_bins_discretizer(desk: Bench, table: pd.DataFrame, by: str, strategy: str) -> None:
    names = ["y", "whole", "amount"]
    options = {"quantile_method": "linear"} if by == "quantile" else {}
    encoder = sk.KBinsDiscretizer(7, encode="ordinal", strategy=strategy, **options)
    wanted = encoder.fit_transform(table[names])
    same(desk.made(table, step("bucket", str(names), f'bins = 7\nby = "{by}"')), wanted, names)


def test_clip_at_quantiles_is_pandas(desk: Bench, table: pd.DataFrame) -> None:
    names = ["x", "whole", "amount"]
    low, high = table[names].quantile(0.03), table[names].quantile(0.9)
    wanted = table[names].clip(low, high, axis=1)
    same(desk.made(table, step("clip", str(names), "quantiles = [0.03, 0.9]")), wanted, names)


@pytest.mark.parametrize("smooth", ["auto", 0.0, 12.5])
@pytest.mark.parametrize("goal", ["goal", "amount"])
def test_target_encoding_is_target_encoder_and_across_folds_for_training(
    desk: Bench, table: pd.DataFrame, smooth: Any, goal: str
) -> None:
    names = ["level", "code", "hole"]
    written = f'"{smooth}"' if smooth == "auto" else smooth
    recipe = step("target", str(names), f'target = "{goal}"\nsmooth = {written}\nfolds = 4\nseed = 9')
    version = desk.take(table)
    made = desk.frame(desk.fit(version.ref, recipe).parts[0].version)
    later = desk.frame(desk.use(version.ref).parts[0].version)
    X, y = table[names], table[goal].to_numpy("float64")

    def oracle(rows: Any) -> Any:
        kinds = {"target_type": "continuous"}
        return sk.TargetEncoder(smooth=smooth, **kinds).fit(X[rows], y[rows])

    same(later, oracle(np.ones(N, bool)).transform(X), names)
    folds = places_hash(0, N, 9, 4)
    for fold in range(4):
        mine = folds == fold
        same(made[mine], oracle(~mine).transform(X[mine]), names)
    assert abs(np.bincount(folds) - N / 4).max() < 5 * np.sqrt(N * 3 / 16)


def test_quantiles_are_exact_also_beyond_what_fits_in_memory(desk: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from console.data.transform import spool

    monkeypatch.setattr(spool, "IN_MEMORY", 50)
    monkeypatch.setattr(spool, "CHUNK", 301)
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=2_000), np.zeros(500), -np.zeros(500), rng.normal(size=999) * 1e300])
    rng.shuffle(values)
    made = desk.fit(desk.take({"x": values}).ref, step("clip", '"x"', "quantiles = [0.1, 0.77]"))
    assert desk.learned(made, 1)["x"] == pytest.approx(np.quantile(values, [0.1, 0.77]), rel=1e-12)
