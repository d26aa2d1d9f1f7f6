"""A version that is promoted is loaded by whoever serves it before the alias moves, in a workspace and beside a server.

The servers are real; what an agent would write down of them is laid by hand.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sklearn.linear_model import LogisticRegression

from backends.connect import connect
from backends.contract import Backend, Refused
from backends.entities import AliasChange, Deployment, DeploymentState, DeploymentStatus, GateStatus
from backends.local import open_local
from backends.login import Login
from console.promotion.moving import move
from console.promotion.policy import FILE
from console.promotion.promote import promote
from console.promotion.rollback import rollback
from console.promotion.undo import undo
from console.serving.deployment.place import folder_of
from tests.protocol_server import TOKEN, start_own
from tests.serving import WHO, Served, fitted, json_rows, keep_version, labels, point, rows, serving, until

FRAME = rows(300)
BODY = {"dataframe_records": json_rows(rows(1, seed=3))}
WHY = msgspec.structs.replace(WHO, reason="its gates are another test's")


class Rig:
    """Three versions of parcels, of which the first is champion and served; the third does not load."""

    def __init__(self, backend: Backend, folder: Path) -> None:
        self.backend = backend
        for strength in (1.0, 0.01):
            pipeline = fitted(FRAME, labels(FRAME), LogisticRegression(C=strength, max_iter=200))
            version = keep_version(backend, folder / str(strength), pipeline, FRAME)
        broken = msgspec.structs.replace(version.file, sha256="0" * 64)
        backend.need("registry").register(
            "parcels", run=version.run, file=broken, signature=version.signature, mutation=WHO
        )
        point(backend, "champion", "1")
        self.served: Served

    @property
    def held(self) -> str:
        return str(self.backend.need("registry").get("parcels").aliases["champion"])

    def deployed(self, served: Served) -> None:
        """As the agent writes it down."""
        assert self.backend.home is not None
        self.served = served
        store = self.backend.need("deployments")
        store.create(Deployment(name="live", model="parcels"), WHO)
        store.observe("live", DeploymentStatus(state=DeploymentState.SERVING, url=served.url, pid=served.process.pid))
        folder = folder_of(self.backend.home, "live")
        folder.mkdir(parents=True)
        (folder / "server.json").write_bytes(msgspec.json.encode({"socket": served.spec.admin_socket}))

    def answers(self) -> str:
        """Which version does, asked once."""
        answer = self.served.http.post("/invocations", json=BODY)
        assert answer.status_code == 200, answer.text
        return str(answer.headers["x-model-version"])

    def loaded(self) -> set[str]:
        return set.intersection(*(set(worker.loaded) for worker in self.served.state().workers))

    def change(self, version: str) -> tuple[AliasChange, ...]:
        return (AliasChange(alias="champion", version=version, expected=self.held),)


class Spy:
    """The registry, and what was loaded and served at the moment at which aliases moved."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._registry = rig.backend.need("registry")
        self.seen: list[tuple[bool, str]] = []

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._registry, verb)

    def set_aliases(self, model: str, changes: Any, *, mutation: Any) -> Any:
        version = changes[0].version
        self.seen.append((version in self._rig.loaded(), self._rig.served.state().targets[0].version))
        return self._registry.set_aliases(model, changes, mutation=mutation)


@pytest.fixture(scope="module", params=["workspace", "beside a server"])
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("warming")
    stop = None
    if request.param == "workspace":
        backend = open_local(folder / "workspace")
    else:
        server = start_own(folder / "served")
        stop = server.stop
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(TOKEN)
        backend = connect("team", f"mlflow+{server.url}", sidecar=folder / "sidecar", login=Login(file=str(token)))
    made = Rig(backend, folder)
    with (
        tempfile.TemporaryDirectory() as short,
        serving(backend, folder / "server", workers=2, admin_socket=f"{short}/a.sock") as served,
    ):
        made.deployed(served)
        yield made
        if served.process.poll() is None:
            os.kill(served.process.pid, signal.SIGCONT)
    backend.close()
    if stop is not None:
        stop()


