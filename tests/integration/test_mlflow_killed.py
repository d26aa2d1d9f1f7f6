"""A console killed at each request of a promotion, a rollback or an undo on an MLflow server: alias, journal and the
tags that other consoles read tell one story afterwards, and asked for again it is done once.

The console is a forked process without threads, the server stands behind `FaultProxy`, which does the killing: every
request in turn on our server of the protocol, which is quick, and each kind of step on MLflow's own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from backends.connect import connect
from backends.contract import Backend, Conflict, Mutation
from backends.entities import ModelFile, Outcome, RunStatus, Signature
from backends.login import Login
from console.promotion.at import version_at
from console.promotion.promote import promote
from console.promotion.rollback import rollback, rollback_target
from tests import fault_proxy as faults
from tests.fault_proxy import FaultProxy
from tests.mlflow_server import MlflowServer
from tests.protocol_server import TOKEN, start_own

ROOT = Path(__file__).parents[2]
ANN = Mutation("ann@box", reason="because")

CONSOLE = """
import os, sys
from pathlib import Path
import console.promotion.undo, console.promotion.rollback, backends.mlflow.client, backends.mlflow.client_registry
from backends.connect import connect
from backends.contract import Mutation
from backends.login import Login
from console.promotion.promote import promote
from console.promotion.rollback import rollback
from console.promotion.undo import undo, undoable

def act(url, sidecar, verb, model, key):
    backend = connect("prod", "mlflow+" + url, sidecar=Path(sidecar), login=Login(env="KILLED_TOKEN"))
    said = Mutation("ann@box", reason="because", key=key)
    if verb == "promote":
        promote(backend, model, "2", "champion", said, expected="1")
    elif verb == "rollback":
        rollback(backend, model, "champion", said, expected="1")
    else:
        undo(backend, undoable(backend, "ann@box"), said)
    backend.close()

for line in sys.stdin:
    pid = os.fork()
    if not pid:
        try:
            act(*line.split())
        except BaseException as error:
            print("failed", type(error).__name__, error, flush=True)
            os._exit(1)
        os._exit(0)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Consoles:
    """Forks of one process that has imported everything."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", CONSOLE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        self.pid = 0
        self.born = threading.Event()

    def run(self, *words: str) -> int:
        """Its exit code; minus the signal where it was killed."""
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        self.pid = int(self._line())
        self.born.set()
        code = int(self._line())
        self.born.clear()
        return code

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.strip().lstrip("-").isdigit(), line
        return line

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def killing(self, *, after: bool) -> faults.Fault:
        """Kills it at this request: before the server hears of it, or once it was done."""

        def fault(_: faults.Asked, forward: faults.Forward) -> list[bytes]:
            assert self.born.wait(30)
            if after:
                forward()
            os.kill(self.pid, signal.SIGKILL)
            return []

        return fault


@pytest.fixture(scope="module")
def consoles() -> Iterator[Consoles]:
    made = Consoles()
    yield made
    made.end()


class World:
    """A server behind a proxy; for each case a model of its own, and one sidecar."""

    def __init__(self, url: str, proxy: FaultProxy, folder: Path) -> None:
        self.url, self.proxy, self.folder = url, proxy, folder
        self.backend = self.console("sidecar")
        runs = self.backend.need("runs")
        self.run = runs.create(name="trained", mutation=ANN).id
        runs.start(self.run)
        runs.end(self.run, RunStatus.FINISHED)

    def console(self, sidecar: str) -> Backend:
        return connect("prod", f"mlflow+{self.url}", sidecar=self.folder / sidecar, login=Login(env="KILLED_TOKEN"))

    def raw(self, method: str, path: str, **said: object) -> httpx.Response:
        """What somebody else does, without any console."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = httpx.request(method, f"{self.url}/api/2.0/mlflow/{path}", headers=headers, timeout=60, **said)
        return answer.raise_for_status()

    def model(self, verb: str) -> str:
        name = f"k-{uuid.uuid4().hex[:12]}"
        registry = self.backend.need("registry")
        for _ in range(2):
            registry.register(name, run=self.run, file=ModelFile(), signature=Signature(), mutation=ANN)
        for version in {"promote": "1", "rollback": "21", "undo": "21"}[verb]:
            held = registry.get(name).aliases.get("champion")
            promote(self.backend, name, version, "champion", ANN, expected=held)
        return name

    def on_server(self, model: str) -> str:
        answer = self.raw("GET", "registered-models/get", params={"name": model})
        held = {each["alias"]: each["version"] for each in answer.json()["registered_model"]["aliases"]}
        return str(held["champion"])

    def story(self, backend: Backend, model: str) -> tuple[str, int]:
        """(holder, moves of the alias): alias, history and journal agree."""
        registry, journal = backend.need("registry"), backend.need("journal")
        held = registry.get(model).aliases["champion"]
        moves = registry.history(model, alias="champion")
        assert held == self.on_server(model) == moves[0].version
        for newer, older in pairwise(moves):
            assert newer.previous == older.version
            assert newer.at > older.at
        done = [
            each
            for each in journal.page(limit=10_000).items
            if each.target == model and each.outcome is Outcome.DONE and "alias" in each.after
        ]
        assert [move.entry for move in moves] == [each.id for each in done]
        assert {move.actor for move in moves} == {"ann@box"}
        assert journal.verify()[1] == ""
        return str(held), len(moves)

    def seen_elsewhere(self, model: str, name: str) -> list[tuple[str, str | None]]:
        """What a console of another machine reads of the moves."""
        other = self.console(name)
        found = [(move.actor, move.version) for move in other.need("registry").history(model, alias="champion")]
        other.close()
        return found


