"""What is not there: the sentence for it, with the name that was probably meant."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from backends.contract import NotFound
from backends.query_keys import nearest

_NAMES: Final = {
    "dataset": "SELECT name FROM datasets ORDER BY updated_at DESC LIMIT ?",
    "model": "SELECT name FROM models ORDER BY updated_at DESC LIMIT ?",
    "deployment": "SELECT name FROM deployments ORDER BY name LIMIT ?",
    "monitor": "SELECT name FROM monitors ORDER BY name LIMIT ?",
    "trigger": "SELECT name FROM triggers ORDER BY name LIMIT ?",
}
_LOOKED_AT: Final = 2_000
"""Names among which the nearest is looked for."""
_NAMED: Final = 5
_LONG: Final = 60


def absent(connection: sqlite3.Connection, noun: str, name: str, also: str = "") -> NotFound:
    """No dataset, model, deployment or monitor of this name. `also` is what else was looked for."""
    return absent_among([str(row[0]) for row in connection.execute(_NAMES[noun], (_LOOKED_AT,))], noun, name, also)


def absent_among(names: Sequence[str], noun: str, name: str, also: str = "") -> NotFound:
    """The same, where the names that there are were asked for already."""
    sentence = f"there is no {noun} {name}{also}"
    if not names:
        return NotFound(f"{sentence}; there is no {noun} yet.")
    short = {each.lower(): each for each in names if len(each) <= _LONG}
    close = nearest(name[:_LONG], short)
    if close:
        return NotFound(f"{sentence}; did you mean {short[close]}?")
    few = list(short.values())[:_NAMED]
    if not few:
        return NotFound(f"{sentence}.")
    rest = f" and {len(names) - len(few)} more" if len(names) > len(few) else ""
    return NotFound(f"{sentence}; there {'is' if len(names) == 1 else 'are'} {', '.join(few)}{rest}.")
