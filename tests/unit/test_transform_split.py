"""Parts are what they say, the same every time, and nothing of the held-out rows is learned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backends.contract import Invalid, Refused
from console.data.transform import source
from tests.transforming import Bench, bench

N = 4_000
LEARN = """
[[step]]
do = "impute"
columns = ["x"]
with = "mean"
[[step]]
do = "standardise"
columns = ["x"]
[[step]]
do = "normalise"
columns = ["z"]
[[step]]
do = "clip"
columns = ["w"]
quantiles = [0.0, 1.0]
[[step]]
do = "onehot"
columns = ["level"]
[[step]]
do = "target"
columns = ["group"]
target = "w"
"""


def split(rest: str) -> str:
    return f'[[step]]\ndo = "split"\n{rest}\n'


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as made:
        yield made


def data(rows: int = N, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "at": pd.Timestamp("2013-01-01") + pd.to_timedelta(rng.integers(0, 300, rows), "D"),
            "group": rng.choice([f"g{i}" for i in range(60)], rows),
            "level": rng.choice(["a", "b"], rows),
            "x": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows)),
            "z": rng.normal(size=rows),
            "w": rng.normal(size=rows),
        }
    )


RULES = {
    "random": 'key = ["id"]',
    "time": 'by = "time"\ncolumn = "at"',
    "group": 'by = "group"\ncolumn = "group"\nparts = { train = 0.6, test = 0.4 }',
}


@pytest.mark.parametrize("rule", list(RULES))
def test_an_outlier_in_the_held_out_part_changes_nothing_that_was_learned(desk: Bench, rule: str) -> None:
    table = data()
    first = desk.fit(desk.take(table, "clean").ref, split(RULES[rule]) + LEARN)
    held_out = desk.frame(first.parts[1].version)["id"]
    planted = table.copy()
    hit = planted["id"].isin(held_out)
    assert hit.any()
    planted.loc[hit, ["x", "z", "w"]] = 1e9
    planted.loc[hit, "level"] = "only held out"
    second = desk.fit(desk.take(planted, "planted").ref, split(RULES[rule]) + LEARN)
    assert [desk.learned(first, at) for at in range(1, 8)] == [desk.learned(second, at) for at in range(1, 8)]
    assert first.parts[0].version.digest == second.parts[0].version.digest  # the training part is the very same
    assert first.parts[1].version.digest != second.parts[1].version.digest
    # and planted in the training part it does change them: the test can fail
    planted = table.copy()
    planted.loc[~hit, ["x", "z", "w"]] *= 3
    third = desk.fit(desk.take(planted, "moved").ref, split(RULES[rule]) + LEARN)
    assert all(desk.learned(first, at) != desk.learned(third, at) for at in (2, 3, 4, 5, 7))


@pytest.mark.parametrize("rule", ["random", "group"])
def test_a_row_stays_in_its_part_when_rows_are_added_in_any_order(desk: Bench, rule: str) -> None:
    table = data()
    few = desk.fit(desk.take(table[: N // 2], "few").ref, split(RULES[rule]))
    many = desk.fit(desk.take(table.sample(frac=1, random_state=1), "many").ref, split(RULES[rule]))
    for before, after in zip(few.parts, many.parts, strict=True):
        assert set(desk.frame(before.version)["id"]) <= set(desk.frame(after.version)["id"])


def test_random_parts_are_as_large_as_their_shares_and_another_seed_gives_others(desk: Bench) -> None:
    version = desk.take(data())
    parts = 'key = ["id"]\nparts = { train = 0.7, valid = 0.2, test = 0.1 }\n'
    found = desk.fit(version.ref, split(parts))
    rows = [part.version.rows for part in found.parts]
    assert sum(rows) == N
    for share, count in zip((0.7, 0.2, 0.1), rows, strict=True):
        assert abs(count - share * N) < 4.5 * np.sqrt(N * share * (1 - share))
    other = desk.fit(version.ref, split(parts + "seed = 1"))
    assert set(desk.frame(found.parts[2].version)["id"]) != set(desk.frame(other.parts[2].version)["id"])


def test_without_a_key_rows_that_are_alike_are_never_in_two_parts(desk: Bench) -> None:
    table = pd.concat([data(500)] * 3)
    found = desk.fit(desk.take(table).ref, split(""))
    train, test = (set(desk.frame(part.version)["id"]) for part in found.parts)
    assert not train & test
    assert sum(part.version.rows for part in found.parts) == 1500


def test_a_split_by_time_cuts_where_the_shares_fall_and_keeps_an_instant_together(desk: Bench) -> None:
    table = data()
    found = desk.fit(desk.take(table).ref, split('by = "time"\ncolumn = "at"\nparts = { a = 0.5, b = 0.3, c = 0.2 }'))
    a, b, c = (desk.frame(part.version)["at"] for part in found.parts)
    assert a.max() < b.min()
    assert b.max() < c.min()
    ordered = np.sort(table["at"].to_numpy())
    assert b.min() == ordered[int(np.ceil(N * 0.5))]
    assert c.min() == ordered[int(np.ceil(N * 0.8))]
    assert found.steps[0].learned.startswith("b from 2013-")


def test_a_split_by_time_can_name_its_instants(desk: Bench) -> None:
    table = data()
    found = desk.fit(desk.take(table).ref, split('by = "time"\ncolumn = "at"\nat = ["2013-06-01"]'))
    assert found.parts[0].version.rows == (table["at"] < "2013-06-01").sum()
    with pytest.raises(Invalid, match="'june' does not fit 'at'"):
        desk.fit(desk.take(table).ref, split('by = "time"\ncolumn = "at"\nat = ["june"]'))


def test_groups_stay_whole(desk: Bench) -> None:
    found = desk.fit(desk.take(data()).ref, split(RULES["group"]))
    train, test = (set(desk.frame(part.version)["group"]) for part in found.parts)
    assert not train & test


def test_rows_without_a_time_are_refused_or_left_out(desk: Bench) -> None:
    table = data()
    table.loc[:9, "at"] = pd.NaT
    version = desk.take(table)
    with pytest.raises(Invalid, match="'at' is missing in some rows"):
        desk.fit(version.ref, split(RULES["time"]))
    found = desk.fit(version.ref, split(RULES["time"] + '\nmissing = "drop"'))
    assert sum(part.version.rows for part in found.parts) == N - 10


def test_a_part_without_rows_is_refused_and_nothing_is_kept(desk: Bench) -> None:
    table = data().assign(group="one")
    version = desk.take(table)
    with pytest.raises(Refused, match=r"part (train|test) gets no row; nothing was kept"):
        desk.fit(version.ref, split(RULES["group"]))
    assert [each.name for each in desk.backend.need("datasets").page().items] == ["table"]
    assert not desk.backend.need("definitions").page("transform").items


def test_the_same_input_and_recipe_give_the_same_versions_however_the_file_was_written(
    desk: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = data()
    first = desk.fit(desk.take(table, "one").ref, split(RULES["random"]) + LEARN, "out")
    again = desk.fit("one", split(RULES["random"]) + LEARN, "out")
    assert [part.created for part in again.parts] == [False, False]
    assert again.definition.ref == first.definition.ref
    monkeypatch.setattr("console.data.parquet_out.ROW_GROUP_ROWS", 300)
    other = desk.fit(desk.take(table, "two", row_group=117).ref, split(RULES["random"]) + LEARN, "out")
    assert [part.created for part in other.parts] == [False, False]


def test_versions_say_what_they_were_made_of_and_by(desk: Bench) -> None:
    version = desk.take(data())
    found = desk.fit(version.ref, split("") + LEARN)
    for part in found.parts:
        assert part.version.parent == version.ref
        assert part.version.made_by == "transform:recipe@1"
        assert part.version.dataset == f"table-recipe-{part.part}"
        assert part.version.source == f"transform recipe@1 of table@1, part {part.part}"


def test_batches_come_in_one_size_whatever_the_file_has() -> None:
    import pyarrow as pa

    batches = [pa.record_batch({"x": np.arange(n)}) for n in (3, 10, 0, 1, 25, 2)]
    made = list(source.even(batches, 10))
    assert [batch.num_rows for batch in made] == [10, 10, 10, 10, 1]
    assert pa.Table.from_batches(made).equals(pa.Table.from_batches(batches).combine_chunks())
