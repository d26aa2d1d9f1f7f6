"""Actions written for people: the names of keys, and the sheet of them all."""

from __future__ import annotations

from console.tui.actions.registry import ACTIONS

_KEY_NAMES = {
    "question_mark": "?", "slash": "/", "colon": ":", "escape": "esc", "space": "space", "enter": "enter", "comma": ",",
    "full_stop": ".", "plus": "+", "minus": "-", "percent_sign": "%", "number_sign": "#",
    "equals_sign": "=", "left_square_bracket": "[", "right_square_bracket": "]",
    "left_curly_bracket": "{", "right_curly_bracket": "}",
}  # fmt: skip


def shown_key(key: str) -> str:
    """How a key is written for people: `question_mark` is `?`."""
    return _KEY_NAMES.get(key, key)


def cheatsheet(keys: dict[str, str] | None = None) -> str:
    """All keys and commands as Markdown; `keys` are overrides by action id."""
    overrides = keys or {}
    lines = ["| key | command | where | what | the same on the command line |", "|---|---|---|---|---|"]
    for action in ACTIONS:
        named = overrides.get(action.id, action.key)
        shown = " ".join(f"`{shown_key(key.strip())}`" for key in named.split(",") if key.strip())
        command = f"`:{action.command[0]}`" if action.command else ""
        where = ", ".join(action.panes) or "everywhere"
        lines.append(f"| {shown} | {command} | {where} | {action.help} | {f'`{action.cli}`' if action.cli else ''} |")
    return "\n".join(lines) + "\n"
