"""The signs on the screen, and what stands for them where the locale is not UTF-8."""

from __future__ import annotations

import locale
import os
from functools import cache

PLAIN = str.maketrans(
    {
        "●": "*", "◐": "!", "▲": "^", "✕": "x", "▶": ">", "…": ".", "◌": "~", "■": "#", "┃": ">", "▼": "v", "–": "-",
        "−": "-", "·": ".", "│": "|", "─": "-", "┤": "+", "└": "+", "┬": "+", "═": "=", "→": ">", "←": "<", "↑": "^",
        "↓": "v", "░": ":", "█": "#", "▓": "%", "▒": "%", "╌": "-", "▏": "|", "▕": "|", "\u2009": " ", "\u202f": " ",
        "±": "~", "≥": ">", "≠": "!", "≤": "<", "×": "x", "□": " ", "▁": "_", "▂": ".", "▃": "-", "▄": "=", "▅": "+",
        "▆": "*", "▇": "%", "␤": " ", "▸": ">", "•": "o", "◆": "#", "━": "-", "┊": "|",
    }
)  # fmt: skip
"""Each sign by one ASCII letter of the same width."""


@cache
def utf8_screen() -> bool:
    """Whether the person's terminal shows more than ASCII, as its locale says."""
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        value = os.environ.get(name)
        if value:
            return "utf-8" in value.lower() or "utf8" in value.lower()
    return locale.getpreferredencoding(False).lower().replace("-", "") == "utf8"


def drawn(text: str) -> str:
    """The text with its signs as this screen can show them."""
    return text if utf8_screen() else text.translate(PLAIN).encode("ascii", "replace").decode("ascii")
