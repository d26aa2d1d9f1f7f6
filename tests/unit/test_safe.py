from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from console.safe import SafeText, cell_length, safe_lines, safe_text, safe_typed
from tests.hostile import HOSTILE, on_screen_is_harmless


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_holds_no_control_afterwards(name: str) -> None:
    assert on_screen_is_harmless(safe_text(HOSTILE[name]))


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("cells", [0, 1, 2, 7, 40])
def test_hostile_text_fits_its_cells(name: str, cells: int) -> None:
    assert cell_len(safe_text(HOSTILE[name], cells)) <= cells


@given(st.text(st.characters(exclude_categories=[])), st.integers(0, 60))
def test_any_text_is_harmless_and_fits(text: str, cells: int) -> None:
    shown = safe_text(text, cells)
    assert on_screen_is_harmless(shown)
    assert cell_len(shown) <= cells


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_is_itself(text: str) -> None:
    assert safe_text(text) == text


def test_text_is_the_same_when_made_safe_twice() -> None:
    for text in HOSTILE.values():
        assert safe_text(safe_text(text)) == safe_text(text)


def test_a_newline_is_seen_and_stays_on_the_line() -> None:
    assert safe_text("a\nb") == "a␤b"


def test_escape_is_shown_by_its_picture() -> None:
    assert safe_text("\x1b[31m") == "␛[31m"


def test_brackets_stay_brackets() -> None:
    assert safe_text("[red]x[/red]") == "[red]x[/red]"


def test_names_in_other_scripts_stay_readable() -> None:
    for name in ("Modèle", "模型", "модель", "é", "naïve ≥ 0.5"):
        assert safe_text(name) == name


def test_a_cut_text_ends_in_an_ellipsis() -> None:
    assert safe_text("abcdef", 4) == "abc…"
    assert safe_text("abcd", 4) == "abcd"
    assert safe_text("模型模型", 5) == "模型…"


def test_safe_text_cannot_be_made_by_hand() -> None:
    with pytest.raises(TypeError):
        SafeText("\x1b")


def test_a_value_whose_text_fails_is_named_by_its_type() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    assert safe_text(Broken()) == "<Broken>"


def test_bytes_are_read_as_utf8_with_the_rest_escaped() -> None:
    assert safe_text("é".encode() + b"\xff") == "é\\xff"


def test_lines_drop_colours_and_keep_what_a_progress_bar_last_said() -> None:
    assert safe_lines("\x1b[32mok\x1b[0m\r\n10 %\r20 %\na\tb") == ["ok", "20 %", "a       b"]


def test_lines_are_harmless() -> None:
    for text in HOSTILE.values():
        assert all(on_screen_is_harmless(line) for line in safe_lines(text))


def test_cell_length_agrees_with_the_terminal_library() -> None:
    for text in ("", "abc", "模型", "é"):
        assert cell_length(text) == cell_len(text)


def test_the_module_stays_light() -> None:
    import subprocess

    heavy = "import console.safe, sys; print([m for m in ('rich', 'textual', 'pandas') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", heavy], text=True).strip() == "[]"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_typed_line_is_harmless_and_keeps_every_place(text: str) -> None:
    shown = safe_typed(text)
    assert on_screen_is_harmless(shown)
    assert len(shown) == len(text)
