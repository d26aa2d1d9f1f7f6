"""Ask for two files to be held against each other. Light to import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from backends.contract import NotFound
from backends.entities import ColumnScore, Record
from console.offload import run_offloaded


class Comparison(Record, frozen=True, kw_only=True):
    """How one table differs from another."""

    reference: str
    current: str
    reference_rows: int
    current_rows: int
    columns: tuple[ColumnScore, ...]
    """Of both tables, worst first. KS and Wasserstein are exact; Wasserstein in standard deviations of the
    reference."""
    gone: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


def compare_offloaded(
    reference: Path, current: Path, columns: Sequence[str] = (), *, cancel: Callable[[], bool] | None = None
) -> Comparison:
    """As `compare.compare_files`, in a process of its own."""
    for file in (reference, current):
        if not file.is_file():
            raise NotFound(f"there is no file {file}")
    args = ["--", str(reference.absolute()), str(current.absolute()), *columns]
    # Nothing in it is linear algebra, whose threads would cost more to start than everything else to import.
    found = run_offloaded("console.monitoring.drift.compare", args, cancel=cancel, env={"OPENBLAS_NUM_THREADS": "1"})
    return msgspec.convert(found, Comparison)
