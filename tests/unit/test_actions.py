from __future__ import annotations

import subprocess
import sys

import pytest

from console.tui.actions import ACTIONS, BY_ID, COMMANDS, Tier, cheatsheet
from console.tui.command_bar import UnknownCommandError, completions, read_command
from console.tui.help import ranked
from console.tui.keymap import clash
from console.tui.panes import PANES


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.id)
def test_every_action_has_words_and_a_verb_that_exists(action) -> None:
    assert action.label
    assert action.help.endswith(".")
    assert callable(action.load())


def test_ids_are_unique() -> None:
    assert len(BY_ID) == len(ACTIONS)


def test_command_words_are_unique() -> None:
    assert len(COMMANDS) == sum(len(action.command) for action in ACTIONS)


def test_no_key_means_two_things_in_one_pane() -> None:
    for number, first in enumerate(ACTIONS):
        for second in ACTIONS[number + 1 :]:
            shared = set(first.keys) & set(second.keys)
            assert not (shared and clash(first, second)), f"{first.id} and {second.id} share {shared}"


def test_what_changes_something_names_its_tier_or_asks_by_a_form() -> None:
    for action in ACTIONS:
        if action.tier is not Tier.NONE:
            assert action.mutates, f"{action.id} asks for a yes but says that it changes nothing"


def test_every_pane_has_its_key_and_word() -> None:
    for spec in PANES:
        action = BY_ID[f"go.{spec.id}"]
        assert action.key == spec.key
        assert spec.id in action.command


def test_panes_that_actions_name_are_known_words() -> None:
    known = {"overview", "datasets", "runs", "models", "monitor", "deployments", "journal", "compare"}
    for action in ACTIONS:
        assert set(action.panes) <= known


def test_the_cheatsheet_has_a_line_for_each_action() -> None:
    sheet = cheatsheet()
    assert sheet.count("\n") == len(ACTIONS) + 2
    assert "`:promote`" in sheet
    assert "mlops-console model promote" in sheet


def test_the_cheatsheet_shows_own_keys() -> None:
    assert "| `P` | `:promote`" in cheatsheet({"promote": "P"})


def test_the_registry_is_read_without_textual() -> None:
    code = "import console.tui.actions, console.tui.keymap, sys; print('textual' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


# ---------------------------------------------------------------- command bar


def test_a_command_is_a_word_and_its_argument() -> None:
    command = read_command(":runs status = failed")
    assert command is not None
    assert command.action.id == "go.runs"
    assert command.argument == "status = failed"


def test_q_quits() -> None:
    command = read_command("q")
    assert command is not None
    assert command.action.id == "quit.now"


def test_an_unambiguous_beginning_is_enough() -> None:
    command = read_command("jour")
    assert command is not None
    assert command.action.id == "go.journal"


def test_an_unknown_word_names_the_nearest() -> None:
    with pytest.raises(UnknownCommandError, match=":promote"):
        read_command("promotr")


def test_nothing_typed_is_no_command() -> None:
    assert read_command("  ") is None


@pytest.mark.parametrize(
    ("typed", "whole"),
    [
        ("mod", "models"),
        ("ctx pr", "ctx prod"),
        ("theme h", "theme high-contrast"),
        ("", None),
        ("zzz", None),
        ("ctx nothing", None),
    ],
)
def test_the_ghost_completes_words_and_arguments(typed: str, whole: str | None) -> None:
    assert completions(typed, ["local", "prod"]) == whole


def test_the_ghost_completes_a_filter_in_the_query_language() -> None:
    assert completions("runs stat", []) == "runs status"


# ---------------------------------------------------------------- help search


def test_search_finds_by_label_before_help() -> None:
    assert ranked("promote", "models")[0].id == "promote"


def test_search_finds_by_letters_in_order() -> None:
    assert "rollback" in [action.id for action in ranked("rlbk", "models")]


def test_search_without_words_gives_everything_with_the_pane_first() -> None:
    found = ranked("", "models")
    assert len(found) == len(ACTIONS)
    assert "models" in found[0].panes


def test_search_for_nonsense_finds_nothing() -> None:
    assert ranked("qqqqzz", "runs") == []
