"""Who changed what, when and why."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from backends.entities.record import Millis, Record
from backends.entities.reports import GateResult


class Outcome(StrEnum):
    """What became of a journaled intent."""

    INTENT = "intent"
    DONE = "done"
    FAILED = "failed"
    ABANDONED = "abandoned"
    """Its process died before the change; nothing was changed."""


class JournalEntry(Record, frozen=True, kw_only=True):
    """One change: who, when, what, from, to, why. Entries are chained by hash."""

    seq: int
    id: str
    at: Millis
    actor: str
    action: str
    """`noun.verb`, e.g. `model.promote`, `run.start`, `dataset.import`."""
    target: str
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    reason: str = ""
    gates: tuple[GateResult, ...] = ()
    outcome: Outcome = Outcome.DONE
    detail: str = ""
    key: str = ""
    """Idempotency key of the request."""
    undoes: str = ""
    undone_by: str = ""
    previous_hash: str = ""
    hash: str = ""
