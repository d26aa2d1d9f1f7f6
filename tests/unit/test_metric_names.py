"""Names of metrics without end, and names that mean something elsewhere."""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Invalid, Mutation
from backends.entities import MetricPoint
from backends.local.limits import METRICS
from backends.query import RUN_FIELDS, parse
from tests.protocol_server import TOKEN, OwnServer, start_own

ANN = Mutation("ann@box")
KEYWORDS = (
    "order",
    "by",
    "and",
    "or",
    "not",
    "in",
    "desc",
    "asc",
    "null",
    "is",
    "like",
    "select",
    "metrics",
    "a b",
    "9",
)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[OwnServer]:
    server = start_own(tmp_path / "w")
    yield server
    server.stop()


def points(*keys: str) -> list[MetricPoint]:
    return [MetricPoint(key=key, value=float(at), step=1) for at, key in enumerate(keys)]


def post(own: OwnServer, path: str, body: Any) -> tuple[int, Any]:
    ask = urllib.request.Request(
        f"{own.url}/api/2.0/mlflow/{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"},
    )
    try:
        with urllib.request.urlopen(ask, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_million_names_are_refused_wherever_they_come_from_and_what_was_there_goes_on(own: OwnServer) -> None:
    runs = own.backend.need("runs")
    run = runs.create(name="many", mutation=ANN).id
    runs.start(run)
    with pytest.raises(Invalid, match="a run may have 10,000 metrics and this one has 0; of 1,000,000 names given"):
        runs.log_points(run, points(*(f"m{at}" for at in range(1_000_000))))
    assert runs.get(run).metrics == {}
    runs.log_points(run, points(*(f"m{at}" for at in range(METRICS))))
    # One more, even beside names that are there: none of the call.
    with pytest.raises(Invalid, match=r"'more' is one too many; nothing was logged\. Put what varies into the step"):
        runs.log_points(run, points("m1", "more"))
    assert runs.get(run).metrics["m1"] == 1.0
    metric = {"key": "more", "value": 1.0, "timestamp": 1, "step": 1}
    for path, body in (("log-metric", metric), ("log-batch", {"metrics": [metric]})):
        status, said = post(own, f"runs/{path}", {"run_id": run, **body})
        assert (status, said["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
        assert "a run may have 10,000 metrics and this one has 10,000" in said["message"]
    assert post(own, "runs/log-metric", {"run_id": run, **metric, "key": "m1", "value": 7.0, "step": 2})[0] == 200
    found = runs.get(run).metrics
    assert (len(found), found["m1"]) == (METRICS, 7.0)


def test_a_metric_named_like_a_word_of_the_query_language_is_found_and_sorted_by(own: OwnServer) -> None:
    runs = own.backend.need("runs")
    ids = []
    for shift in (0.0, 1.0, 2.0):
        run = runs.create(name="words", mutation=ANN).id
        runs.log_points(run, [MetricPoint(key=key, value=at + shift, step=1) for at, key in enumerate(KEYWORDS)])
        ids.append(run)
    for at, key in enumerate(KEYWORDS):
        name = f"metrics.{key}" if key.isidentifier() else f'metrics."{key}"'
        for spelled in {name, f'metrics."{key}"', f"metrics.`{key}`"}:
            query = parse(f"{spelled} >= {at + 1} order by {spelled} desc", RUN_FIELDS)
            assert [run.id for run in runs.page(query).items] == [ids[2], ids[1]], spelled


def test_steps_backwards_and_infinite_values_come_out_of_the_protocol_as_they_went_in(own: OwnServer) -> None:
    runs = own.backend.need("runs")
    run = runs.create(name="odd", mutation=ANN).id
    runs.start(run)
    for at, (step, value) in enumerate([(5, 1.0), (2, "Infinity"), (-3, "-Infinity"), (9, "NaN"), (9, 4.0)]):
        body = {"run_id": run, "key": "a", "value": value, "timestamp": at, "step": step}
        assert post(own, "runs/log-metric", body)[0] == 200
    buckets = runs.series(run, "a").buckets
    assert [(bucket.first_step, bucket.last) for bucket in buckets if bucket.last == bucket.last] == [
        (-3, -math.inf), (2, math.inf), (5, 1.0), (9, 4.0),
    ]  # fmt: skip
    assert sum(bucket.count for bucket in buckets if math.isnan(bucket.last)) == 1
    assert runs.get(run).metrics == {"a": 4.0}
