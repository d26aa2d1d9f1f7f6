"""A process is signalled only when it is the very one that was meant."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import msgspec
import psutil
import pytest

from backends.local.process_identity import identify, is_alive, own_identity, send_signal
from backends.local.process_tree import AGENT_MARK, RUN_MARK, kill_run_processes, run_processes
from tests.processes import words_of


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_a_process_with_a_reused_number_is_never_signalled(sleeper: subprocess.Popen[bytes]) -> None:
    identity = identify(sleeper.pid)
    assert identity is not None
    earlier = msgspec.structs.replace(identity, started=identity.started - 100)
    assert not is_alive(earlier)
    assert not send_signal(earlier, signal.SIGKILL)
    assert sleeper.poll() is None


def test_a_process_of_another_boot_is_never_signalled(sleeper: subprocess.Popen[bytes]) -> None:
    identity = identify(sleeper.pid)
    assert identity is not None
    before = msgspec.structs.replace(identity, boot="0e7b2b7e-0000-0000-0000-000000000000")
    assert not is_alive(before)
    assert not send_signal(before, signal.SIGKILL)
    assert sleeper.poll() is None


def test_the_very_process_is_signalled_and_a_zombie_counts_as_gone(sleeper: subprocess.Popen[bytes]) -> None:
    identity = identify(sleeper.pid)
    assert identity is not None
    assert is_alive(identity)
    assert send_signal(identity, signal.SIGTERM)
    deadline = time.monotonic() + 60
    while is_alive(identity):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert identify(sleeper.pid) is None  # not reaped yet: a zombie
    assert not send_signal(identity, signal.SIGTERM)


def test_a_process_is_the_same_seen_from_any_other() -> None:
    code = (
        f"from backends.local.process_identity import identify; i = identify({os.getpid()}); print(i.started, i.boot)"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    me = own_identity()
    assert (float(seen[0]), seen[1]) == (me.started, me.boot)


def asleep(shell: int) -> set[str]:
    """How long the sleepers of a shell sleep, those that have become such."""
    said = [words_of(each) for each in psutil.Process(shell).children(recursive=True)]
    return {words[1] for words in said if words[:1] == ["sleep"]}


def test_the_processes_of_a_run_are_found_by_mark_and_by_descent_and_foreign_ones_are_spared() -> None:
    run, other = "a" * 31 + "1", "b" * 31 + "2"
    script = f"""
    setsid env -i sleep 61 &
    setsid sleep 62 &
    {RUN_MARK}={other} setsid sleep 63 &
    env -u {RUN_MARK} {AGENT_MARK}=somewhere sleep 64 &
    echo $!
    wait
    """
    shell = subprocess.Popen(["sh", "-c", script], env={**os.environ, RUN_MARK: run}, stdout=subprocess.PIPE)
    assert shell.stdout is not None
    agents = int(shell.stdout.readline())
    try:
        deadline = time.monotonic() + 60
        while asleep(shell.pid) != {"61", "62", "63", "64"}:  # before, each has the marks of the shell
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert len(run_processes(run)) == 3, "the shell and two of its sleepers"
        killed, left = kill_run_processes(run)
        assert (killed, left) == (3, 0)
        assert run_processes(run) == []
        spared = run_processes(other)
        assert len(spared) == 1
    finally:
        shell.wait()
        shell.stdout.close()
        kill_run_processes(other)
        os.kill(agents, signal.SIGKILL)
