"""A look that takes a while says that it is under way, and esc ends it with its process."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from backends.contract import Refused
from backends.entities import Report
from console.offload import run_offloaded
from tests.terminal.stage import add_run, add_version, on_stage, press, screen, session, until, until_so

FOREVER = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1]).write_text(f"{os.getpid()} {child.pid}")
time.sleep(600)
"""


@pytest.fixture
def opened(tmp_path: Path):
    made = session(tmp_path / "ws")
    add_version(made.backend, "churn", add_run(made.backend))
    return made


async def test_esc_stops_an_explanation_and_its_process(opened, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "forever.py").write_text(FOREVER)
    pids = tmp_path / "pids"
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])

    def forever(_backend, _job, _actor, *, on_progress, cancel) -> Report:
        return run_offloaded("forever", [str(pids)], on_progress=on_progress, cancel=cancel, env={"PYTHONPATH": path})  # type: ignore[no-any-return]

    monkeypatch.setattr("console.training.examiner.explained", forever)
    async with on_stage(opened, size=(80, 24), pane="models", argument="churn") as (app, pilot):
        await until(app, pilot, "v1")
        await press(app, pilot, "i")
        text = await until(app, pilot, "explaining churn@1")
        assert "esc stops" in text
        await until_so(pilot, lambda: pids.exists() and len(pids.read_text().split()) == 2)
        await press(app, pilot, "escape")
        await until(app, pilot, "stopped")
        await until_so(pilot, lambda: not any(psutil.pid_exists(int(pid)) for pid in pids.read_text().split()))
        await until_so(pilot, lambda: "explaining churn@1  " not in screen(app))
        assert "v1" in screen(app)  # the same esc did not leave the model
        assert not app.looks


async def test_a_look_that_fails_says_why_and_leaves_nothing_under_way(opened, monkeypatch) -> None:
    def refused(*_: object, **__: object) -> Report:
        raise Refused("odd types")

    monkeypatch.setattr("console.training.examiner.explained", refused)
    async with on_stage(opened, size=(80, 24), pane="models", argument="churn") as (app, pilot):
        await until(app, pilot, "v1")
        await press(app, pilot, "i")
        await until(app, pilot, "odd types")
        assert not app.looks
        assert "esc stops" not in screen(app)
