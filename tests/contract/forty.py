"""Forty runs for tests of lists, and ways through a list."""

from __future__ import annotations

import math

from backends.contract import END, Mutation, RunStore, all_pages
from backends.entities import DatasetInput, MetricPoint, Run, RunStatus
from backends.query import RUN_FIELDS, Query, parse


def forty(runs: RunStore, ann: Mutation) -> tuple[Run, ...]:
    """Forty runs in which every sort has ties and gaps."""
    for number in range(40):
        run = runs.create(
            name=f"Run {number % 7} Ünit",
            experiment="flights" if number % 3 else "boats",
            mutation=ann,
            params={"lr": ["0.1", "1e-3", "3", "auto", ""][number % 5], "depth": str(number)} if number % 4 else {},
            tags={"team": "red" if number % 2 else "blue"} if number % 6 else {},
            inputs=[DatasetInput(dataset="flights", version=str(number % 2), digest="d" * 64)] if number % 5 else [],
        )
        if number % 8:
            runs.start(run.id)
            values = [0.25, 0.5, math.nan, 0.5, -math.inf, 0.75][number % 6]
            runs.log_points(run.id, [MetricPoint(key="auc", value=values, step=1, at=number)])
            if number % 9 == 0:
                runs.log_points(run.id, [MetricPoint(key="rare", value=number, step=1)])
        if number % 8 > 2:
            runs.end(run.id, RunStatus.FINISHED if number % 2 else RunStatus.FAILED, exit_code=number % 2)
        if number % 10 == 0:
            runs.set_note(run.id, "look at this 100%_sure", ann)
    return runs.page(limit=100).items


def query_of(text: str) -> Query:
    return parse(text, RUN_FIELDS)


def forward(runs: RunStore, query: Query, limit: int) -> list[str]:
    return [run.id for run in all_pages(lambda at: runs.page(query, at=at, limit=limit))]


def backward(runs: RunStore, query: Query, limit: int) -> list[str]:
    found: list[str] = []
    at: str | None = END
    while at is not None:
        page = runs.page(query, at=at, limit=limit)
        found = [run.id for run in page.items] + found
        at = page.previous
    return found
