"""Runs side by side: what differs first, and which is best at what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from backends.entities import Record, Run
from backends.system_metrics import SYSTEM, is_system
from console.training.recipe import LOWER_IS_BETTER

HIGHER_IS_BETTER = frozenset(
    {"auc", "accuracy", "f1", "r2", "precision", "recall", "roc_auc", "average_precision", "score"}
)
_LOWER_WORDS = ("loss", "error", "rmse", "mae", "mse", "mape", "brier")


class ValueRow(Record, frozen=True, kw_only=True):
    """One parameter or fact over the runs; None where a run does not have it."""

    key: str
    values: tuple[str | None, ...]
    differs: bool


class MetricRow(Record, frozen=True, kw_only=True):
    key: str
    values: tuple[float | None, ...]
    best: tuple[int, ...] = ()
    """Positions of the best runs; empty where better has no direction, or there is nothing to compare."""
    higher_is_better: bool | None = None
    differences: tuple[float | None, ...] = ()
    """Each value less that of the baseline; None where either is missing or not finite."""


class Comparison(Record, frozen=True, kw_only=True):
    """Columns are the runs in the order given. Rows that differ come before those that do not; then by name."""

    runs: tuple[str, ...]
    names: tuple[str, ...]
    facts: tuple[ValueRow, ...]
    params: tuple[ValueRow, ...]
    metrics: tuple[MetricRow, ...]
    primary: str = ""
    baseline: int = 0
    """Position of the run that the others are held against."""


def compare(
    runs: Sequence[Run], *, baseline: int = 0, changes: Mapping[str, Mapping[str, str]] | None = None
) -> Comparison:
    """Compare runs by facts (status, data, code), parameters and metrics; the runs' own primary metric comes first.

    `changes` are, by run id, the files changed and not committed (`changed_code.changes_of`): each is a fact.
    """
    code = changes or {}
    facts = [_facts(run) | _changed(code.get(run.id)) for run in runs]
    params = _rows([run.params for run in runs])
    primary = next((run.tags["console.primary"] for run in runs if "console.primary" in run.tags), "")
    keys = sorted({key for run in runs for key in run.metrics}, key=lambda key: _order(key, primary))
    return Comparison(
        runs=tuple(run.id for run in runs),
        names=tuple(run.name for run in runs),
        facts=_rows(facts, ordered=True),
        params=params,
        metrics=tuple(_metric(key, runs, baseline) for key in keys),
        primary=primary,
        baseline=baseline,
    )


def higher_is_better(metric: str) -> bool | None:
    """The direction of a metric by its name, or None where that does not tell."""
    name = metric.rpartition(".")[2].casefold()
    if name in HIGHER_IS_BETTER:
        return True
    if name in LOWER_IS_BETTER or any(word in name for word in _LOWER_WORDS):
        return False
    return None


def _facts(run: Run) -> dict[str, str]:
    found = {
        "status": run.status.value,
        "data": ", ".join(f"{each.dataset}@{each.version}" for each in run.inputs),
        "digest": ", ".join(each.digest[:12] for each in run.inputs if each.digest),
        "commit": run.source.commit[:12] + (" with changes" if run.source.dirty else ""),
        "changes": run.source.diff,
        "branch": run.source.branch,
        "entry": run.source.entry,
        "engine": run.engine,
        "by": run.created_by,
    }
    return {key: value for key, value in found.items() if value}


def _changed(files: Mapping[str, str] | None) -> dict[str, str]:
    if files is None:
        return {}
    said = f"{len(files)} file" + ("" if len(files) == 1 else "s")
    return {"changes": said} | {f"changed {name}": change for name, change in sorted(files.items())}


def _rows(tables: Sequence[dict[str, str]], *, ordered: bool = False) -> tuple[ValueRow, ...]:
    keys = list(dict.fromkeys(key for table in tables for key in table))
    rows = []
    for key in keys if ordered else sorted(keys):
        values = tuple(table.get(key) for table in tables)
        rows.append(ValueRow(key=key, values=values, differs=len(set(values)) > 1))
    return tuple(rows) if ordered else tuple(sorted(rows, key=lambda row: not row.differs))


def _metric(key: str, runs: Sequence[Run], baseline: int) -> MetricRow:
    values = tuple(run.metrics.get(key) for run in runs)
    direction = None if key.startswith(("baseline.", "train.", "cv_sd.", "fold.", SYSTEM)) else higher_is_better(key)
    known = [value for value in values if value is not None and not math.isnan(value)]
    best: tuple[int, ...] = ()
    if direction is not None and len(known) > 1 and len(set(known)) > 1:
        top = max(known) if direction else min(known)
        best = tuple(at for at, value in enumerate(values) if value == top)
    held = values[baseline] if values else None
    differences = tuple(_difference(value, held) for value in values)
    return MetricRow(key=key, values=values, best=best, higher_is_better=direction, differences=differences)


def _difference(value: float | None, held: float | None) -> float | None:
    if value is None or held is None or not math.isfinite(value) or not math.isfinite(held):
        return None
    return value - held


def _order(key: str, primary: str) -> tuple[bool, bool, bool, str]:
    return (key != primary, is_system(key), "." in key, key)
