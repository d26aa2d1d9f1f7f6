"""A record at a time becomes what its row became in the batch: training and serving cannot come apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backends.contract import Invalid
from console.data.rows import plain
from console.data.transform.record import RecordTransform
from tests.transforming import Bench, bench

RECIPE = """
labels = ["y"]
[[step]]
do = "join"
dataset = "sizes"
on = { level = "k" }
[[step]]
do = "derive"
column = "hour"
as = "hour(at)"
[[step]]
do = "dedupe"
[[step]]
do = "filter"
where = "n >= 0"
[[step]]
do = "split"
key = ["n", "at"]
[[step]]
do = "sample"
share = 0.9
[[step]]
do = "impute"
columns = ["x"]
with = "median"
indicator = true
[[step]]
do = "standardise"
columns = ["x", "size"]
[[step]]
do = "bucket"
columns = ["n"]
bins = 4
suffix = "_bin"
[[step]]
do = "onehot"
columns = ["level", "flag"]
unknown = "other"
[[step]]
do = "ordinal"
columns = ["code"]
[[step]]
do = "target"
columns = ["group"]
target = "y"
"""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as made:
        made.take({"k": ["a", "b", "c"], "size": [1.5, 2.5, 4.0]}, "sizes")
        yield made


def data(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "at": pd.Timestamp("2013-01-01") + pd.to_timedelta(rng.permutation(rows), "min"),
            "level": pd.Series(rng.choice(["a", "b", "c", f"only {seed}", None], rows), dtype=object),
            "flag": rng.random(rows) < 0.5,
            "code": rng.choice([4, 8, 9, 100 + seed], rows),
            "group": rng.choice(["p", "q", f"only {seed}"], rows),
            "n": rng.integers(-1, 40, rows),
            "x": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows)),
            "y": rng.random(rows) < 0.4,
        }
    )


def test_a_record_becomes_what_its_row_becomes(desk: Bench) -> None:
    desk.fit(desk.take(data(900, 0)).ref, RECIPE)
    version = desk.take(data(300, 1).drop(columns="y"), "new")
    table = desk.table(desk.use(version.ref).parts[0].version)
    batch = [{name: plain(value) for name, value in row.items()} for row in table.to_pylist()]
    definition = desk.backend.need("definitions").get("transform", "recipe")
    transform = RecordTransform(definition, desk.backend.need("datasets"))
    assert transform.outputs == tuple(table.column_names)
    records = [{key: plain(value) for key, value in row.items()} for row in desk.table(version).to_pylist()]
    found = [transform.one(record) for record in records]
    assert found.count(None) == (data(300, 1)["n"] < 0).sum() > 0
    assert [row for row in found if row is not None] == batch
    assert [len(transform.rows(records[:n]).columns) for n in (1, 65, 300)] == [len(table.column_names)] * 3


def test_a_record_that_does_not_fit_is_told_by_its_field(desk: Bench) -> None:
    desk.fit(desk.take(data(900, 0)).ref, RECIPE)
    definition = desk.backend.need("definitions").get("transform", "recipe")
    transform = RecordTransform(definition, desk.backend.need("datasets"))
    record = {"at": "2013-05-05T10:00:00Z", "level": "a", "flag": True, "code": 4, "group": "p", "n": 3, "x": None}
    made = transform.one(record)
    assert made is not None
    assert made["hour"] == 10
    with pytest.raises(Invalid, match="the record has no 'x'"):
        transform.one({key: value for key, value in record.items() if key != "x"})
    with pytest.raises(Invalid, match="'n' is 'three'; transform recipe@1 takes int64"):
        transform.one(record | {"n": "three"})
    with pytest.raises(Invalid, match="'at' is 'noon'"):
        transform.one(record | {"at": "noon"})
    with pytest.raises(Invalid, match="reads 'x', which this data does not have"):
        RecordTransform(definition, desk.backend.need("datasets"), columns=set(record) - {"x"})
