"""What a run logs: metrics, parameters and tags, one by one or in batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from backends.contract import Invalid
from backends.entities import LoggedMetric, MetricPoint, Run
from backends.mlflow import names
from backends.mlflow.server.answers import invalid
from backends.mlflow.server.asked import Asked, integer, number
from backends.mlflow.server.room import Room


class _Metric(msgspec.Struct):
    """One metric of a batch: typed, because there are a thousand of them."""

    key: str
    value: float | str = 0.0
    timestamp: int | float | str = 0
    step: int | float | str = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class _Pair(msgspec.Struct):
    key: str
    value: str | None = None


class _Batch(msgspec.Struct):
    run_id: str = ""
    metrics: list[_Metric] | None = None
    params: list[_Pair] | None = None
    tags: list[_Pair] | None = None


_decoder: Final = msgspec.json.Decoder(_Batch)


def log_batch(room: Room, asked: Asked) -> dict[str, Any]:
    if len(asked.raw) > room.limits.batch:
        raise invalid(
            f"Batched logging API requests must be at most {room.limits.batch:,} bytes, got {len(asked.raw):,}; "
            "nothing was logged. Send smaller batches."
        )
    try:
        batch = _decoder.decode(asked.raw)
    except msgspec.DecodeError as error:
        raise invalid(f"Invalid batch: {error}; nothing was logged") from error
    metrics, params, tags = batch.metrics or [], batch.params or [], batch.tags or []
    limits = room.limits
    for what, found, most in (
        ("metrics", len(metrics), limits.batch_metrics),
        ("params", len(params), limits.batch_params),
        ("tags", len(tags), limits.batch_tags),
        ("metrics, params and tags", len(metrics) + len(params) + len(tags), limits.batch_total),
    ):
        if found > most:
            raise invalid(
                f"A batch logging request can contain at most {most:,} {what}. Got {found:,}; nothing was logged. "
                "Please split up and retry."
            )
    if not batch.run_id:
        raise invalid("Missing value for required parameter 'run_id'")
    run = room.living_run(batch.run_id)
    set_params(room, run, _distinct(params), dry=not params)
    points = [_point(room, each) for each in metrics]
    runs = room.backend.need("runs")
    if points:
        runs.log_points(run.id, points)
        _to_models(room, run, metrics)
    if tags:
        set_tags(room, run, {each.key: each.value or "" for each in tags})
    return {}


def _distinct(params: list[_Pair]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in params:
        value = each.value or ""
        if found.setdefault(each.key, value) != value:
            raise invalid(f"Duplicate parameter keys have been submitted: {each.key}; nothing was logged")
    return found


def _point(room: Room, each: _Metric) -> MetricPoint:
    room.check_key("Metric", each.key)
    # Plain ones are the rule; only what is spelled as a text has to be read.
    value = each.value if isinstance(each.value, float) else number("value", each.value)
    step = each.step if isinstance(each.step, int) else integer("step", each.step)
    at = each.timestamp if isinstance(each.timestamp, int) else integer("timestamp", each.timestamp)
    return MetricPoint(key=each.key, value=value, step=step, at=at)


def _to_models(room: Room, run: Run, metrics: list[_Metric]) -> None:
    """Metrics that were measured of a logged model belong to it too."""
    store = room.backend.logged_models
    of_model: dict[str, list[LoggedMetric]] = {}
    for each in metrics:
        if each.model_id and store is not None:
            point = _point(room, each)
            of_model.setdefault(each.model_id, []).append(
                LoggedMetric(
                    key=point.key,
                    value=point.value,
                    step=point.step,
                    at=point.at,
                    run=run.id,
                    dataset=each.dataset_name or "",
                    digest=each.dataset_digest or "",
                )
            )
    for model, found in of_model.items():
        assert store is not None  # noqa: S101 else there were none
        store.log_metrics(model, found)


def log_metric(room: Room, asked: Asked) -> dict[str, Any]:
    run = room.living_run(asked.text("run_id", "run_uuid", default=None))
    try:
        one = msgspec.json.decode(asked.raw, type=_Metric)
    except msgspec.DecodeError as error:
        raise invalid(f"Invalid metric: {error}; nothing was logged") from error
    if "value" not in asked:
        raise invalid("Missing value for required parameter 'value'")
    room.backend.need("runs").log_points(run.id, [_point(room, one)])
    _to_models(room, run, [one])
    return {}


def log_param(room: Room, asked: Asked) -> dict[str, Any]:
    run = room.living_run(asked.text("run_id", "run_uuid", default=None))
    set_params(room, run, {asked.text("key", default=None): asked.given("value") or ""})
    return {}


def set_params(room: Room, run: Run, params: Mapping[str, str], *, dry: bool = False) -> None:
    if dry:
        return
    for key, value in params.items():
        room.check_key("Param", key)
        room.check_value("Param", key, value, room.limits.param)
        if run.params.get(key, value) != value:
            raise invalid(
                f"Changing param values is not allowed. Param with key='{key}' was already logged with "
                f"value='{run.params[key]}' for run ID='{run.id}'. Attempted logging new value '{value}'."
            )
    try:
        room.backend.need("runs").log_params(run.id, dict(params))
    except Invalid as error:
        raise invalid(f"Changing param values is not allowed: {error}") from error


def check_tags(room: Room, tags: Mapping[str, str]) -> None:
    for key, value in tags.items():
        room.check_key("Tag", key)
        room.check_value("Tag", key, value, room.limits.tag)


def set_tags(room: Room, run: Run, tags: dict[str, str]) -> None:
    """Tags that our runs have as fields go there."""
    check_tags(room, tags)
    runs = room.backend.need("runs")
    rest = dict(tags)
    if names.NOTE in rest:
        runs.set_note(run.id, rest.pop(names.NOTE), room.mutation())
    if names.PARENT in rest:
        runs.set_parent(run.id, rest.pop(names.PARENT))
    name = rest.pop(names.RUN_NAME, "")
    if name:
        runs.rename(run.id, name, room.mutation())
    if rest:
        runs.set_tags(run.id, dict(rest), room.mutation())


ROUTES: Final = {
    ("POST", "runs/log-batch"): log_batch,
    ("POST", "runs/log-metric"): log_metric,
    ("POST", "runs/log-parameter"): log_param,
}
