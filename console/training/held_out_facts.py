"""How sure a version's metrics are, where it is worst, and which time it saw: from its kept predictions.

The model is not loaded. Kept as a report, so that it is measured once for a file.
"""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec
import numpy as np

from backends.contract import Backend, BackendError, Mutation
from backends.entities import DatasetVersion, GateStatus, Record, Report
from console.data.stored import stored_file
from console.telling import Told, tell
from console.training.audit.audit import row_losses
from console.training.audit.slices import worst_slices
from console.training.held_out_report import KIND, HeldOutFigures, WorseSlice
from console.training.held_out_rows import Judged, dataset_of, features_at, judged
from console.training.intervals import RESAMPLES, intervals

SLICED_ROWS: Final = 200_000
SLICE_ROWS: Final = 100
SLICES: Final = 10


class HeldOutJob(Record, frozen=True, kw_only=True):
    """Which version to look at."""

    model: str
    version: str
    """A number, or @alias."""


def examine_held_out(backend: Backend, job: HeldOutJob, mutation: Mutation, *, progress: Told = None) -> Report:
    """Intervals, slices and periods of a version's held-out rows. Kept under the version's name."""
    case = judged(backend, job.model, job.version)
    meta, held = case.meta, case.held

    def told(fraction: float) -> None:
        tell(progress, 0.7 * fraction, "drawing rows again")

    metrics = intervals(
        held.target, held.scores, task=meta.task, classes=meta.classes, positive=meta.positive, kind=meta.score,
        seed=meta.seed, told=told,
    )  # fmt: skip
    tell(progress, 0.7, "looking for slices")
    slices, periods, missing = _on_data(backend, case)
    figures = HeldOutFigures(
        metrics=metrics,
        how=f"95 % percentile bootstrap, {RESAMPLES} draws of {len(held.rows)} held-out rows taken for independent"
        + (f"; {missing}" if missing else ""),
        slices=slices or (),
        sliced=slices is not None,
        periods=periods,
    )
    report = Report(
        kind=KIND,
        subject=case.version.ref,
        status=GateStatus.PASS,
        at=int(time.time() * 1000),
        actor=mutation.actor,
        digest=case.version.file.sha256,
        figures=msgspec.to_builtins(figures),
    )
    return backend.reports.add(report) if backend.reports is not None and not backend.features.read_only else report


def _on_data(backend: Backend, case: Judged) -> tuple[tuple[WorseSlice, ...] | None, dict[str, tuple[str, str]], str]:
    """(slices, periods, what is missing); None for slices where the data are not kept here."""
    try:
        data = dataset_of(backend, case)
    except BackendError as error:
        return None, {}, str(error)
    return _slices(backend, case), _periods(backend, case, data), ""


def _slices(backend: Backend, case: Judged) -> tuple[WorseSlice, ...]:
    meta, held = case.meta, case.held
    at = np.arange(len(held.rows))
    if len(at) > SLICED_ROWS:
        at = np.sort(np.random.default_rng(meta.seed).choice(at, SLICED_ROWS, replace=False))
    loss = row_losses(
        held.scores[at], held.target[at], list(meta.classes), meta.positive, meta.score, meta.task
    )  # fmt: skip
    found = worst_slices(features_at(backend, case, at), loss, least=SLICE_ROWS, most=SLICES)
    return tuple(WorseSlice(where=each.where, rows=each.rows, ratio=each.ratio) for each in found)


def _periods(backend: Backend, case: Judged, data: DatasetVersion) -> dict[str, tuple[str, str]]:
    """First and last time of the training and of the test rows, where the recipe says which column is the time."""
    recipe = case.recipe
    column = (recipe.time or (recipe.split.column if recipe.split.by == "time" else "")) if recipe else ""
    if not column or column not in {each.name for each in data.columns}:
        return {}
    import pandas as pd

    with stored_file(backend.need("datasets"), data) as file:
        times: Any = file.read(columns=[column]).column(column).to_pandas()
    if not pd.api.types.is_datetime64_any_dtype(times.dtype):
        times = pd.to_datetime(times, errors="coerce", format="ISO8601")
    test = np.zeros(len(times), bool)
    test[case.held.rows] = True
    out = {}
    for name, chosen in (("training", times[~test].dropna()), ("test", times[test].dropna())):
        if len(chosen):
            out[name] = (chosen.min().isoformat(), chosen.max().isoformat())
    return out
