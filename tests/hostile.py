"""Strings that have broken terminals and Textual apps, for every place that shows a string from outside."""

from __future__ import annotations

import re

HOSTILE: dict[str, str] = {
    "markup": "[red]x[/red]",
    "closing markup": "[/red]",
    "open bracket slash": "[/",
    "open bracket": "[b",
    "action link": "[@click=app.quit]press me[/]",
    "style link": "[link='https://example.org']x[/link]",
    "substitution": "$primary ${x} %s {0} {x!r}",
    "backslash": "a\\[b]\\",
    "colour": "\x1b[31mred\x1b[0m",
    "clipboard": "name\x1b]52;c;cHduZWQ=\x07",
    "title": "\x1b]0;owned\x07",
    "clear": "\x1b[2J\x1b[H",
    "device control": "\x1bP+q544e\x1b\\",
    "c1 colour": "\x9b31mred",
    "c1 clipboard": "\x9d52;c;cHduZWQ=\x9c",
    "nul": "a\x00b",
    "bell and backspace": "a\x07\x08\x08b",
    "delete": "a\x7fb",
    "newline": "first\nsecond\r\nthird\u2028fourth\x85fifth",
    "tab": "a\tb\x0bc\x0cd",
    "override": "invoice\u202egnp.exe",
    "isolate": "\u2067abc\u2069",
    "zero width": "pay\u200bpal\u200d\ufeff\u2060",
    "soft hyphen": "a\u00adb",
    "tag letters": "x\U000e0041\U000e007f",
    "surrogate": "a\udc80b\ud800",
    "wide": "模型" * 40,
    "emoji": "👩‍👩‍👧‍👦❤️🇩🇪" * 10,
    "combining": "Z" + "\u0351\u0320" * 200,
    "leading combining": "\u0301abc",
    "right to left": "דגם שלום",
    "long": "x" * 10_000,
    "long wide": "字" * 5_000,
    "empty": "",
    "spaces": "   ",
    "quote": "'; DROP TABLE runs; -- \"",
    "path": "../../etc/passwd",
    "formula": "=cmd|' /C calc'!A0",
    "percent": "100%%d%n",
}

CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Nothing of this may reach a cell of the screen."""


def on_screen_is_harmless(text: str) -> bool:
    """No character that a terminal obeys, or that hides or reorders its neighbours."""
    return CONTROL.search(text) is None