def test_the_first_answer_after_a_promotion_and_after_the_way_back_is_the_new_ones(rig: Rig) -> None:
    assert (rig.answers(), rig.loaded()) == ("1", {"1"})
    told: list[str] = []
    spy = Spy(rig)
    spied = msgspec.structs.replace(rig.backend, registry=spy)
    made = promote(spied, "parcels", "2", "champion", WHY, expected="1", override=True, tell=told.append)
    assert rig.answers() == "2"
    assert spy.seen == [(True, "1")], "every worker had it loaded, and served the other, when the alias moved"
    assert [line.partition(":")[0] for line in told] == ["live", "live"]
    assert "loading v2" in told[0]
    entry = rig.backend.need("journal").get(made.entry)
    assert [gate.status for gate in entry.gates if gate.gate == "loads"] == [GateStatus.PASS]
    rollback(rig.backend, "parcels", "champion", WHO, expected="2")
    assert rig.answers() == "1"
    undone = rig.backend.need("journal").page(limit=1).items[0]
    undo(rig.backend, undone, WHO)
    assert rig.answers() == "2"
    rollback(rig.backend, "parcels", "champion", WHO, expected="2", to="1")


def test_a_version_that_does_not_load_moves_nothing(rig: Rig) -> None:
    before = rig.backend.need("registry").history("parcels")
    with pytest.raises(Refused, match=r"(?s)v3 cannot be served.*sha256.*champion stays at v1"):
        move(rig.backend, "parcels", rig.change("3"), WHO)
    assert (rig.held, rig.answers()) == ("1", "1")
    assert rig.backend.need("registry").history("parcels") == before
    newest = rig.backend.need("journal").page(limit=1).items[0]
    assert (newest.outcome, "sha256" in newest.detail) == ("failed", True)
    assert rig.served.state().targets[0].state == "serving"


@pytest.mark.parametrize("how", ["override", "warn", "off"])
def test_whoever_says_why_or_the_policy_lets_it_go_on(rig: Rig, how: str) -> None:
    assert rig.backend.home is not None
    rules = rig.backend.home / FILE
    if how != "override":
        rules.write_text(f'[[promotion]]\ngates = {{ loads = "{how}" }}\n')
    try:
        move(rig.backend, "parcels", rig.change("3"), WHY, override=how == "override")
        assert rig.held == "3"
        assert rig.answers() == "1", "what is served goes on"
        newest = rig.backend.need("journal").page(limit=1).items[0]
        said = [gate.status for gate in newest.gates if gate.gate == "loads"]
        assert said == {"override": [GateStatus.FAIL], "warn": [GateStatus.WARN], "off": []}[how]
    finally:
        rules.unlink(missing_ok=True)
        move(rig.backend, "parcels", rig.change("1"), WHO)
    until(lambda: rig.served.state().targets[0].state == "serving", what="the way back")


def test_an_unknown_version_is_refused_on_the_socket(rig: Rig) -> None:
    answer = rig.served.admin.post("/warm", json="77")
    assert (answer.status_code, "77" in answer.text) == (409, True)
    assert rig.served.admin.post("/warm", json=[1]).status_code == 400


def test_a_server_that_hangs_or_is_dead_is_told_and_waited_for_by_nobody(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from console.serving.deployment import live

    monkeypatch.setattr(live.state, "__kwdefaults__", {"timeout": 1.0})
    told: list[str] = []
    os.kill(rig.served.process.pid, signal.SIGSTOP)
    move(rig.backend, "parcels", rig.change("2"), WHO, tell=told.append)
    assert (rig.held, "does not answer" in told[0]) == ("2", True)
    os.kill(rig.served.process.pid, signal.SIGKILL)
    rig.served.process.wait(60)
    made = move(rig.backend, "parcels", rig.change("1"), WHO, tell=told.append)
    gates = rig.backend.need("journal").get(made.entry).gates
    assert [gate.status for gate in gates if gate.gate == "loads"] == [GateStatus.WARN]
    store = rig.backend.need("deployments")
    store.observe("live", DeploymentStatus(state=DeploymentState.CRASH_LOOP))
    move(rig.backend, "parcels", rig.change("2"), WHO, tell=told.append)
    assert (rig.held, "crash loop" in told[-1]) == ("2", True)
