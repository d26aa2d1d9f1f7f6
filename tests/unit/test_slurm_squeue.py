"""How often squeue is asked, counted by a stand-in that writes down when it was."""

from __future__ import annotations

import fcntl
import os
import time
from itertools import pairwise
from pathlib import Path

import pytest

from backends.contract import Unreachable
from backends.entities import LauncherRef, RunStatus
from backends.slurm import watch as watch_module
from backends.slurm.address import read_address
from backends.slurm.engine import SlurmEngine, open_slurm
from backends.slurm.login_node import LoginNode
from backends.slurm.watch import Watch

APART_S = 1.0
LONGEST_S = 60.0
RUN = "a" * 32
NOTHING = '{"meta": {}, "errors": [], "jobs": []}'


class Queue:
    """A squeue in PATH."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.shared = home / "shared"
        self.shared.mkdir()
        self._times = home / "times"
        self.does(f"echo '{NOTHING}'")

    def does(self, body: str, *, before: str = "") -> None:
        """Shell lines that it runs once it has written down when, and some that come `before`."""
        (self.home / "squeue").write_text(f"#!/bin/sh\n{before}\ndate +%s%3N >>'{self._times}'\n{body}\n")
        (self.home / "squeue").chmod(0o755)

    @property
    def times(self) -> list[int]:
        return [int(line) for line in self._times.read_text().split()] if self._times.exists() else []

    @property
    def gaps(self) -> list[int]:
        return [later - earlier for earlier, later in pairwise(self.times)]

    def engine(self) -> SlurmEngine:
        return open_slurm(LauncherRef(url=f"slurm:{self.shared}"))

    def watch(self) -> Watch:
        return Watch(LoginNode(read_address(f"slurm:{self.shared}"), {}))

    def until(self, engine: SlurmEngine, count: int) -> None:
        """Look on and on, until it was asked so often."""
        end = time.monotonic() + LONGEST_S
        while len(self.times) < count:
            assert time.monotonic() < end, f"asked {len(self.times)} times"
            states = engine.look({RUN: "17"})
            assert states.get(RUN) is None or states[RUN].status is RunStatus.QUEUED
            time.sleep(0.05)


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Queue:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(watch_module, "APART_S", APART_S)
    return Queue(tmp_path)


def test_one_that_was_slow_to_begin_does_not_bring_the_next_one_closer(queue: Queue) -> None:
    queue.does(f"echo '{NOTHING}'", before=f"[ -e '{queue.home}/times' ] || sleep 0.6")
    queue.until(queue.engine(), 3)
    assert min(queue.gaps) >= APART_S * 1000, queue.gaps


def test_an_agent_that_begins_anew_keeps_the_distance(queue: Queue) -> None:
    for count in (1, 2, 3):
        queue.until(queue.engine(), count)
    assert min(queue.gaps) >= APART_S * 1000, queue.gaps


def test_two_agents_of_one_person_ask_in_turn(queue: Queue) -> None:
    one, other = queue.engine(), queue.engine()
    end = time.monotonic() + LONGEST_S
    while len(queue.times) < 4 and time.monotonic() < end:
        one.look({RUN: "17"})
        other.look({RUN: "17"})
        time.sleep(0.05)
    assert len(queue.times) >= 4
    assert min(queue.gaps) >= APART_S * 1000, queue.gaps


def test_while_another_asks_nobody_does(queue: Queue) -> None:
    with (queue.shared / "squeue.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        queue.engine().look({RUN: "17"})
        assert queue.times == []
    queue.engine().look({RUN: "17"})
    assert len(queue.times) == 1


def test_a_slurm_without_json_is_asked_for_text_by_the_next(queue: Queue) -> None:
    queue.does(
        'case "$*" in *--json*) echo "squeue: unrecognized option \'--json\'" >&2; exit 1;; esac\n'
        'echo "17|17|N/A|PENDING|Priority||mlops-console run=x"'
    )
    engine = queue.engine()
    queue.until(engine, 2)
    assert "priority" in engine.look({RUN: "17"})[RUN].reason.lower()
    assert min(queue.gaps) >= APART_S * 1000, queue.gaps


def test_a_job_that_was_handed_over_perhaps_is_looked_for_once_ones_turn_comes(queue: Queue) -> None:
    queue.until(queue.engine(), 1)
    job = '{"job_id": 17, "job_state": "PENDING", "comment": "ours"}'
    queue.does(f"echo '{NOTHING.replace('[]}', '')}[{job}]}}'")
    watch = queue.watch()
    begun = time.monotonic()
    assert watch.find("ours", begun) == "17"
    assert watch.find("another's", begun) == "", "one answer for all that are looked for"
    assert len(queue.times) == 2
    assert min(queue.gaps) >= APART_S * 1000, queue.gaps


def test_who_waits_for_an_answer_does_not_wait_for_a_controller_that_is_away(queue: Queue) -> None:
    queue.does("echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    watch = queue.watch()
    for _ in range(2):
        with pytest.raises(Unreachable, match="Unable to contact"):
            watch.find("ours", time.monotonic())
    assert len(queue.times) == 1


def test_a_probe_asks_no_squeue(queue: Queue) -> None:
    (queue.home / "sbatch").write_text("#!/bin/sh\necho slurm 22.05.8\n")
    (queue.home / "sinfo").write_text("#!/bin/sh\n")
    for name in ("sbatch", "sinfo"):
        (queue.home / name).chmod(0o755)
    assert queue.engine().probe().startswith("slurm 22.05.8, ")
    assert queue.times == []


@pytest.mark.parametrize("stamp", ["", "yesterday\n", "99999999999999\n"])
def test_a_time_that_cannot_be_meant_keeps_nobody_from_asking(queue: Queue, stamp: str) -> None:
    (queue.shared / "squeue.at").write_text(stamp)
    queue.engine().look({RUN: "17"})
    assert len(queue.times) == 1
