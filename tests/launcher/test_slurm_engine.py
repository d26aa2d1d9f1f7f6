"""A real Slurm of one node, as the agent uses it."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.contract import Refused
from backends.entities import Job, Needs, RunStatus
from backends.slurm import engine as engine_module
from backends.slurm import watch as watch_module
from backends.slurm.script import COMMENT
from tests.launcher.slurm_cluster import SlurmCluster
from tests.launcher.slurm_lab import Lab, ended, slurm

__all__ = ["slurm"]

WAITS = "import time\nprint('begun', flush=True)\ntime.sleep(1000)\n"


@pytest.fixture
def lab(slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Its squeues may follow each other faster than those of a cluster that others use too."""
    monkeypatch.setattr(watch_module, "APART_S", 0.5)
    made = Lab(slurm, tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def overtime(slurm: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Job]]:
    """A job whose time is over. Slurm looks for such every half minute: it is begun first, and asked after last."""
    lab = Lab(slurm, tmp_path_factory.mktemp("overtime"))
    job = lab.job(WAITS, options={"time": "1"})
    (number,) = lab.submit(job)
    lab.until(job, running)
    slurm.run("scontrol", "update", f"jobid={number}", "EndTime=now")
    yield lab, job
    lab.close()


def running(state: object) -> bool:
    return getattr(state, "status", None) is RunStatus.RUNNING


def test_a_job_runs_in_its_folder_and_its_end_is_told(lab: Lab, overtime: object) -> None:
    good = lab.job("import os\nprint(os.getcwd())\nprint('grüße')")
    bad = lab.job("raise SystemExit(3)")
    lab.submit(good, bad)
    states = lab.all_until([good, bad], ended)
    assert lab.log(good) == f"{good.folder}\ngrüße\n"
    told = states[good.run]
    assert (told.status, told.exit_code, told.where) == (RunStatus.FINISHED, 0, lab.cluster.host)
    assert told.began_at is not None
    assert told.ended_at is not None
    assert (states[bad.run].status, states[bad.run].exit_code) == (RunStatus.FAILED, 3)
    assert "sbatch" not in lab.engine.probe()
    assert lab.engine.probe().startswith("slurm")


def test_a_repeat_is_the_same_job_whatever_was_forgotten(lab: Lab) -> None:
    counted, go = lab.home / "count", lab.home / "go"
    job = lab.job(
        f"import pathlib, time\nopen({str(counted)!r}, 'a').write('x')\n"
        f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.1)\n"
    )
    first = lab.submit(job)
    assert lab.submit(job) == first
    (number,) = (lab.home / "shared" / "batches").glob("*/job")
    number.unlink()  # its agent died between sbatch and this
    lab.engine = lab.open()
    assert lab.submit(job) == first
    number.unlink(missing_ok=True)
    lab.until(job, running)
    # Submitted twice after all: the second finds that the run has its job.
    batch = lab.home / "shared" / "batches" / job.run
    lab.cluster.run(
        "sbatch", "--parsable", "--mem=50M", f"--output={batch}/slurm.again", f"{batch}/job.sh",
        str(lab.home / "shared"), job.run,
    )  # fmt: skip
    go.touch()
    assert lab.until(job, ended).status is RunStatus.FINISHED
    until = time.monotonic() + 180
    again = batch / "slurm.again"
    while time.monotonic() < until and not (again.exists() and again.stat().st_size):
        time.sleep(0.2)
    assert "already" in again.read_text()
    assert counted.read_text() == "x"


def test_an_array_of_a_thousand_is_one_job_and_one_squeue_tells_of_all(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "APART_S", 5.0)
    jobs = [lab.job("print('tried')", sweep="5" * 32) for _ in range(1_000)]
    began = time.monotonic()
    numbers = lab.submit(*jobs)
    base = numbers[0].partition("_")[0]
    assert numbers == [f"{base}_{at}" for at in range(1_000)]
    assert len(list((lab.home / "shared" / "batches").iterdir())) == 1
    until = time.monotonic() + 180
    seen: Counter[str] = Counter()
    looks = 0
    while time.monotonic() < until and not (seen["finished"] >= 6 and looks > 3):
        states = lab.engine.look(lab.handed)
        assert len(states) == 1_000, "every task is known, begun or not"
        seen = Counter(state.status.value for state in states.values())
        looks += 1
        time.sleep(0.2)
    assert seen["finished"] >= 6
    assert seen["queued"] > 500
    assert lab.engine._watch.asked <= 1 + (time.monotonic() - began) / 5
    done = next(job for job in jobs if states[job.run].status is RunStatus.FINISHED)
    assert lab.log(done) == "tried\n"
    monkeypatch.setattr(watch_module, "APART_S", 0.5)
    lab.engine.stop(lab.handed)
    lab.all_until(jobs, ended)


def test_what_can_never_run_is_refused_with_slurms_words(lab: Lab) -> None:
    big, lost, fine = (
        lab.job("pass", needs=Needs(memory=99_000_000_000)),
        lab.job("pass", options={"partition": "nowhere"}),
        lab.job("pass"),
    )
    wrong = lab.job("pass", options={"partitoin": "work"})
    answers = lab.engine.submit([big, lost, fine, wrong])
    assert isinstance(answers[big.run], Refused)
    assert "not available" in str(answers[big.run])
    assert "nvalid partition" in str(answers[lost.run])
    assert "did you mean partition" in str(answers[wrong.run])
    lab.handed[fine.run] = str(answers[fine.run])
    assert lab.until(fine, ended).status is RunStatus.FINISHED
    long = lab.job("pass", options={"partition": "small", "time": "600"})
    wide = lab.job("pass", needs=Needs(cpu=64))  # that it takes, and keeps waiting for good
    lab.submit(long, wide)
    assert "can never begin" in lab.until(long, lambda each: "PartitionTimeLimit" in each.reason).reason
    assert "can never begin" in lab.until(wide, lambda each: "PartitionConfig" in each.reason).reason


