"""Everything that speaks for and against a promotion, gathered: the case, and what its gates were judged by.

Asks the contract only; nothing is loaded. What could not be had is in `unknown`, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from backends.contract import Backend, BackendError
from backends.entities import ModelVersion, Record, Report
from console.lineage import Lineage, lineage
from console.offload import Cancelled
from console.promotion.comparer import Paired, compare_rows
from console.promotion.promote import Case
from console.promotion.replayed import Replayed, last_replay
from console.promotion.speed import SpeedOf, speeds
from console.serving.onnx.facts import said_of
from console.training.audit.read import Audit, read_audit

T = TypeVar("T")

NOT_ASKED = "not compared yet"


class Checked(Record, frozen=True, kw_only=True):
    """A dataset version that the candidate was made with, and its newest checks."""

    ref: str
    role: str
    digest: str = ""
    report: Report | None = None


class Facts(Record, frozen=True, kw_only=True):
    """What a person can look at before they decide."""

    case: Case
    paired: tuple[Paired, ...] = ()
    not_paired: str = ""
    """Why there are no intervals of the differences."""
    checked: tuple[Checked, ...] = ()
    audit: Audit | None = None
    bias: Report | None = None
    speed: tuple[SpeedOf, ...] = ()
    replay: Replayed | None = None
    onnx: str = ""
    """What is known of its ONNX form; empty where nobody made one."""
    lineage: Lineage | None = None
    unknown: tuple[str, ...] = ()


def facts_of(
    backend: Backend,
    case: Case,
    *,
    pairs: bool = True,
    cancel: Callable[[], bool] | None = None,
) -> Facts:
    """`pairs` compares the held-out rows one by one, in a process of its own: a second or two, which `cancel` ends
    with Cancelled."""
    unknown: list[str] = []

    def asked(what: str, question: Callable[[], T]) -> T | None:
        try:
            return question()
        except BackendError as error:
            unknown.append(f"{what}: {error}")
            return None

    candidate, holder = case.candidate, case.holder
    paired, why = pairs_of(backend, case, cancel) if pairs else ((), NOT_ASKED)
    replay = asked("the replay", lambda: last_replay(backend, candidate))
    reports = backend.reports
    return Facts(
        case=case,
        paired=paired,
        not_paired=why,
        checked=tuple(
            Checked(
                ref=f"{each.dataset}@{each.version}",
                role=each.context or "training",
                digest=each.digest,
                report=asked("checks", lambda each=each: reports.latest("checks", f"{each.dataset}@{each.version}"))  # type: ignore[misc]
                if reports is not None
                else None,
            )
            for each in candidate.inputs
        ),
        audit=asked("the audit", lambda: read_audit(backend, candidate.run)) if candidate.run else None,
        bias=asked("bias", lambda: _bias(backend, candidate)),
        speed=speeds(backend, candidate, holder, replay),
        replay=replay,
        onnx=asked("its ONNX form", lambda: said_of(backend, candidate)) or "",
        lineage=asked("lineage", lambda: lineage(backend, f"model:{candidate.ref}")),
        unknown=tuple(unknown),
    )


def pairs_of(backend: Backend, case: Case, cancel: Callable[[], bool] | None = None) -> tuple[tuple[Paired, ...], str]:
    """The differences row by row, or why there are none."""
    if case.prompt:
        return (), "a text has no held-out rows"
    if case.holder is None:
        return (), f"{case.alias} has no holder yet"
    if case.holder.version == case.candidate.version:
        return (), f"v{case.candidate.version} is {case.alias} already"
    try:
        return compare_rows(backend, case.candidate, case.holder, cancel=cancel), ""
    except Cancelled:
        raise
    except BackendError as error:
        return (), str(error)


def _bias(backend: Backend, version: ModelVersion) -> Report | None:
    return backend.reports.latest("bias", version.ref) if backend.reports is not None else None
