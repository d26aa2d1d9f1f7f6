from __future__ import annotations

from collections.abc import Sequence

import pytest

from console.tui import ink
from console.tui.actions import ACTIONS, Action
from console.tui.frame import footer
from console.tui.keymap import default_keys
from console.tui.panes import PANES


def offered(pane: str, greyed: Sequence[str] = ()) -> list[tuple[Action, str]]:
    here = [action for action in ACTIONS if action.footer and action.here(pane)]
    return [(a, "not now" if a.id in greyed else "") for a in sorted(here, key=lambda action: action.footer)]


def line(pane: str, width: int, *crumbs: str, greyed: Sequence[str] = ()) -> str:
    left, right = footer(offered(pane, greyed), default_keys(), crumbs, width)
    said = ink.plain(left) + ink.plain(right)
    assert ink.width_of([(said, "")]) <= width
    return said


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("pane", [spec.id for spec in PANES])
def test_all_keys_is_always_there(pane: str, width: int) -> None:
    assert "? all keys" in line(pane, width, "Somewhere", "with quite a long name in it", "and deeper still")


def test_the_verbs_of_models_fit_80_columns() -> None:
    said = line("models", 80, "Models")
    for verb in ("p promote", "b roll back", "u undo", "/ filter", "? all keys"):
        assert verb in said


@pytest.mark.parametrize("pane", [spec.id for spec in PANES])
def test_a_panes_own_verbs_come_before_those_of_everywhere(pane: str) -> None:
    own = [action.label for action, _ in offered(pane) if action.footer < 18]
    said = line(pane, 80, "Somewhere", "deep", "within")
    shown = [label for label in own if f" {label} " in said]
    assert shown == own or ": go" not in said


def test_the_place_is_shortened_from_the_left_before_a_verb_goes() -> None:
    said = line("models", 80, "Models", "flights-delay", "v3")
    assert "u undo" in said
    assert "Models ›" not in said
    wide = line("models", 120, "Models", "flights-delay", "v3")
    assert wide.endswith("Models › flights-delay › v3 ")


def test_what_can_be_done_goes_before_what_cannot() -> None:
    said = line("runs", 80, "Runs", greyed=("stop", "compare"))
    assert "/ filter" in said
    assert "r register" in said
    assert "x stop" not in said or "c compare" not in said
