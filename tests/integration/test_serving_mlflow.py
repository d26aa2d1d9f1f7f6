"""Models that MLflow's own client logged to a real MLflow server: promoted there by it and by us, served from there.

`FaultProxy` stands between, so that the server can go away.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from sklearn.linear_model import LogisticRegression

from backends.connect import connect
from backends.contract import Backend, Conflict, Mutation, Refused
from backends.entities import Deployment, DeploymentState
from backends.entities import Target as Wanted
from console.agent import ensure_agent, stop_agent
from console.agent.server_process import marked
from console.promotion.approvals import Waiting
from console.promotion.approve import approve
from console.promotion.promote import case_for, promote
from console.promotion.protect import guarded
from console.promotion.rollback import rollback
from console.serving.deployment import change
from console.serving.deployment.place import folder_of
from console.serving.fetched import fetch_version
from console.serving.spec import Target
from tests import fault_proxy as faults
from tests.fault_proxy import FaultProxy
from tests.mlflow_server import MlflowServer
from tests.processes import words_of
from tests.serving import WHO, Served, labels, rows, serving, until

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
mlflow = pytest.importorskip("mlflow", reason="mlflow comes with the test extra")

FRAME = rows(200)
X = FRAME[["weight", "stops"]].astype(float)
Y = labels(FRAME)
NEW = rows(4, seed=7)[["weight", "stops"]].astype(float)
BODY = {"dataframe_records": NEW.to_dict("records")}
BOB = Mutation(actor="bob@box", reason="agreed")
SLOW = 240.0


TWICE = """
import mlflow