@pytest.fixture(scope="module", autouse=True)
def _token() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KILLED_TOKEN", TOKEN)
        yield


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, _token: None) -> Iterator[World]:
    """On our server of the protocol."""
    folder = tmp_path_factory.mktemp("killed-own")
    server = start_own(folder / "served")
    with FaultProxy(server.url) as proxy:
        made = World(server.url, proxy, folder)
        yield made
        made.backend.close()
    server.stop()


@pytest.fixture(scope="module")
def world(mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory, _token: None) -> Iterator[World]:
    """On MLflow's own."""
    with FaultProxy(mlflow_server.url) as proxy:
        made = World(mlflow_server.url, proxy, tmp_path_factory.mktemp("killed"))
        yield made
        made.backend.close()


BEFORE = {"promote": ("1", 1), "rollback": ("1", 2), "undo": ("1", 2)}
"""(holder, moves) before the verb; after it version 2 is the holder."""


def killed(world: World, consoles: Consoles, verb: str, model: str) -> tuple[str, bool]:
    """As planned; (who held the alias when the next console looked, whether nobody was killed). Then the same is asked
    again by its key."""
    key, (held, moves) = uuid.uuid4().hex, BEFORE[verb]
    words = (world.proxy.url, str(world.folder / "sidecar"), verb, model, key)
    code = consoles.run(*words)
    assert code in (0, -signal.SIGKILL)
    world.proxy.calm()
    found = world.story(world.backend, model)
    assert found in ((held, moves), ("2", moves + 1))
    if verb != "undo" or found[0] != "2":  # one's own last move is another one then
        assert consoles.run(*words) == 0
    assert world.story(world.backend, model) == ("2", moves + 1)
    return found[0], code == 0


@pytest.mark.parametrize(
    ("verb", "after"),
    [("promote", False), ("promote", True), ("rollback", True), ("undo", True)],
    ids=["promote, before it arrives", "promote, before its answer", "rollback", "undo"],
)
def test_killed_at_any_request_from_the_last_look_on_it_is_done_or_not_and_never_half(
    own: World, consoles: Consoles, verb: str, after: bool
) -> None:
    model = own.model(verb)
    own.proxy.calm()
    assert consoles.run(own.proxy.url, str(own.folder / "sidecar"), verb, model, uuid.uuid4().hex) == 0
    asked = [each.path for each in own.proxy.asked]
    # What comes before the last look only reads.
    first = next(at for at, path in enumerate(asked) if path.endswith("registered-models/alias")) - 1
    outcomes = []
    for moment in range(first, len(asked)):
        model = own.model(verb)
        own.proxy.calm()
        own.proxy.plan("", "", consoles.killing(after=after), after=moment, times=1)
        held, finished = killed(own, consoles, verb, model)
        assert not finished
        outcomes.append(held)
    assert outcomes == sorted(outcomes), "once it is done it stays done"
    assert set(outcomes) == {"1", "2"}
    assert len(outcomes) >= 4, "before it is set, as it is, as it is read back, as others are told"
    assert own.seen_elsewhere(model, f"other-{verb}-{after}")[0] == ("ann@box", "2"), "others read the same"


