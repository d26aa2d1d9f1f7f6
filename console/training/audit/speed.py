"""How long one row and a batch take to be answered, in the process that trained."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from console.training.audit.read import Speed

SINGLE: Final = 100
BATCHES: Final = 5
BATCH_ROWS: Final = 1_000
LONGEST_S: Final = 5.0


def time_answers(answer: Callable[[Any], Any], frame: Any) -> Speed:
    """Medians and 95th percentiles. frame: shape (n, features)."""
    answer(frame.iloc[:1])
    single = _times(lambda at: answer(frame.iloc[at % len(frame) : at % len(frame) + 1]), SINGLE)
    many = frame.iloc[np.arange(BATCH_ROWS) % len(frame)]
    batch = _times(lambda _: answer(many), BATCHES)
    one_p50, one_p95 = np.percentile(single, [50, 95]).tolist()
    batch_p50, batch_p95 = np.percentile(batch, [50, 95]).tolist()
    return Speed(
        one_p50=one_p50, one_p95=one_p95, batch_p50=batch_p50, batch_p95=batch_p95, batch_rows=BATCH_ROWS
    )  # fmt: skip


def _times(once: Callable[[int], Any], count: int) -> list[float]:
    found: list[float] = []
    until = time.monotonic() + LONGEST_S
    for at in range(count):
        began = time.perf_counter()
        once(at)
        found.append((time.perf_counter() - began) * 1000)
        if time.monotonic() > until:
            break
    return found
