"""Which runs stay for what they found: the best of their experiment, the best of a sweep."""

from __future__ import annotations

import math
from collections import Counter

from backends.contract import Backend, BackendError, all_pages
from backends.entities import Run
from backends.query import And, Compare, Key, Order, Query
from console.retention.policy import Best, Limits
from console.training.measured import PRIMARY_TAG, headline
from console.training.recipe import LOWER_IS_BETTER
from console.training.sweep.begin import sweep_state
from console.training.sweep.trials import SWEEP


def kept_runs(backend: Backend, limits: Limits) -> dict[str, str]:
    """Run → why it stays. Where the best cannot be told, all that could be it stay."""
    found: dict[str, str] = {}
    if backend.runs is None:
        return found
    for best in limits.best:
        for experiment in backend.runs.experiments():
            for run in _best_of(backend, experiment.name, best):
                found.setdefault(run, f"best {best.count} of its experiment")
    _sweeps(backend, found)
    return found


def _best_of(backend: Backend, experiment: str, best: Best) -> list[str]:
    runs = backend.need("runs")
    within = Compare(Key("attribute", "experiment"), "=", experiment)
    metric = best.metric or _judged_by(backend, within)
    if not metric:
        # Nobody can tell which are the best: none is given away.
        return [run.id for run in all_pages(lambda at: runs.page(Query(where=within), at=at, limit=1000, columns=()))]
    lowest = metric in LOWER_IS_BETTER if best.lowest is None else best.lowest
    finished = And((within, Compare(Key("attribute", "status"), "=", "finished")))
    key = Key("metric", metric)
    query = Query(where=finished, order=(Order(key, descending=not lowest),))
    # Twice as many: infinities stand first and are no result.
    page = runs.page(query, limit=2 * best.count + 10, columns=(f"metrics.{metric}",))
    having = [run.id for run in page.items if math.isfinite(run.metrics.get(metric, math.nan))]
    return having[: best.count]


def _judged_by(backend: Backend, within: Compare) -> str:
    """The metric by which most of the newest runs of an experiment are judged."""
    newest: tuple[Run, ...] = backend.need("runs").page(Query(where=within), limit=100).items
    named = Counter(run.tags.get(PRIMARY_TAG, "") or headline(run) for run in newest)
    named.pop("", None)
    return named.most_common(1)[0][0] if named else ""


def _sweeps(backend: Backend, found: dict[str, str]) -> None:
    runs = backend.need("runs")
    sweeps = Query(where=Compare(Key("tag", SWEEP), "=", "1"))
    for sweep in list(all_pages(lambda at: runs.page(sweeps, at=at, limit=500, columns=(f"tags.{SWEEP}",)))):
        found.setdefault(sweep.id, "it is a sweep")
        try:
            state = sweep_state(backend, sweep)
        except BackendError:  # what it looked for is not known: any of its trials may be the best
            children = Query(where=Compare(Key("attribute", "parent"), "=", sweep.id))
            for run in all_pages(lambda at: runs.page(children, at=at, limit=1000, columns=())):  # noqa: B023
                found.setdefault(run.id, "a trial of a sweep whose goal is not known")
            continue
        if state.best is not None:
            found.setdefault(state.best.run, "the best of a sweep")
