"""Aliases that move together on a server that moves them one by one: cut off at each request, all have moved or none.

Once the first alias stands, whoever looks next brings the others after it; where they may not follow, it goes back.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from backends.connect import connect
from backends.contract import Backend, BackendError, Conflict, Mutation, Unreachable
from backends.entities import AliasChange, ModelFile, Signature
from console.promotion.pending import half_done
from tests import fault_proxy as faults
from tests.fault_proxy import FaultProxy
from tests.mlflow_server import MlflowServer

ROOT = Path(__file__).parents[2]
ANN = Mutation("ann@box", reason="because")
API = "/api/2.0/mlflow/"
BEFORE = {"champion": "1", "challenger": "2"}
AFTER = {"champion": "2", "previous": "1"}
JOINT = (
    AliasChange(alias="champion", version="2", expected="1"),
    AliasChange(alias="previous", version="1", expected=None),
    AliasChange(alias="challenger", version=None, expected="2"),
)
REFUSED = json.dumps({"error_code": "PERMISSION_DENIED", "message": "only admins move aliases"}).encode()

CHILD = """
import os, signal, sys
from pathlib import Path
from backends.connect import connect
from backends.contract import Mutation
from backends.entities import AliasChange
from backends.mlflow.transport import Transport
import msgspec

url, home, model, moment, key = sys.argv[1:]
backend = connect("prod", url, sidecar=Path(home))
seen, change = 0, Transport.change

def counted(self, *args, **options):
    global seen
    seen += 1
    if seen == int(moment):
        os.kill(os.getpid(), signal.SIGKILL)
    return change(self, *args, **options)

