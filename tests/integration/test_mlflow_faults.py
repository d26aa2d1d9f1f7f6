"""The MLflow client on a hostile network: every fault is told, nothing is done twice, old rows stay, and it recovers.

A real server stands behind `FaultProxy`, which counts what reached it. `direct` looks at the server without the proxy.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from backends.connect import connect
from backends.contract import Backend, BackendError, Conflict, Mutation, Unauthorized, Unreachable
from backends.entities import MetricPoint, ModelFile, RunStatus, Signature
from backends.login import Login
from backends.mlflow import transport
from backends.remote import alias_steps
from console.promotion.pending import half_done
from console.promotion.promote import promote
from tests import fault_proxy as faults
from tests.fault_proxy import FaultProxy
from tests.mlflow_server import MlflowServer
from tests.monitored import until
from tests.ports import free_port

ANN = Mutation("ann@box", reason="because")
TOKEN = "hunter2-s3cr3t"
API = "/api/2.0/mlflow/"
HTML_502 = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
BUSY = b'{"error_code": "TEMPORARILY_UNAVAILABLE", "message": "database is locked"}'


@dataclass
class World:
    """A server behind a proxy, and one run and one model on it."""

    proxy: FaultProxy
    server: MlflowServer
    remote: Backend
    folder: Path
    run: str
    model: str
    trained: str = ""

    @property
    def transport(self) -> Any:
        return self.remote.need("runs")._room.transport

    def ask(self, path: str, **body: Any) -> Any:
        """The server itself, without proxy and client."""
        answer = httpx.post(f"{self.server.url}{API}{path}", json=body, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def calm(self) -> None:
        self.proxy.calm()
        self.transport.breaker.there()
        patient(self.transport)

    def another(self, folder: Path) -> Backend:
        return connect("prod", f"mlflow+{self.proxy.url}", sidecar=folder)

    def new_model(self, versions: int = 2) -> str:
        name = f"m-{uuid.uuid4().hex[:12]}"
        for _ in range(versions):
            file, signature = ModelFile(), Signature()
            self.remote.need("registry").register(name, run=self.trained, file=file, signature=signature, mutation=ANN)
        return name


def impatient(sender: Any, path: str, seconds: float) -> None:
    """Requests of this path are waited for so long only. All others may take their time, as on a loaded machine they
    do: what is cut off shall be what the test means."""
    send = type(sender)._send

    def sent(method: str, asked: str, params: Any, body: Any, timeout: Any, *more: Any, **named: Any) -> Any:
        return send(sender, method, asked, params, body, seconds if path in asked else timeout, *more, **named)

    sender._send = sent


def patient(sender: Any) -> None:
    vars(sender).pop("_send", None)


@pytest.fixture(scope="module")
def world(mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("faults")
    os.environ["FAULTS_TOKEN"] = TOKEN
    with FaultProxy(mlflow_server.url) as proxy:
        url, login = f"mlflow+{proxy.url}", Login(env="FAULTS_TOKEN")
        remote = connect("prod", url, sidecar=folder / "s", login=login)
        made = World(proxy, mlflow_server, remote, folder, "", "")
        runs = remote.need("runs")
        made.run = runs.create(name="kept", mutation=ANN).id
        runs.start(made.run)
        runs.log_points(made.run, [MetricPoint(key="auc", value=0.7, step=step, at=step) for step in range(5)])
        made.trained = runs.create(name="trained", mutation=ANN).id
        runs.start(made.trained)
        runs.end(made.trained, RunStatus.FINISHED)
        made.model = made.new_model()
        (folder / "file.txt").write_text("whole")
        remote.need("artifacts").put(made.run, "file.txt", folder / "file.txt")
        yield made
        remote.close()
    del os.environ["FAULTS_TOKEN"]


@pytest.fixture(autouse=True)
def _calm(world: World) -> Iterator[None]:
    world.calm()
    yield
    world.calm()


def secret_free(error: BaseException) -> None:
    """The token is in no word, attribute or chained error, and in no line of a traceback."""
    said = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    assert TOKEN not in said
    assert "Bearer" not in said


# ---------------------------------------------------------------- reading

READS: dict[str, tuple[str, Callable[[World], Any]]] = {
    "runs": ("runs/search", lambda world: world.remote.need("runs").page(limit=20).items),
    "run": ("runs/get", lambda world: world.remote.need("runs").get(world.run)),
    # Asked for anew, as of a run that has said more since.
    "series": ("get-history-bulk", lambda world: world.remote.need("runs")._read(world.run, "auc", 400, None, None)),
    "registry": ("registered-models", lambda world: world.remote.need("registry").page(limit=20).items),
    "artifact": (
        "mlflow-artifacts",
        lambda world: world.remote.need("artifacts").open(world.run, "file.txt").read_text(),
    ),
}
FAULTS: dict[str, tuple[Callable[[FaultProxy], faults.Fault], str]] = {
    "500, a page": (lambda _: faults.answer(500, HTML_502, Content_Type="text/html"), r"in trouble \(500\)"),
    "502, a page": (lambda _: faults.answer(502, HTML_502, Content_Type="text/html"), r"in trouble \(502\)"),
    "503, JSON": (lambda _: faults.answer(503, BUSY), "database is locked.*try again later"),
    "503, later": (lambda _: faults.answer(503, b"", Retry_After="3"), r"in trouble \(503\)"),
    "429, later": (lambda _: faults.answer(429, b"", Retry_After="3"), "asked too often"),
    "hangs": (lambda proxy: proxy.hang(), "does not answer in time"),
    "hangs midway": (
        lambda proxy: proxy.hang(forwarding=True, first=lambda answer: answer[: len(answer) - 3]),
        "does not answer in time",
    ),
    "drips": (lambda proxy: proxy.drip(), "does not answer in time"),
    "cut": (lambda _: faults.cut(keeping_length=True), "broke off"),
    "cut JSON": (lambda _: faults.cut(keeping_length=False), "half an answer"),
    "chunks cut": (lambda _: faults.chunks_cut, "broke off"),
    "dropped": (lambda _: faults.drop_after, "broke off"),
    "sent on to https": (lambda proxy: faults.answer(301, Location=f"https{proxy.url[4:]}/"), r"mlflow\+https://"),
    "sent on elsewhere": (lambda _: faults.answer(302, Location="https://sso.example.org/in?x=y"), "sso.example.org"),
    "no HTTP": (lambda _: faults.bytes_of(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n"), "does not speak HTTP"),
    "login page": (lambda _: faults.says(faults.LOGIN_PAGE, "text/html; charset=utf-8"), "web page"),
    "nested": (lambda _: faults.says(b'{"runs":' + b"[" * 100_000), "half an answer"),
    "no UTF-8": (lambda _: faults.says(b'{"runs": "\xff\xfe"}'), "half an answer"),
    "no zip": (
        lambda _: faults.answer(200, b"not gzip", Content_Encoding="gzip", Content_Type="application/json"),
        "does not speak HTTP",
    ),
}
HANGING = ("hangs", "hangs midway", "drips")
UNSEEN_IN_FILES = ("cut JSON", "nested", "no UTF-8")
"""A file's bytes may be anything, so that only its digest tells these."""


