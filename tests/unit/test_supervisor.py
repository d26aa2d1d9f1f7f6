"""A supervisor as a process: how a command's end becomes a run's end, and how it is stopped."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from backends.contract import Backend, Conflict, Invalid, Mutation, NotFound
from backends.entities import LaunchSpec, Run, RunStatus
from backends.local import open_local
from backends.local.process_identity import is_alive, send_signal
from backends.local.process_tree import kill_run_processes, run_processes
from backends.local.run_folder import Keeping, RunFolder
from backends.local.settle import Standing, settle_abandoned, standing
from backends.system_metrics import own

ME = Mutation("someone@somewhere", "enough seen")


class Bench:
    """A workspace with a store, and supervisors that are started by hand."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.backend: Backend = open_local(workspace)
        self.runs = self.backend.need("runs")
        self.launcher = self.backend.need("launcher")
        self.started: list[tuple[str, subprocess.Popen[bytes]]] = []

    def submit(self, *argv: str, grace_s: float = 60.0, env: dict[str, str] | None = None) -> RunFolder:
        run = self.runs.create(name="a run", mutation=ME)
        self.launcher.submit(LaunchSpec(run=run.id, argv=argv, grace_s=grace_s, env=env or {}), ME)
        return RunFolder.of(self.workspace, run.id)

    def supervise(self, folder: RunFolder, *, claim: bool = True) -> subprocess.Popen[bytes]:
        if claim:
            assert self.backend.need("requests").claim("a test") is not None
        process = subprocess.Popen(
            [sys.executable, "-m", "backends.local.supervisor", str(folder.path)], start_new_session=True
        )
        self.started.append((folder.run, process))
        return process

    def finish(self, *argv: str, grace_s: float = 60.0) -> tuple[Run, str]:
        """Run a command to its end: (its run, its log)."""
        folder = self.submit(*argv, grace_s=grace_s)
        assert self.supervise(folder).wait(120) == 0
        return self.runs.get(folder.run), self.launcher.log(folder.run).text

    def begin(self, code: str, grace_s: float = 60.0) -> tuple[RunFolder, subprocess.Popen[bytes]]:
        """Start a shell script, and wait until it printed `ready`."""
        folder = self.submit("sh", "-c", code, grace_s=grace_s)
        process = self.supervise(folder)
        wait_for(lambda: folder.log.exists() and b"ready" in folder.log.read_bytes())
        return folder, process


def wait_for(condition: Callable[[], object], seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    for run, process in bench.started:
        if process.poll() is None:
            process.kill()
            process.wait()
        keeping = RunFolder.of(tmp_path, run).keeping()
        if keeping is not None:
            send_signal(keeping.keeper, signal.SIGKILL)
        kill_run_processes(run)


# ---------------------------------------------------------------- how it ends


def test_exit_code_zero_finishes_the_run(bench: Bench) -> None:
    run, log = bench.finish("sh", "-c", "echo out; echo err >&2; mkdir -p artifacts/a; echo hi > artifacts/a/x")
    assert (run.status, run.exit_code, run.reason) == (RunStatus.FINISHED, 0, "")
    assert log == "out\nerr\n"
    assert run.started_at is not None
    assert run.ended_at is not None
    assert bench.backend.need("artifacts").open(run.id, "a/x").read_text() == "hi\n"
    assert bench.launcher.log(run.id).ended


def test_another_exit_code_fails_the_run_with_its_last_line(bench: Bench) -> None:
    run, _ = bench.finish("sh", "-c", "echo first; echo 'ValueError: no column x' >&2; echo; exit 3")
    assert (run.status, run.exit_code) == (RunStatus.FAILED, 3)
    assert run.reason == "exit code 3: ValueError: no column x"


def test_a_command_may_say_itself_why_it_fails(bench: Bench) -> None:
    run, _ = bench.finish("sh", "-c", """echo '{"fail": "the target has one class"}' >&$MLOPS_PROGRESS_FD; exit 1""")
    assert run.reason == "the target has one class"


def test_a_signal_is_named(bench: Bench) -> None:
    run, _ = bench.finish("sh", "-c", "kill -SEGV $$")
    assert (run.status, run.exit_code) == (RunStatus.FAILED, 139)
    assert run.reason == "killed by SIGSEGV (signal 11)"


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (("no-such-command-here",), "there is no command 'no-such-command-here'"),
        (("/etc/passwd",), "Permission denied"),
        (("true", "a\0b"), "null byte"),
    ],
)
def test_a_command_that_cannot_start_says_why(bench: Bench, argv: tuple[str, ...], why: str) -> None:
    run, log = bench.finish(*argv)
    assert run.status is RunStatus.FAILED
    assert why in run.reason
    assert why in log