Transport.change = counted
changes = msgspec.json.decode(sys.stdin.read(), type=tuple[AliasChange, ...])
backend.need("registry").set_aliases(model, changes, mutation=Mutation("ann@box", reason="because", key=key))
print("done", seen)
"""


@dataclass
class World:
    proxy: FaultProxy
    server: MlflowServer
    remote: Backend
    home: Path

    @property
    def registry(self) -> Any:
        return self.remote.need("registry")

    def calm(self) -> None:
        self.proxy.calm()
        self.registry._room.transport.breaker.there()

    def model(self) -> str:
        name = f"t-{uuid.uuid4().hex[:12]}"
        for _ in range(2):
            self.registry.register(name, run="r", file=ModelFile(), signature=Signature(), mutation=ANN)
        self.registry.set_alias(name, "champion", "1", expected=None, mutation=ANN)
        self.registry.set_alias(name, "challenger", "2", expected=None, mutation=ANN)
        return name

    def held(self, model: str) -> dict[str, str]:
        """As the server says, without proxy and client."""
        answer = httpx.get(f"{self.server.url}{API}registered-models/get", params={"name": model}, timeout=60)
        return {each["alias"]: each["version"] for each in answer.json()["registered_model"].get("aliases", ())}

    def set_elsewhere(self, model: str, alias: str, version: str) -> None:
        body = {"name": model, "alias": alias, "version": version}
        assert httpx.post(f"{self.server.url}{API}registered-models/alias", json=body, timeout=60).status_code == 200

    def told(self, model: str) -> list[tuple[str, str]]:
        """(outcome, detail) of the joint change, oldest first."""
        page = self.remote.need("journal").page(limit=500)
        return [
            (str(each.outcome), each.detail)
            for each in reversed(page.items)
            if each.target == model and "aliases" in each.after
        ]


@pytest.fixture(scope="module")
def world(mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("together") / "s"
    with FaultProxy(mlflow_server.url) as proxy:
        remote = connect("prod", f"mlflow+{proxy.url}", sidecar=home)
        yield World(proxy, mlflow_server, remote, home)
        remote.close()


@pytest.fixture(autouse=True)
def _calm(world: World) -> Iterator[None]:
    world.calm()
    yield
    world.calm()


@pytest.mark.parametrize("step", range(3))
def test_a_change_whose_answer_was_lost_is_finished_at_the_next_look(world: World, step: int) -> None:
    """The request arrived and its answer did not, be it the first, the second or the third."""
    model = world.model()
    world.proxy.plan("", "registered-models/alias", faults.drop_after, after=step)
    with pytest.raises(Unreachable, match="cannot be told"):
        world.registry.set_aliases(model, JOINT, mutation=ANN)
    assert [outcome for outcome, _ in world.told(model)] == ["intent"]
    world.calm()
    world.registry.get(model)
    assert world.held(model) == AFTER
    (_, _), (outcome, detail) = world.told(model)
    assert outcome == "done"
    assert ("the rest was moved too" in detail) == (step < 2)
    assert half_done(world.remote) == ()
    moves = world.registry.history(model)[:3]
    assert {(move.alias, move.version, move.previous, move.actor) for move in moves} == {
        (change.alias, change.version, change.expected, "ann@box") for change in JOINT
    }
    assert len({move.entry for move in moves}) == 1


@pytest.mark.parametrize("step", range(3))
def test_a_change_that_is_refused_midway_is_put_back(world: World, step: int) -> None:
    model = world.model()
    world.proxy.plan("", "registered-models/alias", faults.answer(403, REFUSED), after=step, times=1)
    with pytest.raises(BackendError, match="only admins"):
        world.registry.set_aliases(model, JOINT, mutation=ANN)
    assert world.held(model) == BEFORE
    assert [outcome for outcome, _ in world.told(model)] == ["intent", "failed"]
    assert ("was put back" in world.told(model)[-1][1]) == (step > 0)
    assert half_done(world.remote) == ()
    world.registry.set_aliases(model, JOINT, mutation=ANN)
    assert world.held(model) == AFTER


def test_what_can_go_neither_forward_nor_back_is_told_and_settled_later(world: World) -> None:
    model = world.model()
    world.proxy.plan("", "registered-models/alias", faults.answer(403, REFUSED), after=1)
    with pytest.raises(Unreachable, match=r"champion of .* moved and could not be put back"):
        world.registry.set_aliases(model, JOINT, mutation=ANN)
    world.registry.get(model)
    assert [each.target for each in half_done(world.remote)] == [model]
    with pytest.raises(Conflict, match="stands half done"):
        world.registry.set_aliases(model, JOINT, mutation=ANN)
    assert world.held(model) == {"champion": "2", "challenger": "2"}
    world.calm()
    world.registry.get(model)
    assert world.held(model) == AFTER
    assert [outcome for outcome, _ in world.told(model)] == ["intent", "done"]


def test_where_somebody_else_moved_one_of_the_rest_what_had_moved_goes_back(world: World) -> None:
    model = world.model()
    world.proxy.plan("", "registered-models/alias", faults.drop_after, times=1)
    # The only try is lost on its way back, and the next one never leaves.
    world.proxy.plan("", "registered-models/alias", faults.drop_before)
    with pytest.raises(Unreachable):
        world.registry.set_aliases(model, JOINT, mutation=ANN)
    assert world.held(model)["champion"] == "2"
    world.set_elsewhere(model, "previous", "2")
    world.calm()
    world.registry.get(model)
    assert world.held(model) == {**BEFORE, "previous": "2"}
    outcome, detail = world.told(model)[-1]
    assert outcome == "abandoned"
    assert "somebody else moved previous; champion was put back" in detail


def test_an_intent_of_which_nothing_arrived_moves_nothing_later(world: World, monkeypatch: Any) -> None:
    """Also where somebody else meanwhile took away one of the aliases, as the change would have."""
    from backends.remote import alias_steps

    model = world.model()
    world.proxy.plan("", "registered-models/alias", faults.drop_before)
    with pytest.raises(Unreachable):
        world.registry.set_aliases(model, JOINT, mutation=ANN)
    world.calm()
    monkeypatch.setattr(alias_steps, "_AT_IT_MS", -1)
    body = {"name": model, "alias": "challenger"}
    httpx.request("DELETE", f"{world.server.url}{API}registered-models/alias", json=body, timeout=60)
    world.registry.get(model)
    assert world.held(model) == {"champion": "1"}
    assert [outcome for outcome, _ in world.told(model)] == ["intent", "abandoned"]


def test_a_console_killed_at_any_request_leaves_all_or_nothing(world: World, tmp_path: Path) -> None:
    """Killed before each request that changes something, and so after the one before it; the next console that opens
    the sidecar ends what was begun."""
    given = msgspec.json.encode(JOINT).decode()
    moment, finished, seen = 1, False, []
    while not finished:
        model, key = world.model(), uuid.uuid4().hex
        child = subprocess.run(
            [sys.executable, "-c", CHILD, f"mlflow+{world.server.url}", str(world.home), model, str(moment), key],
            input=given, capture_output=True, text=True, timeout=300, check=False, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        finished = child.returncode == 0
        assert finished or child.returncode == -signal.SIGKILL, child.stderr
        half = world.held(model)
        other = connect("prod", f"mlflow+{world.server.url}", sidecar=world.home)
        try:
            other.need("registry").get(model)
            now = world.held(model)
            assert now in (BEFORE, AFTER), (moment, half)
            assert (now == AFTER) == (half["champion"] == "2"), "once the first stands the others follow"
            seen.append(half not in (BEFORE, AFTER))
            # Whoever was cut off repeats it with its key: done once, and one outcome is written down.
            again = Mutation("ann@box", reason="because", key=key)
            moves = other.need("registry").set_aliases(model, JOINT, mutation=again)
            assert {move.alias for move in moves} == {change.alias for change in JOINT}
            assert world.held(model) == AFTER
            assert [outcome for outcome, _ in world.told(model)].count("done") == 1
            assert other.need("journal").verify()[1] == ""
        finally:
            other.close()
        moment += 1
    assert moment > 4, "three aliases and what other consoles read of it"
    assert any(seen), "there were moments at which it stood half done"
