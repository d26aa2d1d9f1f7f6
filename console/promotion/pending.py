"""Changes of which only the intent is written down: under way, or left half done by a process that died."""

from __future__ import annotations

from backends.contract import Backend
from backends.entities import JournalEntry, Outcome
from backends.query import Compare, Key, Query

_LOOKED_AT = 200


def half_done(backend: Backend) -> tuple[JournalEntry, ...]:
    """Newest first. A server's moves are written down before and after: one that has an after is not half done."""
    journal = backend.need("journal")
    intents = Query(where=Compare(Key("attribute", "outcome"), "=", Outcome.INTENT))
    asked: tuple[JournalEntry, ...] = journal.page(intents, limit=_LOOKED_AT).items
    if not asked:
        return ()
    ended: dict[tuple[str, str, str], int] = {}
    for entry in journal.page(limit=2 * _LOOKED_AT).items:
        if entry.outcome is not Outcome.INTENT:
            ended.setdefault(_what(entry), entry.seq)
    return tuple(entry for entry in asked if ended.get(_what(entry), 0) < entry.seq)


def _what(entry: JournalEntry) -> tuple[str, str, str]:
    return entry.action, entry.target, str(entry.after)
