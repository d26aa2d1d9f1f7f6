"""What our protocol server does beyond MLflow's own: who may come in, what is refused, whose word ends a run."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from backends.contract import Mutation
from backends.entities import RunStatus
from backends.mlflow.server.app import VERSION
from backends.mlflow.server.room import Limits
from tests.monitored import until
from tests.protocol_server import TOKEN, OwnServer, start_own

ANN = Mutation("ann@box")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[OwnServer]:
    server = start_own(tmp_path / "workspace", limits=Limits(artifact=1_000_000))
    yield server
    server.stop()


def ask(
    own: OwnServer, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    """One request, exactly as given; the answer as JSON where it is some."""
    connection = http.client.HTTPConnection(urlsplit(own.url).netloc, timeout=120)
    given = {"Authorization": f"Bearer {TOKEN}"} if headers is None else headers
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection.request(method, path, data, given)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, text


API = "/api/2.0/mlflow"


def a_run(own: OwnServer) -> str:
    made: str = own.backend.need("runs").create(name="one", mutation=ANN).id
    return made


# ---------------------------------------------------------------- who may come in


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer "},
        {"Authorization": TOKEN},
    ],
)
def test_without_the_token_nobody_comes_in(own: OwnServer, headers: dict[str, str]) -> None:
    run = a_run(own)
    for method, path in (
        ("GET", f"{API}/runs/get?run_id={run}"),
        ("POST", f"{API}/runs/search"),
        ("PUT", f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/x"),
        ("GET", f"/get-artifact?run_id={run}&path=x"),
        ("GET", "/anything"),
    ):
        status, answer = ask(own, method, path, b"{}", headers)
        assert (status, answer["error_code"]) == (401, "UNAUTHENTICATED"), path
        assert TOKEN not in json.dumps(answer)


def test_the_token_is_a_password_too(own: OwnServer) -> None:
    import base64

    basic = base64.b64encode(f"anyone:{TOKEN}".encode()).decode()
    status, _ = ask(own, "POST", f"{API}/experiments/search", {"max_results": 1}, {"Authorization": f"Basic {basic}"})
    assert status == 200


def test_health_and_version_are_open(own: OwnServer) -> None:
    assert ask(own, "GET", "/health", headers={}) == (200, b"OK")
    assert ask(own, "GET", "/version", headers={}) == (200, VERSION.encode())


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example:5000", ""])
def test_another_host_name_is_refused(own: OwnServer, host: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": host}
    status, answer = ask(own, "GET", f"{API}/runs/get?run_id=x", headers=headers)
    assert (status, answer["error_code"]) == (403, "PERMISSION_DENIED")


def test_a_page_in_a_browser_changes_nothing(own: OwnServer) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Origin": "http://127.0.0.1:3000"}
    status, _ = ask(own, "POST", f"{API}/experiments/create", {"name": "x"}, headers)
    assert status == 403
    assert own.backend.need("runs").experiments() == ()


def test_it_listens_on_loopback_alone(own: OwnServer) -> None:
    port = urlsplit(own.url).port
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), port, socket.AF_INET)}
    for address in addresses - {"127.0.0.1"}:
        if str(address).startswith("127."):
            continue
        with pytest.raises(OSError):
            socket.create_connection((str(address), port), timeout=2).close()


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_a_broken_body_is_an_error_and_not_an_empty_answer(own: OwnServer, body: bytes) -> None:
    status, answer = ask(own, "POST", f"{API}/runs/search", body)
    assert (status, answer["error_code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("runs/log-parameter", {"key": "k", "value": "x" * 6_001}),
        ("runs/set-tag", {"key": "k", "value": "x" * 8_001}),
        ("runs/log-batch", {"params": [{"key": "k", "value": "x" * 6_001}]}),
        ("runs/log-batch", {"tags": [{"key": "k" * 251, "value": "x"}]}),
    ],
)
def test_what_is_too_long_is_refused_and_never_cut(own: OwnServer, path: str, body: dict[str, Any]) -> None:
    run = a_run(own)
    status, answer = ask(own, "POST", f"{API}/{path}", {"run_id": run, **body})
    assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "nothing was logged" in answer["message"]
    found = own.backend.need("runs").get(run)
    assert (found.params, found.tags) == ({}, {})


@pytest.mark.parametrize(
    "body",
    [
        {"key": "m"},
        {"key": "m", "value": "abc"},
        {"key": "m", "value": None},
        {"key": "m", "value": True, "step": 0},
        {"key": "m", "value": 1, "step": 1.5},
        {"key": "m", "value": 1, "step": 2**63},
        {"key": "m", "value": 1, "timestamp": "soon"},
        {"key": ["m"], "value": 1},
        {"value": 1},
    ],
)
def test_a_metric_that_is_none_is_refused(own: OwnServer, body: dict[str, Any]) -> None:
    run = a_run(own)
    status, answer = ask(own, "POST", f"{API}/runs/log-metric", {"run_id": run, **body})
    assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), answer
    assert own.backend.need("runs").get(run).metrics == {}


def test_a_batch_over_a_megabyte_is_refused(own: OwnServer) -> None:
    run = a_run(own)
    tags = [{"key": f"k{n}", "value": "x" * 7_990} for n in range(100)]
    params = [{"key": f"k{n}", "value": "x" * 5_990} for n in range(100)]
    status, answer = ask(own, "POST", f"{API}/runs/log-batch", {"run_id": run, "tags": tags, "params": params})
    assert status == 400
    assert "smaller batches" in answer["message"]


@pytest.mark.parametrize("path", ["..%5cx", "a%00b", "a%5c..%5c..%5cx", "%2e%2e%2fx", "%252e%252e%252fx", "a//../x"])
def test_no_spelling_of_a_path_leaves_the_run(own: OwnServer, path: str) -> None:
    run = a_run(own)
    status, answer = ask(own, "PUT", f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/{path}", b"x")
    assert status in (400, 404), answer
    assert own.backend.need("artifacts").list(run) == ()


def test_a_file_over_the_limit_is_not_kept(own: OwnServer) -> None:
    run = a_run(own)
    status, answer = ask(own, "PUT", f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/big", b"x" * 1_000_001)
    assert status == 400
    assert "not kept" in answer["message"]
    assert own.backend.need("artifacts").list(run) == ()
    assert list((own.backend.home / "tmp").glob("upload-*")) == []  # type: ignore[operator]


def test_a_client_that_goes_away_in_the_middle_leaves_nothing(own: OwnServer) -> None:
    run = a_run(own)
    where = urlsplit(own.url)
    with socket.create_connection((where.hostname or "", where.port or 0)) as line:
        head = (
            f"PUT /api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/half HTTP/1.1\r\nHost: {where.netloc}\r\n"
            f"Authorization: Bearer {TOKEN}\r\nContent-Length: 1000\r\n\r\n"
        )
        line.sendall(head.encode() + b"x" * 10)
        until(lambda: list((own.backend.home / "tmp").glob("upload-*")), what="the beginning of a file")
    until(lambda: not list((own.backend.home / "tmp").glob("upload-*")), what="its end")
    assert own.backend.need("artifacts").list(run) == ()


@pytest.mark.parametrize("path", ["/api/3.0/mlflow/traces", f"{API}/gateway/routes", f"{API}/nothing", "/"])
def test_what_is_not_offered_is_told_in_mlflows_own_shape(own: OwnServer, path: str) -> None:
    status, answer = ask(own, "GET", path)
    assert (status, answer["error_code"]) == (404, "ENDPOINT_NOT_FOUND")


def test_a_fault_of_ours_says_nothing_of_the_inside(own: OwnServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a secret path /srv/keys")

    monkeypatch.setattr(type(own.backend.need("runs")), "get", fail)
    status, answer = ask(own, "GET", f"{API}/runs/get?run_id=x")
    assert (status, answer["error_code"]) == (500, "INTERNAL_ERROR")
    assert "secret" not in answer["message"]


# ---------------------------------------------------------------- whose word counts


def test_a_supervised_run_is_not_ended_by_its_client(own: OwnServer) -> None:
    run = a_run(own)
    own.supervised.add(run)
    ask(own, "POST", f"{API}/runs/update", {"run_id": run, "status": "RUNNING"})
    assert own.backend.need("runs").get(run).status is RunStatus.RUNNING
    status, _ = ask(own, "POST", f"{API}/runs/update", {"run_id": run, "status": "FINISHED", "end_time": 5})
    assert status == 200
    assert own.backend.need("runs").get(run).status is RunStatus.RUNNING
    status, answer = ask(own, "POST", f"{API}/runs/delete", {"run_id": run})
    assert (status, "stop it first" in answer["message"]) == (400, True)


def test_what_a_client_changes_stands_in_the_journal_with_its_caller(own: OwnServer) -> None:
    ask(own, "POST", f"{API}/registered-models/create", {"name": "churn"})
    run = a_run(own)
    for _ in range(2):
        ask(own, "POST", f"{API}/model-versions/create", {"name": "churn", "source": "s3://b/m", "run_id": run})
    for version in ("1", "2"):
        body = {"name": "churn", "alias": "champion", "version": version}
        assert ask(own, "POST", f"{API}/registered-models/alias", body)[0] == 200
    moves = own.backend.need("registry").history("churn")
    assert [(move.previous, move.version, move.actor) for move in moves] == [
        ("1", "2", "ann@box"),
        (None, "1", "ann@box"),
    ]
    assert own.backend.need("journal").verify()[1] == ""


def test_of_many_clients_at_once_every_point_is_kept(own: OwnServer) -> None:
    run = a_run(own)
    failures: list[Any] = []

    def log(number: int) -> None:
        for step in range(20):
            body = {
                "run_id": run,
                "metrics": [{"key": f"m{number}", "value": step, "timestamp": 1, "step": step}],
                "tags": [{"key": f"t{number}", "value": str(step)}],
            }
            status, answer = ask(own, "POST", f"{API}/runs/log-batch", body)
            if status != 200:
                failures.append(answer)

    threads = [threading.Thread(target=log, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [own.backend.need("runs").series(run, f"m{n}").count for n in range(8)] == [20] * 8


# ---------------------------------------------------------------- unmodified scripts

AUTOLOG = """
import mlflow, numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
mlflow.autolog()
chance = np.random.default_rng(0)
x = chance.normal(size=(200, 4)); y = (x[:, 0] > 0).astype(int)
model = HistGradientBoostingClassifier(max_iter=5).fit(x, y)
model.score(x, y)
"""


def test_an_autolog_script_attaches_to_the_run_it_is_given(own: OwnServer, tmp_path: Path) -> None:
    runs = own.backend.need("runs")
    run = runs.create(name="mine", mutation=ANN, tags={"keep": "me"}).id
    own.supervised.add(run)
    script = tmp_path / "train.py"
    script.write_text(AUTOLOG)
    done = subprocess.run(
        [sys.executable, str(script)],
        env={
            **os.environ,
            "MLFLOW_TRACKING_URI": own.url,
            "MLFLOW_TRACKING_TOKEN": TOKEN,
            "MLFLOW_RUN_ID": run,
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = runs.get(run)
    assert runs.count().value == 1
    assert (found.name, found.tags["keep"], found.params["max_iter"]) == ("mine", "me", "5")
    assert found.metrics["training_accuracy_score"] > 0.9
    assert found.inputs[0].schema
    assert "training_confusion_matrix.png" in [each.path for each in own.backend.need("artifacts").list(run)]
    (output,) = own.backend.need("logged_models").outputs(run)
    assert own.backend.need("logged_models").get(output.model).status == "ready"
    assert found.status is RunStatus.RUNNING, "its supervisor has not said that it ended"
