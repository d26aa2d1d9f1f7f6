"""Feature sets: what they say, what they make, joined as of a time; the same for a batch and for a record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backends.contract import Invalid
from backends.entities import Definition
from console.data.features.apply import apply_features, define_features
from console.data.features.compute import bound
from console.data.features.grammar import AppliedTo, diff_features, parse_features
from console.data.rows import plain
from console.data.transform import source
from tests.transforming import ACTOR, Bench, bench

SET = """
name = "trip"
dataset = "flights"
key = ["plane", "port"]
time = "at"
owner = "ops"
note = "What is known of a plane."

[[feature]]
name = "speed"
as = "distance / minutes * 60"
type = "float"
unit = "mph"
note = "Over ground."

[[feature]]
name = "hour_of"
as = "hour(at)"
type = "int"
owner = "someone"

[[feature]]
name = "far"
as = "distance > 500 and port != 'x'"
type = "bool"

[[feature]]
name = "label"
as = "concat(plane, '/', port)"
type = "string"
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(source, "CHUNK", 97)
    with bench(tmp_path) as made:
        yield made


def flights(rows: int = 700) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    table = pd.DataFrame(
        {
            "plane": pd.Series(rng.choice(["N1", "N2", "N3", None], rows, p=[0.4, 0.4, 0.15, 0.05]), dtype=object),
            "port": rng.choice(["x", "y"], rows),
            "at": pd.Timestamp("2013-01-01") + pd.to_timedelta(rng.integers(0, 400, rows), "h"),
            "distance": rng.integers(100, 1_000, rows),
            "minutes": np.where(rng.random(rows) < 0.1, np.nan, rng.integers(20, 200, rows)),
        }
    )
    table.loc[3, "at"] = pd.NaT
    return table


def labels(rows: int = 500) -> pd.DataFrame:
    rng = np.random.default_rng(6)
    return pd.DataFrame(
        {
            "tail": pd.Series(rng.choice(["N1", "N2", "N3", "unknown", None], rows), dtype=object),
            "airport": rng.choice(["x", "y"], rows),
            "asked": pd.Timestamp("2012-12-30") + pd.to_timedelta(rng.integers(0, 450 * 60, rows), "min"),
            "late": rng.random(rows) < 0.3,
        }
    )


def define(desk: Bench, text: str = SET) -> Definition:
    stores = desk.backend.need("datasets"), desk.backend.need("definitions")
    return define_features(*stores, parse_features(text, "trip.toml"), ACTOR)[0]


def applied(desk: Bench, job: AppliedTo) -> pd.DataFrame:
    stores = desk.backend.need("datasets"), desk.backend.need("definitions")
    made = apply_features(*stores, job, ACTOR, staging=desk.home / "tmp")
    assert not list((desk.home / "tmp").iterdir())
    return desk.frame(made.version)


