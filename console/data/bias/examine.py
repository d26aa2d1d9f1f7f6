"""Examine a dataset version for bias: read its columns, count by group, measure, keep the report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from backends.contract import Backend, Mutation
from backends.entities import DatasetVersion, Record, Report
from console.data.bias.groups import Asked, Reading, count_groups
from console.data.bias.measures import LEAST, measure_bias
from console.data.bias.report import Limits, bias_report
from console.data.stored import stored_file
from console.telling import Told, tell

BATCH = 1 << 16


class BiasJob(Record, frozen=True, kw_only=True):
    """What to examine, and what is still fair."""

    ref: str
    asked: Asked
    least: int = LEAST
    limits: Limits = Limits()


def examine_version(backend: Backend, job: BiasJob, mutation: Mutation, *, progress: Told = None) -> Report:
    """The bias in a version's labels, or in predictions that it holds beside them."""
    datasets = backend.need("datasets")
    version: DatasetVersion = datasets.version(job.ref)
    reading = Reading(job.asked, version.columns)
    with stored_file(datasets, version) as file:
        cells = count_groups(reading, _batches(file, version, reading.columns, progress))
    report = bias_report(
        measure_bias(cells, least=job.least), job.asked, subject=version.ref, digest=version.digest, on=version.ref,
        at=int(time.time() * 1000), actor=mutation.actor, limits=job.limits,
    )  # fmt: skip
    return backend.reports.add(report) if backend.reports is not None and not backend.features.read_only else report


def _batches(file: Any, version: DatasetVersion, names: list[str], progress: Told) -> Iterator[Any]:
    known = file.schema_arrow.names
    done = 0
    for batch in file.iter_batches(batch_size=BATCH, columns=[n for n in names if n in known], use_threads=False):
        yield batch
        done += batch.num_rows
        tell(progress, done / max(version.rows, 1), "counting")
