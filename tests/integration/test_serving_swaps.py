"""Versions exchanged under a running server of two workers: nobody is turned away, and no answer mixes two versions."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sklearn.linear_model import LogisticRegression

from backends.contract import Backend
from backends.entities import ModelFile
from backends.local import open_local
from console.promotion.promote import promote
from console.serving.spec import Limits, LogSpec, ServingSpec, Target
from tests.serving import WHO, Served, fitted, json_rows, keep_version, labels, point, rows, serving, start, until

TOKEN = "a-token-of-some-length"
FRAME = rows(300)
ROW = json_rows(rows(1, seed=3))[0]
BODY = {"dataframe_records": [ROW], "params": {"predict_method": "score"}}


class Rig:
    """A workspace whose model has versions that score apart, and a server of it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.backend: Backend = open_local(home / "workspace")
        self.scores: dict[str, float] = {}
        for strength in (1.0, 0.01):
            pipeline = fitted(FRAME, labels(FRAME), LogisticRegression(C=strength, max_iter=200))
            version = keep_version(self.backend, home / str(strength), pipeline, FRAME)
            self.scores[version.version] = float(pipeline.predict_proba(rows(1, seed=3))[0, 1])
        assert self.scores["1"] != self.scores["2"]
        self.served: Served

    def ask(self, client: httpx.Client, **headers: str) -> str:
        """The version that answered, if the answer is that version's own."""
        answer = client.post("/invocations", json=BODY, headers=headers)
        assert answer.status_code == 200, answer.text
        version = answer.headers["x-model-version"]
        assert answer.json()["predictions"] == [self.scores[version]], "the answer is of another version than it says"
        return str(version)

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.served.url, headers={"authorization": f"Bearer {TOKEN}"}, timeout=60)

    def answers(self, version: str) -> bool:
        """Each worker's: connections are taken by either."""
        found = set()
        for _ in range(6):
            with self.client() as client:
                found.add(self.ask(client))
        return found == {version}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig(tmp_path_factory.mktemp("swaps"))
    point(made.backend, "champion", "1")
    # Who connected as a worker leaves has a second to ask, and a minute here: callers may be slow on a busy machine.
    hooks = made.home / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text("from console.serving import protocol\nprotocol.FIRST_S = 60.0\n")
    token = made.home / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    with serving(
        made.backend,
        made.home / "server",
        workers=2,
        hooks=hooks,
        token_file=str(token),
        sticky_field="customer",
        limits=Limits(header_seconds=120.0, body_seconds=120.0, drain_seconds=120.0),
        log=LogSpec(folder=str(made.home / "log"), segment_seconds=0.5),
    ) as running:
        running.http.headers["authorization"] = f"Bearer {TOKEN}"
        made.served = running
        yield made
    made.backend.close()


@pytest.fixture(autouse=True)
def as_before(rig: Rig) -> Iterator[None]:
    yield
    if rig.served.process.poll() is not None:
        return
    if rig.backend.need("registry").get("parcels").aliases.get("champion") != "1":
        point(rig.backend, "champion", "1")
    rig.served.set_targets(Target(alias="champion")).raise_for_status()
    until(lambda: rig.answers("1"), what="the first version")


def test_swaps_under_load_turn_nobody_away(rig: Rig) -> None:
    stop, troubles, seen = threading.Event(), [], {"1": 0, "2": 0}

    def load() -> None:
        with rig.client() as client:
            while not stop.is_set():
                try:
                    seen[rig.ask(client)] += 1
                except (AssertionError, httpx.HTTPError) as error:
                    troubles.append(repr(error))

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        before = rig.served.state().swaps
        for number in range(50):
            to = "21"[number % 2]
            point(rig.backend, "champion", to)
            rig.served.admin.post("/look").raise_for_status()
            if number < 2:
                until(lambda to=to, had=seen[to]: seen[to] > had or troubles, what=f"an answer of v{to}")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert troubles == []
    assert min(seen.values()) > 0
    assert rig.served.state().swaps - before >= 50


def test_a_promotion_and_its_way_back_are_followed_without_being_told(rig: Rig) -> None:
    promote(rig.backend, "parcels", "2", "champion", WHO, expected="1")
    until(lambda: rig.answers("2"), what="the promoted version")
    standing = until(
        lambda: next((each for each in rig.served.state().targets if each.quick), None), what="the quick way"
    )
    assert (standing.version, standing.state, standing.why) == ("2", "serving", "")
    assert standing.sha256 == rig.backend.need("registry").version("parcels", "2").file.sha256


def test_what_another_alias_names_is_loaded_before_it_is_wanted(rig: Rig) -> None:
    other = fitted(FRAME, labels(FRAME), LogisticRegression(C=0.5, max_iter=50))
    version = keep_version(rig.backend, rig.home / "candidate", other, FRAME).version
    point(rig.backend, "candidate", version)
    until(lambda: all(version in each.loaded for each in rig.served.state().workers), what="the candidate")
    assert rig.answers("1")
    rig.backend.need("registry").set_alias("parcels", "candidate", None, expected=version, mutation=WHO)


