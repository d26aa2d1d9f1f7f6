"""Batches and labels handed in, scored by a worker: what screen and command line call. Light to import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from backends.connect import place_of
from backends.contract import Backend, Refused
from backends.entities import Progress
from console.monitoring.feeds.batch_log import BatchRecord
from console.offload import run_offloaded

MODULE = "console.monitoring.feeds.worker"


def ingest_offloaded(
    backend: Backend,
    monitor: str,
    files: Sequence[Path],
    *,
    labels: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> tuple[BatchRecord, ...]:
    """As `ingest.ingest_batch`, or with `labels` as `labels.ingest_labels`, of each file in turn."""
    backend.need("monitors").get(monitor)  # a wrong name is told before a process is started
    if backend.features.read_only:
        raise Refused(f"context {backend.name} is read-only: nothing was counted. Open it without --read-only.")
    flags = ["--labels"] if labels else []
    args = [place_of(backend), monitor, *flags, "--", *(str(file.absolute()) for file in files)]
    return msgspec.convert(run_offloaded(MODULE, args, on_progress=on_progress, cancel=cancel), tuple[BatchRecord, ...])
