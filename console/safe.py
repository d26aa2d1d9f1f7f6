"""The one door through which a string from outside reaches a screen.

Every string from a backend, a file or an exception is untrusted. `safe_text` makes each character that a terminal
would obey, or that would hide or reorder its neighbours, visible as a mark. It says nothing about Textual's markup:
widgets take the result as `Content(safe)` or with `markup=False`, so that brackets stay brackets. What is sent back to
a backend, copied or exported is the raw value, never this one.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_KEY: Final = object()

MARK: Final = "\N{REPLACEMENT CHARACTER}"
"""Stands for a control that has no picture of its own: C1, bidi, zero-width, lone surrogate."""

ELLIPSIS: Final = "…"

_COMBINING_RUN: Final = 4
"""More marks than this on one letter is a smear over the neighbouring rows, not a language."""

_PRESENTATION: Final = frozenset("\ufe0e\ufe0f")
"""Text or emoji style: they change the width only in some terminals, and nothing else."""

_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufffe\uffff")
"""Letters by category that draw nothing."""

_ESCAPE_SEQUENCE: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[]PX^_]|[\x9d\x90])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
)


class SafeText(str):
    """Text that holds nothing a terminal obeys. Only this module makes it."""

    __slots__ = ()

    def __new__(cls, text: str, key: object = None) -> SafeText:
        if key is not _KEY:
            raise TypeError("SafeText is made by safe_text() only")
        return super().__new__(cls, text)


def safe_text(value: object, cells: int | None = None) -> SafeText:
    """The value on one line, harmless, and cut to at most `cells` terminal cells with an ellipsis.

    Newlines become ␤, other C0 controls their pictures, everything else that is invisible or obeyed a `�`.
    """
    if isinstance(value, SafeText):
        text: str = value
    else:
        text = _as_str(value)
        if cells is not None and len(text) > 64 * (cells + 1):
            text = text[: 64 * (cells + 1)]  # a cell holds a letter and few marks: the rest could never be seen
        if not (text.isascii() and text.isprintable()):
            text = _neutral(text)
    if cells is not None:
        text = cut(text, cells)
    return SafeText(text, _KEY)


def safe_lines(value: object, cells: int | None = None) -> list[SafeText]:
    """The value line by line, for logs, notes and tracebacks: colour sequences are dropped, tabs are spaces."""
    text = _ESCAPE_SEQUENCE.sub("", _as_str(value))
    lines = text.replace("\r\n", "\n").split("\n")
    # A carriage return overwrites: what a progress bar last wrote is what its reader would have seen.
    return [safe_text(line.rstrip("\r").rpartition("\r")[2].expandtabs(8), cells) for line in lines]


def safe_typed(value: str) -> SafeText:
    """The value of an input line, harmless, character for character: a cursor in it stands at the same place."""
    if value.isascii() and value.isprintable():
        return SafeText(value, _KEY)
    out: list[str] = []
    combining = 0
    for character in value:
        category = unicodedata.category(character)
        combining = combining + 1 if category in ("Mn", "Me") else 0
        if " " <= character <= "~":
            out.append(character)
        elif not combining:
            out.append(_shown(character, ord(character), category))
        elif combining > _COMBINING_RUN or not out or character in _BLANK or character in _PRESENTATION:
            out.append(MARK)
        else:
            out.append(character)
    return SafeText("".join(out), _KEY)


def cell_length(text: str) -> int:
    """How many terminal cells the text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def cut(text: str, cells: int) -> str:
    """The text in at most `cells` cells; what was cut is shown by an ellipsis."""
    if cells <= 0:
        return ""
    if cell_length(text[: 8 * cells + 8]) <= cells and len(text) <= 8 * cells + 8:
        return text
    if text.isascii():
        return text[: cells - 1] + ELLIPSIS
    from rich.cells import get_character_cell_size

    used = 0
    for index, character in enumerate(text):
        used += get_character_cell_size(character)
        if used > cells - 1:
            # The rest may still fit if it is only combining marks or one last cell.
            if cell_length(text) <= cells:
                return text
            return text[:index] + ELLIPSIS
    return text


def _as_str(value: object) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    try:
        return str(value)
    except Exception:  # a value whose own text fails must not take the screen down
        return f"<{type(value).__name__}>"


def _neutral(text: str) -> str:
    out: list[str] = []
    combining = 0
    for character in text:
        code = ord(character)
        if 0x20 <= code < 0x7F:
            combining = 0
            out.append(character)
            continue
        if character in _PRESENTATION:
            continue
        category = unicodedata.category(character)
        if category in ("Mn", "Me"):
            combining += 1
            if combining == _COMBINING_RUN + 1:
                out.append(MARK)
            if combining > _COMBINING_RUN or character in _BLANK:
                continue
            # A mark at the very start would sit on whatever the screen shows before it.
            out.append(character if len(out) else MARK)
            continue
        combining = 0
        out.append(_shown(character, code, category))
    return "".join(out)


def _shown(character: str, code: int, category: str) -> str:
    if code == 0x0A or category in ("Zl", "Zp"):
        return "␤"
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if category in ("Cc", "Cf", "Cs") or character in _BLANK or (code & 0xFFFE) == 0xFFFE:
        return MARK
    if category == "Zs":
        return " "
    return character
