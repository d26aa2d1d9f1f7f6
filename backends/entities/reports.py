"""What was found when something was judged: gates and checks."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from backends.entities.record import Millis, Record


class GateStatus(StrEnum):
    PASS = "pass"  # noqa: S105
    WARN = "warn"
    FAIL = "fail"


class GateResult(Record, frozen=True, kw_only=True):
    """One check that stands before a promotion."""

    gate: str
    status: GateStatus
    value: str = ""
    """What was measured, as a person reads it."""
    rule: str = ""
    """What was wanted."""
    detail: str = ""


class CheckResult(Record, frozen=True, kw_only=True):
    """What one check found."""

    check: str
    """Its name, once in a report."""
    kind: str
    """`range`, `unique`, …"""
    status: GateStatus
    columns: tuple[str, ...] = ()
    value: str = ""
    """What was measured, as a person reads it."""
    rule: str = ""
    """What was wanted."""
    detail: str = ""
    failing: int | None = None
    """Rows that fail it, where it is one that rows can fail."""
    rows: int | None = None
    """Rows that it looked at."""
    examples: tuple[str, ...] = ()
    """Some that fail, each as `row N: value`."""
    owner: str = ""
    note: str = ""


class Report(Record, frozen=True, kw_only=True):
    """What was found when a subject was examined: the checks of a dataset version, the bias of a model."""

    kind: str
    """`checks`, `bias`, …"""
    subject: str
    """`name@version` of a dataset or a model, or the id of a run."""
    status: GateStatus
    """The worst of the results."""
    at: Millis
    id: str = ""
    actor: str = ""
    digest: str = ""
    """Of the content that was examined."""
    definition: str = ""
    """By what, as `name@version` of a definition; or the name of a file and the sha256 of its text."""
    results: tuple[CheckResult, ...] = ()
    figures: dict[str, Any] = {}
    """What was measured besides, as JSON; its shape is the business of the room that wrote it."""
