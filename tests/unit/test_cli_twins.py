"""Screen and command line offer the same: what an action names as its twin is a command that exists and takes that."""

from __future__ import annotations

import json

import click
import pytest

from console.cli.main import main, root
from console.tui.actions import ACTIONS

TWINS = [(action.id, action.cli) for action in ACTIONS if action.cli]


@pytest.mark.parametrize(("action", "line"), TWINS)
def test_the_twin_of_an_action_is_a_command_with_these_arguments(action: str, line: str) -> None:
    program, noun, *words = line.split()
    assert program == "mlops-console"
    command = root.get_command(click.Context(root), noun)
    assert command is not None, f"{action}: no noun {noun}"
    if isinstance(command, click.Group):
        verb = words.pop(0)
        assert verb in command.commands, f"{action}: {noun} has no verb {verb}"
        command = command.commands[verb]
    # Parsing alone: nothing is run, and whatever the words name need not be there.
    command.make_context(noun, list(words), resilient_parsing=False)


def test_keys_prints_every_action_with_its_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "--json"]) == 0
    items = json.loads(capsys.readouterr().out)["items"]
    assert {item["id"] for item in items} == {action.id for action in ACTIONS}
    assert next(item for item in items if item["id"] == "promote")["keys"] == ["p"]


def test_keys_as_markdown_is_the_cheat_sheet(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "--markdown"]) == 0
    assert "| `p` | `:promote` |" in capsys.readouterr().out
