"""The agent: one of it, light, and ready to be asked, ended and started again."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from backends.contract import Backend, Mutation, Unreachable
from backends.entities import LaunchSpec, Monitor, Run, RunStatus
from backends.local import open_local
from backends.local.agent_presence import hang_bell, living_agent, ring_bell, write_presence
from backends.local.run_folder import RunFolder
from backends.local.spawn import SPARE
from console.agent import agent_log, agent_status, ensure_agent, stop_agent
from console.agent.diary import LARGEST
from console.agent.retry import Backoff
from tests.processes import gone, words_of

ME = Mutation("someone@somewhere", "a test")


def wait_for(condition: Callable[[], object], seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    backend = open_local(tmp_path)
    yield backend
    stop_agent(tmp_path)
    backend.close()


def launch(backend: Backend, *argv: str, tags: dict[str, str] | None = None, priority: int = 0) -> str:
    run: Run = backend.need("runs").create(name="a run", mutation=ME, tags=tags)
    backend.need("launcher").submit(LaunchSpec(run=run.id, argv=argv, priority=priority), ME)
    return run.id


def status(backend: Backend, run: str) -> RunStatus:
    found: RunStatus = backend.need("runs").get(run).status
    return found


def test_it_starts_once_answers_and_ends(backend: Backend, tmp_path: Path) -> None:
    assert not agent_status(tmp_path).running
    first = ensure_agent(tmp_path, slots=3)
    again = ensure_agent(tmp_path)
    assert first.running
    assert (again.pid, again.slots) == (first.pid, 3)
    assert backend.need("launcher").capacity().slots == 3
    assert not stop_agent(tmp_path).running
    assert not (tmp_path / "agent.json").exists()
    assert "ends: SIGTERM" in agent_log(tmp_path)


def test_two_consoles_that_start_it_at_once_start_one(backend: Backend, tmp_path: Path) -> None:
    code = "import sys, pathlib, console.agent as a; print(a.ensure_agent(pathlib.Path(sys.argv[1])).pid)"
    consoles = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = {console.communicate(timeout=180)[0].strip() for console in consoles}
    assert len(said) == 1
    assert said == {str(agent_status(tmp_path).pid)}
    assert agent_log(tmp_path).count(" starts in ") == 1


def test_it_has_no_terminal_and_a_session_of_its_own(backend: Backend, tmp_path: Path) -> None:
    agent = psutil.Process(ensure_agent(tmp_path).pid)
    assert agent.terminal() is None
    assert os.getsid(agent.pid) == agent.pid
    assert os.readlink(f"/proc/{agent.pid}/fd/0") == "/dev/null"  # noqa: PTH115


def test_an_agent_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="no workspace in"):
        ensure_agent(tmp_path)


def test_an_agent_of_another_version_is_pointed_out(backend: Backend, tmp_path: Path) -> None:
    import msgspec

    ensure_agent(tmp_path)
    agent = living_agent(tmp_path)
    assert agent is not None
    assert agent_status(tmp_path).note == ""
    write_presence(tmp_path, msgspec.structs.replace(agent, version="0.0.1"))
    assert "0.0.1" in agent_status(tmp_path).note


def test_runs_start_within_the_slots_by_priority(backend: Backend, tmp_path: Path) -> None:
    low = [launch(backend, "sh", "-c", "while [ ! -e go ]; do sleep 0.05; done") for _ in range(3)]
    high = launch(backend, "sh", "-c", "while [ ! -e go ]; do sleep 0.05; done", priority=9)
    ensure_agent(tmp_path, slots=2)
    wait_for(lambda: status(backend, high) is RunStatus.RUNNING and status(backend, low[0]) is RunStatus.RUNNING)
    wait_for(lambda: (agent_status(tmp_path).runs, agent_status(tmp_path).queued) == (2, 2))
    assert status(backend, low[1]) is RunStatus.QUEUED
    capacity = backend.need("launcher").capacity()
    assert (capacity.slots, capacity.running, capacity.queued) == (2, 2, 2)
    for run in (*low, high):
        (tmp_path / "runs" / run / "go").touch()
    wait_for(lambda: all(status(backend, run) is RunStatus.FINISHED for run in (*low, high)))
    wait_for(lambda: backend.need("requests").list() == ())


def test_a_run_starts_within_a_second_of_being_submitted(backend: Backend, tmp_path: Path) -> None:
    ensure_agent(tmp_path)
    before = time.monotonic()
    run = launch(backend, "sh", "-c", "echo here")
    wait_for(lambda: backend.need("launcher").log(run).text == "here\n")
    assert time.monotonic() - before < 30  # about 0.7 s on an idle machine; without the bell's ring it may be 60


def test_a_wish_to_register_is_carried_out_once_or_its_failure_told(backend: Backend, tmp_path: Path) -> None:
    run = launch(backend, "sh", "-c", "echo no model here", tags={"console.register": "churn"})
    ensure_agent(tmp_path)
    requests = backend.need("requests")
    wait_for(lambda: [request.kind for request in requests.list(states=("failed",))] == ["run.register"])
    assert status(backend, run) is RunStatus.FINISHED
    failed = [entry for entry in backend.need("journal").page().items if entry.action == "model.register"]
    assert [(entry.target, entry.outcome) for entry in failed] == [("churn", "failed")]
    assert f"run {run} not registered as churn" in agent_log(tmp_path)


def test_a_monitor_with_a_source_keeps_a_scorer_that_is_restarted_ever_later(backend: Backend, tmp_path: Path) -> None:
    if backend.monitors is None:
        pytest.skip(f"no monitors here: {backend.missing.get('monitors', 'not wired')}")
    (tmp_path / "batches").mkdir()
    backend.monitors.put(Monitor(name="live", model="no such model", source=str(tmp_path / "batches")), ME)
    ensure_agent(tmp_path)
    wait_for(lambda: "monitor live: scorer " in agent_log(tmp_path))
    backend.monitors.put(Monitor(name="live", model="no such model", source=str(tmp_path / "batches"), paused=True), ME)
    wait_for(lambda: "monitor live: scorer ended" in agent_log(tmp_path))


def test_it_is_light_and_idle_it_costs_next_to_nothing(backend: Backend, tmp_path: Path) -> None:
    agent = psutil.Process(ensure_agent(tmp_path).pid)
    wait_for(lambda: spare_of(agent.pid))  # start-up is over
    shares: list[float] = []
    while not shares or shares[-1] > 0.005:  # the kernel counts in 10 ms: two ticks in four seconds
        assert len(shares) < 20, f"it is never idle: {shares}"  # on a busy machine its start is over late
        before, at = agent.cpu_times(), time.monotonic()
        time.sleep(4.0)
        after, seconds = agent.cpu_times(), time.monotonic() - at
        shares.append((after.user + after.system - before.user - before.system) / seconds)
    assert agent.memory_info().rss < 45_000_000
    code = f"import sys; sys.argv = ['x', '--workspace', {str(tmp_path)!r}]; import console.agent.__main__, console.agent.work; print(sorted({{'pandas', 'sklearn', 'numpy', 'pyarrow', 'textual', 'httpx', 'sqlite_utils'}} & set(sys.modules)))"  # noqa: E501
    heavy = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert heavy == "[]"


def spare_of(agent: int) -> psutil.Process | None:
    """The supervisor that waits for a run."""
    return next((each for each in psutil.Process(agent).children() if words_of(each)[-1:] == [SPARE]), None)


def supervisor_of(workspace: Path, run: str) -> int:
    folder = RunFolder.of(workspace, run)
    wait_for(folder.meta)
    meta = folder.meta()
    assert meta is not None
    return meta.supervisor.pid


def test_a_supervisor_waits_for_the_next_run_and_is_its_own(backend: Backend, tmp_path: Path) -> None:
    agent = ensure_agent(tmp_path).pid
    wait_for(lambda: spare_of(agent))
    first = spare_of(agent)
    assert first is not None
    run = launch(backend, "sh", "-c", "pwd; while [ ! -e go ]; do sleep 0.05; done")
    assert supervisor_of(tmp_path, run) == first.pid
    folder = RunFolder.of(tmp_path, run)
    assert first.cwd() == str(folder.path)
    for descriptor in (1, 2):
        assert Path(f"/proc/{first.pid}/fd/{descriptor}").readlink() == folder.path / "supervisor.log"
    (folder.path / "go").touch()
    wait_for(lambda: (spare_of(agent) or first).pid != first.pid)  # another, for the next
    second = spare_of(agent)
    assert second is not None
    second.kill()
    again = launch(backend, "true")  # one that died is no hindrance
    wait_for(lambda: status(backend, again) is RunStatus.FINISHED)
    wait_for(lambda: status(backend, run) is RunStatus.FINISHED)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_waits_for_a_run_ends_with_its_agent(backend: Backend, tmp_path: Path, number: signal.Signals) -> None:
    agent = ensure_agent(tmp_path).pid
    wait_for(lambda: spare_of(agent))
    spare = spare_of(agent)
    assert spare is not None
    os.kill(agent, number)
    wait_for(lambda: gone(spare))


def test_its_bell_is_heard_and_may_be_missing(tmp_path: Path) -> None:
    ring_bell(tmp_path)  # nobody there
    bell = hang_bell(tmp_path)
    assert bell is not None
    try:
        with pytest.raises(BlockingIOError):
            os.read(bell, 10)
        for _ in range(100_000):  # more than a pipe holds
            ring_bell(tmp_path)
        assert os.read(bell, 10) == b"\0" * 10
    finally:
        os.close(bell)
    ring_bell(tmp_path)  # its pipe is left, and nobody hears
    again = hang_bell(tmp_path)
    assert again is not None
    os.close(again)


def test_its_log_stays_small(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "agent.log").write_bytes(b"old line\n" * (LARGEST // 9 + 1))
    ensure_agent(tmp_path)
    wait_for(lambda: (tmp_path / "agent.log").stat().st_size < 10_000)
    stop_agent(tmp_path)
    assert (tmp_path / "agent.log.1").read_bytes().startswith(b"old line")
    assert agent_log(tmp_path).endswith("0 runs go on\n")


def test_it_ends_when_its_workspace_is_taken_away(backend: Backend, tmp_path: Path) -> None:
    pid = ensure_agent(tmp_path).pid
    agent = psutil.Process(pid)
    (tmp_path / "agent.lock").unlink()
    launch(backend, "true")
    wait_for(lambda: gone(agent))


def test_it_waits_for_the_lock_of_one_that_is_dying(backend: Backend, tmp_path: Path) -> None:
    """A killed one counts as dead as soon as its main thread is gone, and its lock goes with its last one."""

    def tries() -> bool:
        with suppress(psutil.Error):
            return any(
                file.path.endswith("/agent.lock")
                for child in psutil.Process().children()
                if str(tmp_path) in words_of(child)
                for file in child.open_files()
            )
        return False

    with (tmp_path / "agent.lock").open("w") as held, ThreadPoolExecutor(1) as caller:
        fcntl.flock(held, fcntl.LOCK_EX)
        started = caller.submit(ensure_agent, tmp_path)
        wait_for(tries)
        time.sleep(0.2)
        fcntl.flock(held, fcntl.LOCK_UN)
        assert started.result().running
    stop_agent(tmp_path)


def test_waits_double_up_to_their_longest_and_are_forgotten_after_a_success() -> None:
    backoff = Backoff(first=1, longest=5)
    assert [backoff.failed() for _ in range(5)] == [1, 2, 4, 5, 5]
    assert not backoff.due
    backoff.succeeded()
    assert backoff.due
    assert backoff.failed() == 1
