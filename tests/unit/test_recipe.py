"""Recipes: what may stand in one, and how a mistake is told."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.contract import Invalid, NotFound
from backends.entities import Column, ColumnType
from console.training.recipe import (
    check_columns,
    flat_params,
    load_recipe,
    override_recipe,
    parse_recipe,
)
from console.training.toml_text import to_toml

TEXT = """name = "late flights"
dataset = "flights@3"
target = "late"
task = "classification"
seed = 7
register = "flights-delay"

[split]
by = "time"
column = "when"
test = 0.2

[preprocess]
numeric = {impute = "median", scale = true}
categorical = {encode = "onehot", min_frequency = 0.01}

[estimator]
class = "sklearn.ensemble.HistGradientBoostingClassifier"
[estimator.params]
learning_rate = 0.1
max_iter = 200

[metrics]
report = ["auc", "log_loss"]
primary = "auc"
"""


def test_a_recipe_is_read_with_its_defaults() -> None:
    recipe = parse_recipe(TEXT)
    assert recipe.dataset == "flights@3"
    assert recipe.split.by == "time"
    assert recipe.preprocess.numeric.scale is True
    assert recipe.estimator.params == {"learning_rate": 0.1, "max_iter": 200}
    assert recipe.report() == ("auc", "log_loss")
    assert recipe.experiment == "default"
    assert recipe.preprocess.datetime.encode == "parts"


@pytest.mark.parametrize(
    ("before", "after", "field", "words"),
    [
        ("target =", "taget =", "taget", ["r.toml:3", "'taget' is not a key in a recipe", "did you mean 'target'?"]),
        ("impute =", "imput =", "preprocess.numeric.imput", ["r.toml:14", "did you mean 'impute'?"]),
        ("[estimator.params]", "[estimator.parms]", "estimator.parms", ["r.toml:19", "did you mean 'params'?"]),
        ("test = 0.2", 'test = "much"', "split.test", ["r.toml:11", "expected `float`, got `str`"]),
        ("test = 0.2", "test = 2", "split.test", ["r.toml:11", "is 2.0", "between 0 and 1"]),
        ('by = "time"', 'by = "tim"', "split.by", ["r.toml:9", "did you mean 'time'?", "random, time, group"]),
        ('column = "when"\n', "", "split", ["needs a column"]),
        ('task = "c', 'task = "k', "task", ["r.toml:4", "did you mean 'classification'?"]),
        ("dataset = ", "# ", "dataset", ["does not say its dataset"]),
        ('"log_loss"', '"logloss"', "metrics.report", ["r.toml:24", "did you mean 'log_loss'?"]),
        ('primary = "auc"', 'primary = "f1"', "metrics.primary", ["not in metrics.report"]),
        ("seed = 7", "seed = -7", "seed", ["r.toml:5", "whole number from 0"]),
        ("seed = 7", 'columns = ["late", "a"]', "columns", ["told the answer"]),
        ("seed = 7", "seed = = 7", "toml", ["r.toml:5:8", "not valid TOML"]),
        ("[split]", "[split", "toml", ["r.toml:8", "not valid TOML"]),
        ("[split]\n", "split = 1\n[other]\n", "split", ["split is a table"]),
    ],
)
def test_a_mistake_is_named_with_its_line_and_the_nearest_valid_word(
    before: str, after: str, field: str, words: list[str]
) -> None:
    assert before in TEXT
    with pytest.raises(Invalid) as caught:
        parse_recipe(TEXT.replace(before, after, 1), "r.toml")
    assert caught.value.field == field
    for word in words:
        assert word in str(caught.value)


def test_a_recipe_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no recipe file"):
        load_recipe(tmp_path / "none.toml")
    with pytest.raises(Invalid, match="is a folder"):
        load_recipe(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'name = "caf\xe9"')
    with pytest.raises(Invalid, match="byte 11 is not UTF-8"):
        load_recipe(tmp_path / "latin.toml")


def test_overrides_set_keys_and_parameters_as_toml_values() -> None:
    text = override_recipe(
        TEXT,
        {"learning_rate": "0.3", "seed": "11", "split.test": 0.4, "estimator.params.loss": "log_loss", "note": "go"},
    )
    recipe = parse_recipe(text)
    assert recipe.estimator.params == {"learning_rate": 0.3, "max_iter": 200, "loss": "log_loss"}
    assert (recipe.seed, recipe.split.test, recipe.note) == (11, 0.4, "go")


def test_an_override_that_makes_the_recipe_wrong_is_refused() -> None:
    with pytest.raises(Invalid, match="between 0 and 1"):
        override_recipe(TEXT, {"split.test": "3"})
    with pytest.raises(Invalid, match="did you mean 'column'"):
        override_recipe(TEXT, {"split.colum": "x"})
    with pytest.raises(Invalid, match="seed is a value"):
        override_recipe(TEXT, {"seed.x": "1"})


PLAIN = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.text(), PLAIN | st.dictionaries(st.text(), PLAIN, max_size=3), max_size=5))
def test_what_is_written_as_toml_reads_back_the_same(table: dict[str, object]) -> None:
    assert tomllib.loads(to_toml(table)) == table


COLUMNS = [Column(name=name, type=ColumnType.INT) for name in ("late", "when", "Distance")]


def test_a_column_that_is_not_there_is_told_with_the_nearest() -> None:
    check_columns(parse_recipe(TEXT), COLUMNS, "flights@3")
    for change, field, near in (
        (('target = "late"', 'target = "lat"'), "target", "late"),
        (('column = "when"', 'column = "wen"'), "split.column", "when"),
        (("seed = 7", 'exclude = ["distance"]'), "exclude", "Distance"),
    ):
        with pytest.raises(Invalid, match=f"did you mean '{near}'") as caught:
            check_columns(parse_recipe(TEXT.replace(*change)), COLUMNS, "flights@3")
        assert caught.value.field == field


def test_parameters_of_the_estimator_stand_under_their_bare_names() -> None:
    params = flat_params(parse_recipe(TEXT))
    assert params["learning_rate"] == "0.1"
    assert params["estimator"] == "sklearn.ensemble.HistGradientBoostingClassifier"
    assert params["split.by"] == "time"
    assert params["preprocess.numeric.scale"] == "true"
    assert "name" not in params


def test_reading_a_recipe_and_starting_a_run_import_nothing_heavy() -> None:
    code = (
        "import sys, console.training.recipe, console.training.start, console.training.compare, "
        "console.data.offloaded, console.offload\n"
        "print([name for name in ('pandas', 'sklearn', 'pyarrow', 'numpy', 'scipy', 'skops', "
        "'sqlite_utils', 'textual') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