def test_the_command_knows_its_run_and_has_no_terminal(bench: Bench) -> None:
    run, log = bench.finish(
        "sh", "-c", "echo $MLOPS_CONSOLE_RUN; echo $MLOPS_CONSOLE_WORKSPACE; ps -o tty= -p $$; pwd; cat"
    )
    assert log.split() == [run.id, str(bench.workspace), "?", str(bench.workspace / "runs" / run.id)]


def test_malformed_progress_is_counted_and_named_and_the_rest_is_kept(bench: Bench) -> None:
    code = (
        "import os, sys; f = os.fdopen(int(os.environ['MLOPS_PROGRESS_FD']), 'w');"
        "[f.write('nonsense %d\\n' % i) for i in range(30)];"
        'f.write(\'{"metrics": {"auc": 0.7}, "step": 1}\')'
    )
    run, log = bench.finish(sys.executable, "-c", code)
    assert (run.status, own(run.metrics)) == (RunStatus.FINISHED, {"auc": 0.7})
    assert "progress line 'nonsense 0' not understood" in log
    assert "30 progress lines were not understood" in log
    ended = RunFolder.of(bench.workspace, run.id).exit()
    assert ended is not None
    assert ended.bad_lines == 30


def test_ten_thousand_points_arrive_in_order_and_complete(bench: Bench) -> None:
    code = (
        "import os; f = os.fdopen(int(os.environ['MLOPS_PROGRESS_FD']), 'w');"
        '[f.write(\'{"metrics": {"loss": %d}, "step": %d}\\n\' % (i, i)) for i in range(10000)]'
    )
    run, _ = bench.finish(sys.executable, "-c", code)
    series = bench.runs.series(run.id, "loss", buckets=10)
    assert series.count == 10_000
    assert own(run.metrics) == {"loss": 9999.0}


def test_a_process_that_the_command_leaves_running_ends_with_it(bench: Bench) -> None:
    run, log = bench.finish("sh", "-c", "setsid sleep 71 & echo done")
    assert run.status is RunStatus.FINISHED
    assert "1 process left running by the command ended with it" in log
    assert run_processes(run.id) == []


def test_a_hundred_megabytes_in_one_line_take_neither_memory_nor_disk(bench: Bench) -> None:
    folder = bench.submit("sh", "-c", "head -c 100000000 /dev/zero | tr '\\0' x; echo; echo end")
    process = bench.supervise(folder)
    peak = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except FileNotFoundError:
            break
        peak = max([peak, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))])
        time.sleep(0.02)
    assert process.wait(120) == 0
    assert 0 < peak < 60_000, f"{peak} kB"
    assert sum(file.stat().st_size for file in folder.path.glob("out.log*")) <= 3 * 16 * 1024 * 1024
    chunk = bench.launcher.log(folder.run, start=-200)
    assert chunk.text.endswith("x\nend\n")
    assert chunk.size > 100_000_000


# ---------------------------------------------------------------- how it is stopped


def stop_asked_by(bench: Bench, run: str, way: str, supervisor: subprocess.Popen[bytes]) -> None:
    if way == "launcher":
        bench.launcher.cancel(run, ME)
    elif way == "status alone":
        bench.runs.mark_stopping(run)
    else:
        supervisor.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("way", ["launcher", "status alone", "signal alone"])
def test_each_way_of_asking_stops_the_run(bench: Bench, way: str) -> None:
    folder, supervisor = bench.begin("echo ready; sleep 72")
    stop_asked_by(bench, folder.run, way, supervisor)
    assert supervisor.wait(120) == 0
    run = bench.runs.get(folder.run)
    assert run.status is RunStatus.STOPPED
    if way == "launcher":
        assert run.reason == "stopped by someone@somewhere: enough seen"
        assert [entry.action for entry in bench.backend.need("journal").page().items].count("run.stop") == 1


