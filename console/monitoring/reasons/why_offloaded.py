"""Reasons and slices, looked for by a worker: what screen and command line call. Light to import."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from backends.connect import place_of
from backends.contract import Backend
from backends.entities import Millis, Progress
from console.monitoring.reasons.found_slices import Slices
from console.monitoring.reasons.why import Why
from console.offload import run_offloaded

MODULE = "console.monitoring.reasons.why_worker"


def explain_offloaded(
    backend: Backend,
    monitor: str,
    *,
    alert: str = "",
    on_progress: Callable[[Progress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Why:
    """As `why_rows.explain`: all that is known, with what the sampled rows add."""
    backend.need("monitors").get(monitor)  # a wrong name is told before a process is started
    more = [f"--alert={alert}"] if alert else []
    args = [place_of(backend), *more, "--", monitor, "why"]
    return msgspec.convert(run_offloaded(MODULE, args, on_progress=on_progress, cancel=cancel), Why)


def slices_offloaded(
    backend: Backend,
    monitor: str,
    *,
    since: Millis | None = None,
    until: Millis | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Slices:
    """As `why_rows.find_slices`."""
    backend.need("monitors").get(monitor)
    more = [f"--{name}={at}" for name, at in (("since", since), ("until", until)) if at is not None]
    args = [place_of(backend), *more, "--", monitor, "slices"]
    return msgspec.convert(run_offloaded(MODULE, args, on_progress=on_progress, cancel=cancel), Slices)
