"""What the audit of a run found, read back. Light: no numbers are crunched here."""

from __future__ import annotations

from typing import Final

import msgspec

from backends.contract import Backend, Invalid, NotFound
from backends.entities import CheckResult, GateStatus, Record

FILE: Final = "audit.json"
WORST: Final = {GateStatus.FAIL: 0, GateStatus.WARN: 1, GateStatus.PASS: 2}


class Speed(Record, frozen=True, kw_only=True):
    """How long one row and a batch took to be answered in the process that trained, in milliseconds."""

    one_p50: float
    one_p95: float
    batch_p50: float
    batch_p95: float
    batch_rows: int


class Audit(Record, frozen=True, kw_only=True):
    """`audit.json`: every test, the worst first."""

    results: tuple[CheckResult, ...]
    primary: str = ""
    speed: Speed | None = None
    """None where it was not timed."""

    @property
    def status(self) -> GateStatus:
        return min((each.status for each in self.results), key=WORST.__getitem__, default=GateStatus.PASS)


def read_audit(backend: Backend, run: str) -> Audit | None:
    """None for a run that was not audited. Invalid where the file is damaged."""
    if backend.artifacts is None:
        return None
    try:
        data = backend.artifacts.open(run, FILE).read_bytes()
    except NotFound:
        return None
    try:
        return msgspec.json.decode(data, type=Audit)
    except msgspec.DecodeError as error:
        raise Invalid(f"{FILE} of run {run[:8]} cannot be read ({error}); train it again.") from error
