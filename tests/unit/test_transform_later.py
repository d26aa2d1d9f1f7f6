"""A fitted transform on data that came later: the same numbers, and a clear rule for what it has not seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from backends.contract import Invalid
from tests.transforming import Bench, bench

RECIPE = """
labels = ["y"]
[[step]]
do = "derive"
column = "late"
as = "y > 0"
[[step]]
do = "filter"
where = "y is not null"
[[step]]
do = "impute"
columns = ["x"]
with = "mean"
[[step]]
do = "ordinal"
columns = ["c"]
[[step]]
do = "target"
columns = ["d"]
target = "late"
[[step]]
do = "select"
columns = ["x", "c", "d", "n", "late"]
"""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as made:
        yield made


def data(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows)),
            "c": rng.choice(["a", "b", "c"], rows),
            "d": rng.choice(["p", "q"], rows),
            "n": rng.integers(0, 9, rows),
            "y": rng.normal(size=rows),
        }
    )


def later(desk: Bench, table: object, name: str = "new") -> pd.DataFrame:
    return desk.frame(desk.use(desk.take(table, name).ref).parts[0].version)


def test_what_was_learned_is_applied_and_nothing_is_learned_anew(desk: Bench) -> None:
    desk.fit(desk.take(data()).ref, RECIPE)
    new = data(50, 1).assign(x=[np.nan] * 49 + [1e6])
    made = later(desk, new)
    assert made["x"][0] == pytest.approx(data()["x"].mean(), rel=1e-12)
    assert len(desk.backend.need("definitions").versions("transform", "recipe").items) == 1


def test_labels_and_what_is_made_of_them_may_be_absent(desk: Bench) -> None:
    desk.fit(desk.take(data()).ref, RECIPE)
    whole = later(desk, data(50, 1))
    without = later(desk, data(50, 1).drop(columns="y"), "bare")
    assert list(without) == ["x", "c", "d", "n"]
    pd.testing.assert_frame_equal(without, whole[list(without)])


def test_a_column_that_a_step_reads_must_be_there_and_one_that_is_carried_along_need_not(desk: Bench) -> None:
    desk.fit(desk.take(data()).ref, RECIPE)
    with pytest.raises(Invalid, match=r"transform recipe@1:\d+: step 3 \(impute\) reads 'x', which this data does not"):
        later(desk, data(50, 1).drop(columns="x"))
    found = desk.use(desk.take(data(50, 1).drop(columns="n").assign(extra=1), "thin").ref)
    assert list(desk.frame(found.parts[0].version)) == ["x", "c", "d", "late"]
    assert any("has no n" in note for note in found.notes)
    assert any("has extra besides" in note for note in found.notes)


def test_a_column_of_another_type_is_refused_unless_nothing_is_lost(desk: Bench) -> None:
    desk.fit(desk.take(data()).ref, RECIPE)
    with pytest.raises(Invalid, match=r"'x' was float \(double\) when transform recipe@1 was fitted, and is string"):
        later(desk, data(50, 1).assign(x="1.5"))
    with pytest.raises(Invalid, match="'n' was int"):
        later(desk, data(50, 1).assign(n=0.5))
    made = later(desk, data(50, 1).assign(x=3))  # whole numbers are floats too
    assert made["x"].tolist() == [3.0] * 50
    nothing = pa.Table.from_pandas(data(50, 1)).set_column(0, "x", pa.array([None] * 50, pa.string()))
    assert later(desk, nothing, "nothing")["x"].nunique() == 1  # a column without values is of any type


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        ('do = "ordinal"\ncolumns = "c"', {"c": [0, -1, None]}),
        ('do = "ordinal"\ncolumns = "c"\nunknown = "missing"', {"c": [0, None, None]}),
        ('do = "ordinal"\ncolumns = "c"\nunknown = "error"', "'c' holds 'new'"),
        ('do = "onehot"\ncolumns = "c"', {"c_a": [True, False, False]}),
        (
            'do = "onehot"\ncolumns = "c"\nunknown = "other"',
            {"c_a": [True, False, False], "c_other": [False, True, True]},
        ),
        ('do = "onehot"\ncolumns = "c"\nunknown = "error"', "'c' holds 'new'"),
        ('do = "target"\ncolumns = "c"\ntarget = "n"\nsmooth = 0', {"c": [1.0, 4.0, 4.0]}),
        ('do = "target"\ncolumns = "c"\ntarget = "n"\nsmooth = 0\nunknown = "missing"', {"c": [1.0, None, None]}),
        ('do = "target"\ncolumns = "c"\ntarget = "n"\nunknown = "error"', "'c' holds 'new'"),
        ('do = "normalise"\ncolumns = "n"', {"n": [0.5, 2.0, -1.0]}),
        ('do = "normalise"\ncolumns = "n"\noutside = "clip"', {"n": [0.5, 1.0, 0.0]}),
        ('do = "bucket"\ncolumns = "n"\nbins = 2\nby = "width"', {"n": [1, 1, 0]}),
        ('do = "bucket"\ncolumns = "n"\nbins = 2\nby = "width"\noutside = "missing"', {"n": [1, None, None]}),
        ('do = "bucket"\ncolumns = "n"\nbins = 2\nby = "width"\noutside = "error"', "'n' holds 13"),
    ],
)
def test_each_step_has_a_rule_for_what_training_did_not_have(desk: Bench, step: str, wanted: object) -> None:
    """Training: levels a, b, c with means of n 1, 3 and 8 (all: 4), n from 1 to 9."""
    training = pd.DataFrame({"c": ["a", "b", "b", "c", "c"], "n": [1, 1, 5, 9, 7]})
    training = pd.concat([training, pd.DataFrame({"c": ["a"], "n": [1]})])
    desk.fit(desk.take(training).ref, f"[[step]]\n{step}")
    new = pd.DataFrame({"c": pd.Series(["a", "new", None], dtype=object), "n": [5, 17, -7]})
    if isinstance(wanted, str):
        with pytest.raises(Invalid, match=wanted.replace("13", "17")):
            later(desk, new)
        return
    made = later(desk, new)
    for name, values in wanted.items():  # type: ignore[attr-defined]
        assert [None if value is None or value != value else value for value in made[name].tolist()] == values


def test_a_fitted_transform_can_be_previewed_on_other_data(desk: Bench) -> None:
    desk.fit(desk.take(data()).ref, RECIPE)
    found = desk.preview(desk.take(data(50, 1), "new").ref, "recipe@1", use=True)
    assert found.name == "recipe"
    assert found.parts[0].rows == 50


def test_a_training_part_given_again_is_encoded_by_the_whole_of_it(desk: Bench) -> None:
    version = desk.take(data())
    made = desk.frame(desk.fit(version.ref, RECIPE).parts[0].version)
    again = later(desk, data())
    assert made["d"].nunique() > 2  # across folds
    assert again["d"].nunique() == 2
