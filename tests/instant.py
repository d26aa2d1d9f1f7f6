"""A launcher that tries a run at once, in the process that submits it: of a sweep its controller is left."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from backends.contract import Backend, BackendError, Mutation, all_pages
from backends.entities import Capacity, LaunchSpec, MetricPoint, Needs, Run, RunStatus
from backends.local import open_local
from console.training.channel import Channel
from console.training.command import keep_texts
from console.training.job import RECIPE
from console.training.measured import PRIMARY_TAG
from console.training.sweep.begin import RESUMES
from console.training.sweep.controller import Controller, SweepJob
from console.training.sweep.trials import SWEEP, Trial, trials_of

RECIPE_TEXT = """
command = "true {{a}} {{n}} {{kind}}"
name = "instant"
workdir = "/"
[params.a]
default = 0.0
low = -5.0
high = 5.0
[params.n]
default = 1
low = 1
high = 9
[params.kind]
default = "u"
choices = ["u", "v"]
[sweep]
trials = {trials}
parallel = {parallel}
sampler = "{sampler}"
seed = {seed}
metric = "loss"
direction = "minimize"
[sweep.space.a]
[sweep.space.n]
[sweep.space.kind]
"""
ME = Mutation(actor="someone@somewhere", reason="trying")


def recipe(trials: int, *, parallel: int = 1, sampler: str = "tpe", seed: int = 3) -> str:
    return RECIPE_TEXT.format(trials=trials, parallel=parallel, sampler=sampler, seed=seed)


def loss(params: Mapping[str, object]) -> float:
    """The least at a = 2, n = 4, kind = v; computed from parameters as values or as text."""
    a, n = float(str(params["a"])), float(str(params["n"]))
    return (a - 2) ** 2 + abs(n - 4) + (params["kind"] == "u") + 0.1 * math.sin(5 * a)


class Instant:
    """The launcher. `before` is called as a run is submitted, and may end this process."""

    engine = "local"

    spent = 0.0
    """Seconds of CPU that trying took: what a supervisor does elsewhere."""

    def __init__(
        self, backend: Backend, before: Callable[[str], None] = lambda _: None,
        loses: Callable[[Run], bool] = lambda _: False,
    ) -> None:  # fmt: skip
        self.runs = backend.need("runs")
        self.before = before
        self.loses = loses

    def submit(self, spec: LaunchSpec, mutation: Mutation) -> None:
        began = time.process_time()
        self.before("submitted")
        run: Run = self.runs.get(spec.run)
        if run.status is RunStatus.QUEUED:
            self.runs.start(run.id)
        self.before("started")
        if self.loses(run):
            self.runs.end(run.id, RunStatus.LOST, reason="its machine went down")
        if not self.runs.get(spec.run).status.ended:
            self.runs.log_points(run.id, [MetricPoint(key="loss", value=loss(run.params), step=1)])
            self.runs.end(run.id, RunStatus.FINISHED)
        self.before("ended")
        Instant.spent += time.process_time() - began

    def cancel(self, run: str, mutation: Mutation) -> None:
        self.runs.end(run, RunStatus.STOPPED, reason=mutation.reason)

    def fits(self, needs: Needs, options: Mapping[str, str]) -> int | None:
        return None

    def capacity(self) -> Capacity:
        return Capacity(slots=2, running=0, queued=0)


def begun(home: Path, text: str, resumes: Run | None = None) -> Run:
    """The run of a sweep that no controller works at; `resumes` gives it its trials."""
    backend = open_local(home)
    runs = backend.need("runs")
    tags = {SWEEP: "1", PRIMARY_TAG: "loss", **({RESUMES: resumes.id} if resumes else {})}
    run: Run = runs.create(name="instant sweep", tags=tags, mutation=ME)
    keep_texts(backend, run.id, {RECIPE: text})
    runs.start(run.id)
    for trial in trials_of(backend, resumes.id, "loss") if resumes else ():
        runs.set_parent(trial.run, run.id)
    backend.close()
    return run


def work(
    home: Path, sweep: Run, text: str, *, root: str = "", before: Callable[[str], None] = lambda _: None,
    loses: Callable[[Run], bool] = lambda _: False,
) -> str:  # fmt: skip
    """A controller until the sweep's end, in this process. Where `loses` is true of a run, its machine is."""
    backend = open_local(home)
    stand_in = msgspec.structs.replace(backend, launcher=Instant(backend, before, loses))
    channel = Channel()
    with Path(os.devnull).open("w") as nowhere:
        channel._fd = nowhere.fileno()
        channel.note = lambda text: None  # type: ignore[method-assign]
        job = SweepJob(place=str(home), sweep=sweep.id, actor=ME.actor, root=root or sweep.id)
        why = Controller(stand_in, job, text, channel).run()
    backend.close()
    return why


_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["optuna", "console.training.sweep.asking", "tests.instant"])
"""A process without threads makes the controllers: a fork of the tests' own would inherit locks that nobody opens."""


def process(home: Path, sweep: Run, text: str, *, root: str = "", dies: str = "", at: int = 0) -> Any:
    """A controller of its own process, begun; where `dies` names a moment, it is killed there, the `at`-th time."""
    child = _FORKS.Process(target=_in_child, args=(home, sweep, text, root, dies, at), daemon=True)
    child.start()
    return child


def _in_child(home: Path, sweep: Run, text: str, root: str, dies: str, at: int) -> None:
    passed = iter(range(at))

    def moment(here: str) -> None:
        if here == dies and next(passed, None) == at - 1:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        work(home, sweep, text, root=root, before=moment)
    except BackendError as error:
        sys.exit(str(error))


def killed_after(seconds: float, home: Path, sweep: Run, text: str, root: str = "", *, of_trial: bool = False) -> bool:
    """Whether a controller of its own process came to the end before it was killed, `seconds` after it began, or
    (of_trial) after it made its first trial."""
    before = len(found(home, sweep))
    child = process(home, sweep, text, root=root)
    until = time.monotonic() + 120
    while of_trial and child.exitcode is None and len(found(home, sweep)) == before and time.monotonic() < until:
        child.join(0.002)
    child.join(seconds)
    if child.exitcode is not None:
        assert child.exitcode == 0, "the controller failed by itself"
        return True
    child.kill()
    child.join()
    _supervise(home)
    return False


def _supervise(home: Path) -> None:
    """End as supervisors would what a killed launcher had started: those live on, and here it is both."""
    backend = open_local(home)
    runs = backend.need("runs")
    for run in all_pages(lambda at: runs.page(at=at)):
        if run.status is RunStatus.RUNNING and SWEEP not in run.tags:
            if not runs.points(run.id, "loss").items:
                runs.log_points(run.id, [MetricPoint(key="loss", value=loss(run.params), step=1)])
            runs.end(run.id, RunStatus.FINISHED)
    backend.close()


def found(home: Path, sweep: Run) -> list[Trial]:
    backend = open_local(home)
    trials = trials_of(backend, sweep.id, "loss")
    backend.close()
    return trials