@pytest.mark.parametrize("name", FAULTS)
def test_every_read_keeps_its_rows_tells_the_fault_and_recovers(world: World, name: str, tmp_path: Path) -> None:
    make, sentence = FAULTS[name]
    known = {what: read(world) for what, (_, read) in READS.items()}
    for what, (path, read) in READS.items():
        if what == "artifact" and name in UNSEEN_IN_FILES:
            continue
        world.calm()
        world.proxy.plan("", path, make(world.proxy))
        world.proxy.plan("", "experiments/search", make(world.proxy))  # by which it looks whether it is there again
        if name in HANGING:
            impatient(world.transport, path, 0.6)
        assert read(world) == known[what], what
        with pytest.raises(Unreachable, match=sentence) as caught:
            world.remote.changed()
        assert caught.value.since is not None
        assert caught.value.retry_at is not None
        secret_free(caught.value)
    world.calm()
    cold = world.another(tmp_path / "cold")
    sender = cold.need("runs")._room.transport
    world.proxy.plan("", "runs/get", make(world.proxy))
    if name in HANGING:
        impatient(sender, "runs/get", 0.6)
    began = time.time()
    with pytest.raises(Unreachable, match=sentence) as caught:
        cold.need("runs").get(world.run)
    patient(sender)
    secret_free(caught.value)
    if name.endswith("later"):
        assert caught.value.retry_at is not None
        assert caught.value.retry_at > began * 1000 + 2_900, "a server that says when is not asked before"
    else:
        world.proxy.calm()
        recovers(cold)
        assert cold.need("runs").get(world.run).id == world.run
    cold.close()


