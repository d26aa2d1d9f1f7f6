"""How fast a version answers and how large it is, beside the holder: as last replayed, else as its training found."""

from __future__ import annotations

from backends.contract import Backend, BackendError
from backends.entities import ModelVersion, Record
from console.promotion.replayed import Replayed
from console.training.audit.read import read_audit

AS_SERVED = "as served"
IN_TRAINING = "in training"


class SpeedOf(Record, frozen=True, kw_only=True):
    """One version's. Milliseconds; None where nobody measured."""

    version: str
    one_p50: float | None = None
    one_p95: float | None = None
    batch_p50: float | None = None
    batch_p95: float | None = None
    batch_rows: int = 0
    bytes: int = 0
    how: str = ""
    """`as served`: both were asked in turns in one process, so that they can be compared; `in training`: each by the
    audit of its own training."""


def speeds(
    backend: Backend, candidate: ModelVersion, holder: ModelVersion | None, replay: Replayed | None
) -> tuple[SpeedOf, ...]:
    """The candidate's first, then the holder's, if there is one."""
    both = (candidate,) if holder is None or holder.version == candidate.version else (candidate, holder)
    times = (
        {each.version: each for each in replay.figures.timings} if replay is not None and not replay.other_file else {}
    )
    if all(each.version in times for each in both):
        return tuple(
            SpeedOf(
                version=each.version,
                one_p50=times[each.version].one_p50,
                one_p95=times[each.version].one_p95,
                batch_p50=times[each.version].batch_p50,
                batch_p95=times[each.version].batch_p95,
                batch_rows=times[each.version].batch_rows,
                bytes=each.file.bytes,
                how=AS_SERVED,
            )
            for each in both
        )
    return tuple(_trained(backend, each) for each in both)


def _trained(backend: Backend, version: ModelVersion) -> SpeedOf:
    try:
        audit = read_audit(backend, version.run) if version.run else None
    except BackendError:
        audit = None  # the audit gate says why
    if audit is None or audit.speed is None:
        return SpeedOf(version=version.version, bytes=version.file.bytes)
    found = audit.speed
    return SpeedOf(
        version=version.version,
        one_p50=found.one_p50,
        one_p95=found.one_p95,
        batch_p50=found.batch_p50,
        batch_p95=found.batch_p95,
        batch_rows=found.batch_rows,
        bytes=version.file.bytes,
        how=IN_TRAINING,
    )
