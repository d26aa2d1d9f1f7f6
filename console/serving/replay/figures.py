"""What a replay says. Light: no numbers are crunched here."""

from __future__ import annotations

from typing import Final

import msgspec

from backends.entities import Estimate, GateStatus, Millis, Record

KIND: Final = "replay"
"""Of the report, whose subject is the version that was asked and whose `digest` is that of its file."""
ROWS: Final = 1_000
MOST_ROWS: Final = 100_000
SHOWN: Final = 10
"""Rows that changed most, kept with what was sent."""

UNKNOWN: Final = "not taken"
MISSING: Final = "not sent"
TYPE: Final = "other type"
EMPTY: Final = "empty"
UNSEEN: Final = "unseen"
REDACTED: Final = "redacted"
REFUSES: Final = (UNKNOWN, MISSING, TYPE, EMPTY)
"""What a server of the version answers with 400."""


class ReplayJob(Record, frozen=True, kw_only=True):
    """Which version is asked, and of what."""

    model: str
    version: str
    """A number, or @alias."""
    alias: str = "champion"
    """Whose holder it is held against."""
    rows: int = ROWS
    """The newest ones."""
    tolerance: float | None = None
    """Of a number: by more than this an answer has changed. None for a tenth of the answers' standard deviation."""
    log: str = ""
    """A folder of segments to read instead of those of the deployments."""


class Reason(Record, frozen=True, kw_only=True):
    """Why some rows could not be asked, or were not answered."""

    why: str
    rows: int
    ident: str = ""
    """One of them."""


class Changed(Record, frozen=True, kw_only=True):
    """One row, with both answers."""

    ident: str
    at: Millis
    deployment: str
    before: str
    after: str
    before_score: float | None = None
    after_score: float | None = None
    """Of more than two classes the probability of the class that was answered before."""
    moved: float | None = None
    """As `Replay.mean_moved`, of this row."""
    answer_changed: bool = False
    inputs: dict[str, str] = msgspec.field(default_factory=dict)
    redacted: tuple[str, ...] = ()
    """Columns that the log does not hold."""


class Sent(Record, frozen=True, kw_only=True):
    """One thing about a column that callers send, or do not send."""

    column: str
    kind: str
    """One of the constants above."""
    rows: int
    note: str = ""

    @property
    def status(self) -> GateStatus:
        return GateStatus.FAIL if self.kind in REFUSES else GateStatus.WARN


class Timing(Record, frozen=True, kw_only=True):
    """How long a version takes, asked as a server asks it, without the network. Milliseconds."""

    version: str
    one_p50: float
    one_p95: float
    batch_p50: float
    batch_p95: float
    batch_rows: int
    bytes: int = 0
    """Of its file."""


class Replay(Record, frozen=True, kw_only=True):
    """`Report.figures` of this kind."""

    asked: int
    logged: int
    """Rows that were found, `asked` at most."""
    nothing: str = ""
    """Why there was none: then only times were measured, on held-out rows."""
    unreadable: int = 0
    """Lines that are no logged row."""
    first: Millis | None = None
    last: Millis | None = None
    deployments: tuple[str, ...] = ()
    answered_by: dict[str, int] = msgspec.field(default_factory=dict)
    """version → rows that it answered."""
    against: str = ""
    """The version it is held against; empty where it is the logged answers themselves."""
    why_logged: str = ""
    as_logged: int = 0
    """Rows held against the logged answer, because `against` has none for them."""
    replayed: int = 0
    """Rows with two answers to compare."""
    skipped: tuple[Reason, ...] = ()
    """Rows that cannot be asked again."""
    failed: tuple[Reason, ...] = ()
    """Rows to which the version gives no answer."""
    changed: int = 0
    share: Estimate | None = None
    """`changed / replayed` with its 95 % interval (Wilson)."""
    tolerance: float | None = None
    """Of a number: what counts as changed."""
    mean_moved: float | None = None
    max_moved: float | None = None
    """Of the score: its absolute difference. Of more than two classes the total variation distance, 0 to 1."""
    score: str = ""
    """What the scores are; or why they cannot be compared."""
    echoed: int = 0
    differed: int = 0
    """Of rows that `against` itself answered when they were logged: those to which it now says the same, or not."""
    most: tuple[Changed, ...] = ()
    sent: tuple[Sent, ...] = ()
    """What speaks against serving the same callers with this version; refused ones first."""
    categories: str = ""
    """Why texts were not held against those of training; empty where they were."""
    timings: tuple[Timing, ...] = ()
    """The version's own first, then `against`."""

    @property
    def failed_rows(self) -> int:
        return sum(each.rows for each in self.failed)

    @property
    def skipped_rows(self) -> int:
        return sum(each.rows for each in self.skipped)

    def without_rows(self) -> Replay:
        """The same with nothing that a caller sent: for what is passed on."""
        return msgspec.structs.replace(
            self,
            most=(),
            sent=tuple(msgspec.structs.replace(each, note="") for each in self.sent),
            skipped=tuple(msgspec.structs.replace(each, ident="") for each in self.skipped),
            failed=tuple(msgspec.structs.replace(each, ident="") for each in self.failed),
        )
