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
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backends.contract import Backend, Mutation
from backends.entities import RunStatus
from backends.local import open_local
from backends.local.process_identity import ProcessIdentity, send_signal
from backends.local.process_tree import kill_run_processes
from backends.local.run_folder import RunFolder
from console.agent import agent_status, ensure_agent, stop_agent
from console.monitoring.create import create_monitor
from console.promotion.promote import promote
from console.training.start import start_run
from tests.monitored import WHO, deliveries, traffic
from tests.terminal.terminal import Terminal
from tests.unit.registry import ME, version_of

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).parents[2]


def until(condition: Callable[[], object], seconds: float = 180.0) -> None:
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
    out, complaint = process.communicate(timeout=240)
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
        if meta is not None:
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


HOLDING = """
import os, sys, time
while "console.training.worker" in sys.orig_argv and os.path.exists({held!r}):
    time.sleep(0.02)
"""
"""What each process imports at its start: a training waits for as long as the file is there."""


def test_a_training_started_from_the_keyboard_outlives_its_terminal(workspace: Path, tmp_path: Path) -> None:
    hooks, held = tmp_path / "hooks", tmp_path / "held"
    hooks.mkdir()
    held.touch()
    (hooks / "sitecustomize.py").write_text(HOLDING.format(held=str(held)))
    env = {"PYTHONPATH": os.pathsep.join(map(str, (hooks, ROOT)))}
    bring_data(workspace, tmp_path)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    backend = open_local(workspace)
    runs = backend.need("runs")
    with Terminal("--workspace", str(workspace), "runs", size=(120, 40), env=env) as terminal:
        terminal.wait("● live")
        terminal.rest(0.3)
        terminal.press(":")
        terminal.wait("\n :")
        terminal.press(f"train {recipe}")
        terminal.wait("recipe.toml")
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
    held.unlink()
    until(lambda: runs.get(run.id).status.ended)
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
    for attempt in range(4):
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
        said = {version: process.communicate(timeout=240)[1] for version, process in racing.items()}
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


# ---------------------------------------------------------------- agent and scorer are killed while files land


def kill_agent(workspace: Path, *, scorer: bool) -> None:
    if scorer:
        place = workspace / "monitors" / "live" / "scorer.json"
        send_signal(msgspec.json.decode(place.read_bytes(), type=ProcessIdentity), signal.SIGKILL)
    pid = agent_status(workspace).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: not agent_status(workspace).running)


def test_files_that_land_while_agent_and_scorer_are_killed_count_once_each(tmp_path: Path) -> None:
    chance, home, inbox = random.Random(3), tmp_path / "workspace", tmp_path / "inbox"
    inbox.mkdir()
    backend = deliveries(home)
    columns = {"time_column": "at", "label_column": "late", "id_column": "id"}
    create_monitor(backend, "live", "deliveries", mutation=WHO, source=str(inbox), **columns)
    monitors, log = backend.need("monitors"), home / "monitors" / "live" / "scorer.log"

    def drop(name: str, frame: pd.DataFrame) -> None:
        frame.to_csv(tmp_path / "writing", index=False)
        (tmp_path / "writing").rename(inbox / name)

    try:
        for day in range(1, 4):
            ensure_agent(home)
            until(lambda day=day: log.exists() and log.read_text().count("scoring with") >= day)
            for part in range(3):
                rows = traffic(200, day * 10 + part, day=f"2024-03-0{day}")
                drop(f"{day}{part}-rows.csv", rows.drop(columns="late"))
                drop(f"{day}{part}-labels.csv", rows[["id", "late"]])
            time.sleep(0.3 + chance.random() * 0.6)
            kill_agent(home, scorer=day != 2)
        ensure_agent(home)
        until(lambda: sum(window.labelled for window in monitors.windows("live")) >= 1800)
        stop_agent(home)
        ensure_agent(home)  # and once more over the same files, and one of them under another name
        drop("99-again.csv", traffic(200, 10, day="2024-03-01").drop(columns="late"))
        until(lambda: "99-again.csv: duplicate" in log.read_text())
        assert [(window.rows, window.labelled) for window in monitors.windows("live")] == [(600, 600)] * 3
        assert monitors.get("live").rows == 1800
    finally:
        stop_agent(home)
        backend.close()


# ---------------------------------------------------------------- a console dies between making and submitting a run


def test_a_run_that_was_made_and_not_submitted_is_mended_by_the_same_key(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring_data(workspace, tmp_path)
    backend = open_local(workspace)
    runs, mutation = backend.need("runs"), Mutation("someone@somewhere", key="the same")

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(type(backend.launcher), "submit", dies)
        with pytest.raises(KeyboardInterrupt):
            start_run(backend, RECIPE, mutation)
    (made,) = runs.page().items
    assert (made.status, backend.need("requests").list()) == (RunStatus.QUEUED, ())
    assert start_run(backend, RECIPE, mutation).id == made.id
    assert len(backend.need("requests").list()) == 1
    ensure_agent(workspace)
    until(lambda: runs.get(made.id).status is RunStatus.FINISHED)
    assert len(runs.page().items) == 1
    backend.close()


def test_a_run_that_nobody_submits_is_lost_within_minutes_and_says_what_to_do(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = open_local(workspace)
    with monkeypatch.context() as patched:
        patched.setattr("backends.local.runs.now", lambda: time.time_ns() // 1_000_000 - 121_000)
        run = backend.need("runs").create(name="only made", mutation=ME)
    ensure_agent(workspace)
    until(lambda: backend.need("runs").get(run.id).status is RunStatus.LOST)
    assert answer(workspace, "run", "show", run.id)["reason"].endswith("died before; start it again")
    backend.close()


# ---------------------------------------------------------------- the disk is full

ON_A_FULL_DISK = """
import sqlite3, subprocess, sys
from pathlib import Path
home = Path(sys.argv[1])
agent = sqlite3.connect(home / "workspace" / "console.db")  # an agent has it open
agent.execute("SELECT count(*) FROM runs").fetchall()
words = [sys.executable, "-m", "console.launch", "--workspace", str(home / "workspace")]
def say(*more):
    done = subprocess.run([*words, *more], capture_output=True, text=True)
    print(done.returncode, done.stderr.strip().replace("\\n", " "))
with (home / "filler").open("wb", buffering=0) as filler:
    try:
        while True:
            filler.write(b"0" * 4096)
    except OSError:
        pass
say("model", "promote", "churn", "2")
say("journal", "verify")
(home / "filler").unlink()
say("model", "promote", "churn", "2")
"""


def test_a_promotion_on_a_full_disk_changes_nothing_and_says_so(template: Path, tmp_path: Path) -> None:
    disk, copy = tmp_path / "disk", tmp_path / "copy"
    disk.mkdir()
    trial = subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True)
    if trial.returncode:
        pytest.skip(f"no mount namespaces here: {trial.stderr.decode().strip()}")
    script = (
        f'mount -t tmpfs -o size=4m none {disk} && cp -r {template} {disk}/workspace && {sys.executable} -c "$0" {disk}'
        f" && cp -r {disk}/workspace {copy}"
    )
    command = ["unshare", "-rm", "sh", "-c", script, ON_A_FULL_DISK]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=400, cwd=ROOT)
    full, verified, freed = done.stdout.splitlines()
    assert full.startswith("3 "), done.stderr
    assert "no space left" in full
    assert verified.startswith("0 ")
    assert freed.startswith("0 ")
    backend = open_local(copy)
    assert story(backend) == ["2", "1"]
    backend.close()
