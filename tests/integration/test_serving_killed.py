"""kill -9 before and after every step of a swap: server, alias and journal tell one story afterwards, and no answer is
of another version than it says."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sklearn.linear_model import LogisticRegression

from backends.contract import Backend, Mutation
from backends.entities import GateStatus
from backends.local import open_local
from console.promotion.promote import promote
from console.promotion.rollback import rollback
from console.serving.onnx.convert import convert_version
from console.serving.onnx.parity import rows_from
from tests.serving import WHO, Served, fitted, json_rows, keep_version, labels, rows, serving, until

pytest.importorskip("onnxruntime", reason="onnxruntime comes with the test extra")
pytest.importorskip("skl2onnx", reason="skl2onnx comes with the test extra")

FRAME = rows(300)
BODY = {"dataframe_records": [json_rows(FRAME.head(1))[0]], "params": {"predict_method": "score"}}
SERVER = [f"server {step} {side}" for step in ("fetch", "load", "serve", "let go") for side in ("before", "after")]
WORKER = [f"worker {step} {side}" for step in ("load", "serve") for side in ("before", "after")]

KILLS = '''
"""Imported by every Python process that finds it: ends the process at the step that a file names, once."""
import importlib.abc, importlib.machinery, os, signal, sys

ARMED = {armed!r}

def reach(step):
    try:
        with open(ARMED) as file:
            named = file.read()
        if named != step:
            return
        os.rename(ARMED, ARMED + ".done")  # of two workers one alone comes through here
    except OSError:
        return
    os.kill(os.getpid(), signal.SIGKILL)

def around(owner, name, step):
    does = getattr(owner, name)
    async def stepped(*args, **given):
        reach(step + " before")
        found = await does(*args, **given)
        reach(step + " after")
        return found
    setattr(owner, name, stepped)

def equip(module):
    if module.__name__ == "console.serving.workers":
        around(module.Crew, "load", "server load")
        around(module.Crew, "serve", "server serve")
    if module.__name__ == "console.serving.server":
        around(module.Server, "_fetch", "server fetch")
        around(module.Server, "_let_go", "server let go")
    if module.__name__ == "console.serving.channel" and "--control" in sys.argv:
        made = module.Channel.__init__
        def init(self, handle):
            async def handled(verb, body):
                reach("worker " + verb + " before")
                found = await handle(verb, body)
                reach("worker " + verb + " after")
                return found
            made(self, handled)
        module.Channel.__init__ = init

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if not name.startswith("console.serving."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            runs = spec.loader.exec_module
            def run(module, runs=runs):
                runs(module)
                equip(module)
            spec.loader.exec_module = run
        return spec

sys.meta_path.insert(0, Finder())
'''


class Rig:
    """A workspace whose model has two versions that score apart, and a server of two workers that can be killed."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.backend: Backend = open_local(home / "workspace")
        self.scores: dict[str, float] = {}
        self.hooks = home / "hooks"
        self.hooks.mkdir()
        self.armed = home / "armed"
        (self.hooks / "sitecustomize.py").write_text(KILLS.format(armed=str(self.armed)))
        for strength in (1.0, 0.01):
            pipeline = fitted(FRAME, labels(FRAME), LogisticRegression(C=strength, max_iter=200))
            version = keep_version(self.backend, home / str(strength), pipeline, FRAME).version
            report = convert_version(
                self.backend, "parcels", version, WHO, rows=lambda file: rows_from(FRAME, file.features)
            )
            assert report.status is GateStatus.PASS
            self.scores[version] = float(pipeline.predict_proba(FRAME.head(1))[0, 1])
        assert abs(self.scores["1"] - self.scores["2"]) > 0.01
        promote(self.backend, "parcels", "1", "champion", WHO, expected=None)

    def held(self) -> str:
        return str(self.backend.need("registry").get("parcels").aliases["champion"])

    def swap(self, step: str) -> str:
        """Move the alias on or back, with a process that dies at the step; the version that is to be served then."""
        self.armed.with_name("armed.done").unlink(missing_ok=True)
        self.armed.write_text(step)
        who = Mutation(actor="me@here", reason=step)
        if self.held() == "1":
            promote(self.backend, "parcels", "2", "champion", who, expected="1")
        else:
            rollback(self.backend, "parcels", "champion", who, expected="2")
        until(self.armed.with_name("armed.done").exists, what=f"the kill at {step}", seconds=240)
        return self.held()

    def told(self) -> None:
        """Alias, its history and the journal tell one story."""
        moves = self.backend.need("registry").history("parcels", alias="champion")
        newest = next(
            each
            for each in self.backend.need("journal").page().items
            if each.action in ("model.promote", "model.rollback")
        )
        assert moves[0].version == newest.after["version"] == self.held()
        assert moves[0].entry == newest.id
        assert self.backend.need("journal").verify()[1] == ""

    def answered(self, served: Served) -> str:
        """The version of an answer; empty where there was none."""
        try:
            with httpx.Client(base_url=served.url, timeout=30) as client:  # a connection of its own: either worker's
                answer = client.post("/invocations", json=BODY)
        except httpx.TransportError:
            return ""
        if answer.status_code != 200:
            return ""
        version = str(answer.headers["x-model-version"])
        assert answer.json()["predictions"] == [pytest.approx(self.scores[version], abs=1e-5)]
        return version

    def settled(self, served: Served, version: str) -> bool:
        return [self.answered(served) for _ in range(8)] == [version] * 8


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig(tmp_path_factory.mktemp("killed"))
    yield made
    made.backend.close()