def recovers(backend: Backend) -> None:
    """By itself, by what a pane does twice a second."""
    end = time.monotonic() + 120
    while True:
        try:
            backend.changed()
            return
        except Unreachable:
            assert time.monotonic() < end
            time.sleep(0.1)


def test_a_connection_that_the_server_closed_meanwhile_is_no_trouble(world: World) -> None:
    for path in ("runs/get", "mlflow-artifacts"):
        world.proxy.plan("GET", path, faults.drop_before, times=1)
    assert world.remote.need("runs").get(world.run).id == world.run
    assert READS["artifact"][1](world) == "whole"
    assert world.transport.trouble() is None


def test_a_search_is_not_asked_again_once_it_may_have_begun(world: World) -> None:
    world.proxy.plan("POST", "runs/search", faults.drop_after)
    with pytest.raises(Unreachable):
        world.remote.need("runs").page(limit=17)
    assert world.proxy.count("POST", "runs/search") == 1


def test_too_large_an_answer_is_refused_and_not_held(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LARGEST", 100_000)
    world.proxy.plan("", "runs/get", faults.says(b" " * 200_000 + b"{}"))
    with pytest.raises(BackendError, match="over 100,000 bytes"):
        world.remote.need("runs").get(world.run)


@pytest.mark.parametrize("body", [b"{}", b'{"run": 7}', b'{"run": {"info": 7}}', b'{"runs": {"a": 1}}', b"[]", b"null"])
def test_json_of_something_else_is_told_and_no_crash(world: World, body: bytes, tmp_path: Path) -> None:
    cold = world.another(tmp_path / "s")
    world.proxy.plan("", "", faults.says(body))
    runs, registry = cold.need("runs"), cold.need("registry")
    for read in (
        lambda: runs.get(world.run),
        lambda: registry.get(world.model),
        lambda: registry.version(world.model, "1"),
        lambda: runs.create(name="a", mutation=ANN),
        lambda: cold.need("logged_models").get("m-" + "0" * 32),
    ):
        with pytest.raises(BackendError):
            read()
        cold.need("runs")._room.transport.breaker.there()
    cold.close()


def test_who_waits_behind_hung_requests_is_not_made_to_wait_as_long_again(world: World) -> None:
    from concurrent.futures import ThreadPoolExecutor

    impatient(world.transport, "get-history", 3.0)
    world.proxy.plan("", "get-history", world.proxy.hang())
    runs = world.remote.need("runs")
    together = threading.Barrier(12)

    def ask(name: str) -> object:
        together.wait()
        return runs.series(world.run, name)

    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(ask, f"never-{n}") for n in range(12)]
    assert all(isinstance(each.exception(), Unreachable) for each in asked)
    # Four at once; who gets a place in the moment in which its own patience ends may still ask, once a place.
    assert len(world.proxy.asked) <= 8


# ---------------------------------------------------------------- the token


