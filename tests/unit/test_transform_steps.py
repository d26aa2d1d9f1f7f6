"""Steps on columns and rows, against pandas; and what each says of data that it cannot take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from backends.contract import Invalid, NotFound, Refused
from console.data.transform import source
from tests.transforming import ACTOR, Bench, bench

N = 3_000


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(source, "CHUNK", 501)
    with bench(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "id": np.arange(N),
            "a": np.where(rng.random(N) < 0.1, np.nan, rng.normal(size=N)),
            "n": rng.integers(0, 40, N),
            "key": rng.choice([f"k{i:02}" for i in range(50)], N),
            "text": rng.choice(["1", "2.5", "x", "007"], N),
            "day": pd.Timestamp("2013-01-01") + pd.to_timedelta(rng.integers(0, 50, N), "h"),
        }
    )


def steps(*texts: str) -> str:
    return "\n".join(f"[[step]]\n{text}" for text in texts)


# ------------------------------------------------------------ columns


def test_derive_filter_rename_select_and_drop(desk: Bench, table: pd.DataFrame) -> None:
    made = desk.made(
        table,
        steps(
            'do = "derive"\ncolumn = "b"\nas = "a * 2 + n"',
            'do = "filter"\nwhere = "b > 10"',
            'do = "rename"\ncolumns = { n = "count", b = "sum" }',
            'do = "drop"\ncolumns = ["text", "day"]',
            'do = "select"\ncolumns = ["sum", "id", "count"]',
        ),
    )
    b = table["a"] * 2 + table["n"]
    wanted = table.assign(sum=b)[b > 10].rename(columns={"n": "count"})[["sum", "id", "count"]]
    pd.testing.assert_frame_equal(made, wanted.reset_index(drop=True))


def test_cast_says_which_value_does_not_fit_or_leaves_it_out(desk: Bench, table: pd.DataFrame) -> None:
    with pytest.raises(Invalid, match=r"step 1 \(cast\): to: 'text' holds '(2\.5|x)', which is no int"):
        desk.made(table, steps('do = "cast"\ncolumns = ["text"]\nto = "int"'))
    made = desk.made(table, steps('do = "cast"\ncolumns = ["text"]\nto = "float"\nerrors = "missing"'))
    np.testing.assert_array_equal(made["text"], pd.to_numeric(table["text"], errors="coerce"))
    with pytest.raises(Invalid, match="'day' is datetime, which cannot become int"):
        desk.made(table, steps('do = "cast"\ncolumns = "day"\nto = "int"'))


def test_cast_reads_times_with_and_without_a_zone(desk: Bench) -> None:
    times = {"t": ["2013-01-01T10:00:00Z", "2013-01-01 12:00:00+02:00", "x", None]}
    made = desk.made(times, steps('do = "cast"\ncolumns = "t"\nto = "datetime"\nerrors = "missing"'))
    assert made["t"].tolist() == [pd.Timestamp("2013-01-01 10:00")] * 2 + [pd.NaT] * 2


def test_a_suffix_leaves_the_column_and_puts_the_result_beside_it(desk: Bench, table: pd.DataFrame) -> None:
    made = desk.made(table, steps('do = "clip"\ncolumns = "n"\nlow = 5\nhigh = 20\nsuffix = "_clipped"'))
    assert made["n"].tolist() == table["n"].tolist()
    assert made["n_clipped"].tolist() == table["n"].clip(5, 20).tolist()
    assert made["n_clipped"].dtype == "int64"


def test_given_edges_and_labels(desk: Bench, table: pd.DataFrame) -> None:
    given = 'do = "bucket"\ncolumns = "n"\nedges = [10, 20, 30]\nlabels = ["low", "high"]\n'
    made = desk.made(table, steps(given + 'outside = "missing"'))
    wanted = pd.cut(table["n"], [10, 20, 30.0001], right=False, labels=["low", "high"]).astype(object)
    assert made["n"].fillna("").tolist() == wanted.fillna("").tolist()
    assert set(desk.made(table, steps(given))["n"]) == {"low", "high"}
    with pytest.raises(Invalid, match="beyond 10 to 30"):
        desk.made(table, steps(given + 'outside = "error"'))


def test_selectors_take_what_is_there_at_that_step(desk: Bench, table: pd.DataFrame) -> None:
    found = desk.fit(
        desk.take(table).ref,
        steps(
            'do = "onehot"\ncolumns = "text"',
            'do = "derive"\ncolumn = "c"\nas = "a + 1"',
            'do = "standardise"\ncolumns = "numeric"\nexcept = ["id"]',
        ),
    )
    assert list(desk.learned(found, 3)) == ["a", "n", "c"]


# ------------------------------------------------------------ rows


@pytest.mark.parametrize("keep", ["first", "last"])
def test_dedupe_is_drop_duplicates(desk: Bench, table: pd.DataFrame, keep: str) -> None:
    made = desk.made(table, steps(f'do = "dedupe"\nkey = ["key", "n"]\nkeep = "{keep}"'))
    wanted = table.drop_duplicates(["key", "n"], keep=keep).reset_index(drop=True)
    pd.testing.assert_frame_equal(made, wanted)


def test_dedupe_of_whole_rows_takes_missing_for_alike(desk: Bench) -> None:
    made = desk.made({"x": [1.0, None, None, 1.0], "s": ["a", "", "", "b"]}, steps('do = "dedupe"'))
    assert len(made) == 3


def test_sample_by_share_and_by_number(desk: Bench, table: pd.DataFrame) -> None:
    share = desk.made(table, steps('do = "sample"\nshare = 0.3'))
    assert abs(len(share) - 0.3 * N) < 4.5 * np.sqrt(N * 0.21)
    assert share["id"].is_monotonic_increasing
    assert len(desk.made(table, steps('do = "sample"\nrows = 100'))) == 100
    assert len(desk.made(table, steps('do = "sample"\nrows = 100000'))) == N
    by_key = desk.made(table, steps('do = "sample"\nshare = 0.3\nkey = ["key"]'))
    kept = set(by_key["key"])
    assert 0 < len(kept) < 50
    assert len(by_key) == table["key"].isin(kept).sum()


def test_parts_can_be_treated_apart(desk: Bench, table: pd.DataFrame) -> None:
    split = 'do = "split"\nkey = ["id"]\nparts = { train = 0.5, test = 0.5 }'
    found = desk.fit(
        desk.take(table).ref,
        steps(
            split, 'do = "filter"\nwhere = "n < 10"\nparts = ["train"]', 'do = "sample"\nrows = 20\nparts = ["test"]'
        ),
    )
    train, test = (desk.frame(part.version) for part in found.parts)
    assert train["n"].max() < 10
    assert len(test) == 20
    assert test["n"].max() >= 10
    assert len(desk.frame(desk.use(desk.take(table).ref).parts[0].version)) == N  # later data is left alone


def test_a_filter_that_leaves_nothing_is_refused(desk: Bench, table: pd.DataFrame) -> None:
    with pytest.raises(Refused, match=r"step 1 \(filter\) leaves no row; nothing was kept"):
        desk.made(table, steps('do = "filter"\nwhere = "n > 1000"'))


# ------------------------------------------------------------ join


@pytest.fixture
def other(desk: Bench) -> pd.DataFrame:
    found = pd.DataFrame({"k": [f"k{i:02}" for i in range(40)] + [None], "size": range(41), "name": ["x"] * 41})
    desk.take(found, "other")
    return found


@pytest.mark.parametrize("how", ["left", "inner"])
def test_join_is_merge(desk: Bench, table: pd.DataFrame, other: pd.DataFrame, how: str) -> None:
    table = table.assign(key=table["key"].where(table["n"] != 3))
    recipe = steps(f'do = "join"\ndataset = "other"\non = {{ key = "k" }}\nhow = "{how}"\ncolumns = ["size"]')
    found = desk.fit(desk.take(table).ref, recipe)
    wanted = table.merge(other.dropna()[["k", "size"]], left_on="key", right_on="k", how=how).drop(columns="k")
    pd.testing.assert_frame_equal(desk.frame(found.parts[0].version), wanted, check_dtype=False)
    assert found.parts[0].version.inputs == ("other@1",)


@pytest.mark.parametrize("how", ["left", "inner"])
def test_rows_multiply_only_where_that_is_allowed(
    desk: Bench, table: pd.DataFrame, other: pd.DataFrame, how: str
) -> None:
    twice = pd.concat([other.dropna(), other.dropna().head(10).assign(size=99)])
    desk.take(twice, "twice")
    recipe = f'do = "join"\ndataset = "twice"\non = {{ key = "k" }}\nhow = "{how}"\ncolumns = ["size"]\n'
    with pytest.raises(
        Refused, match=r"the key is not unique in twice@1: k = 'k0\d' is there more than once \(10 keys"
    ):
        desk.made(table, steps(recipe))
    made = desk.made(table, steps(recipe + "many = true"))
    wanted = table.merge(twice[["k", "size"]], left_on="key", right_on="k", how=how).drop(columns="k")
    pd.testing.assert_frame_equal(made, wanted, check_dtype=False)


def test_a_join_is_pinned_to_the_version_it_was_fitted_with(
    desk: Bench, table: pd.DataFrame, other: pd.DataFrame
) -> None:
    version = desk.take(table)
    first = desk.fit(version.ref, steps('do = "join"\ndataset = "other"\non = { key = "k" }'))
    desk.take(other.assign(size=-1), "other")
    assert desk.use(version.ref).parts[0].version.digest == first.parts[0].version.digest


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ('dataset = "other"\non = ["kay"]', "'kay' is not a column here; did you mean 'key'?"),
        ('dataset = "other"\non = { key = "kk" }', "'kk' is not a column of other@1; did you mean 'k'?"),
        ('dataset = "other"\non = { n = "k" }', "'n' is int, and 'k' of other@1 is string; cast one of them"),
        ('dataset = "other"\non = { key = "k" }\ncolumns = ["sise"]', "did you mean 'size'?"),
    ],
)
def test_a_join_that_cannot_be_says_why(
    desk: Bench, table: pd.DataFrame, other: pd.DataFrame, rest: str, said: str
) -> None:
    with pytest.raises(Invalid) as error:
        desk.made(table, steps('do = "join"\n' + rest))
    assert said in str(error.value)
    with pytest.raises(NotFound):
        desk.made(table, steps('do = "join"\ndataset = "nowhere"\non = ["key"]'))


def test_a_join_does_not_take_a_name_that_is_there(desk: Bench, table: pd.DataFrame, other: pd.DataFrame) -> None:
    version = desk.take(table.assign(size=1))
    recipe = 'do = "join"\ndataset = "other"\non = { key = "k" }\n'
    with pytest.raises(Invalid, match="would make a column 'size', and there is one"):
        desk.fit(version.ref, steps(recipe))
    made = desk.frame(desk.fit(version.ref, steps(recipe + 'suffix = "_there"')).parts[0].version)
    assert {"size", "size_there", "name_there"} <= set(made)


# ------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            'do = "standardise"\ncolumns = ["aa"]',
            "recipe.toml:3: step 1 (standardise): columns: 'aa' is not a column here; did you mean 'a'?",
        ),
        ('do = "standardise"\ncolumns = ["key"]', "'key' holds text; standardise takes whole numbers or floats"),
        ('do = "onehot"\ncolumns = ["a"]', "'a' holds floats; onehot takes"),
        ('do = "onehot"\ncolumns = ["id"]', "'id' has 3,000 levels, more than 1,000"),
        ('do = "derive"\ncolumn = "c"\nas = "a + nn"', "step 1 (derive): as: there is no column nn"),
        ('do = "filter"\nwhere = "a + 1"', "step 1 (filter): where: this gives a number"),
        ('do = "target"\ncolumns = "key"\ntarget = "text"', "'text' is text; say which value counts as 1"),
        ('do = "target"\ncolumns = "key"\ntarget = "key"', "hold the target 'key' itself"),
        ('do = "rename"\ncolumns = { a = "n" }', "would make a second column 'n'"),
        ('do = "impute"\ncolumns = "n"\nwith = "constant"\nvalue = "x"', "'x' does not fit 'n', which is int"),
        ('do = "ordinal"\ncolumns = "n"\nlevels = ["x"]', "they do not fit 'n', which is int"),
    ],
)
def test_a_step_that_cannot_be_says_why_and_where(desk: Bench, table: pd.DataFrame, step: str, said: str) -> None:
    with pytest.raises(Invalid) as error:
        desk.made(table, steps(step))
    assert said in str(error.value)


def test_nothing_is_learned_from_a_column_without_values_or_with_infinite_ones(desk: Bench) -> None:
    empty = pa.table({"x": pa.array([None] * 5, pa.float64()), "y": [1.0, 2, 3, 4, float("inf")]})
    for how in ("mean", "median", "most_frequent"):
        with pytest.raises(Invalid, match="'x' has no value in any row"):
            desk.made(empty, steps(f'do = "impute"\ncolumns = "x"\nwith = "{how}"'))
    with pytest.raises(Invalid, match="'y' holds infinite values"):
        desk.made(empty, steps('do = "standardise"\ncolumns = "y"'))


def test_a_preview_shows_before_and_after_and_keeps_nothing(desk: Bench, table: pd.DataFrame) -> None:
    version = desk.take(table)
    datasets = desk.backend.need("datasets")
    datasets.set_column("table", "n", ACTOR, note="how many", unit="pieces")
    found = desk.preview(version.ref, steps('do = "split"', 'do = "impute"\ncolumns = "a"\nwith = "mean"'), rows=4)
    assert [column.name for column in found.before] == list(table)
    assert found.rows[2][2] == table["n"][2]
    assert {part.part: len(part.first) for part in found.parts} == {"train": 4, "test": 4}
    assert sum(part.rows for part in found.parts) == found.sample == found.total == N
    assert found.steps[1].learned.startswith("a ")
    assert next(column for column in found.after if column.name == "n").unit == "pieces"
    assert next(column for column in found.after if column.name == "a").unit == ""
    assert len(datasets.page().items) == 1
    assert not desk.backend.need("definitions").page("transform").items
