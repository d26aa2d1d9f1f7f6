"""How long versions take to answer, in turns, so that a busy machine is as hard on one as on the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from backends.contract import Backend, BackendError
from console.serving.answering import Loaded
from console.serving.refusal import Refusal
from console.serving.replay.figures import Timing
from console.serving.rows import Rows

SINGLES: Final = 100
BATCHES: Final = 7
BATCH_ROWS: Final = 1_000
HELD_OUT: Final = 200
LONGEST_S: Final = 5.0
"""For each of both parts; what was measured until then counts."""


def time_versions(loaded: Sequence[Loaded], rows: Sequence[Sequence[Rows]], sizes: Sequence[int]) -> tuple[Timing, ...]:
    """`rows` are, by version, the same rows in its own columns, one a `Rows`. Nothing without rows."""
    if not rows or not rows[0]:
        return ()
    for each in loaded:
        each.tune()
    batches = [_batch(own) for own in rows]
    singles = _in_turns([_one_of(each, own) for each, own in zip(loaded, rows, strict=True)], SINGLES)
    many = _in_turns([_one_of(each, [own]) for each, own in zip(loaded, batches, strict=True)], BATCHES)
    return tuple(
        Timing(
            version=each.file.version,
            one_p50=float(np.percentile(one, 50)),
            one_p95=float(np.percentile(one, 95)),
            batch_p50=float(np.percentile(batch, 50)),
            batch_p95=float(np.percentile(batch, 95)),
            batch_rows=BATCH_ROWS,
            bytes=size,
        )
        for each, one, batch, size in zip(loaded, singles, many, sizes, strict=True)
    )


def held_out_rows(backend: Backend, loaded: Loaded) -> list[Rows]:
    """Some rows held out from the version's training, as callers would send them; none where they were not kept."""
    from console.training.held_out_rows import features_at, judged

    file = loaded.file
    try:
        case = judged(backend, file.model, file.version)
        frame = features_at(backend, case, np.arange(min(HELD_OUT, len(case.held.rows))))
    except BackendError:
        return []
    out = []
    for _, row in frame.iterrows():
        record = {name: _sent(row[name]) for name in loaded.shape.names}
        try:
            out.append(loaded.shape.of_records([record], of="row"))
        except Refusal:
            continue  # a value is missing that it cannot do without: no caller is answered there either
    return out


def _sent(value: Any) -> Any:
    """A value of a frame as JSON holds it."""
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value


def _one_of(loaded: Loaded, rows: Sequence[Rows]) -> Callable[[int], Any]:
    return lambda at: loaded.answer(rows[at % len(rows)])


def _batch(rows: Sequence[Rows]) -> Rows:
    picked = [rows[at % len(rows)] for at in range(BATCH_ROWS)]
    return Rows(BATCH_ROWS, [[each.columns[at][0] for each in picked] for at in range(len(picked[0].columns))])


def _in_turns(asked: Sequence[Callable[[int], Any]], most: int) -> list[list[float]]:
    """Milliseconds, by who was asked."""
    found: list[list[float]] = [[] for _ in asked]
    until = time.monotonic() + LONGEST_S
    for at in range(most):
        for times, once in zip(found, asked, strict=True):
            began = time.perf_counter()
            once(at)
            times.append((time.perf_counter() - began) * 1000)
        if time.monotonic() > until:
            break
    return found
