"""The line is lost, consoles race, processes and disks fail: afterwards every part tells the same true story."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Backend
from backends.entities import RunStatus
from backends.local import open_local
from backends.local.process_identity import is_alive, send_signal
from backends.local.process_tree import kill_run_processes
from backends.local.run_folder import RunFolder
from console.agent import agent_status, stop_agent
from console.promotion.promote import promote
from tests.terminal.terminal import Terminal
from tests.unit.registry import ME, version_of

ROOT = Path(__file__).parents[2]


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def hang_up(terminal: Terminal) -> int:
    """Close the line as a lost connection does; how the console ended."""
    line, terminal.fd = terminal.fd, os.open(os.devnull, os.O_RDONLY)
    os.close(line)
    _, status = os.waitpid(terminal.pid, 0)
    terminal.code = os.waitstatus_to_exitcode(status)
    return terminal.code


HUNG_UP = (128 + signal.SIGHUP, -signal.SIGHUP)


def cli(workspace: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "console.launch", "--workspace", str(workspace), *words],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer(workspace: Path, *words: str) -> Any:
    """What the command line says, as JSON."""
    process = cli(workspace, *words, "--json")
    out, complaint = process.communicate(timeout=60)
    assert process.returncode == 0, complaint
    return json.loads(out)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "workspace"
    open_local(home).close()
    yield home
    stop_agent(home)
    backend = open_local(home)
    for run in backend.need("runs").page().items:
        meta = RunFolder.of(home, run.id).meta()
        if meta is not None and is_alive(meta.supervisor):
            send_signal(meta.supervisor, signal.SIGKILL)
        kill_run_processes(run.id)
    backend.close()


# ---------------------------------------------------------------- the line is lost during a training

RECIPE = """
name = "over ssh"
dataset = "things"
target = "label"
task = "classification"
seed = 1
[estimator]
class = "sklearn.ensemble.HistGradientBoostingClassifier"
[estimator.params]
max_iter = 200
"""


def bring_data(workspace: Path, folder: Path) -> None:
    chance = random.Random(4)
    lines = ["x,y,label"]
    for _ in range(3000):
        x, y = chance.gauss(0, 1), chance.gauss(0, 1)
        lines.append(f"{x:.4f},{y:.4f},{'yes' if x + y / 2 + chance.gauss(0, 0.5) > 0 else 'no'}")
    file = folder / "things.csv"
    file.write_text("\n".join(lines) + "\n")
    answer(workspace, "dataset", "import", str(file), "things")


def test_a_training_started_from_the_keyboard_outlives_its_terminal(workspace: Path, tmp_path: Path) -> None:
    bring_data(workspace, tmp_path)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    backend = open_local(workspace)
    runs = backend.need("runs")
    with Terminal("--workspace", str(workspace), "runs", size=(120, 40)) as terminal:
        terminal.wait("● live")
        terminal.rest(0.3)
        terminal.press(":")
        terminal.rest(0.3)
        terminal.press(f"train {recipe}")
        terminal.rest(0.3)
        terminal.press("\r")
        terminal.wait("run name")
        terminal.rest(0.2)
        terminal.press("\x13")  # ctrl+s: the form as it is
        until(lambda: terminal.read(0.01) >= 0 and runs.page().items)
        (run,) = runs.page().items
        until(lambda: terminal.read(0.01) >= 0 and runs.get(run.id).status is RunStatus.RUNNING)
        assert hang_up(terminal) in HUNG_UP
    assert not runs.get(run.id).status.ended, "it was in the middle"
    agent = agent_status(workspace)
    assert agent.running
    until(lambda: runs.get(run.id).status.ended, 60)
    ended = runs.get(run.id)
    assert (ended.status, ended.reason) == (RunStatus.FINISHED, "")
    assert ended.metrics["auc"] > 0.8
    assert agent_status(workspace).pid == agent.pid, "the same agent, all the way"
    with Terminal("--workspace", str(workspace), "runs", size=(120, 40)) as terminal:
        terminal.wait("finished")
        assert "over ssh" in terminal.text
    assert [item["status"] for item in answer(workspace, "run", "list")["items"]] == ["finished"]
    backend.close()


# ---------------------------------------------------------------- the line is lost during a promotion


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """churn v1 is champion; v2 and v3 are as good and wait."""
    home = tmp_path_factory.mktemp("template")
    backend = open_local(home / "workspace")
    for at in range(3):
        version_of(backend, home, auc=0.7 + at / 10, content=f"model {at}".encode())
    promote(backend, "churn", "1", "champion", ME, expected=None)
    backend.close()
    return home / "workspace"


def story(backend: Backend) -> list[str]:
    """Who held champion, newest first; alias, history and journal agree on it and the chain holds."""
    registry, journal = backend.need("registry"), backend.need("journal")
    held = registry.get("churn").aliases["champion"]
    moves = registry.history("churn", alias="champion")
    entries = [
        entry
        for entry in journal.page(limit=10_000).items
        if entry.action == "model.promote" and entry.outcome.value == "done"
    ]
    assert moves[0].version == held
    assert [move.entry for move in moves] == [entry.id for entry in entries]
    assert all(newer.previous == older.version for newer, older in pairwise(moves))
    assert journal.verify() == (journal.page(limit=1).total, "")
    return [move.version for move in moves]


def test_a_promotion_confirmed_as_the_line_is_lost_is_done_or_not(template: Path, tmp_path: Path) -> None:
    chance = random.Random(7)
    for attempt in range(5):
        home = tmp_path / str(attempt)
        shutil.copytree(template, home)
        with Terminal("--workspace", str(home), "models", size=(120, 40)) as terminal:
            terminal.wait("churn")
            terminal.rest(0.3)
            terminal.press("p")
            terminal.wait("Promote which version")
            terminal.rest(0.2)
            terminal.press("\r")
            terminal.wait("difference")
            terminal.rest(0.2)
            terminal.press("y")
            time.sleep(chance.random() * 0.05)
            assert hang_up(terminal) in HUNG_UP
        backend = open_local(home)
        assert story(backend) in (["1"], ["3", "1"])
        shown = answer(home, "model", "show", "churn")
        assert shown["aliases"]["champion"] == backend.need("registry").get("churn").aliases["champion"]
        assert answer(home, "journal", "verify")
        backend.close()


# ---------------------------------------------------------------- two consoles at once


def test_of_two_consoles_that_promote_at_once_one_wins_and_the_other_is_told(template: Path, tmp_path: Path) -> None:
    home = tmp_path / "workspace"
    shutil.copytree(template, home)
    backend = open_local(home)
    expected, winners = "1", []
    for _ in range(20):
        rivals = [version for version in ("1", "2", "3") if version != expected]
        words = ("--expected", expected, "--override", "-m", "a race")
        racing = {version: cli(home, "model", "promote", "churn", version, *words) for version in rivals}
        said = {version: process.communicate(timeout=60)[1] for version, process in racing.items()}
        won = [version for version, process in racing.items() if process.returncode == 0]
        assert len(won) == 1, said
        (lost,) = set(rivals) - set(won)
        assert racing[lost].returncode == 1
        move = backend.need("registry").history("churn", alias="champion")[0]
        assert move.version == won[0]
        clock = time.strftime("%H:%M", time.localtime(move.at / 1000))
        for told in (move.actor, clock, f"v{expected}", f"v{won[0]}"):
            assert told in said[lost], f"{told!r} is not told: {said[lost]}"
        winners.append(won[0])
        expected = won[0]
    assert story(backend) == [*winners[::-1], "1"]
    backend.close()
