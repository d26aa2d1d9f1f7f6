"""Whatever is killed, whenever: nothing committed is lost, nothing is done twice, and the state shown is true."""

from __future__ import annotations

import os
import pty
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from backends.contract import Backend, Mutation
from backends.entities import LaunchSpec, Run, RunStatus
from backends.local import open_local
from backends.local.agent_presence import living_agent, write_presence
from backends.local.process_identity import identify, is_alive, send_signal
from backends.local.process_tree import kill_run_processes, run_processes
from backends.local.run_folder import Keeping, RunFolder, RunMeta
from backends.local.settle import Standing, standing
from console.agent import agent_log, agent_status, ensure_agent, stop_agent

ME = Mutation("someone@somewhere", "a test")

COUNTING = """
import json, os, sys, time
f = os.fdopen(int(os.environ["MLOPS_PROGRESS_FD"]), "w")
for step in range(int(sys.argv[1])):
    print("line", step, flush=True)
    f.write(json.dumps({"metrics": {"loss": 1 / (step + 1)}, "step": step, "stage": f"step {step}"}) + "\\n")
    f.flush()
    time.sleep(float(sys.argv[2]))
while os.path.exists(sys.argv[3]):
    time.sleep(0.02)
os.makedirs("artifacts/model", exist_ok=True)
open("artifacts/model/weights", "w").write("w" * 100)
"""
"""So many steps with so long between; while the file is there, it does not end."""