class Twice(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [2 * float(value) for value in model_input["weight"]]

mlflow.models.set_model(Twice())
"""


class World:
    """The server behind a proxy; `parcels` with skops versions 1 and 2 and a pickled 3, `twice` with a pyfunc one."""

    def __init__(self, server: MlflowServer, proxy: FaultProxy, folder: Path) -> None:
        self.server, self.proxy, self.folder = server, proxy, folder
        self.client = mlflow.MlflowClient(tracking_uri=server.url, registry_uri=server.url)
        self.name, self.twice = f"parcels-{uuid.uuid4().hex[:8]}", f"twice-{uuid.uuid4().hex[:8]}"
        self.models = {str(at): LogisticRegression(C=c).fit(X, Y) for at, c in ((1, 1.0), (2, 0.001), (3, 0.1))}
        mlflow.set_tracking_uri(server.url)
        mlflow.set_registry_uri(server.url)
        more = {"name": "model", "pip_requirements": ["mlflow"]}
        signature = mlflow.models.infer_signature(X, Y)
        try:
            for version, model in self.models.items():
                with mlflow.start_run():
                    mlflow.log_metric("auc", 0.9)
                    kind = "cloudpickle" if version == "3" else "skops"
                    said = {"input_example": X.head(2)} if version == "1" else {"signature": signature}
                    mlflow.sklearn.log_model(
                        model, registered_model_name=self.name, serialization_format=kind, **more, **said
                    )
            code = folder / "twice.py"
            code.write_text(TWICE)
            with mlflow.start_run():
                signature = mlflow.models.infer_signature(X, [1.0])
                mlflow.pyfunc.log_model(
                    python_model=str(code), registered_model_name=self.twice, signature=signature, **more
                )
        finally:
            mlflow.set_tracking_uri(None)
            mlflow.set_registry_uri(None)
        self.move("1")
        self.home = folder / "sidecar"
        self.backend: Backend = connect("prod", f"mlflow+{proxy.url}", sidecar=self.home, options={"timeout": "60"})

    def move(self, version: str, alias: str = "champion") -> None:
        """By MLflow's client, behind our back."""
        self.client.set_registered_model_alias(self.name, alias, version)

    def answers(self, served: Served, version: str) -> bool:
        answer = served.http.post("/invocations", json=BODY)
        right = answer.json().get("predictions") == self.models[version].predict(NEW).tolist()
        return answer.status_code == 200 and answer.headers["x-model-version"] == version and right


@pytest.fixture(scope="module")
def world(mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("serving-mlflow")
    (folder / "config").mkdir()
    with pytest.MonkeyPatch.context() as patch, FaultProxy(mlflow_server.url) as proxy:
        patch.setenv("MLOPS_CONSOLE_CONFIG", str(folder / "config" / "config.toml"))
        made = World(mlflow_server, proxy, folder)
        yield made
        made.backend.close()


@pytest.fixture(scope="module")
def served(world: World) -> Iterator[Served]:
    with serving(world.backend, world.folder / "server", model=world.name) as running:
        yield running


@pytest.fixture(autouse=True)
def _calm(world: World) -> Iterator[None]:
    yield
    world.proxy.calm()
    world.move("1")


def test_an_alias_that_mlflows_client_moves_is_followed_without_a_dropped_request(world: World, served: Served) -> None:
    stop, troubles, seen = threading.Event(), [], set()

    def load() -> None:
        with httpx.Client(base_url=served.url, timeout=60) as client:
            while not stop.is_set():
                answer = client.post("/invocations", json=BODY)
                version = answer.headers.get("x-model-version", "")
                seen.add(version)
                right = answer.status_code == 200 and answer.json()["predictions"] == (
                    world.models[version].predict(NEW).tolist()
                )
                if not right:
                    troubles.append((answer.status_code, version, answer.text[:200]))

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for version in ("2", "1", "2", "1"):
            world.move(version)
            until(lambda wanted=version: served.state().targets[0].version == wanted, what=f"v{version}")
            until(lambda wanted=version: wanted in seen or troubles, what=f"an answer of v{version}")
        served.set_targets(Target(alias="champion", share=0.5), Target(version="2", share=0.5)).raise_for_status()
        served.set_targets(Target(alias="champion"), Target(version="2", share=0, shadow=True)).raise_for_status()
        until(lambda: any(each.shadow_requests for each in served.state().versions), what="the shadow")
    finally:
        stop.set()
        thread.join()
        served.set_targets(Target(alias="champion")).raise_for_status()
    assert troubles == []
    assert seen == {"1", "2"}


def test_while_the_registry_is_away_it_serves_on_says_so_and_follows_again(world: World, served: Served) -> None:
    until(lambda: world.answers(served, "1"), what="v1")
    world.proxy.plan("", "", faults.drop_before)
    until(lambda: served.state().away, what="that it is said")
    world.move("2")
    for _ in range(5):
        assert world.answers(served, "1")
    world.proxy.calm()
    until(lambda: world.answers(served, "2"), seconds=120, what="what the alias names meanwhile")
    until(lambda: served.state().away == "", what="that all is well")


def test_what_may_not_be_loaded_leaves_the_old_one(world: World, served: Served) -> None:
    until(lambda: world.answers(served, "1"), what="v1")
    world.move("3")
    standing = until(
        lambda: next((each for each in served.state().targets if each.state == "kept"), None), what="the refusal"
    )
    assert (standing.version, standing.wanted) == ("1", "3")
    assert "pickle" in standing.why
    assert world.answers(served, "1")


def test_files_that_were_exchanged_on_the_server_are_refused_from_then_on(world: World) -> None:
    fetch_version(world.backend, world.name, "2")
    source = world.client.get_model_version(world.name, "2").source
    owner = source.rpartition("/")[2] if source.startswith("models:/") else ""
    (kept,) = [each for each in (world.server.folder / "artifacts").rglob("model.skops") if owner in str(each)]
    whole = kept.read_bytes()
    kept.write_bytes(whole + b"\0")
    try:
        with pytest.raises(Refused, match="not what was served first"):
            fetch_version(world.backend, world.name, "2")
    finally:
        kept.write_bytes(whole)
    fetch_version(world.backend, world.name, "2")


def test_versions_of_others_are_judged_approved_promoted_and_moved_behind_our_back(world: World) -> None:
    backend, registry = guarded(world.backend), world.backend.need("registry")
    case = case_for(backend, world.name, "2", "champion")
    assert {gate.gate: gate.status.value for gate in case.gates if gate.gate in ("artifact", "signature")} == {
        "artifact": "warn",
        "signature": "pass",
    }, "a signature from an example and one that was inferred tell the same"
    assert backend.home is not None
    policies = backend.home / "policies.toml"
    policies.write_text(f'[[promotion]]\nmodel = "{world.name}"\napprovals = 1\n')
    try:
        with pytest.raises(Refused, match="protected"):
            backend.need("registry").set_alias(world.name, "champion", "2", expected="1", mutation=WHO)
        waits = promote(backend, world.name, "2", "champion", WHO, expected="1")
        assert isinstance(waits, Waiting)
        world.move("3")
        with pytest.raises(Conflict, match="is at v3 now"):
            approve(backend, waits.id, BOB)
        world.move("1")
        registry.get(world.name)
        move = approve(backend, waits.id, BOB)
        assert not isinstance(move, Waiting)
        assert (move.version, move.previous) == ("2", "1")
        assert world.client.get_model_version_by_alias(world.name, "champion").version in ("2", 2)
    finally:
        policies.unlink()
    world.move("3")
    assert registry.get(world.name).aliases["champion"] == "3"
    newest, ours = registry.history(world.name, alias="champion")[:2]
    assert (newest.actor, newest.action, newest.previous) == ("somebody else", "elsewhere", "2")
    assert "moved between" in newest.reason
    assert (ours.version, ours.action) == ("2", "promote")
    assert rollback(backend, world.name, "champion", WHO, expected="3").version == "2"
    world.move("3")  # to what it was at not long ago: that is somebody else's move too
    registry.get(world.name)
    assert registry.history(world.name, alias="champion")[0].action == "elsewhere"
    assert backend.need("journal").verify()[1] == ""


def test_a_python_model_is_served_by_mlflows_own_server_under_the_agent(world: World) -> None:
    with pytest.raises(Refused, match=r"loading that runs code.*\[\[serving\]\]"):
        fetch_version(world.backend, world.twice, "1")
    # It does not begin while this file is there, so that its absence can be looked at for as long as that takes.
    wait, command = world.folder / "wait", world.folder / "serve"
    command.write_text(
        f'#!/bin/sh\nwhile [ -e "{wait}" ]; do sleep 0.05; done\n'
        f'exec "{Path(sys.executable).parent / "mlflow"}" models serve "$@" --env-manager local\n'
    )
    command.chmod(0o755)
    rule = f'[[serving]]\nmodel = "{world.twice}"\ncommand = "{command} -m {{path}} -h {{host}} -p {{port}}"\n'
    (world.folder / "config" / "policies.toml").write_text(rule)
    start = Deployment(name="twice", model=world.twice, targets=(Wanted(version="1"),))
    change.start(world.backend, start, WHO)
    store, folder = world.backend.need("deployments"), folder_of(world.home, "twice")

    def state() -> Deployment:
        found: Deployment = store.get("twice")
        return found

    ensure_agent(world.home)
    try:
        until(lambda: state().status.state is DeploymentState.SERVING, seconds=SLOW, what="its server")

        def asked() -> httpx.Response:
            return httpx.post(f"{state().status.url}/invocations", json=BODY, timeout=60)

        answer = asked()
        assert answer.headers["x-model-version"] == "1"
        assert answer.json()["predictions"] == [2 * value for value in NEW["weight"]]
        scoring = [each for each in psutil.process_iter() if any("scoring_server" in word for word in words_of(each))]
        scoring = [each for each in scoring if each.pid in {found.pid for found in marked(folder)}]
        assert scoring, "mlflow's own server"
        wait.touch()
        for each in scoring:
            with contextlib.suppress(psutil.NoSuchProcess):  # with the one before it
                each.send_signal(signal.SIGKILL)
        until(lambda: asked().status_code == 503, what="that it is away")
        wait.unlink()
        until(lambda: asked().status_code == 200, seconds=SLOW, what="another one")
    finally:
        stop_agent(world.home)
        for process in marked(folder):
            with contextlib.suppress(ProcessLookupError):  # it ended with the one before it
                os.kill(process.pid, signal.SIGKILL)