STEPS = {
    "set": ("POST", "registered-models/alias", False),
    "read back": ("GET", "registered-models/get", True),
    "told to others": ("POST", "model-versions/set-tag", True),
}
"""Step → (method, path, whether it comes after the alias was set)."""


@pytest.mark.parametrize(("step", "after"), [("set", True), ("read back", False), ("told to others", True)])
def test_killed_at_a_step_on_mlflow_the_next_look_tells_what_became_of_it(
    world: World, consoles: Consoles, step: str, after: bool
) -> None:
    method, path, later = STEPS[step]
    model, kill = world.model("promote"), consoles.killing(after=after)
    world.proxy.calm()

    def then(_: faults.Asked, forward: faults.Forward) -> list[bytes]:
        world.proxy.plan(method, path, kill, times=1)
        return [forward()]

    if later:
        world.proxy.plan("POST", "registered-models/alias", then, times=1)
    else:
        world.proxy.plan(method, path, kill, times=1)
    held, finished = killed(world, consoles, "promote", model)
    assert not finished
    assert held == "2"
    # What others were not told before the end, they are with the next move.
    promote(world.backend, model, "1", "champion", ANN, expected="2")
    told = world.seen_elsewhere(model, f"other-{step}-{after}")
    assert told == [("ann@box", "1"), ("ann@box", "2"), ("ann@box", "1")], "others read the same"


def test_of_two_people_of_one_workspace_exactly_one_wins_each_of_twenty_rounds(own: World) -> None:
    model = own.model("promote")
    people = [own.console("sidecar") for _ in range(2)]
    both = threading.Barrier(2)

    def move(backend: Backend, who: str, version: str, held: str) -> str:
        both.wait()
        try:
            promote(backend, model, version, "champion", Mutation(who, reason="mine"), expected=held)
        except Conflict as error:
            return "told" if "nothing was changed" in str(error) else str(error)
        return "won"

    with ThreadPoolExecutor(2) as pool:
        for _ in range(20):
            held = own.on_server(model)
            other = "2" if held == "1" else "1"
            asked = [
                pool.submit(move, backend, who, other, held)
                for backend, who in zip(people, ("ann@box", "bob@box"), strict=True)
            ]
            assert sorted(each.result() for each in asked) == ["told", "won"]
            assert own.on_server(model) == other
    for backend in people:
        moves = backend.need("registry").history(model, alias="champion")
        assert len(moves) == 21
        assert all(newer.previous == older.version for newer, older in pairwise(moves))
        backend.close()


def test_a_clock_that_is_set_back_confuses_no_order(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from backends.remote import alias_steps, state

    model = world.model("promote")
    began = int(time.time() * 1000)
    for module in (alias_steps, state):
        monkeypatch.setattr(module, "now", lambda: began - 3_600_000)
    promote(world.backend, model, "2", "champion", ANN, expected="1")
    assert world.story(world.backend, model) == ("2", 2)
    assert rollback_target(world.backend, model, "champion").version == "1"
    rollback(world.backend, model, "champion", ANN, expected="2")
    assert world.story(world.backend, model) == ("1", 3)
    # Somebody else moves it behind our back, while the clock is wrong.
    world.raw("POST", "registered-models/alias", json={"name": model, "alias": "champion", "version": "2"})
    cold = world.console("sidecar")
    assert cold.need("registry").get(model).aliases["champion"] == "2"
    newest = cold.need("registry").history(model, alias="champion")[0]
    assert (newest.version, newest.previous, newest.action) == ("2", "1", "elsewhere")
    assert version_at(cold, model, "champion", int(time.time() * 1000)) == "2"
    cold.close()
