"""Deployments from the store to the answering server and back: started, split, scaled, killed, drained, by a real
agent with real servers."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from backends.contract import Backend
from backends.entities import Deployment, DeploymentState, Guard, Target
from backends.local.process_identity import send_signal
from console.agent import agent_status, ensure_agent, stop_agent
from console.agent.server_process import marked, record_of
from console.promotion.rollback import rollback
from console.serving.deployment import change, live
from console.serving.deployment.place import folder_of
from console.serving.deployment.watched import watched_of
from tests.monitored import FEATURES, WHO, deliveries, register, traffic, until
from tests.ports import free_port
from tests.serving import fitted, keep_version

ROW = {"weight": 6.0, "distance": 400.0, "carrier": "ups"}
SLOW = 480.0
"""Seconds that a start may take on a loaded machine: scikit-learn is imported."""


class Rig:
    """A workspace with two versions of a model, `1` its champion and `2` its challenger, and its agent."""

    def __init__(self, home: Path) -> None:
        self.home = home / "w"
        self.port = free_port()
        """Where `live` is said to have answered before: one that may take any port comes back to that, if it is free,
        and nobody else takes this one while it is away."""
        before = folder_of(self.home, "live")
        before.mkdir(parents=True)
        (before / "server.out").write_text(json.dumps({"ready": True, "url": f"http://127.0.0.1:{self.port}"}))
        self.backend: Backend = deliveries(self.home)
        train, held = traffic(1500, 5), traffic(500, 6)
        self.second = register(
            self.backend,
            self.home / "made",
            "deliveries",
            train[FEATURES],
            train["late"].to_numpy(),
            held[FEATURES],
            held["late"].to_numpy(),
            alias="challenger",
        )
        self.store = self.backend.need("deployments")

    def get(self, name: str = "live") -> Deployment:
        found: Deployment = self.store.get(name)
        return found

    def serving(self, name: str = "live", revision: int = 0) -> Deployment:
        def ready() -> Deployment | None:
            found = self.get(name)
            good = found.status.state is DeploymentState.SERVING and found.status.url
            return found if good and found.status.revision >= (revision or found.revision) else None

        found: Deployment = until(ready, seconds=SLOW, what=f"{name} serving: {self.get(name).status}")
        return found

    def ask(self, name: str = "live", row: dict[str, object] | None = None, key: str = "") -> tuple[int, str]:
        """(status, version that answered)."""
        body = json.dumps({"dataframe_records": [{**(row or ROW)}]}).encode()
        headers = {"Content-Type": "application/json", **({"X-Request-Id": key} if key else {})}
        asked = urllib.request.Request(f"{self.get(name).status.url}/invocations", body, headers)
        try:
            with urllib.request.urlopen(asked, timeout=120) as answer:
                return answer.status, answer.headers["X-Model-Version"]
        except urllib.error.HTTPError as error:
            return error.code, error.headers.get("X-Model-Version", "")

    def pid(self, name: str = "live") -> int:
        record = record_of(folder_of(self.home, name))
        return record.process.pid if record is not None and record.process is not None else 0

    def promote(self, version: str) -> None:
        held = self.backend.need("registry").get("deliveries").aliases.get("champion")
        self.backend.need("registry").set_alias("deliveries", "champion", version, expected=held, mutation=WHO)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig(tmp_path_factory.mktemp("deployments"))
    change.start(made.backend, Deployment(name="live", model="deliveries", key="customer"), WHO)
    ensure_agent(made.home)
    try:
        made.serving()
        yield made
    finally:
        stop_agent(made.home)
        for name in [each.name for each in made.store.page().items]:
            for process in marked(folder_of(made.home, name)):
                send_signal(process, signal.SIGKILL)
        made.backend.close()


def test_what_is_wanted_is_served_and_said(rig: Rig) -> None:
    found = rig.serving()
    assert (found.health, found.status.url) == ("ok", f"http://127.0.0.1:{rig.port}")
    assert [(each.target, each.version, each.trouble) for each in found.status.served] == [("champion", "1", "")]
    assert rig.ask() == (200, "1")


def test_a_promotion_is_served_without_a_word_to_the_server_and_so_is_its_rollback(rig: Rig) -> None:
    rig.promote("2")
    until(lambda: rig.ask() == (200, "2"), seconds=SLOW, what="the new version")
    until(lambda: rig.get().status.served[0].version == "2", what="the new version in the status")
    rollback(rig.backend, "deliveries", "champion", WHO, expected="2")
    until(lambda: rig.ask() == (200, "1"), seconds=SLOW, what="the old version")
    until(lambda: rig.get().status.served[0].version == "1", what="the old version in the status")


def test_a_split_is_sticky_by_key_and_scale_drops_nothing(rig: Rig) -> None:
    targets = [Target(alias="champion", share=0.5), Target(alias="challenger", share=0.5)]
    changed = change.split(rig.backend, "live", targets, WHO, guarded=False)
    rig.serving(revision=changed.revision)
    answered = {name: rig.ask(row={**ROW, "customer": name})[1] for name in map(str, range(40))}
    assert set(answered.values()) == {"1", "2"}
    scaled = change.scale(rig.backend, "live", 2, WHO)
    until(lambda: rig.get().status.revision >= scaled.revision or rig.ask()[0] != 200, seconds=SLOW, what="scaling")
    assert len(live.state(live.socket_of(folder_of(rig.home, "live")), timeout=120).workers) == 2
    for name, version in answered.items():
        assert rig.ask(row={**ROW, "customer": name}) == (200, version)
    back = change.scale(rig.backend, "live", 1, WHO)
    until(lambda: rig.get().status.revision >= back.revision or rig.ask()[0] != 200, seconds=SLOW, what="scaling")
    back = change.canary(rig.backend, "live", 0, WHO)
    rig.serving(revision=back.revision)


def test_a_target_that_cannot_be_served_leaves_the_old_and_says_so(rig: Rig) -> None:
    artifacts = rig.backend.need("artifacts")
    third = rig.backend.need("registry").register(
        "deliveries",
        run=rig.second.run,
        file=rig.second.file.__class__(
            **{**{f: getattr(rig.second.file, f) for f in rig.second.file.__struct_fields__}, "sha256": "0" * 64}
        ),
        signature=rig.second.signature,
        mutation=WHO,
    )
    assert artifacts is not None
    changed = change.shadow(rig.backend, "live", Target(version=third.version), WHO)
    until(lambda: "sha256" in rig.get().status.reason, seconds=SLOW, what="the reason")
    found = rig.get()
    assert (found.health, found.status.revision < changed.revision) == ("warn", True)
    assert rig.ask() == (200, "1")
    rig.serving(revision=change.shadow(rig.backend, "live", None, WHO).revision)
    assert rig.get().health == "ok"


def test_a_server_survives_the_agent_and_a_killed_one_is_started_again(rig: Rig) -> None:
    before, url = rig.pid(), rig.get().status.url
    agent = ensure_agent(rig.home).pid
    assert agent is not None
    os.kill(agent, signal.SIGKILL)
    until(lambda: not agent_status(rig.home).running, what="the agent's end")
    assert rig.ask() == (200, "1")
    rig.promote("2")  # nobody but the server is there to notice
    until(lambda: rig.ask() == (200, "2"), seconds=SLOW, what="the swap without an agent")
    ensure_agent(rig.home)
    until(lambda: rig.get().status.served[0].version == "2", seconds=SLOW, what="the adopted")
    assert rig.pid() == before
    os.kill(before, signal.SIGKILL)
    until(lambda: rig.pid() not in (0, before), seconds=SLOW, what="another server")
    until(lambda: rig.get().status.restarts == 1 and rig.get().status.served, seconds=SLOW, what="the restart")
    found = rig.serving()
    assert (found.status.served[0].version, found.status.url) == ("2", url)
    assert rig.backend.need("registry").get("deliveries").aliases["champion"] == "2"
    assert rig.ask() == (200, "2")
    rig.promote("1")
    until(lambda: rig.ask() == (200, "1"), seconds=SLOW, what="the way back")


def test_server_and_agent_killed_amid_a_promotion_agree_with_alias_and_journal_afterwards(rig: Rig) -> None:
    before, agent = rig.pid(), ensure_agent(rig.home).pid
    assert agent is not None
    rig.promote("2")
    os.kill(before, signal.SIGKILL)
    os.kill(agent, signal.SIGKILL)
    until(lambda: not agent_status(rig.home).running, what="the agent's end")
    ensure_agent(rig.home)
    until(lambda: rig.pid() not in (0, before), seconds=SLOW, what="another server")
    until(lambda: rig.get().status.pid == rig.pid() and rig.get().status.url, seconds=SLOW, what="its start")
    until(lambda: rig.get().status.served[0].version == "2", seconds=SLOW, what="the promoted version")
    assert rig.ask() == (200, "2")
    newest = next(each for each in rig.backend.need("journal").page().items if each.action == "model.promote")
    assert newest.after["version"] == rig.backend.need("registry").get("deliveries").aliases["champion"] == "2"
    rig.promote("1")
    until(lambda: rig.ask() == (200, "1"), seconds=SLOW, what="the way back")


def test_a_canary_that_fails_more_is_stopped_with_figures_in_the_journal(rig: Rig) -> None:
    # The wider model of version 4 wants a column that nobody sends: all of its answers are refusals.
    train, held = traffic(800, 7).assign(extra=1.0), traffic(300, 8).assign(extra=2.0)
    version = register(
        rig.backend,
        rig.home / "made",
        "deliveries",
        train[[*FEATURES, "extra"]],
        train["late"].to_numpy(),
        held[[*FEATURES, "extra"]],
        held["late"].to_numpy(),
        alias="wider",
    )
    begun = change.canary(
        rig.backend, "live", 0.5, WHO, target=Target(version=version.version), guard=Guard(requests=20)
    )
    rig.serving(revision=begun.revision)
    folder = folder_of(rig.home, "live")
    until(lambda: f"v{version.version}" in watched_of(folder).split, what="the first look at the split")

    def halted() -> bool:
        for number in range(20):
            rig.ask(row={**ROW, "customer": f"c{number}"})
        return bool(rig.get().halted)

    until(halted, seconds=SLOW, what="the halt")
    found = rig.get()
    assert [target.label for target in found.targets] == ["champion"]
    entry = next(each for each in rig.backend.need("journal").page().items if each.action == "deploy.halt")
    assert entry.actor == "agent"
    failed = next(gate for gate in entry.gates if gate.gate == "errors")
    assert failed.status == "fail"
    assert "against" in failed.detail
    rig.serving(revision=found.revision)
    assert found.health == "warn"
    assert {rig.ask(row={**ROW, "customer": f"c{number}"}) for number in range(20)} == {(200, "1")}


@pytest.mark.parametrize(
    ("gate", "guard"),
    [("latency", Guard(requests=20, errors=0, drift=0)), ("score drift", Guard(requests=20, errors=0, slow=0))],
)
def test_a_canary_that_is_slow_or_scores_otherwise_is_stopped(rig: Rig, gate: str, guard: Guard) -> None:
    train = traffic(800, 9)
    late = train["late"].to_numpy()
    if gate == "latency":  # so many trees take their time
        bad = fitted(train[FEATURES], late, RandomForestClassifier(1000, max_depth=6, random_state=0))
    else:  # it was taught that half of all others are late too
        taught = np.where(np.random.default_rng(1).random(len(late)) < 0.5, "yes", late)
        bad = fitted(train[FEATURES], taught, HistGradientBoostingClassifier(random_state=0))
    version = keep_version(rig.backend, rig.home / "made" / gate, bad, train[FEATURES], model="deliveries")
    begun = change.canary(rig.backend, "live", 0.5, WHO, target=Target(version=version.version), guard=guard)
    rig.serving(revision=begun.revision)
    folder = folder_of(rig.home, "live")
    until(lambda: f"v{version.version}" in watched_of(folder).split, what="the first look at the split")
    rows = traffic(200, 10)[FEATURES].to_dict("records")

    def halted() -> bool:
        for number, row in enumerate(rows):
            rig.ask(row={**row, "customer": f"c{number}"})
        return bool(rig.get().halted)

    until(halted, seconds=SLOW, what="the halt")
    entry = next(each for each in rig.backend.need("journal").page().items if each.action == "deploy.halt")
    assert [each.gate for each in entry.gates if each.status == "fail"] == [gate]
    assert f"v{version.version}" in entry.reason
    rig.serving(revision=rig.get().revision)


def test_a_crash_loop_is_a_state_with_its_reason(rig: Rig) -> None:
    taken = int(rig.get().status.url.rpartition(":")[2])
    change.start(rig.backend, Deployment(name="second", model="deliveries", port=taken), WHO)
    until(lambda: rig.get("second").status.state is DeploymentState.CRASH_LOOP, seconds=SLOW, what="the crash loop")
    found = rig.get("second")
    assert found.health == "failed"
    assert "taken" in found.status.reason
    assert "exit code 1" in found.status.reason
    stopped = change.stop(rig.backend, "second", WHO)
    until(lambda: rig.get("second").status.state is DeploymentState.STOPPED, what="its end")
    rig.store.delete("second", WHO)
    assert stopped.desired == "stopped"


def test_a_stopped_deployment_is_drained_and_can_be_started_again(rig: Rig) -> None:
    change.stop(rig.backend, "live", WHO)
    until(lambda: rig.get().status.state is DeploymentState.STOPPED, seconds=SLOW, what="the stop")
    until(lambda: marked(folder_of(rig.home, "live")) == [], what="the end of its processes")
    assert rig.get().status.url == ""
    change.restart(rig.backend, "live", WHO)
    rig.serving()
    assert rig.ask() == (200, "1")


def test_a_restart_of_what_serves_is_another_server_and_under_its_key_happens_once(rig: Rig) -> None:
    before = rig.pid()
    once = msgspec.structs.replace(WHO, key="restart-1")
    change.restart(rig.backend, "live", once)
    rig.serving()
    after = rig.pid()
    assert after not in (0, before)
    change.restart(rig.backend, "live", once)
    assert rig.get().desired == "serving"
    assert rig.pid() == after
    assert rig.ask() == (200, "1")
