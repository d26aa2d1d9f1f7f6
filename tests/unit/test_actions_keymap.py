from __future__ import annotations

from pathlib import Path

import pytest

from console.tui.actions import ACTIONS
from console.tui.keymap import default_keys, load_keymap, normal_key


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "keymap.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_no_file_means_the_defaults(tmp_path: Path) -> None:
    keymap = load_keymap(tmp_path / "keymap.toml")
    assert keymap.keys == default_keys()
    assert keymap.problems == ()


def test_every_default_key_is_spelled_as_textual_spells_it() -> None:
    for action in ACTIONS:
        for key in action.keys:
            assert normal_key(key) == key or "ctrl" in key


def test_a_key_is_changed(tmp_path: Path) -> None:
    keymap = load_keymap(write(tmp_path, 'promote = "P"\n"go.runs" = "Z, ctrl+o"\n'))
    assert keymap.keys["promote"] == "P"
    assert keymap.keys["go.runs"] == "Z,ctrl+o"
    assert keymap.problems == ()


def test_dotted_ids_may_be_written_as_tables(tmp_path: Path) -> None:
    assert load_keymap(write(tmp_path, '[go]\nruns = "Z"\n')).keys["go.runs"] == "Z"


def test_an_unknown_action_names_file_and_nearest(tmp_path: Path) -> None:
    path = write(tmp_path, 'promot = "P"\n')
    (problem,) = load_keymap(path).problems
    assert str(path) in problem
    assert "promot" in problem
    assert "did you mean promote?" in problem


def test_an_unknown_key_is_told_and_the_default_stays(tmp_path: Path) -> None:
    keymap = load_keymap(write(tmp_path, 'promote = "hyper+x"\n'))
    assert keymap.keys["promote"] == "p"
    assert "hyper+x" in keymap.problems[0]


def test_a_clash_is_told_and_the_default_stays(tmp_path: Path) -> None:
    keymap = load_keymap(write(tmp_path, 'promote = "b"\n'))
    assert keymap.keys["promote"] == "p"
    assert "rollback" in keymap.problems[0]


def test_two_actions_may_change_places(tmp_path: Path) -> None:
    keymap = load_keymap(write(tmp_path, 'promote = "b"\nrollback = "p"\n'))
    assert (keymap.keys["promote"], keymap.keys["rollback"]) == ("b", "p")
    assert keymap.problems == ()


def test_one_key_may_serve_two_panes(tmp_path: Path) -> None:
    keymap = load_keymap(write(tmp_path, 'compare = "h"\n'))
    assert keymap.keys["compare"] == "h"
    assert keymap.problems == ()


@pytest.mark.parametrize("text", ["promote = ", "\xff\xfe", 'promote = ["p"]'])
def test_a_broken_file_leaves_the_defaults_and_says_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keymap.toml"
    path.write_bytes(text.encode("latin-1"))
    keymap = load_keymap(path)
    assert keymap.keys == default_keys()
    assert str(path) in keymap.problems[0]


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("?", "question_mark"),
        ("ctrl+R", "ctrl+shift+r"),
        ("F5", "f5"),
        ("esc", "escape"),
        ("P", "P"),
        ("ctrl+", None),
        ("", None),
    ],
)
def test_keys_are_read_as_people_write_them(written: str, key: str | None) -> None:
    assert normal_key(written) == key