def server(rig: Rig) -> Any:
    return serving(
        rig.backend, rig.home / "server", hooks=rig.hooks, workers=2, poll_seconds=0.1, standby=False, engine="onnx"
    )


def test_a_server_killed_at_any_step_of_a_swap_serves_what_the_alias_names_when_it_is_started_again(rig: Rig) -> None:
    for step in SERVER:
        with server(rig) as served:
            wanted = rig.held()
            assert rig.answered(served) == wanted, step
            assert rig.settled(served, wanted), step
            assert [(each.version, each.state) for each in served.state().targets] == [(wanted, "serving")]
            workers = psutil.Process(served.process.pid).children()
            rig.swap(step)
            assert served.process.wait(120) == -signal.SIGKILL
            gone, alive = psutil.wait_procs(workers, timeout=60)
            assert (len(gone), alive) == (2, []), "nobody goes on answering unwatched"
        rig.told()
    with server(rig) as served:
        assert rig.settled(served, rig.held())


def test_a_worker_killed_at_any_step_of_a_swap_is_replaced_and_both_serve_the_new_version(rig: Rig) -> None:
    with server(rig) as served:
        until(lambda: rig.settled(served, rig.held()), what="the version that the alias names")
        for step in WORKER:
            before = {each.pid for each in psutil.Process(served.process.pid).children()}
            wanted = rig.swap(step)
            until(
                lambda wanted=wanted, before=before: (
                    len({each.pid for each in psutil.Process(served.process.pid).children()} - before) >= 1
                    and [each.version for each in served.state().targets] == [wanted]
                    and rig.settled(served, wanted)
                ),
                what=f"v{wanted} of both workers after a death at {step}: {served.log}",
                seconds=240,
            )
            assert served.process.poll() is None
            rig.told()


def test_an_idle_worker_killed_by_hand_is_replaced(rig: Rig) -> None:
    with server(rig) as served:
        wanted = rig.held()
        until(lambda: rig.settled(served, wanted), what="the version that the alias names")
        victim = psutil.Process(served.process.pid).children()[0]
        os.kill(victim.pid, signal.SIGKILL)
        until(
            lambda: "serves again" in served.log and rig.settled(served, wanted),
            what=f"another worker: {served.log}",
            seconds=240,
        )