def test_a_stop_lets_the_command_clean_up(bench: Bench) -> None:
    folder, supervisor = bench.begin("trap 'echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    bench.launcher.cancel(folder.run, ME)
    bench.launcher.cancel(folder.run, ME)
    assert supervisor.wait(120) == 0
    assert bench.runs.get(folder.run).status is RunStatus.STOPPED
    assert "cleaned" in bench.launcher.log(folder.run).text


def test_a_command_that_will_not_stop_is_killed_with_all_its_processes(bench: Bench) -> None:
    stubborn = (
        "trap '' TERM; setsid sh -c \"trap '' TERM; sleep 73\" & (setsid env -i sleep 74 &) ; echo ready; sleep 75"
    )
    folder, supervisor = bench.begin(stubborn, grace_s=0.5)
    wait_for(lambda: len(run_processes(folder.run)) >= 4)
    meta = folder.meta()
    assert meta is not None
    members = run_processes(folder.run, (meta.supervisor,))
    bench.launcher.cancel(folder.run, ME)
    assert supervisor.wait(120) == 0
    assert bench.runs.get(folder.run).status is RunStatus.STOPPED
    assert [member for member in members if is_alive(member)] == []
    assert "SIGKILL" in bench.launcher.log(folder.run).text


def test_a_queued_run_stops_at_once_and_never_starts(bench: Bench) -> None:
    folder = bench.submit("sh", "-c", "echo started")
    bench.launcher.cancel(folder.run, ME)
    assert bench.runs.get(folder.run).status is RunStatus.STOPPED
    assert bench.backend.need("requests").claim("a test") is None
    assert bench.launcher.capacity().queued == 0


def test_a_run_stopped_between_claim_and_start_never_starts(bench: Bench) -> None:
    folder = bench.submit("sh", "-c", "echo started")
    assert bench.backend.need("requests").claim("a test") is not None
    bench.launcher.cancel(folder.run, ME)
    subprocess.run([sys.executable, "-m", "backends.local.supervisor", str(folder.path)], check=True)
    run = bench.runs.get(folder.run)
    assert (run.status, run.reason) == (RunStatus.STOPPED, "stopped by someone@somewhere: enough seen")
    assert bench.launcher.log(folder.run).text == ""


# ---------------------------------------------------------------- what may go wrong


def test_submitting_twice_starts_once(bench: Bench) -> None:
    folder = bench.submit("sh", "-c", "echo once")
    spec = folder.spec()
    assert spec is not None
    bench.launcher.submit(spec, ME)
    assert bench.launcher.capacity().queued == 1
    bench.supervise(folder)
    second = subprocess.run([sys.executable, "-m", "backends.local.supervisor", str(folder.path)], check=False)
    assert second.returncode == 0
    assert bench.started[0][1].wait(120) == 0
    again = subprocess.run([sys.executable, "-m", "backends.local.supervisor", str(folder.path)], check=False)
    assert again.returncode == 0
    assert bench.launcher.log(folder.run).text == "once\n"


@pytest.mark.parametrize("name", ["../x", "/etc/x", "spec.json", "artifacts/x", "a/../../x", ""])
def test_files_of_a_launch_cannot_leave_the_folder_or_replace_what_stands_there(bench: Bench, name: str) -> None:
    run = bench.runs.create(name="a run", mutation=ME)
    with pytest.raises(Invalid):
        bench.launcher.submit(LaunchSpec(run=run.id, argv=("true",), files={name: "x"}), ME)
    assert bench.launcher.capacity().queued == 0


def test_a_run_that_is_not_there_cannot_be_submitted_stopped_or_read(bench: Bench) -> None:
    with pytest.raises(NotFound):
        bench.launcher.submit(LaunchSpec(run="0" * 32, argv=("true",)), ME)
    with pytest.raises(NotFound):
        bench.launcher.cancel("0" * 32, ME)
    with pytest.raises(NotFound):
        bench.launcher.log("0" * 32)
    with pytest.raises(Invalid):
        bench.launcher.submit(LaunchSpec(run="../../../tmp/x", argv=("true",)), ME)


def test_a_store_that_is_held_delays_the_end_and_loses_nothing(bench: Bench) -> None:
    folder, supervisor = bench.begin(
        """echo ready; echo '{"metrics": {"auc": 0.7}}' >&$MLOPS_PROGRESS_FD; read x < gate; exit 3""".replace(
            "read x < gate", "while [ ! -e gate ]; do sleep 0.05; done"
        )
    )
    holder = sqlite3.connect(bench.workspace / "console.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    (folder.path / "gate").touch()
    wait_for(lambda: folder.exit() is not None)
    assert bench.runs.get(folder.run).status is RunStatus.RUNNING
    assert supervisor.poll() is None
    holder.execute("COMMIT")
    holder.close()
    assert supervisor.wait(120) == 0
    run = bench.runs.get(folder.run)
    assert (run.status, run.exit_code, own(run.metrics)) == (RunStatus.FAILED, 3, {"auc": 0.7})
    assert bench.runs.series(run.id, "auc").count == 1


COUNT = "i=0; while [ $i -lt {steps} ]; do i=$((i+1)); echo line $i; say $i; sleep {pause}; done"
SAY = """say() { printf '{"metrics": {"loss": %d}, "step": %d}\\n' $1 $1 >&3; }; """


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def command_lines(folder: RunFolder) -> list[str]:
    """What the command itself wrote into the log."""
    return [line for line in folder.log.read_text().splitlines() if not line.startswith("[mlops-console: ")]


def test_a_killed_supervisor_leaves_the_command_running_and_another_goes_on_with_it(bench: Bench) -> None:
    gate = "; while [ ! -e gate ]; do sleep 0.05; done; exit 3"
    folder, supervisor = bench.begin("echo ready; " + SAY + COUNT.format(steps=40, pause=0.05) + gate)
    wait_for(lambda: b"line 5" in folder.log.read_bytes())
    meta = folder.meta()
    assert meta is not None
    assert meta.child is not None
    kill(supervisor)
    assert standing(folder) is Standing.ORPHANED
    time.sleep(0.5)
    assert is_alive(meta.child)
    another = bench.supervise(folder, claim=False)
    (folder.path / "gate").touch()
    assert another.wait(120) == 0
    run = bench.runs.get(folder.run)
    assert (run.status, run.exit_code) == (RunStatus.FAILED, 3)
    assert run.reason == "exit code 3: line 40"
    assert command_lines(folder) == ["ready", *(f"line {at}" for at in range(1, 41))]
    assert bench.runs.series(run.id, "loss", buckets=1).count == 40
    assert "another goes on with it" in folder.log.read_text()
    assert not list(folder.path.glob("*.pipe"))


def test_what_ended_unsupervised_has_its_exit_code_and_its_last_words(bench: Bench) -> None:
    folder, supervisor = bench.begin(
        "echo ready; while [ ! -e gate ]; do sleep 0.05; done; echo last words; "
        """echo '{"fail": "no more data"}' >&3; exit 7"""
    )
    kill(supervisor)
    (folder.path / "gate").touch()
    wait_for(lambda: folder.ended() is not None)
    assert standing(folder) is Standing.ORPHANED
    assert bench.supervise(folder, claim=False).wait(120) == 0
    run = bench.runs.get(folder.run)
    assert (run.status, run.exit_code, run.reason) == (RunStatus.FAILED, 7, "no more data")
    assert command_lines(folder) == ["ready", "last words"]


def test_a_command_waits_at_a_full_pipe_while_nobody_supervises_it_and_loses_nothing(bench: Bench) -> None:
    folder, supervisor = bench.begin("echo ready; while [ ! -e gate ]; do sleep 0.05; done; seq 1 60000; echo end")
    kill(supervisor)
    (folder.path / "gate").touch()
    time.sleep(1.0)  # 340 kB against a pipe that holds 64
    assert folder.ended() is None
    assert bench.supervise(folder, claim=False).wait(120) == 0
    assert bench.runs.get(folder.run).status is RunStatus.FINISHED
    assert command_lines(folder) == ["ready", *map(str, range(1, 60001)), "end"]


def test_a_keeper_sends_a_supervisor_where_no_agent_does(bench: Bench) -> None:
    folder, supervisor = bench.begin("echo ready; while [ ! -e gate ]; do sleep 0.05; done; exit 4")
    kill(supervisor)
    wait_for(lambda: standing(folder) is Standing.SUPERVISED)
    (folder.path / "gate").touch()
    wait_for(lambda: bench.runs.get(folder.run).status.ended)
    assert bench.runs.get(folder.run).exit_code == 4


def test_a_killed_keeper_changes_nothing_while_the_supervisor_lives(bench: Bench) -> None:
    folder, supervisor = bench.begin(
        "(setsid sleep 76 &); echo ready; while [ ! -e gate ]; do sleep 0.05; done; exit 5"
    )
    keeping = folder.keeping()
    assert keeping is not None
    assert send_signal(keeping.keeper, signal.SIGKILL)
    wait_for(lambda: not is_alive(keeping.keeper))
    (folder.path / "gate").touch()
    assert supervisor.wait(120) == 0
    run = bench.runs.get(folder.run)
    assert (run.status, run.exit_code) == (RunStatus.FAILED, 5)
    assert run_processes(run.id) == []


def test_with_supervisor_and_keeper_killed_the_work_goes_on_and_only_its_exit_code_is_lost(bench: Bench) -> None:
    folder, supervisor = bench.begin(
        "echo ready; "
        + SAY
        + COUNT.format(steps=30, pause=0.05)
        + "; while [ ! -e gate ]; do sleep 0.05; done; echo over"
    )
    keeping = folder.keeping()
    assert keeping is not None
    kill(supervisor)
    assert send_signal(keeping.keeper, signal.SIGKILL)
    wait_for(lambda: not is_alive(keeping.keeper))
    assert standing(folder) is Standing.ORPHANED
    another = bench.supervise(folder, claim=False)
    wait_for(lambda: b"line 30" in folder.log.read_bytes())
    (folder.path / "gate").touch()
    assert another.wait(120) == 0
    run = bench.runs.get(folder.run)
    assert (run.status, run.exit_code) == (RunStatus.LOST, None)
    assert "exit code" in run.reason
    assert f"run retry {run.id[:8]}" in run.reason
    assert command_lines(folder)[-1] == "over"
    assert bench.runs.series(run.id, "loss", buckets=1).count == 30


def test_a_run_that_was_taken_over_stops_with_all_its_processes(bench: Bench) -> None:
    folder, supervisor = bench.begin("(setsid sleep 78 &); echo ready; sleep 79")
    kill(supervisor)
    bench.launcher.cancel(folder.run, ME)
    meta = folder.meta()
    assert meta is not None
    wait_for(lambda: len(run_processes(folder.run)) >= 3)
    members = run_processes(folder.run)
    assert bench.supervise(folder, claim=False).wait(120) == 0
    assert bench.runs.get(folder.run).status is RunStatus.STOPPED
    assert [each for each in members if is_alive(each)] == []


def test_where_nothing_of_a_run_lives_and_no_end_is_known_it_is_lost(bench: Bench) -> None:
    folder, supervisor = bench.begin("(setsid sleep 76 &); echo ready; sleep 77")
    keeping = folder.keeping()
    assert keeping is not None
    assert keeping.child is not None
    kill(supervisor)
    send_signal(keeping.keeper, signal.SIGKILL)
    send_signal(keeping.child, signal.SIGKILL)
    wait_for(lambda: standing(folder) is Standing.ABANDONED)
    with folder.lock() as ours:
        assert ours
        run = settle_abandoned(folder, bench.backend, print)
    assert run.status is RunStatus.LOST
    assert run.reason.startswith("its supervisor vanished")
    assert run_processes(folder.run) == []
    with pytest.raises(Conflict):
        bench.runs.end(folder.run, RunStatus.FINISHED)


def test_a_reused_number_is_not_taken_for_the_command(bench: Bench) -> None:
    folder, supervisor = bench.begin("echo ready; sleep 77")
    keeping = folder.keeping()
    assert keeping is not None
    assert keeping.child is not None
    kill(supervisor)
    send_signal(keeping.keeper, signal.SIGKILL)
    send_signal(keeping.child, signal.SIGKILL)
    bystander = subprocess.Popen(["sleep", "80"])
    try:
        reused = msgspec.structs.replace(keeping.child, pid=bystander.pid)
        folder.write_keeping(Keeping(keeper=reused, child=reused))
        wait_for(lambda: standing(folder) is Standing.ABANDONED)
        with folder.lock():
            assert settle_abandoned(folder, bench.backend, print).status is RunStatus.LOST
        assert bystander.poll() is None
    finally:
        kill(bystander)


def test_a_daemon_with_a_session_of_its_own_is_asked_before_it_is_killed(bench: Bench) -> None:
    daemon = "trap 'echo daemon heard; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    folder, supervisor = bench.begin(f'(setsid sh -c "{daemon}" &); sleep 78')
    bench.launcher.cancel(folder.run, ME)
    assert supervisor.wait(120) == 0
    assert "daemon heard" in folder.log.read_text()
    assert "SIGKILL sent" not in folder.log.read_text()
    assert run_processes(folder.run) == []


def test_the_end_is_set_down_in_room_that_was_kept_for_it(bench: Bench) -> None:
    run, _ = bench.finish("sh", "-c", "exit 4")
    folder = RunFolder.of(bench.workspace, run.id)
    assert (folder.path / "exit.json").stat().st_size == 4096
    ended = folder.exit()
    assert ended is not None
    assert (ended.status, ended.exit_code) == (RunStatus.FAILED, 4)
    assert os.listdir(folder.path).count(".exit.reserve") == 0  # noqa: PTH208
