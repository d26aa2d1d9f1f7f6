"""Triggers on an MLflow context: versions and aliases are the server's, the agent is that of the directory beside."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from backends.connect import connect
from backends.contract import Backend, Mutation
from backends.entities import Alert, AlertState, Firing, FiringState, Monitor
from console.agent import agent_log, ensure_agent, stop_agent
from console.data.importing import import_file
from console.triggers.create import create_trigger, fire
from console.triggers.definition import parse_trigger
from tests.mlflow_server import MlflowServer
from tests.monitored import traffic, until

ME = Mutation("ann@box", "a test")
RECIPE = """\
dataset = "fresh"
target = "late"
task = "classification"
positive = "yes"
columns = ["weight", "distance", "carrier"]
system_metrics = false
[split]
test = 0.3
[estimator]
class = "sklearn.linear_model.LogisticRegression"
params = { C = 1.0 }
"""


@pytest.fixture
def backend(mlflow_server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "policies.toml").write_text('[[promotion]]\nunattended = true\ngates = { holder = "off" }\n')
    made = connect("prod", f"mlflow+{mlflow_server.url}", sidecar=tmp_path / "w")
    traffic(1200, 9).drop(columns=["id"]).to_csv(tmp_path / "fresh.csv", index=False)
    import_file(made.need("datasets"), tmp_path / "fresh.csv", "fresh", ME)
    yield made
    stop_agent(tmp_path / "w")
    made.close()


def ended(backend: Backend, name: str, count: int = 1) -> Firing:
    """The newest of its firings, once so many have ended."""

    def look() -> Firing | None:
        found = backend.need("triggers").firings(name)
        return found[0] if len(found) >= count and all(each.state.ended for each in found) else None

    try:
        found: Firing = until(look, seconds=300, what=f"{count} ends of {name}")
    except AssertionError:
        assert backend.home is not None
        raise AssertionError(f"{backend.need('triggers').firings(name)}\n{agent_log(backend.home)}") from None
    return found


def test_a_model_is_retrained_promoted_and_rolled_back_on_the_server(
    backend: Backend, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    model = f"deliveries-{uuid.uuid4().hex[:8]}"
    add = f'model = "{model}"\npromote = true\n[limits]\ncooldown = "0"\n'
    create_trigger(
        backend,
        parse_trigger(
            f"name = 'again'\n[when]\nhand = true\n[do]\nretrain = '''\n{RECIPE}'''\n{add}", "test", base=tmp_path
        ),
        ME,
    )
    ensure_agent(tmp_path / "w")
    fire(backend, "again", ME)
    first = ended(backend, "again")
    assert (first.state, first.reason) == (FiringState.DONE, f"{model} champion: nothing → v1"), first
    fire(backend, "again", ME)
    second = ended(backend, "again", 2)
    assert (second.state, second.reason) == (FiringState.DONE, f"{model} champion: v1 → v2"), second
    assert backend.need("runs").get(second.run).tags["console.trigger"] == "again"

    monitors = backend.need("monitors")
    monitors.put(Monitor(name="live", model=model), ME)
    text = f"name = 'back'\n[when]\nalert = 'live'\nseverity = 'critical'\n[do]\nrollback = '{model}'\n"
    create_trigger(backend, parse_trigger(text, "test", base=tmp_path), ME)
    monitors.put_alert(
        Alert(id="a1", monitor="live", metric="auc", state=AlertState.FIRING, opened_at=1, text="AUC 0.61",
              severity="critical")
    )  # fmt: skip
    back = ended(backend, "back")
    assert (back.state, back.reason) == (FiringState.DONE, f"{model} champion: v2 → v1"), back
    said = httpx.get(f"{mlflow_server.url}/api/2.0/mlflow/registered-models/get", params={"name": model}).json()
    held = {each["alias"]: each["version"] for each in said["registered_model"]["aliases"]}
    assert held["champion"] == "1", "the server itself says so"
    moves = [each for each in backend.need("journal").page(limit=100).items if each.action == "model.rollback"]
    told = [(each.actor, "alert a1 on live: AUC 0.61" in each.reason, each.outcome) for each in moves]
    assert told, "it is in the journal"
    assert {(actor, why) for actor, why, _ in told} == {("trigger:back", True)}, moves