def test_cancelled_from_outside_is_told_as_that(lab: Lab) -> None:
    job = lab.job(WAITS)
    (number,) = lab.submit(job)
    lab.until(job, running)
    lab.log_until(job, "begun\n")
    lab.cluster.run("scancel", number)
    state = lab.until(job, ended)
    assert state.status is RunStatus.STOPPED
    assert "scancel (CANCELLED)" in state.reason


def test_what_slurm_has_forgotten_stands_on_the_disk(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    job, other = lab.job("raise SystemExit(4)"), lab.job("pass")
    lab.submit(job)
    lab.until(job, ended)
    later = lab.open()
    monkeypatch.setattr(engine_module, "SETTLE_S", -1.0)
    monkeypatch.setattr(watch_module, "APART_S", 0.0)
    for name in ("claim", "batch"):  # nothing leads to a job that Slurm knows
        (lab.home / "shared" / "runs" / job.run / name).write_text("99999999\n" if name == "claim" else "")
    states = later.look({job.run: "99999999", other.run: "99999998"})
    assert states[job.run].exit_code == 4
    assert other.run not in states, "nobody knows of it"


def test_nothing_secret_is_in_what_others_can_read(lab: Lab) -> None:
    job = lab.job(WAITS, files={"manifest.json": "hush"}, entry=("python", "task.py", "manifest.json"))
    (number,) = lab.submit(job)
    lab.until(job, running)
    shown = lab.cluster.run("scontrol", "show", "job", number) + lab.cluster.run("squeue", "--json")
    shown += lab.cluster.run("scontrol", "write", "batch_script", number, "-")
    assert f"{COMMENT}{job.run}" in shown
    assert "hush" not in shown
    assert "task.py" not in shown, "the command is in a file of its own"
    shared = lab.home / "shared"
    modes = set()
    for path in [shared, *shared.rglob("*")]:
        with contextlib.suppress(FileNotFoundError):  # what a running job writes has another name for a moment
            modes.add(path.stat().st_mode & 0o077)
    assert modes == {0}


def test_a_time_that_is_over_and_a_machine_that_fails_are_told(lab: Lab, overtime: tuple[Lab, Job]) -> None:
    earlier, slow = overtime
    state = earlier.until(slow, ended)
    assert state.status is RunStatus.FAILED
    assert "time limit was over, and Slurm ended it" in state.reason
    job = lab.job(WAITS)
    lab.submit(job)
    lab.until(job, running)
    lab.cluster.run("scontrol", "update", f"nodename={lab.cluster.host}", "state=down", "reason=smoke")
    try:
        assert lab.engine.room().note == "1 machine is down"
        state = lab.until(job, ended)
        assert "(NODE_FAIL)" in state.reason
        assert state.status is RunStatus.LOST
    finally:
        lab.cluster.run("scontrol", "update", f"nodename={lab.cluster.host}", "state=resume")
        lab.cluster.await_idle()


def test_what_has_no_room_waits_and_says_why(lab: Lab) -> None:
    holder = lab.job(WAITS, needs=Needs(cpu=2, memory=50_000_000))
    lab.submit(holder)
    lab.until(holder, running)
    waiting = lab.job("pass", needs=Needs(cpu=2, memory=50_000_000))
    lab.submit(waiting)
    state = lab.until(waiting, lambda each: "(Resources)" in each.reason or "(Priority)" in each.reason)
    assert state.status is RunStatus.QUEUED
    room = lab.engine.room()
    assert (room.nodes, room.total.cpu, room.taken.cpu) == (1, 2, 2)
    assert room.others["work"] == "2 of 2 cpu"
    lab.engine.stop(lab.handed)
    assert lab.until(waiting, ended).status is RunStatus.STOPPED
    assert lab.until(holder, ended).status is RunStatus.STOPPED


def test_a_controller_that_is_killed_and_comes_back_harms_no_job(lab: Lab) -> None:
    job = lab.job(
        "import time, pathlib\nprint('before', flush=True)\n"
        "while not pathlib.Path('go').exists(): time.sleep(0.1)\nprint('after', flush=True)"
    )
    lab.submit(job)
    lab.until(job, running)
    waiting = lab.job("pass", needs=Needs(cpu=2))
    lab.submit(waiting)
    lab.cluster.await_saved()
    lab.cluster.kill("slurmctld")
    try:
        lab.engine._watch._next_at = 0.0  # the next look asks
        state = lab.state(job)
        assert state is not None
        assert state.status is RunStatus.RUNNING
        told = lab.until(waiting, lambda each: "does not answer" in each.reason)
        assert told.status is RunStatus.QUEUED
        lab.log_until(job, "before\n")
        (Path(job.folder) / "go").touch()
        assert lab.until(job, ended).status is RunStatus.FINISHED, "its files tell that"
        lab.log_until(job, "before\nafter\n")
    finally:
        lab.cluster.begin("slurmctld")
        lab.cluster.await_idle()
    lab.engine._watch._next_at = 0.0  # it would be asked again after a while
    assert lab.until(waiting, ended).status is RunStatus.FINISHED
