"""A recipe that comes back to itself is refused, and others are not."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from backends.contract import Mutation, Refused
from backends.local import open_local
from console.training.command_recipe import parse_command_recipe
from console.training.command_run import start_recipe
from console.training.recipe_chain import CHAIN, lengthened

ANN = Mutation("ann@box")
ONE = parse_command_recipe('command = "sh one.sh --lr {lr}"\n[params.lr]\ndefault = 0.1\n', "one.toml")
TWO = parse_command_recipe('command = "sh two.sh"\n', "two.toml")


def test_a_recipe_that_starts_itself_is_refused_at_once() -> None:
    chain = lengthened(ONE, {}, "one.toml")
    with pytest.raises(Refused, match="starts this recipe again: that would never end") as caught:
        lengthened(ONE, {CHAIN: chain}, "one.toml")
    assert CHAIN in str(caught.value)


def test_a_circle_through_others_is_told_with_its_length() -> None:
    chain = lengthened(TWO, {CHAIN: lengthened(ONE, {}, "one.toml")}, "two.toml")
    with pytest.raises(Refused, match="through 1 other"):
        lengthened(ONE, {CHAIN: chain}, "one.toml")


def test_a_recipe_may_start_another() -> None:
    chain = lengthened(TWO, {CHAIN: lengthened(ONE, {}, "one.toml")}, "two.toml")
    assert len(chain.split(",")) == 2


def test_the_command_is_told_the_chain_and_nothing_is_started_in_a_circle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first run's command would have in its environment refuses the second, whatever its values."""
    backend = open_local(tmp_path / "w")
    text = f'command = "{sys.executable} again.py --lr {{lr}}"\n[params.lr]\ntype = "float"\ndefault = 0.1\n'
    first = start_recipe(backend, text, ANN, origin=str(tmp_path))
    kept = json.loads(backend.need("artifacts").open(first.id, "command.json").read_text())
    with monkeypatch.context() as inside:
        inside.setenv(CHAIN, kept["env"][CHAIN])
        with pytest.raises(Refused, match="never end"):
            start_recipe(backend, text, ANN, origin=str(tmp_path), overrides={"lr": 0.2})
    assert [each.id for each in backend.need("runs").page().items] == [first.id]
    again = start_recipe(backend, text, ANN, origin=str(tmp_path), environ={**os.environ, **kept["env"]})
    assert again.id != first.id, "what reproduces it is not within it"
    backend.close()