def test_a_damaged_version_leaves_the_old_one_serving_and_says_so(rig: Rig) -> None:
    pipeline = fitted(FRAME, labels(FRAME), LogisticRegression(C=0.1, max_iter=50))
    bad = keep_version(rig.backend, rig.home / "bad", pipeline, FRAME)
    path = rig.backend.need("artifacts").open(bad.run, "model/model.skops")
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"damaged")
    point(rig.backend, "champion", bad.version)
    standing = until(
        lambda: next((each for each in rig.served.state().targets if each.state == "kept"), None), what="the refusal"
    )
    assert (standing.version, standing.wanted) == ("1", bad.version)
    assert "sha256" in standing.why
    until(lambda: f"v{bad.version} is not served, v1 goes on" in rig.served.log, what="its line in the log")
    assert rig.answers("1")
    point(rig.backend, "champion", "1")
    until(lambda: rig.served.state().targets[0].state == "serving", what="the way back")


def test_a_crafted_file_executes_nothing(rig: Rig) -> None:
    import pickle

    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {rig.home}/pwned",)

    crafted = rig.home / "evil" / "model.skops"
    crafted.parent.mkdir()
    crafted.write_bytes(pickle.dumps(Evil()))
    run = rig.backend.need("runs").create(name="evil", mutation=WHO)
    kept = rig.backend.need("artifacts").put(run.id, "model/model.skops", crafted)
    meta = rig.backend.need("artifacts").open(
        rig.backend.need("registry").version("parcels", "1").run, "model/meta.json"
    )
    rig.backend.need("artifacts").put(run.id, "model/meta.json", meta)
    file = ModelFile(sha256=kept.sha256, bytes=kept.bytes, format="skops", path="model/model.skops")
    one = rig.backend.need("registry").version("parcels", "1")
    made = rig.backend.need("registry").register(
        "parcels", run=run.id, file=file, signature=one.signature, mutation=WHO
    )
    answer = rig.served.set_targets(Target(version=made.version))
    assert answer.status_code == 409
    assert "not a readable skops model file" in answer.json()["message"]
    assert not (rig.home / "pwned").exists()
    assert rig.answers("1")


def test_a_split_is_sticky_and_grows_without_moving_those_who_are_there(rig: Rig) -> None:
    point(rig.backend, "challenger", "2")
    found: list[dict[str, str]] = []
    for share in (0.2, 0.5):
        rig.served.set_targets(
            Target(alias="champion", share=1 - share), Target(alias="challenger", share=share)
        ).raise_for_status()
        by_customer = {}
        for customer in range(60):
            body = {"dataframe_records": [ROW | {"customer": customer}]}
            versions = {rig.served.http.post("/invocations", json=body).headers["x-model-version"] for _ in range(2)}
            assert len(versions) == 1
            by_customer[str(customer)] = versions.pop()
        found.append(by_customer)
    fewer, more = ([customer for customer, version in each.items() if version == "2"] for each in found)
    assert 3 <= len(fewer) < len(more) <= 45
    assert set(fewer) <= set(more)
    answer = rig.served.http.post("/v2/models/parcels/versions/2/infer", json={"inputs": []})
    assert answer.status_code == 400, "a version that is served is found by its number"


def test_a_shadow_is_asked_and_heard_by_nobody(rig: Rig) -> None:
    rig.served.set_targets(Target(alias="champion"), Target(version="2", share=0, shadow=True)).raise_for_status()
    before = {each.version: each.shadow_requests for each in rig.served.state().versions}
    with rig.client() as client:
        assert {rig.ask(client) for _ in range(10)} == {"1"}
    until(
        lambda: (
            next(each.shadow_requests for each in rig.served.state().versions if each.version == "2")
            >= before.get("2", 0) + 10
        ),
        what="the shadow",
    )
    until(lambda: list((rig.home / "log" / "shadow").glob("*.jsonl")), what="the shadow's log")
    text = rig.served.http.get("/metrics").text
    assert 'model_shadow_requests_total{model="parcels",deployment="test",version="2"}' in text


def test_a_split_that_cannot_be_served_changes_nothing(rig: Rig) -> None:
    for targets, status in (
        ((Target(alias="champion", share=0.5),), 400),
        ((Target(alias="champion", share=0.5), Target(version="99", share=0.5)), 409),
        ((Target(alias="nobody"),), 409),
    ):
        assert rig.served.set_targets(*targets).status_code == status
    assert [each.target for each in rig.served.state().targets] == ["@champion"]


def test_without_the_token_nothing_but_health_is_said(rig: Rig) -> None:
    with httpx.Client(base_url=rig.served.url, timeout=60) as stranger:
        for path in ("/metrics", "/schema", "/v2/models/parcels", "/version"):
            assert stranger.get(path).status_code == 401
        assert stranger.post("/invocations", json=BODY).status_code == 401
        assert stranger.get("/v2/health/live").status_code == 200
        assert stranger.get("/ping", headers={"authorization": "Bearer wrong"}).status_code == 200
        assert stranger.get("/schema", headers={"authorization": "Bearer wrong"}).status_code == 401
    for log in (rig.served.log, (rig.home / "server" / "spec.json").read_text()):
        assert TOKEN not in log


