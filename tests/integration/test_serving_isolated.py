"""Versions that the console never loads, served by the command that a rule names: behind our server, on a leash.

The command here is a small one that speaks MLflow's `/invocations`; `test_serving_mlflow.py` has MLflow's own.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sklearn.linear_model import LogisticRegression

from backends.connect import place_of
from backends.contract import Backend, Refused
from backends.entities import ModelFile, Signature
from backends.local import open_local
from console.serving.fetched import fetch_version
from console.serving.pins import pin_path
from console.serving.spec import ServingSpec, Target
from tests.processes import gone, words_of
from tests.serving import (
    WHO,
    Served,
    columns_of,
    fitted,
    json_rows,
    keep_version,
    labels,
    point,
    rows,
    serving,
    start,
    until,
)

FRAME = rows(200)
NEW = rows(3, seed=4)
BODY = {"dataframe_records": json_rows(NEW)}

SCORER = """
import json, os, signal, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

folder, port, log = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
log.write_text(json.dumps(dict(os.environ)))
factor = float((folder / "factor").read_text())
if factor < 0:
    print("this model cannot be loaded here", flush=True)
    sys.exit(3)

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.say(200, b"")
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["dataframe_split"]
        table = [dict(zip(asked["columns"], row)) for row in asked["data"]]
        if any(row["weight"] is None for row in table):
            return self.say(400, b'{"message": "weight is missing"}')
        wrong = [row for row in table if type(row["stops"]) is not int or type(row["express"]) is not bool]
        if wrong:
            return self.say(500, b'{"message": "not the types of the signature"}')
        self.say(200, json.dumps({"predictions": [row["weight"] * factor for row in table]}).encode())
    def say(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass

print("loaded", factor, flush=True)
ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


class Evil:
    """A model file that does harm where it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.mark}'",)


class Rig:
    """A workspace with a skops version `1` and pickled ones `2`, `3`; `4` cannot be loaded by its command either."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.backend: Backend = open_local(home / "workspace")
        self.pwned = home / "pwned"
        self.environment = home / "environment"
        self.model = fitted(FRAME, labels(FRAME), LogisticRegression(max_iter=200))
        keep_version(self.backend, home / "ours", self.model, FRAME)
        for factor in (2.0, 3.0, -1.0):
            self.pickled(factor)
        point(self.backend, "champion", "1")

    def pickled(self, factor: float) -> str:
        made_in = self.home / f"pickled{factor}"
        made_in.mkdir()
        (made_in / "model.pkl").write_bytes(pickle.dumps(Evil(self.pwned)))
        (made_in / "factor").write_text(str(factor))
        run = self.backend.need("runs").create(name="pickled", mutation=WHO)
        put = self.backend.need("artifacts").put
        put(run.id, "model/factor", made_in / "factor")
        kept = put(run.id, "model/model.pkl", made_in / "model.pkl")
        file = ModelFile(sha256=kept.sha256, bytes=kept.bytes, format="pickle", path="model/model.pkl")
        made = self.backend.need("registry").register(
            "parcels", run=run.id, file=file, signature=Signature(inputs=columns_of(FRAME)), mutation=WHO
        )
        return str(made.version)

    def rule(self) -> str:
        (self.home / "scorer.py").write_text(SCORER)
        command = f"{sys.executable} {self.home}/scorer.py {{path}} {{port}} {self.environment}"
        return f'[[serving]]\nmodel = "parcels"\ncommand = "{command}"\nenv = ["WANTED"]\nstart_seconds = 60\n'

    def answers(self, served: Served, factor: float) -> bool:
        answer = served.http.post("/invocations", json=BODY)
        wanted = [weight * factor for weight in NEW["weight"]]
        return answer.status_code == 200 and answer.json()["predictions"] == wanted


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    home = tmp_path_factory.mktemp("isolated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_CONSOLE_CONFIG", str(home / "config" / "config.toml"))
        patch.setenv("WANTED", "this one")
        patch.setenv("A_TOKEN", "hunter2-secret")
        (home / "config").mkdir()
        made = Rig(home)
        (home / "config" / "policies.toml").write_text(made.rule())
        yield made
        assert not made.pwned.exists(), "a pickle was loaded"
        made.backend.close()


@pytest.fixture(scope="module")
def served(rig: Rig) -> Iterator[Served]:
    with serving(rig.backend, rig.home / "server") as running:
        yield running


@pytest.fixture(autouse=True)
def as_before(rig: Rig, request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if rig.backend.need("registry").get("parcels").aliases["champion"] != "1":
        point(rig.backend, "champion", "1")
    if "served" in request.fixturenames and request.getfixturevalue("served").process.poll() is None:
        until(lambda: request.getfixturevalue("served").state().targets[0].version == "1", what="the first version")


def processes(served: Served, script: str) -> dict[str, psutil.Process]:
    """Those of the server that run this script, by the folder that they were given."""
    found = {}
    for each in psutil.Process(served.process.pid).children(recursive=True):
        words = words_of(each)
        at = next((at for at, word in enumerate(words) if word.endswith(script)), None)
        if at is not None and (script == "leash.py" or not any(word.endswith("leash.py") for word in words)):
            found[next(word for word in words[at:] if word.endswith("/model"))] = each
    return found


def folder(rig: Rig, version: str) -> str:
    return fetch_version(rig.backend, "parcels", version).path


def test_without_a_rule_it_is_refused_with_what_to_do(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(rig.home / "none" / "config.toml"))
    with pytest.raises(Refused, match=r"file is pickle, and loading such a file runs code.*\[\[serving\]\]"):
        fetch_version(rig.backend, "parcels", "2")


def test_a_swap_to_a_pickle_and_between_pickles_turns_nobody_away(rig: Rig, served: Served) -> None:
    stop, troubles, seen = threading.Event(), [], set()

    def load() -> None:
        with httpx.Client(base_url=served.url, timeout=60) as client:
            while not stop.is_set():
                answer = client.post("/invocations", json=BODY)
                version = answer.headers.get("x-model-version", "")
                seen.add(version)
                factor = {"2": 2.0, "3": 3.0}.get(version)
                right = (
                    rig.model.predict(NEW).tolist() if factor is None else [weight * factor for weight in NEW["weight"]]
                )
                if answer.status_code != 200 or answer.json()["predictions"] != right:
                    troubles.append((answer.status_code, version, answer.text[:200]))

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for version in ("2", "3", "1", "3"):
            point(rig.backend, "champion", version)
            seen.clear()
            until(lambda wanted=version: served.state().targets[0].version == wanted, what=f"v{version}")
            until(lambda wanted=version: wanted in seen or troubles, what=f"an answer of v{version}")
    finally:
        stop.set()
        thread.join()
    assert troubles == []
    assert "v2 | loaded 2.0" in served.log
    # The one before stays: a rollback takes no time. No other does.
    until(lambda: set(processes(served, "scorer.py")) == {folder(rig, "3")}, what="the end of what is served no more")
    log = [json.loads(line) for path in (rig.home / "server").glob("log/*.jsonl") for line in path.open()]
    assert log == [], "nobody asked for a log"
    given = json.loads(rig.environment.read_text())
    assert (given["WANTED"], "A_TOKEN" in given, "PYTHONPATH" in given) == ("this one", False, False)


def test_one_that_its_command_cannot_load_leaves_the_old_one_and_no_process(rig: Rig, served: Served) -> None:
    point(rig.backend, "champion", "4")
    standing = until(
        lambda: next((each for each in served.state().targets if each.state == "kept"), None), what="the refusal"
    )
    assert (standing.version, standing.wanted) == ("1", "4")
    assert "ended with 3: this model cannot be loaded here" in standing.why
    assert served.ask(BODY["dataframe_records"][0]).headers["x-model-version"] == "1"
    place = folder(rig, "4")  # it is told a moment before its process is gone
    until(lambda: place not in processes(served, "scorer.py"), what="the end of its process")


def test_rows_are_refused_as_the_model_refuses_them(rig: Rig, served: Served) -> None:
    point(rig.backend, "champion", "2")
    until(lambda: served.state().targets[0].version == "2", what="v2")
    row = BODY["dataframe_records"][0]
    assert served.ask(row | {"weight": None}).status_code == 400, "it was tried: it takes no missing weight"
    assert served.ask(row | {"carrier": None}).status_code == 200
    proba = served.http.post("/invocations", json=BODY | {"params": {"predict_method": "predict_proba"}})
    assert (proba.status_code, "no predict_proba" in proba.json()["message"]) == (400, True)
    served.set_targets(Target(version="1"), Target(version="2", share=0, shadow=True)).raise_for_status()
    served.ask(row)
    until(lambda: any(each.shadow_requests for each in served.state().versions), what="the shadow")
    assert not any(each.shadow_errors for each in served.state().versions)
    served.set_targets(Target(alias="champion")).raise_for_status()


@pytest.mark.parametrize("whom", ["command", "leash"])
def test_a_killed_process_is_told_and_comes_back(rig: Rig, served: Served, whom: str) -> None:
    point(rig.backend, "champion", "2")
    until(lambda: rig.answers(served, 2.0), what="v2")
    victim = processes(served, "leash.py" if whom == "leash" else "scorer.py")[folder(rig, "2")]
    left = processes(served, "scorer.py")[folder(rig, "2")]
    victim.send_signal(signal.SIGKILL)
    victim.wait(120)
    until(lambda: f"v2: the command that serves it ended with {'-9' if whom == 'leash' else '137'}" in served.log)
    until(lambda: rig.answers(served, 2.0), what="another one")
    until(lambda: served.http.get("/ping").status_code == 200, what="health")
    until(lambda: served.state().targets[0].why == "", what="all well")
    until(lambda: gone(left), what="the end of all that the dead one left")


def test_while_its_process_is_away_the_server_says_so(rig: Rig, served: Served) -> None:
    point(rig.backend, "champion", "2")
    until(lambda: rig.answers(served, 2.0), what="v2")
    scorer = processes(served, "scorer.py")[folder(rig, "2")]
    scorer.suspend()
    assert served.http.get("/ping").status_code == 503
    assert served.http.get("/v2/health/ready").json() == {"ready": False}
    scorer.resume()
    until(lambda: served.http.get("/ping").status_code == 200, what="health")
    assert rig.answers(served, 2.0)


def test_files_that_were_exchanged_are_not_served(rig: Rig, tmp_path: Path) -> None:
    first = fetch_version(rig.backend, "parcels", "2")
    assert Path(first.path, "factor").read_text() == "2.0"
    version = rig.backend.need("registry").version("parcels", "2")
    kept = rig.backend.need("artifacts").open(version.run, "model/model.pkl")
    original = kept.read_bytes()
    kept.chmod(0o600)
    kept.write_bytes(original + b"x")
    try:
        with pytest.raises(Refused, match="not the file that was registered"):
            fetch_version(rig.backend, "parcels", "2")
    finally:
        kept.write_bytes(original)
    beside = rig.backend.need("artifacts").open(version.run, "model/factor")
    held = beside.read_bytes()
    beside.chmod(0o600)
    beside.write_bytes(b"5.0")  # no digest of it was recorded: what was served first is what counts
    try:
        with pytest.raises(Refused, match="not what was served first"):
            fetch_version(rig.backend, "parcels", "2")
    finally:
        beside.write_bytes(held)
    assert fetch_version(rig.backend, "parcels", "2").sha256 == first.sha256
    assert rig.backend.home is not None
    assert pin_path(rig.backend.home, version).stat().st_mode & 0o077 in (0, 0o044)


def test_a_killed_server_leaves_no_process(rig: Rig) -> None:
    with serving(rig.backend, rig.home / "other", targets=(Target(version="3"),)) as other:
        assert rig.answers(other, 3.0)
        left = [*processes(other, "scorer.py").values(), *processes(other, "leash.py").values()]
        left += [psutil.Process(each.pid) for each in other.state().workers]
        assert len(left) == 3
        other.process.send_signal(signal.SIGKILL)
        other.process.wait(120)
        until(lambda: all(map(gone, left)), what="their end")


def test_a_start_that_cannot_be_says_why(rig: Rig, tmp_path: Path) -> None:
    spec = ServingSpec(id="x", place=place_of(rig.backend), model="parcels", targets=(Target(version="4"),))
    process, line, _ = start(spec, tmp_path)
    assert line["ready"] is False
    assert "cannot be loaded here" in line["error"]
    assert process.wait(120) == 1


def test_an_ended_server_leaves_no_process(rig: Rig, served: Served) -> None:
    """The last one: the server of this module ends here."""
    point(rig.backend, "champion", "3")
    until(lambda: rig.answers(served, 3.0), what="v3")
    left = [*processes(served, "scorer.py").values(), *processes(served, "leash.py").values()]
    assert len(left) >= 2
    assert served.end() == 0
    until(lambda: all(map(gone, left)), what="their end")  # killed, and not yet dead for a moment
