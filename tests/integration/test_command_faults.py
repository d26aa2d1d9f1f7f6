"""Commands that go wrong in ways of their own: each ends in a state with a reason, and the workspace goes on.

What a recipe is refused for, signals, forks and binary output stand in `test_command_recipes.py`.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backends.contract import Backend, Mutation
from backends.entities import RunStatus
from backends.local import open_local, supervisor
from backends.local.process_tree import run_processes
from backends.local.run_folder import RunFolder
from backends.local.run_log import SEGMENT, log_files
from console.agent import ensure_agent, stop_agent
from console.training.command import Command, start_command
from tests.monitored import until

ROOT = Path(__file__).parents[2]
ANN = Mutation("ann@box")
LINE = 4 * SEGMENT + 12_345
"""Of one line without an end: more than the log has room for."""

FAULTS = [
    ("a line without an end", f"head -c {LINE} /dev/zero | tr '\\0' x; echo; echo after", "finished", "", ""),
    ("a crash", "kill -SEGV $$", "failed", "killed by SIGSEGV (signal 11)", ""),
    ("a file over its limit", "trap '' XFSZ; ulimit -f 8; head -c 100000 /dev/zero > big; exit 5", "failed",
     "exit code 5", "File too large"),
    ("progress that is none", "echo '{\"metrics\": 5}' >&$MLOPS_PROGRESS_FD; echo no >&$MLOPS_PROGRESS_FD; exit 6",
     "failed", "exit code 6", "not understood"),
    ("an artifact that is not there", "echo '{\"artifact\": \"gone.txt\"}' >&$MLOPS_PROGRESS_FD; exit 7", "failed",
     "exit code 7", "artifact 'gone.txt' not kept: there is no such file"),
    ("a closed output", "exec >&- 2>&-; exit 8", "failed", "exit code 8", ""),
]  # fmt: skip


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    backend = open_local(tmp_path / "w")
    ensure_agent(tmp_path / "w")
    yield backend
    stop_agent(tmp_path / "w")
    backend.close()


def test_each_ends_in_its_state_with_its_reason(backend: Backend, tmp_path: Path) -> None:
    """All at once: each is a process of its own."""
    runs, launcher = backend.need("runs"), backend.need("launcher")
    started = []
    for name, script, *_ in FAULTS:
        run = start_command(backend, Command(argv=("sh", "-c", script), cwd=str(tmp_path)), ANN, name=name)
        started.append(run.id)
    for run, (name, _, status, reason, said) in zip(started, FAULTS, strict=True):
        found = until(lambda run=run: (at := runs.get(run)).status.ended and at, seconds=300, what=name)
        assert (found.status, reason in found.reason) == (RunStatus(status), True), (name, found.reason)
        assert "\n" not in found.reason
        log = launcher.log(run, start=-65_536).text
        assert said in log, (name, log[-500:])
        assert run_processes(run) == [], name
    endless = started[0]
    files = log_files(RunFolder.of(tmp_path / "w", endless).log)
    assert sum(file.stat().st_size for file in files) <= 3 * SEGMENT
    assert launcher.log(endless, start=-20).text.endswith("after\n")


def test_what_is_left_in_the_pipes_is_read_however_late_its_supervisor_comes_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Paused between any two of its lines, as on a machine that is busy."""
    clock = itertools.count(0.0, 10.0)
    monkeypatch.setattr(supervisor, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    pipes = [os.pipe() for _ in range(2)]
    for (reader, writer), byte in zip(pipes, (b"o", b"p"), strict=True):
        os.set_blocking(reader, False)
        os.write(writer, byte * 60_000)
    output, progress = (reader for reader, _ in pipes)
    log, said = bytearray(), bytearray()
    one = object.__new__(supervisor.Supervision)
    one.open = {output, progress}
    one.log = SimpleNamespace(write=log.extend)
    one.said = SimpleNamespace(take=said.extend, end=lambda: None)
    one._empty(SimpleNamespace(output=output, progress=progress))
    for descriptor in itertools.chain(*pipes):
        os.close(descriptor)
    assert (bytes(log), bytes(said)) == (b"o" * 60_000, b"p" * 60_000)


IN_A_SMALL_DISK = """
import json, os, subprocess, sys, time
small, given = sys.argv[1], []
def cli(*words):
    done = subprocess.run([sys.executable, "-m", "console.launch", "--workspace", small + "/ws", *words, "--json"],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, cwd=small)
    given.append(dict(code=done.returncode, out=done.stdout, err=done.stderr))
cli("run", "start", "--name", "kept", "--", "sh", sys.argv[2])
until = time.monotonic() + 240
while not os.path.exists(small + "/written") and time.monotonic() < until:
    time.sleep(0.1)
time.sleep(3)  # the supervisor finds no room for its copy, and waits for some
os.unlink(small + "/big")
cli("run", "start", "--wait", "--name", "filling", "--", "sh", "-c",
    "head -c 90000000 /dev/zero > own || { rm own; exit 9; }")
cli("run", "start", "--wait", "--name", "later", "--", "sh", "-c", "exit 0")
until = time.monotonic() + 240  # who found no room looks again after a while, and after ever longer ones
while True:
    cli("run", "list")
    if time.monotonic() > until or "running" not in given[-1]["out"]:
        break
    given.pop()
    time.sleep(0.5)
cli("agent", "stop")
print("GIVEN" + json.dumps(given))
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare here to mount with")
def test_a_disk_that_fills_in_the_middle_of_an_artifact(tmp_path: Path) -> None:
    """The file is there and its copy in the store has no room; then a command has none for its own file."""
    small = tmp_path / "small"
    small.mkdir()
    job = tmp_path / "job.sh"
    job.write_text(
        'head -c 9000000 /dev/zero > big && touch written\necho \'{"artifact": "big"}\' >&$MLOPS_PROGRESS_FD\n'
    )
    mount = f"mount -t tmpfs -o size=16m none {small}"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f'{mount} && exec {sys.executable} -c "$0" {small} {job}', IN_A_SMALL_DISK],
        capture_output=True, text=True, check=False, timeout=900, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    if "GIVEN" not in done.stdout and ("ermission denied" in done.stderr or "not permitted" in done.stderr):
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    assert "GIVEN" in done.stdout, done.stderr
    kept, filling, later, listed, stopped = json.loads(done.stdout.partition("GIVEN")[2])
    assert (kept["code"], filling["code"], later["code"], stopped["code"]) == (0, 1, 0, 0), (filling, later, stopped)
    runs: dict[str, Any] = {each["name"]: each for each in json.loads(listed["out"])["items"]}
    assert all(each["status"] in ("finished", "failed") for each in runs.values()), runs
    assert "No space left" in runs["filling"]["reason"], runs["filling"]
    assert (runs["kept"]["status"], runs["later"]["status"]) == ("finished", "finished")
