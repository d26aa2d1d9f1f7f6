"""What a model said of the rows that were held out from it: the file from which it is judged later, without loading it.

`held_out.parquet`, one row a held-out row, ascending by `row`:

    row       int64: the row's number in the dataset version, from 0
    target    the truth: float64 (regression), or the class
    score     float64: the prediction (regression), or probability or margin of the positive class (two classes)
    score:C   float64, for each class C (more classes)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from backends.contract import Backend, Invalid, NotFound
from backends.entities import Run

FILE: Final = "held_out.parquet"


class HeldOut(msgspec.Struct, frozen=True, kw_only=True):
    """Read back. `rows` int64 (n,), `target` (n,), `scores` float64 (n,) or (n, classes)."""

    rows: Any
    target: Any
    scores: Any
    classes: tuple[str, ...]
    """Of the columns of `scores`, where there are several."""


def write_held_out(path: Path, rows: Any, target: Any, scores: Any, classes: list[Any]) -> None:
    """All shape (n,), `scores` perhaps (n, classes), in ascending order of `rows`."""
    columns: dict[str, Any] = {"row": pa.array(rows, pa.int64()), "target": pa.array(target)}
    if scores.ndim == 1:
        columns["score"] = pa.array(scores, pa.float64())
    else:
        for at, name in enumerate(classes):
            columns[f"score:{name}"] = pa.array(scores[:, at], pa.float64())
    pq.write_table(pa.table(columns), path, compression="zstd")


def read_held_out(backend: Backend, run: Run) -> HeldOut:
    """What the run's model said of its held-out rows. NotFound for runs that left no such file."""
    import numpy as np

    try:
        path = backend.need("artifacts").open(run.id, FILE)
    except NotFound as error:
        raise NotFound(
            f"run {run.name or run.id[:8]} kept no predictions of its held-out rows ({FILE}); train it again with this "
            "console, or name a dataset version that holds predictions"
        ) from error
    try:
        table = pq.read_table(path)
        rows, target = (table.column(name).to_numpy() for name in ("row", "target"))
    except (pa.ArrowException, KeyError, OSError) as error:
        raise Invalid(
            f"{FILE} of run {run.id[:8]} is damaged ({str(error).splitlines()[0]}); train it again."
        ) from error
    many = [name for name in table.column_names if name.startswith("score:")]
    if many:
        scores = np.column_stack([table.column(name).to_numpy() for name in many])
    else:
        scores = table.column("score").to_numpy()
    return HeldOut(rows=rows, target=target, scores=scores, classes=tuple(name[6:] for name in many))
