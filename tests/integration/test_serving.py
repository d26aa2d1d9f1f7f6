"""The model server as a process: it answers in the protocols' forms, and says what is wrong with what it is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression

from backends.local import open_local
from console.monitoring.feeds.batch import read_batch
from console.serving.spec import LogSpec
from tests.serving import Served, fitted, json_rows, keep_version, labels, point, rows, serving, until

FRAME = rows(400)
PIPELINE = fitted(FRAME, labels(FRAME), LogisticRegression(max_iter=200))
NEW = rows(7, seed=9)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("serving")
    backend = open_local(home / "workspace")
    version = keep_version(backend, home, PIPELINE, FRAME)
    point(backend, "champion", version.version)
    log = LogSpec(folder=str(home / "log"), segment_seconds=0.5, redact=("weight",))
    with serving(backend, home / "server", log=log) as running:
        yield running
    backend.close()


def test_every_form_of_rows_gets_the_pipelines_own_answer(served: Served) -> None:
    wanted = PIPELINE.predict(NEW).tolist()
    records = json_rows(NEW)
    names = list(NEW.columns)
    table = [[record[name] for name in names] for record in records]
    forms = {
        "dataframe_split": {"columns": names[::-1], "data": [row[::-1] for row in table]},
        "dataframe_records": records,
        "instances": records,
        "inputs": {name: [record[name] for record in records] for name in names},
    }
    for form, data in forms.items():
        answer = served.http.post("/invocations", json={form: data})
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"predictions": wanted}, form
        assert answer.headers["x-model-version"] == "1"
    csv = served.http.post("/invocations", content=NEW.to_csv(index=False), headers={"content-type": "text/csv"})
    assert csv.json() == {"predictions": wanted}


def test_scores_come_when_they_are_asked_for(served: Served) -> None:
    body = {"dataframe_records": json_rows(NEW), "params": {"predict_method": "predict_proba"}}
    assert served.http.post("/invocations", json=body).json()["predictions"] == PIPELINE.predict_proba(NEW).tolist()


def test_the_open_inference_protocol_answers_with_prediction_and_score(served: Served) -> None:
    records = json_rows(NEW)
    kinds = {"weight": "FP64", "stops": "INT64", "express": "BOOL", "carrier": "BYTES", "sent": "BYTES"}
    inputs = [
        {"name": name, "shape": [len(records)], "datatype": kind, "data": [record[name] for record in records]}
        for name, kind in kinds.items()
    ]
    said = served.http.post("/v2/models/parcels/versions/1/infer", json={"inputs": inputs, "id": "mine"}).json()
    assert said["model_version"] == "1"
    assert said["id"] == "mine"
    predicted, score = said["outputs"]
    assert predicted["data"] == PIPELINE.predict(NEW).tolist()
    assert score["data"] == PIPELINE.predict_proba(NEW)[:, 1].tolist()
    known = served.http.get("/v2/models/parcels").json()
    assert {each["name"]: each["datatype"] for each in known["inputs"]} == kinds
    assert served.http.get("/v2/models/parcels/ready").json() == {"name": "parcels", "ready": True}
    assert served.http.get("/v2/health/ready").status_code == 200


ROW = json_rows(rows(1, seed=3))[0]
BAD = {
    "not JSON": (b"{", 400, "body"),
    "no object": (b"[1]", 400, "body"),
    "NaN": (json.dumps({"dataframe_records": [ROW | {"weight": float("nan")}]}).encode(), 400, "body"),
    "too large a number": (b'{"dataframe_records": [{"weight": 1e999}]}', 400, "body"),
    "nested too deep": (b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "body"),
    "no rows": (b'{"dataframe_records": []}', 400, ""),
    "no form": (b"{}", 400, "body"),
    "two forms": (json.dumps({"inputs": [], "instances": []}).encode(), 400, "instances"),
    "unknown key": (b'{"rows": []}', 400, "rows"),
    "a column is missing": ({name: ROW[name] for name in ROW if name != "stops"}, 400, "stops"),
    "a column too many": (ROW | {"colour": "red"}, 400, "colour"),
    "text for a number": (ROW | {"weight": "heavy"}, 400, "weight"),
    "a number for text": (ROW | {"carrier": 7}, 400, "carrier"),
    "a fraction for a whole number": (ROW | {"stops": 1.5}, 400, "stops"),
    "a list for a value": (ROW | {"express": []}, 400, "express"),
    "no time": (ROW | {"sent": "yesterday"}, 400, "sent"),
    "a number beyond floats": (ROW | {"weight": 10**400}, 400, "weight"),
    "rows of unlike lengths": ({"dataframe_split": {"columns": list(ROW), "data": [[1]]}}, 400, "dataframe_split"),
    "unknown method": ({"dataframe_records": [ROW], "params": {"predict_method": "fit"}}, 400, "params.predict_method"),
    "unlike columns": ({"inputs": {name: [1] * (1 + (name == "stops")) for name in ROW}}, 400, ""),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_named_and_the_server_lives(served: Served, name: str) -> None:
    body, status, field = BAD[name]
    if isinstance(body, dict):
        body = json.dumps(body if set(body) - set(ROW) - {"colour"} else {"dataframe_records": [body]}).encode()
    answer = served.http.post("/invocations", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert said["message"]
    assert "heavy" not in said["message"]
    if field:
        assert said["field"] == field
    assert served.ask(ROW).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v2/models/parcels/versions/99/infer", 404),
        ("GET", "/v2/models/other", 404),
        ("GET", "/invocations", 405),
        ("GET", "/state", 404),
        ("POST", "/targets", 404),
        ("GET", "/v2/models/parcels/infer", 405),
    ],
)
def test_what_is_not_there_is_said(served: Served, method: str, path: str, status: int) -> None:
    answer = served.http.request(method, path, content=b"{}" if method == "POST" else None)
    assert answer.status_code == status, answer.text


def test_other_kinds_of_content_are_refused(served: Served) -> None:
    for kind in ("text/plain", "application/x-pickle", "application/json; charset=utf-16"):
        assert served.http.post("/invocations", content=b"x", headers={"content-type": kind}).status_code == 415


def test_a_body_past_the_limit_is_refused_and_not_kept(served: Served) -> None:
    answer = served.http.post("/invocations", content=b" " * (40 << 20), headers={"content-type": "application/json"})
    assert answer.status_code == 413, answer.text
    assert answer.json()["field"] == "body"
    assert served.ask(ROW).status_code == 200


def test_a_request_keeps_its_id_and_is_logged_without_what_is_redacted(served: Served) -> None:
    answer = served.ask(ROW, **{"x-request-id": "order-17"})
    assert answer.headers["x-request-id"] == "order-17"
    folder = Path(served.spec.log.folder)

    def logged() -> Any:
        frames = [read_batch(path) for path in folder.glob("*.jsonl")]
        found = [frame[frame["prediction.id"] == "order-17"] for frame in frames]
        return next(([frame.iloc[0]] for frame in found if len(frame)), None)

    line = until(logged, what="the line of the log")[0]
    assert line["prediction.version"] == "1"
    assert line["prediction.score"] == PIPELINE.predict_proba(rows(1, seed=3))[0, 1]
    assert line["carrier"] == ROW["carrier"]
    assert "weight" not in line
    assert folder.stat().st_mode & 0o077 == 0


def test_it_counts_what_it_answers(served: Served) -> None:
    before = next((each for each in served.state().versions if each.version == "1"), None)
    served.http.post("/invocations", json={"dataframe_records": json_rows(NEW)})
    after = next(each for each in served.state().versions if each.version == "1")
    assert after.rows - (before.rows if before else 0) == len(NEW)
    assert after.p50_ms is not None
    text = served.http.get("/metrics").text
    assert f'model_predictions_total{{model="parcels",deployment="test",version="1"}} {after.rows}' in text


def test_the_schema_says_what_a_row_is(served: Served) -> None:
    schema = served.http.get("/schema").json()
    assert schema["required"] == list(ROW)
    assert schema["properties"]["stops"]["type"] == ["integer", "null"]
    assert served.http.get("/openapi.json").json()["info"] == {"title": "parcels", "version": "1"}
