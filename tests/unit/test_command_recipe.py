"""A recipe of a command: what may stand in it, and how its words are filled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.contract import Invalid
from console.training.command_recipe import fill, is_command, override_command_recipe, parse_command_recipe

TEXT = """name = "small"
command = "python train.py --lr {lr} --out 'a b/{out}' --json {{}}"
retries = 2
[params.lr]
type = "float"
default = 0.1
low = 0.001
high = 1
help = "step of the descent"
[params.out]
default = "here"
[params.kind]
default = "tree"
choices = ["tree", "line"]
[limits]
minutes = 10
memory_mb = 500
[env]
KIND = "{kind}"
"""


def test_a_recipe_is_read_and_filled_word_by_word() -> None:
    recipe = parse_command_recipe(TEXT)
    assert fill(recipe) == (
        ("python", "train.py", "--lr", "0.1", "--out", "a b/here", "--json", "{}"),
        {"KIND": "tree"},
    )
    assert (recipe.limits.minutes, recipe.retries, recipe.params["lr"].help) == (10, 2, "step of the descent")


@given(st.text().filter(lambda text: "\0" not in text))
def test_no_value_becomes_a_second_word_or_is_filled_again(value: str) -> None:
    text = 'command = "echo -{x}- {x}"\n[params.x]\ntype = "string"\ndefault = "d"\n'
    words, _ = fill(parse_command_recipe(override_command_recipe(text, {"params.x": value})))
    assert len(words) == 3
    assert words[1] == f"-{words[2]}-"


def test_a_value_that_looks_like_a_shell_or_a_placeholder_stays_as_it_is() -> None:
    words, _ = fill(parse_command_recipe(override_command_recipe(TEXT, {"out": "$(rm -rf .); {lr} 'x"})))
    assert words[5] == "a b/$(rm -rf .); {lr} 'x"


def test_values_are_set_by_the_name_of_the_parameter_and_read_as_its_type() -> None:
    changed = parse_command_recipe(
        override_command_recipe(TEXT, {"lr": "0.2", "out": "7", "limits.minutes": "1.5", "env.MORE": "1"})
    )
    assert changed.values() == {"lr": 0.2, "out": "7", "kind": "tree"}
    assert (changed.limits.minutes, changed.env["MORE"]) == (1.5, "1")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("retries = 2", "retrys = 2", "r.toml:3: 'retrys' is not a key of a command recipe; did you mean 'retries'?"),
        ("low = 0.001", "lo = 0.001", "r.toml:7: 'lo' is not a key of [params.lr]; did you mean 'low'?"),
        ("minutes = 10", "minuts = 10", "r.toml:16: 'minuts' is not a key of [limits]; did you mean 'minutes'?"),
        ('type = "float"', 'type = "flaot"', "r.toml:5: params.lr: type: 'flaot' is not known; did you mean 'float'?"),
        ("default = 0.1", "default = 7.5", "r.toml:4: params.lr: is 7.5, wanted a value from 0.001 up to 1."),
        ("default = 0.1", "default = nan", "wanted a value from 0.001 up to 1."),
        ("default = 0.1", 'default = "fast"', "params.lr: is 'fast', wanted a float."),
        ('default = "tree"', 'default = "tre"', "params.kind: is 'tre'; did you mean 'tree'? Valid: tree, line."),
        ("--lr {lr}", "--lr {lrr}", "r.toml:2: command: {lrr} is not a parameter; did you mean 'lr'?"),
        ("--lr {lr}", "--lr 1", "r.toml:4: params.lr: neither the command nor [env] uses it"),
        ("'a b/{out}'", "'a b/{out}", "cannot be split into words: No closing quotation"),
        ("--lr {lr}", "--lr {lr} {dataset}", "{dataset} is not a parameter; the recipe names no dataset."),
        ("KIND =", "API_KEY =", "looks like a secret"),
        ("retries = 2", "retries = 99", "r.toml:3: retries: is 99, wanted 0 to 20."),
        ("minutes = 10", "minutes = -1", "limits.minutes: is -1, wanted 0 to 1e+06."),
        ("[params.out]", "[params.name]", "params.name: name is a key of the recipe itself"),
        ("low = 0.001", "low = 5", "goes from 5 to 1; wanted low at most high."),
        ('KIND = "{kind}"', 'KIND = "{kind}"\n[sweep]\n[sweep.space.lr]', "sweep: has no metric"),
        (
            'KIND = "{kind}"',
            'KIND = "{kind}"\n[sweep]\nmetric = "m"\ndirection = "up"\n[sweep.space.lr]',
            "'up' is not known",
        ),
        (
            'KIND = "{kind}"',
            'KIND = "{kind}"\n[sweep]\nmetric = "m"\ndirection = "minimize"\n[sweep.space.lr]\nlow = 0.1\nhigh = 3',
            "sweep.space.lr: a value of it cannot be set: is 3, wanted a value from 0.001 up to 1.",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_and_the_nearest_that_is_right(old: str, new: str, said: str) -> None:
    assert old in TEXT
    with pytest.raises(Invalid) as error:
        parse_command_recipe(TEXT.replace(old, new, 1), "r.toml")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("lrr", "1", "neither a parameter nor a key of this recipe; did you mean 'lr'?"),
        ("lr", "9", "is 9, wanted a value from 0.001 up to 1."),
        ("params.lr.low", "0", "neither a parameter nor a key"),
        ("retries.x", "1", "retries is a value, not a table"),
    ],
)
def test_a_value_that_cannot_be_set_is_told(key: str, value: str, said: str) -> None:
    with pytest.raises(Invalid) as error:
        override_command_recipe(TEXT, {key: value}, "r.toml")
    assert said in str(error.value)


def test_a_parameter_without_a_default_has_to_be_given() -> None:
    text = 'command = "x {a}"\n[params.a]\ntype = "int"\n'
    with pytest.raises(Invalid, match="a has no default"):
        fill(parse_command_recipe(text))
    assert fill(parse_command_recipe(override_command_recipe(text, {"a": "3"})))[0] == ("x", "3")


def test_the_kinds_of_recipe_are_told_apart() -> None:
    assert is_command(TEXT)
    assert not is_command('[estimator]\nclass = "a.b"')
    assert not is_command("no [ toml")


def test_a_searched_parameter_has_the_range_that_it_has_anyway() -> None:
    more = '[sweep]\nmetric = "loss"\ndirection = "minimize"\n[sweep.space.lr]\nlog = true\n[sweep.space.kind]\n'
    plan = parse_command_recipe(TEXT + more).sweep
    assert plan is not None
    assert (plan.space["lr"].low, plan.space["lr"].high, plan.space["lr"].whole) == (0.001, 1, False)
    assert plan.space["kind"].choices == ("tree", "line")