def test_commands_are_taken_on_a_socket_of_its_owners_alone(rig: Rig) -> None:
    assert Path(rig.served.spec.admin_socket).stat().st_mode & 0o777 == 0o600
    assert rig.served.http.get("/state").status_code == 404


def test_who_sends_drop_by_drop_is_cut_off(rig: Rig) -> None:
    """By a server of little patience, of its own: others would be cut off by it when the machine is busy."""
    impatient = Limits(header_seconds=2.0, body_seconds=2.0)
    with serving(rig.backend, rig.home / "impatient", limits=impatient) as served:
        host, _, port = served.url.removeprefix("http://").partition(":")
        started = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        whole = started + b"Content-Length: 100\r\n\r\n{"
        for sent in (b"", started, whole):
            with socket.create_connection((host, int(port)), timeout=120) as slow:
                said = b""
                with contextlib.suppress(ConnectionResetError, BrokenPipeError):  # where we are late, it has closed
                    slow.sendall(sent)
                with contextlib.suppress(ConnectionResetError):
                    while part := slow.recv(1000):
                        said += part
                assert said.startswith(b"HTTP/1.1 408")


def test_a_hang_up_changes_nothing_and_a_dead_worker_is_replaced(rig: Rig) -> None:
    rig.served.process.send_signal(signal.SIGHUP)
    before = [each.pid for each in rig.served.state().workers]
    counted = sum(each.requests for each in rig.served.state().versions if each.version == "1")
    os.kill(before[0], signal.SIGKILL)

    def replaced() -> bool:
        found = rig.served.state().workers
        return before[0] not in [each.pid for each in found] and all(each.loaded for each in found)

    until(replaced, seconds=240, what="another worker")
    assert rig.answers("1")
    after = sum(each.requests for each in rig.served.state().versions if each.version == "1")
    assert after >= counted, "what the dead one had counted is kept"


def test_the_number_of_workers_changes_while_it_serves(rig: Rig) -> None:
    for wanted in (1, 2):
        rig.served.admin.post("/workers", content=str(wanted)).raise_for_status()
        assert len(rig.served.state().workers) == wanted
        assert rig.answers("1")
    assert rig.served.admin.post("/workers", content="0").status_code == 400


def test_workers_that_leave_turn_nobody_away(rig: Rig) -> None:
    """Each asks on a connection of its own, which may be accepted in the very moment in which its worker leaves."""
    stop, troubles, answered = threading.Event(), [], [0]
    place = rig.served.url.removeprefix("http://")
    headers = {"authorization": f"Bearer {TOKEN}", "connection": "close", "content-type": "application/json"}
    body = json.dumps(BODY)

    def load() -> None:
        while not stop.is_set():
            asked = http.client.HTTPConnection(place, timeout=60)
            try:
                asked.request("POST", "/invocations", body, headers)
                answered[0] += asked.getresponse().status == 200
            except (OSError, http.client.HTTPException) as error:
                troubles.append(repr(error))
            finally:
                asked.close()

    threads = [threading.Thread(target=load, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for wanted in (1, 2, 1, 2):
            rig.served.admin.post("/workers", content=str(wanted)).raise_for_status()
            until(lambda had=answered[0]: answered[0] > had + 15 or troubles, what="more answers")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert troubles == []
    assert answered[0] > 50


def test_what_cannot_be_served_is_said_at_the_start(rig: Rig, tmp_path: Path) -> None:
    for said, words in (
        ({"targets": (Target(alias="nobody"),)}, "nobody"),
        ({"targets": (Target(alias="champion", share=0.5),)}, "shares"),
        ({"port": int(rig.served.url.rpartition(":")[2])}, "cannot listen"),
        ({"host": "0.0.0.0"}, "token"),
    ):
        spec = ServingSpec(
            **(
                {"id": "x", "place": rig.served.spec.place, "model": "parcels", "targets": (Target(alias="champion"),)}
                | said
            )
        )
        process, line, _ = start(spec, tmp_path)
        assert line["ready"] is False
        assert words in line["error"]
        assert process.wait(120) == 1


def test_what_is_being_answered_is_answered_before_the_end(rig: Rig) -> None:
    """The last one: the server of this module ends here."""
    many = {"dataframe_records": json_rows(rows(20_000, seed=1))}
    answers: list[int] = []

    def ask() -> None:
        answers.append(rig.served.http.post("/invocations", json=many).status_code)

    def in_flight() -> bool:
        return any(each.in_flight for each in rig.served.state().workers)

    def begun(asking: threading.Thread) -> bool:
        """Whether the request was seen while it was being answered."""
        asking.start()
        while asking.is_alive():
            if in_flight():
                return True
        return False

    requests = (threading.Thread(target=ask) for _ in range(50))
    asking = next((each for each in requests if begun(each)), None)
    assert asking is not None, "no request was seen under way"
    rig.served.process.send_signal(signal.SIGTERM)
    asking.join()
    assert set(answers) == {200}
    assert rig.served.process.wait(60) == 0
    assert not Path(rig.served.spec.admin_socket).exists()
