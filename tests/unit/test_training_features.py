"""A run on a feature set: its version is pinned, and no other column reaches the model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.contract import Invalid, NotFound
from console.data.features.apply import apply_features, define_features
from console.data.features.grammar import AppliedTo, parse_features
from console.training.recipe import parse_recipe
from console.training.start import recipe_of, retry_run, start_run
from tests.transforming import ACTOR, Bench, bench

SET = """
name = "trip"
dataset = "table"
key = ["id"]
[[feature]]
name = "double"
as = "x * 2"
type = "int"
[[feature]]
name = "odd"
as = "x % 2 = 1"
type = "bool"
"""
RECIPE = """
dataset = "made"
target = "y"
task = "classification"
features = "trip"
[estimator]
class = "sklearn.linear_model.LogisticRegression"
"""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as made:
        made.take({"id": range(60), "x": range(60), "y": [n % 2 for n in range(60)], "leak": range(60)})
        define(made)
        apply(made)
        yield made


def define(desk: Bench, text: str = SET) -> None:
    define_features(*stores(desk), parse_features(text, "trip.toml"), ACTOR)


def apply(desk: Bench, extra: str = "y") -> None:
    """The features beside what the set's own dataset has, as a person would join them."""
    made = apply_features(*stores(desk), AppliedTo(use="trip", name="only"), ACTOR, staging=desk.home / "tmp")
    columns = f'columns = ["{extra}", "leak"]' if extra else ""
    desk.fit(made.version.ref, f'[[step]]\ndo = "join"\ndataset = "table"\non = ["id"]\n{columns}', name="made")


def stores(desk: Bench) -> tuple[object, object]:
    return desk.backend.need("datasets"), desk.backend.need("definitions")


def test_the_run_pins_the_version_of_the_set_and_takes_its_features_alone(desk: Bench) -> None:
    run = start_run(desk.backend, RECIPE, ACTOR)
    assert run.params["features"] == "trip@1"
    assert run.params["columns"] == "double, odd"
    kept = parse_recipe(recipe_of(desk.backend, run))
    assert kept.columns == ("double", "odd")
    define(desk, SET.replace("x * 2", "x * 3"))
    assert retry_run(desk.backend, run.id, ACTOR).params["features"] == "trip@1"
    with pytest.raises(Invalid, match="made@1 was not made by feature set trip@2"):
        start_run(desk.backend, RECIPE, ACTOR)


def test_some_of_the_features_may_be_left_out_and_none_may_come_in(desk: Bench) -> None:
    some = start_run(desk.backend, RECIPE, ACTOR, overrides={"exclude": ["odd"]})
    assert some.params["columns"] == "double"
    assert start_run(desk.backend, RECIPE, ACTOR, overrides={"columns": ["odd"]}).params["columns"] == "odd"
    with pytest.raises(Invalid, match="'leak' is not a feature of trip@1"):
        start_run(desk.backend, RECIPE, ACTOR, overrides={"columns": ["odd", "leak"]})
    with pytest.raises(Invalid, match="'odd' is a feature of trip@1: the model would be told it"):
        start_run(desk.backend, RECIPE, ACTOR, overrides={"target": "odd"})
    with pytest.raises(Invalid, match="leaves none of the set's features"):
        start_run(desk.backend, RECIPE, ACTOR, overrides={"exclude": ["odd", "double"]})
    with pytest.raises(NotFound):
        start_run(desk.backend, RECIPE, ACTOR, overrides={"features": "trap"})
    with pytest.raises(Invalid, match="table@1 was not made by feature set trip@1"):
        start_run(desk.backend, RECIPE, ACTOR, overrides={"dataset": "table"})
