"""A Ray that lets go of a job which waited for room too long: the run waits on, and is handed over anew.

What the head answers is as a real one does; one that waits shorter than a quarter of an hour is not to be had for all.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from backends.entities import Job, LauncherRef, Needs, RunStatus
from backends.ray.engine import RayEngine
from tests.launcher.bench import ME, Bench, until

GIVEN_UP = {
    "status": "FAILED",
    "message": "Job supervisor actor failed to start within 900.0 seconds.",
    "error_type": "JOB_SUPERVISOR_ACTOR_START_TIMEOUT",
    "driver_agent_http_address": None,
    "driver_exit_code": None,
}
WAITING = {"status": "PENDING", "message": "It may be waiting for resources.", "driver_agent_http_address": None}


class Answers(BaseHTTPRequestHandler):
    def do(self) -> None:
        head: StubbornHead = self.server  # type: ignore[assignment]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        code, said = head.answer(self.command, self.path, body)
        data = json.dumps(said).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = do

    def log_message(self, *_: object) -> None:
        pass


class StubbornHead(ThreadingHTTPServer):
    """Jobs wait here; `give_up` does to them what time does."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.jobs: dict[str, dict[str, Any]] = {}
        self.submitted: list[dict[str, Any]] = []
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def ref(self) -> LauncherRef:
        """Nothing runs here that would ask for an agent."""
        return LauncherRef(url=f"ray+http://127.0.0.1:{self.server_address[1]}", options={"agent": "http://nowhere"})

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        name = path.rpartition("/")[2]
        if path.startswith("/api/packages/"):
            return 200, {}
        if method == "POST" and path == "/api/jobs/":
            asked = json.loads(body)
            if asked["submission_id"] in self.jobs:
                return 500, f"400: a job with submission_id {asked['submission_id']} already exists"
            self.jobs[asked["submission_id"]] = dict(WAITING)
            self.submitted.append(asked)  # last: who sees it may give it up
            return 200, {"submission_id": asked["submission_id"]}
        if method == "POST":
            return 200, {"stopped": True}
        if name not in self.jobs:
            return 404, f"job {name} does not exist"
        if method == "DELETE":
            del self.jobs[name]
            return 200, {"deleted": True}
        return 200, self.jobs[name]

    def give_up(self) -> None:
        for job in list(self.jobs.values()):
            job.update(GIVEN_UP)


@pytest.fixture
def head() -> Iterator[StubbornHead]:
    made = StubbornHead()
    yield made
    made.shutdown()
    made.server_close()


def test_a_job_that_ray_gave_up_waits_and_may_be_submitted_again(head: StubbornHead) -> None:
    engine = RayEngine(head.ref)
    job = Job(run="a" * 32, name="x", folder="", entry=("true",))
    assert engine.submit([job]) == {job.run: job.run}
    assert not engine.look({job.run: job.run})[job.run].given_up
    assert engine.submit([job]) == {job.run: job.run}
    assert len(head.submitted) == 1
    head.give_up()
    told = engine.look({job.run: job.run})[job.run]
    assert (told.status, told.given_up) == (RunStatus.QUEUED, True)
    assert engine.submit([job]) == {job.run: job.run}
    assert len(head.submitted) == 2
    assert not engine.look({job.run: job.run})[job.run].given_up
    engine.close()


def test_one_that_had_begun_was_not_given_up(head: StubbornHead) -> None:
    engine = RayEngine(head.ref)
    head.jobs["a" * 32] = {**GIVEN_UP, "driver_agent_http_address": "http://10.0.0.7:52365"}
    told = engine.look({"a" * 32: "a" * 32})["a" * 32]
    assert (told.status, told.given_up, told.where) == (RunStatus.FAILED, False, "10.0.0.7")
    engine.close()


@pytest.mark.parametrize(
    ("needs", "options", "cpus"),
    [
        (Needs(), {}, 1),
        (Needs(cpu=0.5), {}, 0.5),
        (Needs(gpu=1), {}, None),
        (Needs(memory=1_000), {}, None),
        (Needs(), {"resource.tpu": "1"}, None),
    ],
)
def test_who_asks_for_nothing_takes_a_cpu_lest_all_stay_on_the_head(
    head: StubbornHead, needs: Needs, options: dict[str, str], cpus: float | None
) -> None:
    engine = RayEngine(head.ref)
    job = Job(run="a" * 32, name="x", folder="", entry=("true",), needs=needs, options=options)
    assert engine.asked(job, {}).get("entrypoint_num_cpus") == cpus
    engine.close()


def test_the_run_stays_in_the_queue_and_its_stop_is_heard(
    head: StubbornHead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "none.toml"))
    bench = Bench(tmp_path / "workspace", head.ref)
    try:
        run = bench.submit("true")
        until(lambda: len(head.submitted) == 1, "its being handed over")
        for times in (2, 3):
            head.give_up()
            until(lambda times=times: len(head.submitted) == times, "its being handed over anew")
        assert {asked["submission_id"] for asked in head.submitted} == {run}
        assert bench.get(run).status is RunStatus.QUEUED
        bench.launcher.cancel(run, ME)
        assert bench.wait(run).status is RunStatus.STOPPED
    finally:
        bench.close()
