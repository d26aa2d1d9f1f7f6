"""Runs for real, sampled and flagged: a command that falls silent, a metric that is no number, what a machine does."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Backend, Mutation
from backends.entities import Run, RunStatus
from backends.local import open_local
from backends.system_metrics import is_system, own
from console.agent import ensure_agent, stop_agent
from console.training.command_run import start_recipe
from console.training.flags import STALLED_TAG, flags
from tests.protocol_server import TOKEN, OwnServer, start_own

ROOT = Path(__file__).parents[2]
ME = Mutation("someone@somewhere", "trying")

JOB = """
say() { echo "{\\"metrics\\": {\\"loss\\": $1}, \\"step\\": $2}" >&$MLOPS_PROGRESS_FD; }
until_there() { while [ ! -e $1 ]; do sleep 0.05; done; }
say 1.0 1
say NaN 2
until_there talk
i=0; while [ ! -e on ]; do i=$((i+1)); echo line $i; sleep 0.2; done
say 0.5 3
while [ ! -e end ]; do echo still here; sleep 0.2; done
"""


def console(workspace: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "console.cli.main", *words],
        env={**os.environ, "MLOPS_CONSOLE_WORKSPACE": str(workspace), "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=240, check=False, cwd=workspace.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def until(condition: Callable[[], object], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    opened = open_local(tmp_path / "w")
    yield opened
    stop_agent(tmp_path / "w")
    opened.close()


def start(backend: Backend, home: Path, script: str, more: str = "") -> str:
    (home / "job.sh").write_text(script)
    ensure_agent(home / "w")
    return start_recipe(backend, f'command = "sh job.sh"\n{more}', ME, origin=str(home)).id


def test_a_silent_run_is_flagged_and_what_it_says_takes_the_flags_away(backend: Backend, tmp_path: Path) -> None:
    run = start(backend, tmp_path, JOB, "stalled_after = 0.1\n")  # six seconds

    def seen() -> set[str]:
        found: Run = backend.need("runs").get(run)
        assert found.status in (RunStatus.QUEUED, RunStatus.RUNNING), found.reason
        return {str(each.flag) for each in flags(found)}

    until(lambda: seen() == {"stalled", "NaN"})
    told = json.loads(console(tmp_path / "w", "run", "show", run[:8], "--json"))
    assert [each["flag"] for each in told["flags"]] == ["NaN", "stalled"]
    assert told["flags"][0]["text"] == "loss is NaN since step 2"
    assert "NaN, stalled" in console(tmp_path / "w", "run", "list")
    (tmp_path / "talk").touch()
    until(lambda: seen() == {"NaN"})  # output alone is a sign of life
    (tmp_path / "on").touch()
    until(lambda: seen() == set())
    (tmp_path / "end").touch()
    until(lambda: backend.need("runs").get(run).status.ended)
    assert flags(backend.need("runs").get(run)) == ()


def test_what_a_run_takes_is_measured_over_all_of_its_processes(backend: Backend, tmp_path: Path) -> None:
    """Both stay until it was seen that there are two."""
    eat = (
        "import pathlib, time; b = bytearray(80_000_000); b[::4096] = b'x' * len(b[::4096])\n"
        "end = time.process_time() + 1.5\nwhile time.process_time() < end: pass\n"
        "while not pathlib.Path('seen').exists(): time.sleep(0.05)"
    )
    (tmp_path / "eat.py").write_text(eat)
    run = start(backend, tmp_path, f"{sys.executable} eat.py &\n{sys.executable} eat.py &\nwait\n")
    peak = "system/run_memory_peak_megabytes"
    until(lambda: backend.need("runs").get(run).metrics.get(peak, 0) > 2 * 80)
    (tmp_path / "seen").touch()
    until(lambda: backend.need("runs").get(run).status.ended)
    found = backend.need("runs").get(run)
    assert (found.status, own(found.metrics)) == (RunStatus.FINISHED, {})
    assert found.metrics["system/run_cpu_seconds"] >= 3.0
    assert found.metrics[peak] > 2 * 80, "both at once, not the larger one"
    assert backend.need("runs").series(run, "system/run_processes").buckets[0].high >= 2
    shown = console(tmp_path / "w", "run", "show", run[:8])
    assert "peak memory  " in shown
    assert "cpu time" in shown


def test_a_recipe_may_have_nothing_sampled(backend: Backend, tmp_path: Path) -> None:
    run = start(backend, tmp_path, "sleep 2", "system_metrics = false\n")
    until(lambda: backend.need("runs").get(run).status.ended)
    assert backend.need("runs").get(run).metrics == {}


# ---------------------------------------------------------------- over the protocol


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OwnServer]:
    started = start_own(tmp_path / "w")
    yield started
    started.stop()


@pytest.fixture
def client(server: OwnServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    mlflow = pytest.importorskip("mlflow", reason="mlflow comes with the test extra")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
    return mlflow.MlflowClient(tracking_uri=server.url)


def test_a_run_reported_over_the_protocol_is_watched_alike(server: OwnServer, client: Any) -> None:
    run = client.create_run(client.create_experiment("watched")).info.run_id
    client.set_tag(run, STALLED_TAG, "0.0001")
    client.log_metric(run, "loss", 1.0, step=0)
    client.log_metric(run, "loss", math.nan, step=1)
    time.sleep(0.1)
    found = server.backend.need("runs").get(run)
    assert [each.text for each in flags(found)][:1] == ["loss is NaN since step 1"]
    assert [str(each.flag) for each in flags(found)] == ["NaN", "stalled"]
    client.set_tag(run, STALLED_TAG, "30")
    client.log_metric(run, "loss", 0.5, step=2)
    assert flags(server.backend.need("runs").get(run)) == ()
    client.set_terminated(run)


def test_a_client_sees_the_samples_of_a_run_as_mlflows_own(server: OwnServer, client: Any, tmp_path: Path) -> None:
    opened = open_local(tmp_path / "w")
    try:
        run = start(opened, tmp_path, "while [ ! -e seen ]; do sleep 0.05; done", "system_metrics = 1\n")
        memory = "system/system_memory_usage_megabytes"
        until(lambda: len(client.get_metric_history(run, memory)) >= 2)
        (tmp_path / "seen").touch()
        until(lambda: opened.need("runs").get(run).status.ended)
    finally:
        stop_agent(tmp_path / "w")
        opened.close()
    history = client.get_metric_history(run, memory)
    assert len(history) >= 2
    assert all(point.value > 0 and point.timestamp > 1_600_000_000_000 for point in history)
    assert [point.step for point in history] == sorted({point.step for point in history})
    assert all(map(is_system, client.get_run(run).data.metrics))