def test_an_expired_token_is_read_anew_and_a_refused_one_is_told(world: World, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    file.chmod(0o600)
    url = f"mlflow+{world.proxy.url}"
    remote = connect("prod", url, sidecar=tmp_path / "s", login=Login(file=str(file)))
    world.proxy.tokens = {"Bearer first"}
    assert remote.need("runs").get(world.run).id == world.run
    file.write_text("second-hunter2")
    world.proxy.tokens = {"Bearer second-hunter2"}
    before = len(world.proxy.asked)
    remote.need("runs").set_tags(world.run, {"renewed": "1"}, ANN)
    given = [each.headers["authorization"] for each in world.proxy.asked[before:]]
    # Reads may go out beside each other, each with the token that was known; the server takes the new one alone.
    assert "Bearer second-hunter2" in given
    assert set(given) <= {"Bearer first", "Bearer second-hunter2"}
    assert remote.need("runs").get(world.run).tags["renewed"] == "1"
    fetched = remote.need("artifacts").open(world.run, "file.txt")
    assert fetched.read_text() == "whole"
    world.proxy.tokens = set()
    for act in (
        lambda: remote.need("runs").get(world.run),
        lambda: remote.need("runs").set_tags(world.run, {"renewed": "2"}, ANN),
        lambda: remote.need("artifacts").open(world.run, "file.txt"),
        lambda: remote.need("artifacts").put(world.run, "more.txt", fetched),
    ):
        with pytest.raises(Unauthorized, match="token or password") as caught:
            act()
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    remote.close()


# ---------------------------------------------------------------- changing


@dataclass
class Deed:
    """A change, its request, and how often the server has it."""

    method: str
    path: str
    twice_is_once: bool
    do: Callable[[World, str], object]
    done: Callable[[World, str], int]


def _run(world: World) -> Any:
    answer = httpx.get(f"{world.server.url}{API}runs/get", params={"run_id": world.run}, timeout=60)
    return answer.json()["run"]


def _runs_named(world: World, mark: str) -> int:
    # The server is the session's: other tests made experiments of their own.
    every = world.ask("experiments/search", max_results=1000)["experiments"]
    ids = [each["experiment_id"] for each in every]
    found = world.ask("runs/search", experiment_ids=ids, filter=f"attributes.run_name = '{mark}'")
    return len(found.get("runs", ()))


def _versions(world: World, mark: str) -> int:
    params = {"filter": f"tags.mark = '{mark}'"}
    answer = httpx.get(f"{world.server.url}{API}model-versions/search", params=params, timeout=60)
    return len(answer.json().get("model_versions", ()))


def _points(world: World, mark: str) -> int:
    params = {"run_id": world.run, "metric_key": mark}
    answer = httpx.get(f"{world.server.url}{API}metrics/get-history", params=params, timeout=60)
    return len(answer.json().get("metrics", ()))


def _files(world: World, mark: str) -> int:
    answer = httpx.get(f"{world.server.url}{API}artifacts/list", params={"run_id": world.run}, timeout=60)
    return sum(each["path"] == mark for each in answer.json().get("files", ()))


DEEDS = {
    "tag": Deed(
        "POST",
        "runs/log-batch",
        True,
        lambda world, mark: world.remote.need("runs").set_tags(world.run, {mark: "1"}, ANN),
        lambda world, mark: sum(each["key"] == mark for each in _run(world)["data"]["tags"]),
    ),
    "create": Deed(
        "POST",
        "runs/create",
        False,
        lambda world, mark: world.remote.need("runs").create(name=mark, mutation=ANN),
        _runs_named,
    ),
    "register": Deed(
        "POST",
        "model-versions/create",
        False,
        lambda world, mark: world.remote.need("registry").register(
            world.model, run=world.run, file=ModelFile(), signature=Signature(), mutation=ANN, tags={"mark": mark}
        ),
        _versions,
    ),
    "points": Deed(
        "POST",
        "runs/log-batch",
        False,
        lambda world, mark: world.remote.need("runs").log_points(world.run, [MetricPoint(key=mark, value=1.0)]),
        _points,
    ),
    "upload": Deed(
        "PUT",
        "mlflow-artifacts",
        True,
        lambda world, mark: world.remote.need("artifacts").put(world.run, mark, world.folder / "file.txt"),
        _files,
    ),
}
NOTHING, UNCERTAIN = "nothing was changed", "whether the change was made cannot be told. Look again"
BLOWS: dict[str, tuple[Callable[[FaultProxy], faults.Fault], str, int, str]] = {
    # what happens: (fault, what is said of the change, whether the server did it, what is said of the fault)
    "dropped before": (lambda _: faults.drop_before, UNCERTAIN, 0, "broke off"),
    "dropped after": (lambda _: faults.drop_after, UNCERTAIN, 1, "broke off"),
    "502 after": (lambda _: faults.answer_after(502, HTML_502), UNCERTAIN, 1, "502"),
    "503 before": (lambda _: faults.answer(503, BUSY), UNCERTAIN, 0, "database is locked"),
    "429": (lambda _: faults.answer(429, b"", Retry_After="9"), NOTHING, 0, "too often"),
    "sent on": (lambda _: faults.answer(302, Location="/login"), NOTHING, 0, "sends on"),
    "hangs": (lambda proxy: proxy.hang(), UNCERTAIN, 0, "in time"),
    "hangs after": (lambda proxy: proxy.hang(forwarding=True), UNCERTAIN, 1, "in time"),
    "login page": (lambda _: faults.says(faults.LOGIN_PAGE, "text/html"), UNCERTAIN, 0, "web page"),
    "cut JSON": (lambda _: faults.cut(keeping_length=False), UNCERTAIN, 1, "half an answer"),
    "no HTTP": (lambda _: faults.bytes_of(b"\x16\x03\x01\x02\x00"), UNCERTAIN, 0, "not speak HTTP"),
}


@pytest.mark.parametrize("blow", BLOWS)
@pytest.mark.parametrize("deed", DEEDS)
def test_a_change_says_what_became_of_it_and_is_never_made_twice(world: World, deed: str, blow: str) -> None:
    what, (fault, said, made, words) = DEEDS[deed], BLOWS[blow]
    if deed == "upload" and blow in ("cut JSON", "login page"):
        pytest.skip("the answer to an upload has no body to be broken")
    mark = f"k{uuid.uuid4().hex[:12]}"
    world.remote.need("runs").get(world.run)
    if "hang" in blow:
        impatient(world.transport, what.path, 0.8)
    world.proxy.plan(what.method, what.path, fault(world.proxy))
    with pytest.raises(Unreachable) as caught:
        what.do(world, mark)
    assert said in str(caught.value)
    assert words in str(caught.value)
    secret_free(caught.value)
    again = what.twice_is_once and said == UNCERTAIN and "hang" not in blow
    assert len([each for each in world.proxy.asked if each.method == what.method and what.path in each.path]) == (
        2 if again else 1
    )
    if blow == "hangs after":  # nobody waited until the server had done it
        until(lambda: what.done(world, mark), what="what was asked for")
    assert what.done(world, mark) == made


@pytest.mark.parametrize("deed", ["tag", "upload"])
def test_what_can_be_asked_twice_outlives_one_blow(world: World, deed: str) -> None:
    what, mark = DEEDS[deed], f"k{uuid.uuid4().hex[:12]}"
    world.proxy.plan(what.method, what.path, faults.drop_after, times=1)
    what.do(world, mark)
    assert what.done(world, mark) == 1


def test_a_change_that_was_perhaps_made_at_first_is_not_said_to_be_undone(world: World, tmp_path: Path) -> None:
    """The first try is lost on the way back, the second never leaves: nothing may be promised."""
    port = free_port()
    remote = connect("prod", f"mlflow+http://127.0.0.1:{port}", sidecar=tmp_path / "s")
    with pytest.raises(Unreachable, match=r"nothing listens.*nothing was changed\. Try again later"):
        remote.need("registry").create("m", ANN)
    remote.close()
    with FaultProxy(world.server.url) as proxy:
        remote = connect("prod", f"mlflow+{proxy.url}", sidecar=tmp_path / "t")
        remote.need("runs").get(world.run)

        def last(asked: faults.Asked, forward: faults.Forward) -> list[bytes]:
            forward()
            proxy.leave()
            return []

        proxy.plan("POST", "runs/log-batch", last)
        with pytest.raises(Unreachable, match="cannot be told"):
            remote.need("runs").set_tags(world.run, {"last": "1"}, ANN)
        remote.close()


def test_a_run_whose_making_was_not_heard_of_is_found_by_its_key(world: World) -> None:
    runs, name = world.remote.need("runs"), f"once-{uuid.uuid4().hex[:8]}"
    for path in ("runs/create", "runs/update"):
        key = Mutation("ann@box", key=f"{path} {uuid.uuid4().hex}")
        world.proxy.plan("POST", path, faults.drop_after, times=2)
        with pytest.raises(Unreachable):
            runs.create(name=f"{name}{path}", mutation=key, params={"lr": "0.1"})
        world.calm()
        made = runs.create(name=f"{name}{path}", mutation=key, params={"lr": "0.1"})
        assert (made.status, made.params) == (RunStatus.QUEUED, {"lr": "0.1"})
        assert runs.create(name=f"{name}{path}", mutation=key).id == made.id
        assert _runs_named(world, f"{name}{path}") == 1


def test_a_version_whose_making_was_not_heard_of_is_found_by_its_key(world: World) -> None:
    key = Mutation("ann@box", key=uuid.uuid4().hex)
    model, mark = world.new_model(1), f"k{uuid.uuid4().hex[:8]}"

    def register() -> str:
        given: dict[str, Any] = {
            "run": world.run,
            "file": ModelFile(),
            "signature": Signature(),
            "tags": {"mark": mark},
        }
        return str(world.remote.need("registry").register(model, mutation=key, **given).version)

    world.proxy.plan("POST", "model-versions/create", faults.drop_after)
    with pytest.raises(Unreachable, match="cannot be told"):
        register()
    world.calm()
    assert (register(), register()) == ("2", "2")
    assert _versions(world, mark) == 1


# ---------------------------------------------------------------- moves of an alias


def outcomes(world: World, model: str) -> list[str]:
    """Oldest first, of moves of the model."""
    page = world.remote.need("journal").page(limit=500)
    return [str(each.outcome) for each in reversed(page.items) if each.target == model and "alias" in each.after]


def held(world: World, model: str) -> dict[str, str]:
    params = {"name": model}
    answer = httpx.get(f"{world.server.url}{API}registered-models/get", params=params, timeout=60)
    return {each["alias"]: each["version"] for each in answer.json()["registered_model"].get("aliases", ())}


@pytest.mark.parametrize("blow", ["dropped after", "hangs after", "502 after", "cut JSON"])
def test_a_move_whose_answer_was_lost_is_settled_at_the_next_look(world: World, blow: str) -> None:
    model = world.new_model()
    promote(world.remote, model, "1", "champion", ANN, expected=None)
    if "hang" in blow:
        impatient(world.transport, "registered-models/alias", 0.8)
    world.proxy.plan("POST", "registered-models/alias", BLOWS[blow][0](world.proxy))
    with pytest.raises(Unreachable, match="cannot be told") as caught:
        promote(world.remote, model, "2", "champion", Mutation("bob@box", reason="better"), expected="1")
    secret_free(caught.value)
    assert outcomes(world, model) == ["intent", "done", "intent"]
    assert [each.target for each in half_done(world.remote)] == [model]
    world.calm()
    until(lambda: held(world, model)["champion"] == "2", what="the move, of which nobody heard")
    registry = world.remote.need("registry")
    assert registry.get(model).aliases == {"champion": "2"}
    registry.get(model)
    assert outcomes(world, model) == ["intent", "done", "intent", "done"]
    assert half_done(world.remote) == ()
    last = registry.history(model)[0]
    assert (last.actor, last.previous, last.version, last.reason) == ("bob@box", "1", "2", "better")
    assert [each.action for each in registry.history(model)] == ["promote", "promote"]
    with pytest.raises(Conflict, match="by bob@box"):
        promote(world.remote, model, "2", "champion", ANN, expected="1")
    assert world.remote.need("journal").verify()[1] == ""


def test_a_move_that_never_arrived_is_abandoned_once_and_can_be_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, registry = world.new_model(), world.remote.need("registry")
    world.proxy.plan("POST", "registered-models/alias", faults.drop_before)
    with pytest.raises(Unreachable, match="cannot be told"):
        promote(world.remote, model, "1", "champion", ANN, expected=None)
    world.calm()
    registry.get(model)
    assert outcomes(world, model) == ["intent"], "the server may still be at it"
    monkeypatch.setattr(alias_steps, "_AT_IT_MS", -1)
    registry.page(limit=10_000)
    registry.get(model)
    assert outcomes(world, model) == ["intent", "abandoned"]
    assert registry.history(model) == ()
    promote(world.remote, model, "1", "champion", ANN, expected=None)
    assert outcomes(world, model) == ["intent", "abandoned", "intent", "done"]


def test_asked_for_again_at_once_it_is_made_once(world: World) -> None:
    for key in ("", uuid.uuid4().hex):
        model, ask = world.new_model(), Mutation("ann@box", reason="because", key=key)
        world.proxy.plan("POST", "registered-models/alias", faults.drop_before)
        with pytest.raises(Unreachable):
            promote(world.remote, model, "1", "champion", ask, expected=None)
        world.calm()
        move = promote(world.remote, model, "1", "champion", ask, expected=None)
        assert (move.version, held(world, model)) == ("1", {"champion": "1"})
        assert outcomes(world, model).count("done") == 1
        assert half_done(world.remote) == ()
        assert len(world.remote.need("registry").history(model)) == 1


def test_with_its_key_a_move_that_was_made_unheard_is_given_back(world: World) -> None:
    model, ask = world.new_model(), Mutation("ann@box", key=uuid.uuid4().hex)
    world.proxy.plan("POST", "registered-models/alias", faults.drop_after)
    with pytest.raises(Unreachable):
        promote(world.remote, model, "1", "champion", ask, expected=None)
    world.calm()
    assert promote(world.remote, model, "1", "champion", ask, expected=None).version == "1"
    assert world.proxy.count("POST", "registered-models/alias") == 0
    assert outcomes(world, model) == ["intent", "done"]


def test_a_move_that_was_turned_away_is_a_failed_one(world: World) -> None:
    model = world.new_model()
    refused = json.dumps({"error_code": "PERMISSION_DENIED", "message": "only admins move aliases"}).encode()
    for fault, kind in (
        (faults.answer(429, b"", Retry_After="9"), Unreachable),
        (faults.answer(403, refused), Unauthorized),
    ):
        world.calm()
        world.proxy.plan("POST", "registered-models/alias", fault)
        with pytest.raises(kind):
            promote(world.remote, model, "1", "champion", ANN, expected=None)
    assert outcomes(world, model) == ["intent", "failed", "intent", "failed"]
    assert held(world, model) == {}


def test_a_lost_look_before_a_move_changes_nothing_and_one_after_it_loses_nothing(world: World, tmp_path: Path) -> None:
    model, registry = world.new_model(), world.remote.need("registry")
    registry.get(model)
    world.proxy.plan("GET", "registered-models/get", faults.drop_before)
    with pytest.raises(Unreachable, match="nothing was changed"):
        registry.set_alias(model, "champion", "1", expected=None, mutation=ANN)
    assert outcomes(world, model) == []
    world.calm()

    def moved(asked: faults.Asked, forward: faults.Forward) -> list[bytes]:
        world.proxy.plan("", "registered-models/get", faults.drop_before)
        world.proxy.plan("", "model-versions", faults.drop_before)
        return [forward()]

    world.proxy.plan("POST", "registered-models/alias", moved)
    assert registry.set_alias(model, "champion", "1", expected=None, mutation=ANN).version == "1"
    assert outcomes(world, model) == ["intent", "done"]
    world.calm()
    registry.set_alias(model, "challenger", "2", expected=None, mutation=ANN)
    other = world.another(tmp_path / "other")
    assert [each.actor for each in other.need("registry").history(model)] == ["ann@box", "ann@box"], "told afterwards"
    other.close()


def test_an_old_answer_is_no_news_of_an_alias(world: World) -> None:
    model, registry = world.new_model(), world.remote.need("registry")
    promote(world.remote, model, "1", "champion", ANN, expected=None)
    registry.get(model)
    raw = {"name": model, "alias": "champion", "version": "2"}
    world.remote.need("registry").set_alias(model, "champion", "2", expected="1", mutation=ANN)
    assert held(world, model)["champion"] == raw["version"]
    world.proxy.plan("", "registered-models", faults.drop_before)
    registry.get(model)
    world.calm()
    registry.get(model)
    assert [each.action for each in registry.history(model)] == ["promote", "promote"]


def test_while_one_console_waits_for_the_server_another_reads_and_is_told(world: World, monkeypatch: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from backends.remote import state

    monkeypatch.setattr(state, "ALONE_S", 0.2)
    model = world.new_model()
    other = world.another(world.folder / "s")
    over = threading.Event()

    def hangs(_: faults.Asked, forward: faults.Forward) -> list[bytes]:
        over.wait(faults.LONGEST_S)
        return []

    world.proxy.plan("POST", "registered-models/alias", hangs)
    impatient(world.transport, "registered-models/alias", faults.LONGEST_S)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(promote, world.remote, model, "1", "champion", ANN, expected=None)
        until(lambda: any("registered-models/alias" in each.path for each in world.proxy.asked), what="its request")
        assert other.need("registry").get(model).name == model
        with pytest.raises(Conflict, match="another console of this machine"):
            other.need("registry").set_alias(model, "champion", "2", expected=None, mutation=ANN)
        assert not first.done(), "it waits still, and nobody with it"
        over.set()
        assert isinstance(first.exception(), Unreachable)
    other.close()


# ---------------------------------------------------------------- the command line


def shell(world: World, folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    config = folder / "config.toml"
    config.write_text(
        f'[contexts.prod]\nregistry = "mlflow+{world.proxy.url}"\nworkspace = "{folder}/side"\n'
        'token_env = "FAULTS_TOKEN"\noptions = { timeout = "60" }\n'
    )
    env = {**os.environ, "MLOPS_CONSOLE_CONFIG": str(config), "XDG_CACHE_HOME": str(folder / "cache")}
    env |= {"XDG_STATE_HOME": str(folder / "state"), "MLOPS_CONSOLE_TRACEBACK": "1"}
    command = [sys.executable, "-m", "console.launch", "--context", "prod", *args]
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL
    )
    assert TOKEN not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_the_command_line_leaves_with_the_code_of_what_happened(world: World, tmp_path: Path) -> None:
    model = world.new_model()
    world.proxy.plan("", "", faults.answer(502, HTML_502))
    done = shell(world, tmp_path, "run", "list")
    assert (done.returncode, "502" in done.stderr) == (3, True)
    world.calm()
    world.proxy.tokens = set()
    for _ in range(20):  # for a moment a command tells what the one before it saw, and asks nothing
        done = shell(world, tmp_path, "run", "list", "--json")
        if done.returncode != 3:
            break
        time.sleep(0.5)
    assert (done.returncode, json.loads(done.stderr)["error"]["kind"]) == (4, "Unauthorized")
    world.calm()
    world.proxy.plan("POST", "registered-models/alias", faults.drop_after)
    done = shell(world, tmp_path, "model", "promote", model, "1", "--reason", "it is better", "--override")
    assert (done.returncode, "cannot be told" in done.stderr) == (3, True), done.stderr
    world.calm()
    done = shell(world, tmp_path, "model", "history", model, "--json")
    assert done.returncode == 0, done.stderr
    (move,) = json.loads(done.stdout)["items"]
    assert (move["version"], move["actor"] != "somebody else") == ("1", True)
    files = [each for each in tmp_path.rglob("*") if each.is_file() and each.name != "config.toml"]
    assert [each for each in files if TOKEN.encode() in each.read_bytes()] == []