def wanted(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(
        speed=table["distance"] / table["minutes"] * 60,
        hour_of=table["at"].dt.hour,
        far=(table["distance"] > 500) & (table["port"] != "x"),
        label=table["plane"] + "/" + table["port"],
    )


FEATURES = ["speed", "hour_of", "far", "label"]


@pytest.mark.parametrize(("age", "tolerance"), [("", None), ("30min", "30min"), ("2h", "2h"), ("7d", "7D")])
def test_features_are_joined_as_pandas_merge_asof_does(desk: Bench, age: str, tolerance: str | None) -> None:
    table, asked = flights(), labels()
    desk.take(table, "flights")
    desk.take(asked, "labels")
    define(desk)
    made = applied(desk, AppliedTo(use="trip@1", labels="labels@1", on=("tail", "airport"), at="asked", max_age=age))
    known = wanted(table).dropna(subset=["at", "plane"]).sort_values("at", kind="stable")
    left = asked.reset_index(names="row").dropna(subset=["tail"]).sort_values("asked", kind="stable")
    right = known.rename(columns={"plane": "tail", "port": "airport", "at": "asked"})
    for column in ("tail", "airport"):
        left[column], right[column] = left[column].astype(str), right[column].astype(str)
    left["asked"], right["asked"] = (each["asked"].astype("datetime64[us]") for each in (left, right))
    oracle = pd.merge_asof(
        left, right, on="asked", by=["tail", "airport"],
        tolerance=pd.Timedelta(tolerance) if tolerance else None,
    ).set_index("row").reindex(range(len(asked)))  # fmt: skip
    assert made["tail"].isna().tolist() == asked["tail"].isna().tolist()  # the labels' own order
    assert 0 < oracle["far"].isna().sum() < len(asked)
    np.testing.assert_allclose(made["speed"], oracle["speed"].astype("float64"), rtol=1e-9)
    for name in ("hour_of", "far", "label"):
        assert made[name].isna().tolist() == oracle[name].isna().tolist()
        there = oracle[name].notna()
        assert made.loc[there, name].tolist() == oracle.loc[there, name].tolist()


def test_nothing_of_the_future_reaches_a_label(desk: Bench) -> None:
    desk.take(flights(), "flights")
    desk.take(labels(), "labels")
    define(desk)
    job = AppliedTo(use="trip", labels="labels", on=("tail", "airport"), at="asked")
    before = applied(desk, job)
    cut = pd.Timestamp("2013-01-08")
    later = flights()
    later.loc[later["at"] > cut, ["distance", "minutes"]] = 77_777
    desk.take(later, "flights")
    after = applied(desk, job)
    early = labels()["asked"] <= cut
    pd.testing.assert_frame_equal(before[early], after[early])
    assert not before[~early].equals(after[~early])


def test_a_record_gives_what_its_row_gives(desk: Bench) -> None:
    version = desk.take(flights(), "flights")
    features = bound(define(desk))
    made = applied(desk, AppliedTo(use="trip"))
    assert list(made) == ["plane", "port", "at", *FEATURES]
    records = [{key: plain(value) for key, value in row.items()} for row in desk.table(version).to_pylist()]
    batch = desk.table(desk.backend.need("datasets").version("flights-trip")).select(FEATURES).to_pylist()
    assert [features.one(record) for record in records] == batch
    assert features.reads == ("plane", "port", "at", "distance", "minutes")
    assert features.one(records[0] | {"further": 1}) == batch[0]
    with pytest.raises(Invalid, match="the record has no 'minutes', which feature set trip takes"):
        features.one({key: value for key, value in records[0].items() if key != "minutes"})
    with pytest.raises(Invalid, match="'distance' is 'far'"):
        features.one(records[0] | {"distance": "far"})


def test_what_was_made_says_by_what_and_of_what(desk: Bench) -> None:
    desk.take(flights(), "flights")
    desk.take(labels(), "labels")
    define(desk)
    stores = desk.backend.need("datasets"), desk.backend.need("definitions")
    job = AppliedTo(use="trip", labels="labels", on=("tail", "airport"), at="asked")
    first = apply_features(*stores, job, ACTOR, staging=desk.home / "tmp")
    again = apply_features(*stores, job, ACTOR, staging=desk.home / "tmp")
    assert not again.created
    assert again.version == first.version
    version = first.version
    assert (version.ref, version.parent, version.inputs) == ("labels-trip@1", "labels@1", ("flights@1",))
    assert version.made_by == "features:trip@1"
    speed = next(column for column in version.columns if column.name == "speed")
    assert (speed.unit, speed.note) == ("mph", "Over ground.")


def test_versions_of_a_set_differ_by_what_was_added_removed_and_changed() -> None:
    old = parse_features(SET, "old.toml")
    new = parse_features(
        SET.replace("distance / minutes * 60", "distance /  minutes")
        .replace("concat(plane, '/', port)", "concat( plane,'/',port )")
        .replace('name = "far"', 'name = "distant"')
        .replace('owner = "someone"', 'owner = "another"')
        .replace('time = "at"', 'time = "then"'),
        "new.toml",
    )
    changes = [(each.name, each.change) for each in diff_features(old, new)]
    assert changes == [
        ("", "time"), ("far", "removed"), ("distant", "added"), ("speed", "expression"), ("hour_of", "owner"),
    ]  # fmt: skip
    assert diff_features(old, old) == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("distance / minutes", "distence / minutes", "feature speed: as: there is no column distence; did you mean"),
        ('type = "bool"', 'type = "int"', "feature far: type is int, and its expression gives bool"),
        ('type = "bool"', 'type = "boole"', "'boole' is not known; did you mean 'bool'?"),
        ('key = ["plane", "port"]', 'key = ["plain"]', "'plain' is not a column of flights; did you mean 'plane'?"),
        ('name = "far"', 'name = "speed"', "the name stands for another column of the set already"),
        ('name = "far"', 'name = "plane"', "the name stands for another column of the set already"),
        ('unit = "mph"', 'units = "mph"', "'units' is not a key of feature speed; did you mean 'unit'?"),
        ('dataset = "flights"', "", "has no dataset, which it needs"),
    ],
)
def test_a_set_that_is_wrong_is_told_with_its_place(desk: Bench, old: str, new: str, said: str) -> None:
    desk.take(flights(), "flights")
    with pytest.raises(Invalid) as error:
        define(desk, SET.replace(old, new))
    assert said in str(error.value)
    assert str(error.value).startswith("trip.toml")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"on": ("tail",)}, "on names 1 columns, and the key of the set has 2"),
        ({"on": ("tale", "airport")}, "'tale' is not a column of labels@1; did you mean 'tail'?"),
        ({"at": "late"}, "'late' of labels@1 is bool"),
        ({"max_age": "2 moons"}, "'2 moons' is no age here; wanted such as 30min, 2h or 7d"),
        ({"source": "labels"}, "labels@1 has no plane"),
    ],
)
def test_a_join_that_cannot_be_says_why(desk: Bench, change: dict[str, object], said: str) -> None:
    desk.take(flights(), "flights")
    desk.take(labels(), "labels")
    define(desk)
    job = {"use": "trip", "labels": "labels", "on": ("tail", "airport"), "at": "asked"} | change
    with pytest.raises(Invalid) as error:
        applied(desk, AppliedTo(**job))  # type: ignore[arg-type]
    assert said in str(error.value)
