"""The bias of a trained model: what it said of its held-out rows, by groups of the dataset they came from.

Nothing is loaded: the predictions were kept when the model was trained. A protected column need not be one the model
was given.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from backends.contract import Backend, Invalid, Mutation, NotFound
from backends.entities import Column, ColumnType, DatasetVersion, ModelVersion, Record, Report, Run
from console.data.bias.groups import Asked, Reading, count_groups
from console.data.bias.measures import LEAST, measure_bias
from console.data.bias.report import Limits, bias_report
from console.data.stored import stored_file
from console.model_meta import META, ModelMeta, TestData, read_meta
from console.telling import Told, tell
from console.training.held_out import HeldOut, read_held_out

TARGET: Final = "held-out target"
SCORE: Final = "held-out score"


class ModelBiasJob(Record, frozen=True, kw_only=True):
    """What to examine, and what is still fair."""

    model: str
    version: str
    """A number, or @alias."""
    by: tuple[str, ...]
    threshold: float = 0.5
    least: int = LEAST
    limits: Limits = Limits()


def examine_model(backend: Backend, job: ModelBiasJob, mutation: Mutation, *, progress: Told = None) -> Report:
    """Its bias on the rows that were held out from its training. Kept under the version's name."""
    version: ModelVersion = backend.need("registry").version(job.model, job.version)
    if not version.run:
        raise NotFound(f"{version.ref} names no run, so its held-out rows are not known; examine a dataset version")
    run: Run = backend.need("runs").get(version.run)
    meta = _meta(backend, run, version)
    held = read_held_out(backend, run)
    if meta.task != "classification" or held.classes:
        what = "predicts a number" if meta.task != "classification" else f"tells {len(held.classes)} classes apart"
        raise Invalid(f"{version.ref} {what}; the rates compared here are those of yes and no.", "version")
    if meta.score != "probability":
        raise Invalid(f"{version.ref} gives margins, no probabilities; calibrate it to compare its groups.", "version")
    data = _dataset(backend, meta.test)
    columns = [*data.columns, Column(name=TARGET, type=ColumnType.BOOL), Column(name=SCORE, type=ColumnType.FLOAT)]
    asked = Asked(by=job.by, label=TARGET, score=SCORE, positive=str(meta.positive), threshold=job.threshold)
    reading = Reading(asked, columns)
    with stored_file(backend.need("datasets"), data) as file:
        cells = count_groups(reading, _batches(file, data, reading, held, meta, progress))
    report = bias_report(
        measure_bias(cells, least=job.least), asked, subject=version.ref, digest=version.file.sha256, on=data.ref,
        at=int(time.time() * 1000), actor=mutation.actor, limits=job.limits,
    )  # fmt: skip
    return backend.reports.add(report) if backend.reports is not None and not backend.features.read_only else report


def _meta(backend: Backend, run: Run, version: ModelVersion) -> ModelMeta:
    try:
        return read_meta(backend, run.id, version.ref)
    except NotFound as error:
        raise NotFound(f"{version.ref} was not trained by this console ({META} is not there)") from error


def _dataset(backend: Backend, test: TestData) -> DatasetVersion:
    """The very content that was held out from, also where its version was renamed or imported again."""
    found: DatasetVersion = backend.need("datasets").version(test.digest)
    return found


def _batches(
    file: Any,
    data: DatasetVersion,
    reading: Reading,
    held: HeldOut,
    meta: ModelMeta,
    progress: Told,
) -> Iterator[Any]:
    """The held-out rows with the protected columns, what was true and what was said."""
    import numpy as np
    import pyarrow as pa

    truth = np.asarray([value == meta.positive for value in held.target.tolist()], bool)
    names = [name for name in reading.columns if name not in (TARGET, SCORE)]
    first = done = 0
    for batch in file.iter_batches(batch_size=1 << 16, columns=names, use_threads=False):
        low, high = np.searchsorted(held.rows, [first, first + batch.num_rows])
        chosen = batch.take(pa.array(held.rows[low:high] - first))
        yield pa.RecordBatch.from_arrays(
            [*chosen.columns, pa.array(truth[low:high]), pa.array(held.scores[low:high])], [*names, TARGET, SCORE]
        )
        first += batch.num_rows
        done += high - low
        tell(progress, first / max(data.rows, 1), "counting")
    if done != len(held.rows):
        raise Invalid(
            f"{data.ref} has {data.rows} rows, and the held-out rows go to {int(held.rows[-1])}: they belong to other "
            "data. Train the model again.",
            "dataset",
        )
