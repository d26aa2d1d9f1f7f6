"""How long texts may be. Past it a clear error, never a cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from backends.contract import Invalid

NAME: Final = 65_536
TEXT: Final = 1_048_576
KEYS: Final = 10_000
"""Keys in one call."""
METRICS: Final = 10_000
"""Distinct metric names of one run."""


def check_name(what: str, name: str, field: str = "name") -> str:
    """A name that is not empty and not endless."""
    if not name.strip():
        raise Invalid(f"a {what} needs a name, and it is empty; nothing was changed.", field)
    return check_text(f"the name of a {what}", name, field, NAME)


def check_text(what: str, text: str, field: str, most: int = TEXT) -> str:
    if len(text) > most:
        raise Invalid(f"{what} may have {most:,} characters, and it has {len(text):,}; nothing was changed.", field)
    return text


def check_pairs(what: str, pairs: Mapping[str, str | None], field: str) -> None:
    """Parameters or tags as given in one call."""
    if len(pairs) > KEYS:
        raise Invalid(f"one call may give {KEYS:,} {field}, and it gives {len(pairs):,}; nothing was changed.", field)
    for key, value in pairs.items():
        check_name(what, key, field)
        check_text(f"{what} {key[:80]}", value or "", field)
