"""The person's own keys: `keymap.toml` beside the configuration.

    promote = "P"
    "go.runs" = "r,3"

A file with a mistake changes nothing silently: every problem is a sentence that names the file, the key and the nearest
valid one.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from console.tui.actions import ACTIONS, BY_ID, Action, shown_key

if TYPE_CHECKING:
    from pathlib import Path

_NAMED = {
    "?": "question_mark", "/": "slash", ":": "colon", "esc": "escape", ",": "comma", ".": "full_stop", "-": "minus",
    "+": "plus", "*": "asterisk", "!": "exclamation_mark", "@": "at", "#": "number_sign", "$": "dollar_sign",
    "%": "percent_sign", "&": "ampersand", "=": "equals_sign", "<": "less_than_sign", ">": "greater_than_sign",
    ";": "semicolon", "'": "apostrophe", '"': "quotation_mark", "~": "tilde", "|": "vertical_line", "\\": "backslash",
    "[": "left_square_bracket", "]": "right_square_bracket", "{": "left_curly_bracket", "}": "right_curly_bracket",
    "(": "left_parenthesis", ")": "right_parenthesis", "^": "circumflex_accent", "_": "underscore", "`": "grave_accent",
    "return": "enter", "del": "delete", "pgup": "pageup", "pgdn": "pagedown",
}  # fmt: skip

_EDITING = ("space", "enter", "escape", "tab", "backspace", "delete", "insert")
_MOVING = ("home", "end", "pageup", "pagedown", "up", "down", "left", "right")
_PLAIN = frozenset([*_EDITING, *_MOVING, *_NAMED.values(), *(f"f{number}" for number in range(1, 25))])


@dataclass(frozen=True)
class Keymap:
    """Keys by action id, and what was wrong with the file."""

    keys: dict[str, str]
    problems: tuple[str, ...] = ()


def default_keys() -> dict[str, str]:
    return {action.id: action.key for action in ACTIONS}


def normal_key(text: str) -> str | None:
    """The key in Textual's spelling (`?` is `question_mark`, `ctrl+R` is `ctrl+shift+r`), or None: no such key."""
    text = text.strip()
    if len(text) == 1 and text.isalnum():
        return text
    if text in _NAMED:
        return _NAMED[text]
    *modifiers, last = text.split("+")
    modifiers = [modifier.lower() for modifier in modifiers]
    if not modifiers:
        return text.lower() if text.lower() in _PLAIN else None
    if any(modifier not in ("ctrl", "shift", "alt") for modifier in modifiers):
        return None
    if len(last) == 1 and last.isupper():
        modifiers.append("shift")
        last = last.lower()
    last = _NAMED.get(last, last.lower())
    if last not in _PLAIN and not (len(last) == 1 and last.isalnum()):
        return None
    return "+".join([*sorted(set(modifiers)), last])


def clash(first: Action, second: Action) -> bool:
    """Whether the two can be meant by one key in some pane."""
    return not first.panes or not second.panes or bool(set(first.panes) & set(second.panes))


def load_keymap(path: Path) -> Keymap:
    """Defaults with the file's changes. What is wrong is told and left at its default; no file is no problem."""
    keys = default_keys()
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return Keymap(keys)
    except (OSError, UnicodeDecodeError) as error:
        return Keymap(keys, (f"{path}: cannot be read ({error}); default keys are in use",))
    import tomllib

    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return Keymap(keys, (f"{path}: not TOML: {error}; default keys are in use",))
    problems: list[str] = []
    changed: set[str] = set()
    for name, value in _flat(table).items():
        if name not in BY_ID:
            near = get_close_matches(name, BY_ID, n=1)
            problems.append(f"{path}: no action {name}" + (f"; did you mean {near[0]}?" if near else ""))
            continue
        if not isinstance(value, str):
            problems.append(f'{path}: {name} must be a key in quotes, such as "P" or "ctrl+g"')
            continue
        parts = [normal_key(part) for part in ([","] if value.strip() == "," else value.split(",")) if part.strip()]
        if any(part is None for part in parts):
            problems.append(f'{path}: {name} = "{value}": no such key; write for example "P", "ctrl+g", "f5" or "?"')
            continue
        keys[name] = ",".join(part for part in parts if part)
        changed.add(name)
    for sentence, loser in _clashes(keys, changed, path):
        problems.append(sentence)
        keys[loser] = BY_ID[loser].key
    return Keymap(keys, tuple(problems))


def _flat(table: dict[str, object], prefix: str = "") -> dict[str, object]:
    """`[go] runs = "r"` and `"go.runs" = "r"` are one thing, so that both ways of writing a dotted id work."""
    out: dict[str, object] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            out.update(_flat(value, f"{prefix}{name}."))
        else:
            out[prefix + name] = value
    return out


def _clashes(keys: dict[str, str], changed: set[str], path: Path) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name in sorted(changed):
        for other, other_keys in keys.items():
            if other == name or (other in changed and other < name):
                continue
            shared = set(keys[name].split(",")) & set(other_keys.split(",")) - {""}
            if shared and clash(BY_ID[name], BY_ID[other]):
                key = shown_key(sorted(shared)[0])
                found.append(
                    (f"{path}: {name} = {key}: {key} is already {other}; give {other} another key too. "
                     f"{name} stays at {shown_key(BY_ID[name].key) or 'no key'}", name)
                )  # fmt: skip
                break
    return found
