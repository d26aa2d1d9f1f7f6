"""A Slurm with accounting: how a job ended is known after the controller has forgotten it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from backends.entities import JobState, RunStatus
from backends.slurm import engine as engine_module
from backends.slurm import watch as watch_module
from tests.launcher import slurm_accounts, slurm_cluster
from tests.launcher.bench import until
from tests.launcher.slurm_accounts import Accounts
from tests.launcher.slurm_lab import Lab

WAITS = "import time\nprint('begun', flush=True)\ntime.sleep(300)\n"


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    if why := slurm_cluster.missing() or slurm_accounts.missing():
        pytest.skip(why)
    made = Accounts(tmp_path_factory.mktemp("accounts"))
    with pytest.MonkeyPatch.context() as patched:
        for name, value in made.cluster.environment.items():
            patched.setenv(name, value)
        try:
            made.start()
            yield made
        finally:
            made.stop()


def ended(accounts: Accounts, *jobs: str) -> bool:
    """Whether the database knows of the end of these jobs and tasks. Of an array it may know an end as a whole before
    it has heard of its tasks, and what the controller has not told it by then is lost with the controller."""
    said = accounts.cluster.run("sacct", "-n", "-P", "-X", "-o", "jobid,state", "-j", ",".join(jobs)).split("\n")
    told = dict(each.split("|", 1) for each in said if each)
    return set(jobs) <= set(told) and not any(each.startswith(("PENDING", "RUNNING")) for each in told.values())


def kill_task(base: str, task: int) -> None:
    """All of its processes at once, so that its file is told nothing."""
    wanted = {f"SLURM_ARRAY_JOB_ID={base}", f"SLURM_ARRAY_TASK_ID={task}"}
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted <= set((each / "environ").read_text("utf-8", "replace").split("\0")):
                os.kill(int(each.name), signal.SIGSTOP)  # nobody sees another one's end
                found.append(int(each.name))
    for number in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def test_what_the_controller_has_forgotten_is_read_from_the_database(
    accounts: Accounts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "APART_S", 0.2)
    monkeypatch.setattr(watch_module, "ACCOUNT_S", 1.0)
    monkeypatch.setattr(engine_module, "SETTLE_S", 0.0)
    cluster, lab = accounts.cluster, Lab(accounts.cluster, tmp_path)
    trials = [lab.job(WAITS, sweep="7" * 32) for _ in range(7)]
    base = lab.submit(*trials)[0].partition("_")[0]
    waiting = lab.job("pass")
    (alone,) = lab.submit(waiting)
    until(lambda: all(lab.engine.log(trial.run, "", 0) for trial in trials[:2]), "their first lines")
    cluster.run("scancel", f"{base}_3")
    kill_task(base, 0)
    until(lambda: f"{base}_0" not in cluster.run("squeue", "-h", "-r", "-o", "%i"), "its end")
    cluster.run("scancel", base, alone)
    begun = (f"{base}_0", f"{base}_1")
    until(lambda: ended(accounts, *begun) and ended(accounts, alone), "their ends in the database")
    until(lambda: f"{base}_[" in cluster.run("sacct", "-n", "-P", "-X", "-o", "jobid", "-j", base), "the end of others")
    (gone,) = lab.submit(lab.job("pass"))
    until(lambda: ended(accounts, gone), "its end in the database")
    cluster.forget()
    assert cluster.run("squeue", "-h", "-t", "all") == ""

    later = lab.open()

    def all_ended() -> Mapping[str, JobState]:
        """The first look may come before the controller that was begun anew tells anything."""
        found = later.look(lab.handed)
        over = {run for run, state in found.items() if state.status.ended}
        return found if over == set(lab.handed) else {}

    until(all_ended, "the ends of all")
    states = all_ended()
    killed = states[trials[0].run]
    assert (killed.status, killed.exit_code) == (RunStatus.FAILED, 137), killed
    assert killed.where == cluster.host
    stopped = [states[job.run] for job in (*trials[1:], waiting)]
    assert {state.status for state in stopped} == {RunStatus.STOPPED}
    assert all("scancel (CANCELLED)" in state.reason or state.began_at for state in stopped), stopped
    assert lab.log(trials[0]) == "begun\n"
    later.close()

    # While its database is down, a job that nobody else knows is not given up.
    accounts.end_daemon()
    unknown = lab.job("pass")
    asked = {unknown.run: "999999"}
    later = lab.open()
    assert later.look(asked)[unknown.run].status is RunStatus.QUEUED
    accounts.begin_daemon()
    deadline = time.monotonic() + 180
    while later.look(asked) and time.monotonic() < deadline:
        time.sleep(0.3)
    assert not later.look(asked), "and then it is"
    later.close()
