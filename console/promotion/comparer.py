"""Comparing two versions row by row, in a process of its own: `python -m console.promotion.comparer URL MODEL ONE TWO`.

Speaks the JSON lines of `console.offload` on stdout.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import msgspec

from backends.connect import place_of
from backends.contract import Backend
from backends.entities import ModelVersion, Record
from console.offload import run_offloaded
from console.speaker import Speaker, speak_of


class Paired(Record, frozen=True, kw_only=True):
    """A difference on the same rows, candidate - holder, with its interval."""

    metric: str
    candidate: float
    holder: float
    difference: float
    low: float
    high: float
    """Ends of the 95 % confidence interval of the difference."""
    rows: int
    method: str
    better: bool | None
    """None while the interval holds 0: the two cannot be told apart."""


def compare_rows(
    backend: Backend, candidate: ModelVersion, holder: ModelVersion, *, cancel: Callable[[], bool] | None = None
) -> tuple[Paired, ...]:
    """As `paired.paired_case`, in a process of its own; with `cancel` as `run_offloaded`."""
    words = [place_of(backend), candidate.model, candidate.version, holder.version]
    return msgspec.convert(run_offloaded("console.promotion.comparer", words, cancel=cancel), tuple[Paired, ...])


def main(argv: list[str]) -> int:
    def work(backend: Backend, _: Speaker) -> tuple[Paired, ...]:
        from console.promotion.paired import paired_case  # numpy, pyarrow

        registry = backend.need("registry")
        found: tuple[Paired, ...] = paired_case(
            backend, registry.version(argv[1], argv[2]), registry.version(argv[1], argv[3])
        )
        return found

    return speak_of(argv[0], work)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
