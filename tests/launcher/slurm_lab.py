"""The Slurm of a test session, and jobs to hand it."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from backends.entities import Job, JobState, LauncherRef, Needs
from backends.slurm.engine import SlurmEngine, open_slurm
from tests.launcher import slurm_cluster
from tests.launcher.slurm_cluster import SlurmCluster

WAIT_S = 180.0


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """Its programs are found by this process and by whatever it starts."""
    if why := slurm_cluster.missing():
        pytest.skip(why)
    cluster = SlurmCluster(tmp_path_factory.mktemp("slurm"))
    before = {name: os.environ.get(name) for name in cluster.environment}
    os.environ.update(cluster.environment)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class Lab:
    """One engine, the jobs that a test hands it, and their ends."""

    def __init__(self, cluster: SlurmCluster, home: Path, url: str = "", **options: str) -> None:
        self.cluster = cluster
        self.home = home
        self.url = url or f"slurm:{home / 'shared'}"
        self.options = options
        self.engine = self.open()
        self.handed: dict[str, str] = {}

    def open(self) -> SlurmEngine:
        """Another one: what it knows is what stands on the disk."""
        return open_slurm(LauncherRef(url=self.url, options=self.options))

    def job(self, code: str, **given: object) -> Job:
        """Python code as a job."""
        run = uuid.uuid4().hex
        folder = self.home / "work" / run
        folder.mkdir(parents=True)
        (folder / "task.py").write_text(code)
        return Job(
            **{
                "run": run, "name": "a run", "folder": str(folder), "entry": ("python", "task.py"),
                "files": {"task.py": code}, "needs": Needs(memory=50_000_000), **given,
            }  # type: ignore[arg-type]
        )  # fmt: skip

    def submit(self, *jobs: Job) -> list[str]:
        answers = self.engine.submit(jobs)
        for run, job in answers.items():
            if isinstance(job, Exception):
                raise job
            self.handed[run] = job
        return [str(answers[job.run]) for job in jobs]

    def state(self, job: Job) -> JobState | None:
        return self.engine.look({job.run: self.handed[job.run]}).get(job.run)

    def until(self, job: Job, true: Callable[[JobState], bool], wait: float = WAIT_S) -> JobState:
        return self.all_until([job], true, wait)[job.run]

    def all_until(
        self, jobs: list[Job], true: Callable[[JobState], bool], wait: float = WAIT_S
    ) -> Mapping[str, JobState]:
        end = time.monotonic() + wait
        states: Mapping[str, JobState] = {}
        while time.monotonic() < end:
            states = self.engine.look({job.run: self.handed[job.run] for job in jobs})
            if len(states) == len(jobs) and all(true(each) for each in states.values()):
                return states
            time.sleep(0.2)
        queue = self.cluster.run("squeue", "-t", "all", check=False)
        raise AssertionError(f"not within {wait:g} s: {states}\n{queue}")

    def log(self, job: Job) -> str:
        """All of it, read in pieces as the agent does."""
        data, idle = b"", 0
        while idle < 8:
            piece = self.engine.log(job.run, self.handed[job.run], len(data))
            data += piece
            idle = 0 if piece else idle + 1
            if not piece:
                time.sleep(0.2)
        return data.decode()

    def log_until(self, job: Job, said: str) -> None:
        """Until it has said this, and nothing else: a job that runs need not have said it yet."""
        end = time.monotonic() + WAIT_S
        while (found := self.log(job)) != said:
            assert said.startswith(found), found
            assert time.monotonic() < end, f"{said!r} never came: {found!r}"

    def close(self) -> None:
        self.engine.stop(self.handed)
        self.engine.close()


def ended(state: JobState) -> bool:
    return state.status.ended
