"""Which columns a list of runs has: the fixed ones, the metrics that matter, and the parameters that differ."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from backends.entities import DatasetInput, ModelVersion, Run, RunStatus
from backends.query import And, Compare, Has, In, Key, Node, Not, Or, Query
from console.training.flags import STALLED_TAG, flags
from console.training.measured import shared_order
from console.tui.columns import Column, Tone, metric
from console.tui.state import state_of
from console.wording import NOTHING, age

SWEEP_TAG, PAUSED_TAG = "console.sweep", "console.sweep.paused"
TAGS = [f"tags.{SWEEP_TAG}", f"tags.{PAUSED_TAG}", f"tags.{STALLED_TAG}"]
"""By which a row knows that it is a sweep, whose trials are under it, and that it says nothing any more."""

METRICS = 3
PARAMS = 4


def status_cell(run: Run) -> str:
    """`● finished`, or how far it is while it runs, or what is wrong with it."""
    if PAUSED_TAG in run.tags and not run.status.ended:
        return f"{state_of('paused').glyph} paused"
    glyph = state_of(run.status).glyph
    worst = next(iter(flags(run)), None) if run.status is RunStatus.RUNNING else None
    if worst is not None:
        return f"{state_of(worst.flag).glyph} {worst.flag}"
    if run.status is RunStatus.RUNNING and run.progress is not None and run.progress.fraction is not None:
        return f"{glyph} {run.progress.fraction * 100:.0f} %"
    return f"{glyph} {run.status}"


def is_sweep(row: object) -> bool:
    return isinstance(row, Run) and SWEEP_TAG in row.tags


def name_cell(run: Run) -> str:
    """The name; before that of a sweep a sign that there is more under it."""
    return ("▸ " if is_sweep(run) else "") + (run.name or run.id[:8])


def status_tone(run: Run) -> Tone:
    """Colour for what is not as it should be, or moves; a finished run needs none."""
    worst = next(iter(flags(run)), None) if run.status is RunStatus.RUNNING else None
    tone = state_of(run.status if worst is None else worst.flag).tone
    return "" if tone == "good" else tone  # type: ignore[return-value]


def data_cell(run: Run | ModelVersion) -> str:
    if not run.inputs:
        return NOTHING
    first = f"{run.inputs[0].dataset}@{run.inputs[0].version}"
    return first if len(run.inputs) == 1 else f"{first} +{len(run.inputs) - 1}"


def used_words(used: DatasetInput) -> str:
    """`churn@3 17b45bf3`; of a server that names versions by their digest, that once."""
    digest = used.digest[:8]
    said = f"{used.dataset}@{used.version}"
    return said if used.version.startswith(digest) else f"{said} {digest}"


def short_actor(actor: str) -> str:
    """The person without the machine, for a column."""
    return actor.split("@", 1)[0] or NOTHING


def run_age(run: Run) -> str:
    return age(run.created_at, time.time_ns() // 1_000_000)


def _metric_column(name: str, priority: int) -> Column[Run]:
    return Column(
        f"metrics.{name}",
        name,
        lambda run: metric(run.metrics.get(name)),
        max(7, min(10, len(name) + 2)),
        right=True,
        priority=priority,
        sort=f"metrics.{name}",
        order=lambda run: run.metrics.get(name),
    )


def _param_column(name: str, priority: int) -> Column[Run]:
    # A long path such as estimator.params.max_depth is told by its end.
    title = name.rsplit(".", 1)[-1]
    return Column(
        f"params.{name}",
        title,
        lambda run: run.params.get(name, NOTHING),
        max(6, min(13, len(title) + 2)),
        right=True,
        priority=priority,
        sort=f"params.{name}",
    )


def run_columns(metrics: Sequence[str], params: Sequence[str]) -> tuple[Column[Run], ...]:
    """Status, name, age, metrics, parameters, data, by; on a narrow screen they give way in the order of their
    priority: a run is told by its main metric and the two parameters that set it apart, before its age."""
    return (
        Column("status", "status", status_cell, 10, sort="status", tone=status_tone),
        Column("name", "name", name_cell, 16, grow=3, most=40, sort="name"),
        Column("created", "age", run_age, 5, right=True, priority=4, sort="created", order=lambda run: run.created_at),
        *(_metric_column(name, (0, 3, 5)[min(at, 2)]) for at, name in enumerate(metrics)),
        *(_param_column(name, (1, 2, 6, 7)[min(at, 3)]) for at, name in enumerate(params)),
        Column("data", "data", data_cell, 12, priority=8, grow=1, most=24),
        Column("user", "by", lambda run: short_actor(run.created_by), 8, priority=9, grow=1, most=16, sort="user"),
    )


def wanted_keys(query: Query) -> tuple[list[str], list[str]]:
    """Metrics and parameters that the query itself speaks of: whoever asks for them wants to see them."""
    metrics, params = [], []
    for key in (*_keys(query.where), *(order.key for order in query.order)):
        if key.scope == "metric" and key.name not in metrics:
            metrics.append(key.name)
        if key.scope == "param" and key.name not in params:
            params.append(key.name)
    return metrics, params


def _keys(node: Node | None) -> Iterator[Key]:
    match node:
        case Compare(key=key) | In(key=key) | Has(key=key):
            yield key
        case Not(node=inner):
            yield from _keys(inner)
        case And(nodes=nodes) | Or(nodes=nodes):
            for each in nodes:
                yield from _keys(each)


def chosen_metrics(runs: Iterable[Run], asked: Sequence[str], most: int = METRICS) -> list[str]:
    """What was asked for first, then what these runs are judged by, then what else they measured."""
    main = [name for name in shared_order(runs) if name not in asked]
    return [*asked, *main][: max(most, len(asked))]


def differing_params(runs: Sequence[Run], asked: Sequence[str], most: int = PARAMS) -> list[str]:
    """What was asked for first, then the parameters that tell these runs apart, those with the most values first."""
    values: dict[str, Counter[str]] = {}
    for run in runs:
        for name, value in run.params.items():
            values.setdefault(name, Counter())[value] += 1
    differ = [n for n, seen in values.items() if len(seen) > 1 or 0 < seen.total() < len(runs)]
    differ.sort(key=lambda n: (-len(values[n]), -values[n].total(), n))
    return [*asked, *(n for n in differ if n not in asked)][: max(most, len(asked))]
