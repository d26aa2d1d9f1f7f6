from __future__ import annotations

import base64

import pytest

from console.tui.clipboard import LIMIT, sequence

PLAIN = "\x1b]52;c;YWJj\x07"


def test_a_terminal_takes_osc_52() -> None:
    assert sequence("abc", {"TERM": "xterm-256color"}) == PLAIN


def test_tmux_gets_it_plain_and_wrapped() -> None:
    assert sequence("abc", {"TERM": "tmux-256color", "TMUX": "/tmp/x"}) == PLAIN + f"\x1bPtmux;\x1b{PLAIN}\x1b\\"


def test_screen_gets_it_in_short_strings() -> None:
    code = sequence("abc" * 200, {"TERM": "screen-256color"})
    parts = code.removeprefix("\x1bP").removesuffix("\x1b\\").split("\x1b\\\x1bP")
    assert len(parts) > 1
    assert all(len(part) <= 76 for part in parts)
    whole = "".join(parts)
    assert base64.b64decode(whole.removeprefix("\x1b]52;c;").removesuffix("\x07")) == b"abc" * 200


@pytest.mark.parametrize("term", ["dumb", "linux", ""])
def test_a_terminal_without_a_clipboard_is_told(term: str) -> None:
    with pytest.raises(ValueError, match="no clipboard"):
        sequence("abc", {"TERM": term})


def test_too_much_is_told_and_not_sent() -> None:
    with pytest.raises(ValueError, match="export"):
        sequence("x" * (LIMIT + 1), {"TERM": "xterm"})


def test_the_raw_value_is_copied_even_if_it_holds_escapes() -> None:
    code = sequence("\x1b[31m", {"TERM": "xterm"})
    assert base64.b64decode(code[7:-1]) == b"\x1b[31m"
    assert "\x1b[31m" not in code
