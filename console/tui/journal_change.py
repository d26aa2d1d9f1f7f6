"""What a journal entry changed, in few words."""

from __future__ import annotations

from backends.entities import JournalEntry
from console.journal_words import watch_words


def change(entry: JournalEntry) -> str:
    """`v2 → v3`, or the fields that differ."""
    said = watch_words(entry)
    if said:
        return said
    before, after = entry.before, entry.after
    parts: list[str] = []
    along: list[str] = []
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if key == "aliases" and isinstance(old, dict) and isinstance(new, dict):
            others = [alias for alias in new if alias != after.get("alias")]
            along = [f"{alias} {_version(old.get(alias))} → {_version(new[alias])}" for alias in others]
            continue
        sign = "v" if key == "version" else ""
        moved = " → ".join("–" if value is None else f"{sign}{value}" for value in (old, new))
        parts.append(moved if key in ("version", "alias") else f"{key} {moved}" if key in before else f"{key} {new}")
    return ", ".join([*parts, *along])


def _version(value: object) -> str:
    return "–" if value is None else f"v{value}"
