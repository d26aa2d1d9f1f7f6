"""The course of metrics over the protocol."""

from __future__ import annotations

from typing import Any, Final

from backends.contract import START
from backends.entities import MetricPoint
from backends.mlflow.server import encode
from backends.mlflow.server.answers import invalid
from backends.mlflow.server.asked import Asked
from backends.mlflow.server.room import Room

PAGE: Final = 25_000
RUNS: Final = 100


def history(room: Room, asked: Asked) -> dict[str, Any]:
    """Without max_results all of it, as MLflow does; a page of them where clients ask for one."""
    run = room.run(asked.text("run_id", "run_uuid", default=None))
    key = asked.text("metric_key", default=None)
    limit = asked.limit("max_results", PAGE, PAGE) if "max_results" in asked else 2**31
    page = room.backend.need("runs").points(run.id, key, at=asked.text("page_token") or START, limit=limit)
    return {"metrics": [encode.metric(point) for point in page.items], "next_page_token": page.next or ""}


def bulk(room: Room, asked: Asked) -> dict[str, Any]:
    """The same metric of several runs, whole up to max_results points altogether."""
    chosen, key = _runs(asked, "run_id"), asked.text("metric_key", default=None)
    left = asked.limit("max_results", PAGE, PAGE)
    found: list[dict[str, Any]] = []
    for run in chosen:
        page = room.backend.need("runs").points(room.run(run).id, key, limit=max(left, 1))
        found += [encode.metric(point) | {"run_id": run} for point in page.items[: max(left, 0)]]
        left -= len(page.items)
    return {"metrics": found}


def interval(room: Room, asked: Asked) -> dict[str, Any]:
    """The same metric of several runs, thinned to max_results points each: one a bucket, the first and last kept."""
    chosen, key = _runs(asked, "run_ids"), asked.text("metric_key", default=None)
    most = asked.limit("max_results", 320, 2_500)
    first = asked.integer("start_step") if "start_step" in asked else None
    last = asked.integer("end_step") if "end_step" in asked else None
    found: list[dict[str, Any]] = []
    for run in chosen:
        series = room.backend.need("runs").series(room.run(run).id, key, buckets=most, first_step=first, last_step=last)
        points = [
            MetricPoint(key=key, value=bucket.last, step=bucket.last_step, at=bucket.at) for bucket in series.buckets
        ]
        found += [encode.metric(point) | {"run_id": run} for point in points]
    return {"metrics": found}


def _runs(asked: Asked, name: str) -> list[str]:
    chosen = asked.texts(name)
    if not chosen:
        raise invalid(f"Missing value for required parameter '{name}'")
    if len(chosen) > RUNS:
        raise invalid(f"At most {RUNS} runs can be asked at once, and {len(chosen)} are; ask in parts")
    return chosen


ROUTES: Final = {
    ("GET", "metrics/get-history"): history,
    ("GET", "metrics/get-history-bulk"): bulk,
    ("GET", "metrics/get-history-bulk-interval"): interval,
}