def wait_for(condition: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


class Workspace:
    """A workspace, and the runs that were launched in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.backend: Backend = open_local(path)
        self.runs = self.backend.need("runs")
        self.launcher = self.backend.need("launcher")
        self.launched: list[str] = []
        self.held = path / "held"

    def launch(self, *argv: str, tags: dict[str, str] | None = None) -> RunFolder:
        run = self.runs.create(name="a run", mutation=ME, tags=tags)
        self.launched.append(run.id)
        self.launcher.submit(LaunchSpec(run=run.id, argv=argv, grace_s=1.0), ME)
        return RunFolder.of(self.path, run.id)

    def count(self, steps: int = 20, pause: float = 0.1, *, held: bool = False) -> RunFolder:
        """A run that counts; `held` it goes on until `let_go`."""
        if held:
            self.held.touch()
        return self.launch(sys.executable, "-c", COUNTING, str(steps), str(pause), str(self.held) if held else "")

    def let_go(self) -> None:
        self.held.unlink()

    def run(self, folder: RunFolder) -> Run:
        found: Run = self.runs.get(folder.run)
        return found

    def status(self, folder: RunFolder) -> RunStatus:
        return self.run(folder).status

    def points(self, folder: RunFolder) -> int:
        count: int = self.runs.series(folder.run, "loss").count
        return count

    def begun(self, folder: RunFolder, line: bytes = b"line 2") -> None:
        wait_for(lambda: folder.log.exists() and line in folder.log.read_bytes())

    def kill_agent(self) -> None:
        pid = agent_status(self.path).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not agent_status(self.path).running)

    def kill_supervisor(self, folder: RunFolder) -> RunMeta:
        meta = folder.meta()
        assert meta is not None
        assert send_signal(meta.supervisor, signal.SIGKILL), "it supervises still"
        wait_for(lambda: not is_alive(meta.supervisor))
        return meta

    def all_is_told(self) -> None:
        """No run is open, no request waits, no process is left."""
        wait_for(lambda: all(self.runs.get(run).status.ended for run in self.launched))
        wait_for(lambda: self.backend.need("requests").list() == ())
        for run in self.launched:
            wait_for(lambda run=run: run_processes(run) == [])


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path)
    yield workspace
    workspace.held.unlink(missing_ok=True)
    stop_agent(tmp_path)
    for run in workspace.launched:
        meta = RunFolder.of(tmp_path, run).meta()
        if meta is not None:
            send_signal(meta.supervisor, signal.SIGKILL)
        keeping = RunFolder.of(tmp_path, run).keeping()
        if keeping is not None:
            send_signal(keeping.keeper, signal.SIGKILL)
        kill_run_processes(run)


def finished_whole(workspace: Workspace, folder: RunFolder, steps: int = 20) -> None:
    run = workspace.run(folder)
    assert (run.status, run.exit_code, run.reason) == (RunStatus.FINISHED, 0, "")
    assert workspace.points(folder) == steps
    said = [line for line in folder.log.read_text().splitlines() if not line.startswith("[mlops-console: ")]
    assert said == [f"line {step}" for step in range(steps)]
    assert [artifact.path for artifact in workspace.backend.need("artifacts").list(run.id)] == ["model/weights"]


# ---------------------------------------------------------------- the agent is killed


def has_terminal(pid: int) -> bool:
    """From the kernel: psutil remembers the terminals that there were when it was first asked."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[4] != "0"


def test_the_agent_is_killed_while_a_run_runs_and_the_run_ends_without_it(workspace: Workspace) -> None:
    folder = workspace.count()
    ensure_agent(workspace.path)
    workspace.begun(folder)
    workspace.kill_agent()
    wait_for(lambda: workspace.status(folder) is RunStatus.FINISHED)
    finished_whole(workspace, folder)
    ensure_agent(workspace.path)
    workspace.all_is_told()
    finished_whole(workspace, folder)


def test_the_agent_is_killed_and_its_successor_takes_the_running_run_over(workspace: Workspace) -> None:
    folder = workspace.count(10, held=True)
    ensure_agent(workspace.path, slots=1)
    workspace.begun(folder)
    workspace.kill_agent()
    waiting = workspace.count(3, 0)
    ensure_agent(workspace.path, slots=1)
    wait_for(lambda: agent_status(workspace.path).queued == 1)
    assert workspace.status(waiting) is RunStatus.QUEUED, "the slot is taken by the run that was taken over"
    workspace.let_go()
    workspace.all_is_told()
    finished_whole(workspace, folder, 10)
    finished_whole(workspace, waiting, 3)


@pytest.mark.parametrize("seed", range(3))
def test_the_agent_is_killed_again_and_again_and_every_run_runs_once(workspace: Workspace, seed: int) -> None:
    chance = random.Random(seed)
    folders = [workspace.count(3, 0.02) for _ in range(4)]
    for _ in range(5):
        ensure_agent(workspace.path, slots=2)
        time.sleep(chance.random() * 0.5)  # at any moment
        workspace.kill_agent()
    ensure_agent(workspace.path, slots=2)
    workspace.all_is_told()
    for folder in folders:
        finished_whole(workspace, folder, 3)


@pytest.mark.parametrize("seed", range(2))
def test_the_agent_is_killed_while_it_registers_and_every_run_becomes_one_version(
    workspace: Workspace, seed: int
) -> None:
    chance = random.Random(seed)
    leave_a_model = "mkdir -p artifacts/model; echo $MLOPS_CONSOLE_RUN > artifacts/model/model.skops"
    folders = [workspace.launch("sh", "-c", leave_a_model, tags={"console.register": "churn"}) for _ in range(4)]
    for _ in range(6):
        ensure_agent(workspace.path, slots=2)
        time.sleep(0.2 + chance.random() * 0.6)
        workspace.kill_agent()
    ensure_agent(workspace.path, slots=2)
    workspace.all_is_told()
    versions = workspace.backend.need("registry").versions("churn").items
    assert sorted(version.run for version in versions) == sorted(folder.run for folder in folders)
    assert len(versions) == 4


def test_a_stopped_agent_leaves_its_runs_running(workspace: Workspace) -> None:
    folder = workspace.count(held=True)
    ensure_agent(workspace.path)
    workspace.begun(folder)
    stop_agent(workspace.path)
    assert standing(folder) is Standing.SUPERVISED
    workspace.let_go()
    wait_for(lambda: workspace.status(folder) is RunStatus.FINISHED)
    finished_whole(workspace, folder)


# ---------------------------------------------------------------- the supervisor is killed


def test_the_supervisor_is_killed_and_the_agent_sends_another(workspace: Workspace) -> None:
    folder = workspace.count(30, held=True)
    ensure_agent(workspace.path)
    workspace.begun(folder)
    meta = workspace.kill_supervisor(folder)
    wait_for(lambda: (after := folder.meta()) is not None and is_alive(after.supervisor))
    after = folder.meta()
    assert after is not None
    assert after.child == meta.child, "the command is the same"
    workspace.let_go()
    workspace.all_is_told()
    finished_whole(workspace, folder, 30)
    assert "another goes on with it" in folder.log.read_text()


def test_agent_and_supervisor_are_killed_and_an_agent_of_another_version_goes_on_with_the_run(
    workspace: Workspace,
) -> None:
    folder = workspace.count(30, held=True)
    ensure_agent(workspace.path)
    workspace.begun(folder)
    agent = living_agent(workspace.path)
    assert agent is not None
    write_presence(workspace.path, msgspec.structs.replace(agent, version="0.0.1"))
    workspace.kill_agent()
    meta = workspace.kill_supervisor(folder)
    assert workspace.status(folder) is RunStatus.RUNNING
    assert meta.child is not None
    assert is_alive(meta.child), "the work goes on"
    ensure_agent(workspace.path)
    workspace.let_go()
    workspace.all_is_told()
    finished_whole(workspace, folder, 30)


@pytest.mark.parametrize("seed", range(4))
def test_the_supervisor_is_killed_at_any_moment_and_the_run_has_one_true_end(workspace: Workspace, seed: int) -> None:
    chance = random.Random(seed)
    folders = [workspace.count(5, 0.02) for _ in range(4)]
    ensure_agent(workspace.path, slots=4)
    for folder in folders:
        wait_for(lambda folder=folder: folder.meta() is not None)
        time.sleep(chance.random() * 0.25)
        meta = folder.meta()
        assert meta is not None
        send_signal(meta.supervisor, signal.SIGKILL)
    workspace.all_is_told()
    for folder in folders:
        ended, run = folder.exit(), workspace.run(folder)
        assert ended is not None
        assert (run.status, run.reason) == (ended.status, ended.reason)
        assert run.status in (RunStatus.LOST, RunStatus.FINISHED)
        own = folder.spool.read_bytes().count(b'"loss"')  # besides stand the samples of what the run takes
        assert workspace.points(folder) == own
        if run.status is RunStatus.FINISHED:
            assert run.exit_code == 0
            # What a process has read and not written yet goes with it: one read at most, and mostly nothing. How much
            # is read at once depends on how late it came.
            steps = [point.step for point in workspace.runs.points(folder.run, "loss", limit=10).items]
            lines = [line for line in folder.log.read_text().splitlines() if line.startswith("line ")]
            one_stretch_at_most_is_lost(sorted(steps), 5)
            one_stretch_at_most_is_lost([int(line.split()[1]) for line in lines], 5)


def one_stretch_at_most_is_lost(steps: list[int], count: int) -> None:
    """Of the numbers below `count`, in their order."""
    lost = [step for step in range(count) if step not in steps]
    assert steps == sorted(set(steps)), "each once"
    assert lost == list(range(count))[lost[0] : lost[-1] + 1] if lost else steps == list(range(count))


def test_a_run_that_ended_on_a_store_that_was_away_is_told_later(workspace: Workspace) -> None:
    folder = workspace.count(5, 0.01, held=True)
    ensure_agent(workspace.path)
    workspace.begun(folder, b"line 4")
    workspace.kill_agent()
    holder = sqlite3.connect(workspace.path / "console.db", isolation_level=None, timeout=30)
    holder.execute("BEGIN IMMEDIATE")
    workspace.let_go()
    wait_for(lambda: folder.exit() is not None)
    workspace.kill_supervisor(folder)
    holder.execute("ROLLBACK")
    holder.close()
    assert workspace.status(folder) is RunStatus.RUNNING
    ensure_agent(workspace.path)
    workspace.all_is_told()
    finished_whole(workspace, folder, 5)


# ---------------------------------------------------------------- the worker is killed


def test_the_command_is_killed_and_the_run_fails_by_its_name(workspace: Workspace) -> None:
    folder = workspace.count(1000)
    ensure_agent(workspace.path)
    workspace.begun(folder)
    wait_for(lambda: (meta := folder.meta()) is not None and meta.child is not None)
    meta = folder.meta()
    assert meta is not None
    assert meta.child is not None
    assert send_signal(meta.child, signal.SIGKILL)
    wait_for(lambda: workspace.status(folder).ended)
    run = workspace.run(folder)
    assert (run.status, run.exit_code) == (RunStatus.FAILED, 137)
    assert run.reason.startswith("killed by SIGKILL (signal 9): line ")
    workspace.all_is_told()


# ---------------------------------------------------------------- the machine goes down


def test_runs_of_an_earlier_boot_are_lost_at_boot_and_nothing_is_signalled(workspace: Workspace) -> None:
    bystander = subprocess.Popen(["sleep", "83"])
    try:
        folder = workspace.launch("sleep", "84")
        ensure_agent(workspace.path)
        wait_for(lambda: (meta := folder.meta()) is not None and meta.child is not None)
        workspace.kill_agent()
        meta = workspace.kill_supervisor(folder)
        earlier = "0e7b2b7e-0000-0000-0000-000000000000"
        keeping = folder.keeping()
        assert keeping is not None
        assert keeping.child is not None
        for each in (keeping.keeper, keeping.child):
            send_signal(each, signal.SIGKILL)
            wait_for(lambda each=each: not is_alive(each))
        # After a restart the numbers belong to others.
        current = identify(bystander.pid)
        assert current is not None
        reused = msgspec.structs.replace(current, boot=earlier)
        folder.write_meta(msgspec.structs.replace(meta, supervisor=reused, child=reused))
        folder.write_keeping(Keeping(keeper=reused, child=reused))
        ensure_agent(workspace.path)
        wait_for(lambda: workspace.status(folder) is RunStatus.LOST)
        reason = workspace.run(folder).reason
        assert reason.startswith("lost at boot")
        assert f"mlops-console run retry {folder.run[:8]}" in reason
        assert bystander.poll() is None
        workspace.all_is_told()
    finally:
        bystander.kill()
        bystander.wait()


# ---------------------------------------------------------------- the disk is full

ON_A_SMALL_DISK = '''
import subprocess, sys, time
from pathlib import Path
from backends.contract import Mutation
from backends.entities import LaunchSpec
from backends.local import open_local
from backends.local.run_folder import RunFolder
home = Path(sys.argv[1])
backend, me = open_local(home / "ws"), Mutation("someone@somewhere")
run = backend.runs.create(name="on a small disk", mutation=me)
script = """
say() { i=$((i+1)); printf '{"metrics": {"loss": %d}, "step": %d}\\n' $i $i >&3; echo line $i; }
say
until [ -e ../../../go ]; do sleep 0.1; done
dd if=/dev/zero of=../../../filler bs=64k 2>/dev/null
dd if=/dev/zero of=../../../filler bs=1 oflag=append conv=notrunc 2>/dev/null
while [ $i -lt 2000 ]; do say; done
echo no room left
exit 3
"""
backend.launcher.submit(LaunchSpec(run=run.id, argv=("sh", "-c", script)), me)
supervisor = subprocess.Popen([sys.executable, "-m", "backends.local.supervisor", str(home / "ws" / "runs" / run.id)])
folder = RunFolder(home / "ws" / "runs" / run.id)
def begun():
    now, said = backend.runs.get(run.id), folder.log.read_bytes() if folder.log.exists() else b""
    return now.status == "running" and "loss" in now.metrics and b"line 1" in said
while not begun():
    time.sleep(0.02)
(home / "go").touch()
while folder.exit() is None:
    time.sleep(0.02)
time.sleep(1)
ended = folder.exit()
print("while full", supervisor.poll(), backend.runs.get(run.id).status.value, ended.exit_code, ended.reason)
(home / "filler").unlink()
print("supervisor", supervisor.wait(240))
run = backend.runs.get(run.id)
series = backend.runs.series(run.id, "loss")
print("after", run.status.value, run.exit_code, run.reason, series.count, int(run.metrics["loss"]))
'''


def test_a_full_disk_costs_a_run_neither_its_end_nor_what_it_said(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size=4m none {disk} && exec {sys.executable} -c "$0" {disk}'
    trial = subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True)
    if trial.returncode:
        pytest.skip(f"no mount namespaces here: {trial.stderr.decode().strip()}")
    command = ["unshare", "-rm", "sh", "-c", mount, ON_A_SMALL_DISK]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    assert done.stdout.splitlines() == [
        "while full None running 3 exit code 3: no room left",
        "supervisor 0",
        "after failed 3 exit code 3: no room left 2000 2000",
    ], done.stderr


# ---------------------------------------------------------------- the console is killed


def test_a_console_that_dies_between_making_and_submitting_leaves_nothing_that_hangs(workspace: Workspace) -> None:
    submitted = workspace.runs.create(name="laid out", mutation=ME)
    workspace.launched.append(submitted.id)
    RunFolder.of(workspace.path, submitted.id).lay_out(LaunchSpec(run=submitted.id, argv=("sh", "-c", "echo line 0")))
    made = workspace.runs.create(name="only made", mutation=ME)
    ensure_agent(workspace.path)
    wait_for(lambda: workspace.runs.get(submitted.id).status is RunStatus.FINISHED)
    assert workspace.runs.get(made.id).status is RunStatus.QUEUED, "its console may still be about to submit it"


def test_a_console_that_dies_while_stopping_a_queued_run_leaves_it_stopped(workspace: Workspace) -> None:
    folder = workspace.count()
    request = workspace.backend.need("requests").list()[0]
    from backends.entities import Request
    from backends.local.run_folder import StopRequest

    assert isinstance(request, Request)
    folder.write_stop(StopRequest(actor="someone@somewhere", at=0))
    assert workspace.backend.need("requests").cancel(request.id)
    ensure_agent(workspace.path)
    wait_for(lambda: workspace.status(folder) is RunStatus.STOPPED)
    assert not folder.log.exists()


def test_the_terminal_hangs_up_and_the_run_goes_on(workspace: Workspace) -> None:
    workspace.held.touch()
    console = f"""
import sys, time
from pathlib import Path
from backends.contract import Mutation
from backends.entities import LaunchSpec
from backends.local import open_local
from console.agent import ensure_agent
backend = open_local(Path({str(workspace.path)!r}))
me = Mutation("someone@somewhere")
run = backend.runs.create(name="over ssh", mutation=me)
argv = (sys.executable, "-c", {COUNTING!r}, "20", "0.05", {str(workspace.held)!r})
backend.launcher.submit(LaunchSpec(run=run.id, argv=argv), me)
print("agent", ensure_agent(Path({str(workspace.path)!r})).pid, "run", run.id, flush=True)
time.sleep(600)
"""
    pid, master = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", console])
    said = b""
    while b" run " not in said or not said.endswith(b"\n"):
        said += os.read(master, 4096)
    words = said.decode().split()
    folder = RunFolder.of(workspace.path, words[3])
    workspace.launched.append(folder.run)
    workspace.begun(folder)
    assert has_terminal(pid)
    assert not has_terminal(int(words[1]))
    os.close(master)
    _, how = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(how)
    assert os.WTERMSIG(how) == signal.SIGHUP
    assert psutil.pid_exists(int(words[1])), "the agent outlives the terminal"
    meta = folder.meta()
    assert meta is not None
    assert not has_terminal(meta.supervisor.pid)
    workspace.let_go()
    wait_for(lambda: workspace.status(folder).ended)
    finished_whole(workspace, folder)
    assert "over" not in agent_log(workspace.path)
