"""The console on a real MLflow server: what it costs, what others do meanwhile, what happens when it goes away."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from backends.connect import connect, open_workspace, remote_of
from backends.contract import Backend, Conflict, Invalid, Mutation, Unreachable, Unsupported
from backends.entities import ModelFile, RunStatus, Signature
from backends.login import Login
from backends.query import RUN_FIELDS, parse
from console.promotion.at import version_at
from console.promotion.pending import half_done
from console.promotion.promote import promote
from console.promotion.rollback import rollback
from console.promotion.undo import undo, undoable
from tests.mlflow_server import MlflowServer, never_slow, start_mlflow

ANN = Mutation("ann@box", reason="because")


@pytest.fixture
def remote(mlflow_server: MlflowServer, tmp_path: Path) -> Iterator[Backend]:
    backend = connect("prod", f"mlflow+{mlflow_server.url}", sidecar=tmp_path / "sidecar")
    yield backend
    backend.close()


@pytest.fixture
def model(remote: Backend) -> str:
    """A model with three versions."""
    name = f"m-{uuid.uuid4().hex}"
    run = remote.need("runs").create(name="trained", mutation=ANN)
    remote.need("runs").start(run.id)
    remote.need("runs").end(run.id, RunStatus.FINISHED)
    for _ in range(3):
        remote.need("registry").register(name, run=run.id, file=ModelFile(), signature=Signature(), mutation=ANN)
    return name


def raw(server: MlflowServer, path: str, body: dict[str, Any]) -> None:
    """What somebody else does, without any console."""
    answer = httpx.post(f"{server.url}/api/2.0/mlflow/{path}", json=body, timeout=60)
    assert answer.status_code == 200, answer.text


# ---------------------------------------------------------------- moves of aliases


def test_a_promotion_is_kept_where_every_console_sees_it(
    remote: Backend, model: str, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    promote(remote, model, "1", "champion", ANN, expected=None)
    time.sleep(0.01)
    between = int(time.time() * 1000)
    time.sleep(0.01)
    promote(remote, model, "2", "champion", Mutation("bob@box", reason="better"), expected="1")
    other = connect("prod", f"mlflow+{mlflow_server.url}", sidecar=tmp_path / "another")
    moves = other.need("registry").history(model)
    assert [(m.actor, m.previous, m.version, m.reason) for m in moves] == [
        ("bob@box", "1", "2", "better"),
        ("ann@box", None, "1", "because"),
    ]
    assert version_at(other, model, "champion", between) == "1"
    assert [tag for tag in other.need("registry").version(model, "2").tags if "console.move" in tag] == []
    other.close()


def test_rolling_back_and_undoing_work_as_on_the_embedded_store(remote: Backend, model: str) -> None:
    promote(remote, model, "1", "champion", ANN, expected=None)
    promote(remote, model, "2", "champion", ANN, expected="1")
    back = rollback(remote, model, "champion", ANN, expected="2")
    assert (back.previous, back.version, back.action) == ("2", "1", "rollback")
    entry = undoable(remote, "ann@box")
    assert entry is not None
    assert undo(remote, entry, ANN).version == "2"
    assert remote.need("registry").get(model).aliases == {"champion": "2"}
    assert remote.need("journal").verify()[1] == ""
    assert half_done(remote) == ()


def test_a_move_by_somebody_else_is_a_conflict_and_then_history(
    remote: Backend, model: str, mlflow_server: MlflowServer
) -> None:
    registry = remote.need("registry")
    registry.set_alias(model, "champion", "1", expected=None, mutation=ANN)
    raw(mlflow_server, "registered-models/alias", {"name": model, "alias": "champion", "version": "3"})
    with pytest.raises(Conflict, match="nothing was changed"):
        registry.set_alias(model, "champion", "2", expected="1", mutation=ANN)
    assert registry.get(model).aliases == {"champion": "3"}
    last = registry.history(model)[0]
    assert (last.previous, last.version, last.actor, last.action) == ("1", "3", "somebody else", "elsewhere")
    assert "moved between" in last.reason


def test_of_two_consoles_one_wins(remote: Backend, model: str, mlflow_server: MlflowServer, tmp_path: Path) -> None:
    other = connect("prod", f"mlflow+{mlflow_server.url}", sidecar=tmp_path / "sidecar")
    promote(remote, model, "1", "champion", ANN, expected=None)
    with pytest.raises(Conflict, match="by ann@box"):
        promote(other, model, "2", "champion", Mutation("bob@box"), expected=None)
    other.close()


def test_what_a_crash_left_half_done_is_settled_by_what_the_server_says(
    remote: Backend, model: str, mlflow_server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backends.remote import alias_steps

    journal = remote.need("journal")
    for alias, wanted in (("champion", "1"), ("challenger", "2")):
        at = {"model": model, "alias": alias}
        journal.record(
            "model.promote",
            model,
            ANN,
            before={**at, "version": None},
            after={**at, "version": wanted},
            outcome="intent",
        )
    raw(mlflow_server, "registered-models/alias", {"name": model, "alias": "champion", "version": "1"})
    assert len(half_done(remote)) == 2
    monkeypatch.setattr(alias_steps, "_AT_IT_MS", -1)
    again = connect("prod", f"mlflow+{mlflow_server.url}", sidecar=tmp_path / "sidecar")
    again.close()  # waits for it
    ended = {str(e.after.get("alias")): e.outcome.value for e in journal.page().items if e.outcome.value != "intent"}
    assert (ended.get("champion"), ended.get("challenger")) == ("done", "abandoned")
    assert half_done(remote) == ()


# ---------------------------------------------------------------- lists


def test_a_refresh_of_the_runs_is_one_question(remote: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    never_slow(monkeypatch)
    runs = remote.need("runs")
    runs.page(limit=50)
    asked = _questions(remote)
    runs.page(limit=50)
    runs.page(parse("status = finished", RUN_FIELDS), limit=50)
    assert [path for _, path in asked] == ["runs/search", "runs/search"]


def test_a_large_server_is_never_asked_to_sort(remote: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    from backends.mlflow import client_pages

    never_slow(monkeypatch)
    runs = remote.need("runs")
    made = [runs.create(name=f"r{n}", mutation=ANN, params={"n": str(n)}).id for n in range(5)]
    monkeypatch.setattr(client_pages, "PIECE", 1)
    monkeypatch.setattr(client_pages, "SORTED", 2)
    monkeypatch.setattr(client_pages, "NEWEST", 3)
    asked = _questions(remote)
    page = runs.page(parse("order by params.n", RUN_FIELDS), limit=10)
    assert [run.id for run in page.items] == made[2:]
    assert "only the newest 3 runs" in page.note
    assert all("order_by" not in body for body, _ in asked)


def _questions(remote: Backend) -> list[tuple[Any, str]]:
    """Every search that goes out from now on: (body, path)."""
    transport = remote.need("runs")._room.transport
    asked: list[tuple[Any, str]] = []
    send = transport._send

    def noted(method: str, path: str, params: Any, body: Any, *more: Any, **named: Any) -> bytes:
        asked.append((body.decode() if isinstance(body, bytes) else "", path))
        answer: bytes = send(method, path, params, body, *more, **named)
        return answer

    transport._send = noted
    return asked


def test_what_a_server_would_cut_is_refused(remote: Backend) -> None:
    runs = remote.need("runs")
    run = runs.create(name="a", mutation=ANN).id
    with pytest.raises(Invalid, match="nothing was changed"):
        runs.log_params(run, {"k": "x" * 6_001})
    with pytest.raises(Invalid, match="nothing was changed"):
        runs.set_tags(run, {"k": "x" * 8_001}, ANN)
    with pytest.raises(Unsupported):
        runs.create(name="b", mutation=ANN, id="0" * 32)


# ---------------------------------------------------------------- a server that goes away


def test_the_last_known_rows_stay_while_the_server_is_away(tmp_path: Path) -> None:
    server = start_mlflow(tmp_path)
    port = int(server.url.rpartition(":")[2])
    remote = connect("prod", f"mlflow+{server.url}", sidecar=tmp_path / "sidecar")
    runs = remote.need("runs")
    run = runs.create(name="kept", mutation=ANN).id
    before = runs.page(limit=50)
    known = runs.get(run)
    server.stop()
    assert runs.page(limit=50).items == before.items
    assert runs.get(run) == known
    with pytest.raises(Unreachable) as caught:
        remote.changed()
    assert caught.value.since is not None
    assert caught.value.retry_at is not None
    for change in (
        lambda: runs.set_tags(run, {"a": "1"}, ANN),
        lambda: remote.need("registry").create("m", ANN),
    ):
        with pytest.raises(Unreachable, match="nothing was changed"):
            change()
    again = connect("prod", f"mlflow+{server.url}", sidecar=tmp_path / "sidecar")
    assert [each.id for each in again.need("runs").page(limit=50).items] == [run], "also for a console opened meanwhile"
    again.close()
    server = start_mlflow(tmp_path, port=port)
    until = time.monotonic() + 180
    while True:
        try:
            remote.changed()
            break
        except Unreachable:
            assert time.monotonic() < until
            time.sleep(0.2)
    runs.set_tags(run, {"a": "1"}, ANN)
    assert runs.get(run).tags == {"a": "1"}, "what was refused was not kept for later, and this is the first"
    server.stop()
    remote.close()


def test_a_hung_server_holds_nobody_longer_than_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start_mlflow(tmp_path)
    remote = connect("prod", f"mlflow+{server.url}", sidecar=tmp_path / "sidecar")
    remote.need("runs").page(limit=5)
    server.pause()
    transport, waited = remote.need("runs")._room.transport, list[Unreachable]()
    failed = transport.breaker.failed
    monkeypatch.setattr(transport, "_patience", 3.0)
    monkeypatch.setattr(transport.breaker, "failed", lambda error: waited.append(error) or failed(error))
    transport.breaker._failures = 6  # as after some: for a minute nobody is the one who looks again
    with pytest.raises(Unreachable, match="does not answer in time"):
        remote.need("runs").points("0" * 32, "never")
    assert len(waited) == 1
    for _ in range(20):
        assert remote.need("runs").page(limit=5).items == ()
    assert len(waited) == 1, "who comes after is not made to wait as well"
    server.resume()
    server.stop()
    remote.close()


# ---------------------------------------------------------------- addresses and logins


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mlflow+https://ann:hunter2@host", "names? the place|user or a password"),
        ("mlflow+ftp://host", "is like mlflow"),
        ("mlflow+https://", "is like mlflow"),
    ],
)
def test_a_wrong_address_is_told_and_shows_no_password(url: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=sentence) as caught:
        connect("x", url, sidecar=tmp_path / "s")
    assert "hunter2" not in str(caught.value)


def test_nobody_listens(tmp_path: Path) -> None:
    remote = connect("x", "mlflow+http://127.0.0.1:9", sidecar=tmp_path / "s")
    with pytest.raises(Unreachable, match="nothing listens"):
        remote.need("runs").page()
    remote.close()


def test_the_sidecar_knows_its_server_and_no_secret(
    mlflow_server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", "s3cr3t-value")
    login = Login(env="A_TOKEN")
    remote = connect("x", f"mlflow+{mlflow_server.url}", sidecar=tmp_path / "s", login=login)
    remote.need("runs").create(name="a", mutation=ANN)
    assert remote.tracking is not None
    assert remote.tracking("r1")["MLFLOW_TRACKING_TOKEN"] == "s3cr3t-value"
    remote.close()
    found = remote_of(tmp_path / "s")
    assert found is not None
    assert (found.url, found.login) == (f"mlflow+{mlflow_server.url}", login)
    again = open_workspace(tmp_path / "s")
    assert again.need("runs").page(limit=1).items
    again.close()
    files = [each for each in (tmp_path / "s").rglob("*") if each.is_file()]
    assert [each for each in files if b"s3cr3t-value" in each.read_bytes()] == []


# ---------------------------------------------------------------- what others' versions say of themselves


def test_a_version_that_others_logged_tells_its_signature_and_package(
    remote: Backend, mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logged and registered by MLflow's own client, which knows nothing of a console."""
    mlflow = pytest.importorskip("mlflow", reason="mlflow comes with the test extra")
    import pandas as pd
    from sklearn.linear_model import LinearRegression

    from backends.mlmodel import with_package
    from console.promotion.promote import case_for

    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow.set_tracking_uri(mlflow_server.url)
    mlflow.set_registry_uri(mlflow_server.url)
    name = f"others-{uuid.uuid4().hex}"
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [2.0, 1.0, 4.0], "z": [0.5, 1.5, 2.0]})
    try:
        for columns in (["x", "y"], ["x", "z"]):
            with mlflow.start_run():
                info = mlflow.sklearn.log_model(
                    LinearRegression().fit(frame[columns], frame.x),
                    name="model",
                    registered_model_name=name,
                    signature=mlflow.models.infer_signature(frame[columns], frame.x),
                    pip_requirements=["scikit-learn", "mlflow"],
                )
        client = mlflow.MlflowClient()
        client.set_registered_model_alias(name, "champion", "1")
    finally:
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
    found = remote.need("registry").version(name, "2")
    assert (found.signature, found.package) == (Signature(), None), "a list or a look asks for no file"
    told = with_package(remote, found)
    assert told.package is not None
    assert set(told.package.flavors) == set(info.flavors)
    assert told.package.mlflow == mlflow.__version__
    assert [each.partition("=")[0] for each in told.package.requirements] == ["scikit-learn", "mlflow"]
    assert told.package.bytes > 0
    assert [column.name for column in told.signature.inputs] == info.signature.inputs.input_names()
    transport = remote.need("registry")._room.transport
    monkeypatch.setattr(transport, "download", None)
    assert with_package(remote, found) == told, "read once"
    monkeypatch.undo()
    gate = next(gate for gate in case_for(remote, name, "2", "champion").gates if gate.gate == "signature")
    assert (gate.status, gate.value) == ("fail", "adds z; removes y")
