"""What triggers do, with real parts: a deployment that answers, its log, its monitor, its checks, one agent."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.contract import Backend
from backends.entities import Alert, AlertState, Deployment, DeploymentState, Firing, FiringState
from backends.local import open_local
from console.agent import agent_log, ensure_agent, stop_agent
from console.agent.server_process import marked
from console.data.checks.asked import keep_checks
from console.data.importing import import_file
from console.monitoring.create import create_monitor
from console.monitoring.feeds.handing import hand_over
from console.serving.deployment import change, live
from console.serving.deployment.place import folder_of
from console.triggers.create import create_trigger
from console.triggers.definition import parse_trigger
from tests.monitored import FEATURES, WHO, register, traffic, until

SLOW = 240.0
"""Seconds that a start may take on a loaded machine: scikit-learn is imported."""
RECIPE = """\
dataset = "kept"
target = "late"
task = "classification"
positive = "yes"
columns = ["weight", "distance", "carrier"]
system_metrics = false
[split]
test = 0.3
[estimator]
class = "sklearn.linear_model.LogisticRegression"
"""


class Rig:
    """A workspace whose `deliveries` v2 is champion after v1, served by `live`, watched by the monitor `live`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "w"
        self.backend: Backend = open_local(self.home)
        for seed in (1, 5):
            train, held = traffic(1500, seed), traffic(500, seed + 1)
            labels, truth = train["late"].to_numpy(), held["late"].to_numpy()
            place = self.home / "made"
            register(self.backend, place, "deliveries", train[FEATURES], labels, held[FEATURES], truth, iterations=5)
        change.start(self.backend, Deployment(name="live", model="deliveries"), WHO)
        create_monitor(
            self.backend, "live", "deliveries", mutation=WHO, deployment="live", label_column="late",
            id_column="prediction.id", time_column="prediction.time", window="hour",
        )  # fmt: skip

    def add(self, text: str) -> None:
        create_trigger(self.backend, parse_trigger(text, "test", base=self.folder), WHO)

    def alert(self, name: str) -> None:
        self.backend.need("monitors").put_alert(
            Alert(id=name, monitor="live", metric=name, state=AlertState.FIRING, opened_at=1, text="it fell")
        )

    def ask(self, rows: list[dict[str, object]], key: str) -> str:
        """The version that answered."""
        url = self.backend.need("deployments").get("live").status.url
        headers = {"Content-Type": "application/json", "X-Request-Id": key}
        body = json.dumps({"dataframe_records": rows}).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{url}/invocations", body, headers), timeout=120) as answer:
            return str(answer.headers["X-Model-Version"])

    def ended(self, name: str, count: int = 1) -> Firing:
        def look() -> Firing | None:
            found = self.backend.need("triggers").firings(name)
            return found[0] if len(found) >= count and all(each.state.ended for each in found) else None

        try:
            found: Firing = until(look, seconds=SLOW, what=f"{count} ends of {name}")
        except AssertionError:
            said = self.backend.need("triggers").firings(name)
            raise AssertionError(f"{said}\n{agent_log(self.home)}") from None
        return found


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("deeds")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_CONSOLE_CONFIG", str(folder / "config.toml"))
        made = Rig(folder)
        ensure_agent(made.home)
        try:
            store = made.backend.need("deployments")
            until(lambda: store.get("live").status.state is DeploymentState.SERVING, seconds=SLOW, what="serving")
            yield made
        finally:
            stop_agent(made.home)
            for process in marked(folder_of(made.home, "live")):
                with contextlib.suppress(ProcessLookupError):  # it ended with the one before it
                    os.kill(process.pid, signal.SIGKILL)
            made.backend.close()


def test_rows_that_a_server_answered_become_the_next_version(rig: Rig) -> None:
    truth = traffic(300, 77)
    labels = [{"prediction.id": f"call#{at}", "late": late} for at, late in enumerate(truth["late"])]
    hand_over(rig.backend, "live", b"".join(json.dumps(each).encode() + b"\n" for each in labels), labels=True)
    do = f"rows_of = 'live'\nmodel = 'deliveries'\nretrain = '''\n{RECIPE}'''\n"
    rig.add(f"name = 'landed'\n[when]\nmonitor = 'live'\nrows = 300\n[do]\n{do}")
    assert rig.ask(truth[FEATURES].to_dict("records"), "call") == "2"
    done = rig.ended("landed")
    assert done.cause.endswith("300 rows landed in live")
    assert (done.dataset, done.version) == ("kept@1", "3"), done
    assert rig.backend.need("datasets").version("kept").rows == 300
    assert done.state in (FiringState.DONE, FiringState.REFUSED), "whether the gates like it is theirs to say"
    assert [step.step for step in done.steps][:5] == ["data", "check", "train", "wait", "register"]


def test_a_rollback_is_answered_by_the_server_and_a_scaling_by_its_workers(rig: Rig) -> None:
    rig.add("name = 'back'\n[when]\nalert = 'live'\nmetric = 'fell'\n[do]\nrollback = 'deliveries'\n")
    rig.add("name = 'more'\n[when]\nalert = 'live'\nmetric = 'slow'\n[do]\nscale = 'live'\nworkers = '+1'\n")
    rig.alert("fell")
    assert rig.ended("back").reason == "deliveries champion: v2 → v1"
    row = traffic(1, 3)[FEATURES].to_dict("records")
    until(lambda: rig.ask(row, "one") == "1", seconds=SLOW, what="the old version")
    rig.alert("slow")
    assert rig.ended("more").reason == "live: 1 → 2 worker(s)"
    socket = live.socket_of(folder_of(rig.home, "live"))
    until(lambda: len(live.state(socket).workers) == 2, seconds=SLOW, what="two workers")
    assert rig.ask(row, "two") == "1"


def test_a_new_version_that_fails_its_checks_is_named(rig: Rig) -> None:
    table = rig.folder / "t.csv"
    for number, values in enumerate(("1\n2\n", "3\n4\n", "5\n60\n"), 1):
        table.write_text(f"x\n{values}")
        import_file(rig.backend.need("datasets"), table, "t", WHO)
        if number == 1:
            keep_checks(rig.backend, "t", "[columns.x]\nmax = 10\n", WHO, "here")
            rig.add("name = 'look'\n[when]\ndataset = 't'\n[do]\ncheck = 't'\n[limits]\ncooldown = '0'\n")
            continue
        found = rig.ended("look", number - 1)
        if number == 2:
            assert (found.state, found.reason.startswith("t@2: ")) == (FiringState.DONE, True), found
            assert found.reason.endswith("checks pass")
        else:
            assert (found.state, "t@3: 1 of " in found.reason) == (FiringState.FAILED, True), found
