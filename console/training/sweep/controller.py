"""The process of a sweep: `python -m console.training.sweep.controller` in the folder of the sweep's run.

It keeps as many trials going as may run at once until the budget is spent, prunes, and ends. Its only state is the
store: killed at any moment, another one goes on where it was. SIGTERM stops the trials that run, and then itself.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec

from backends.connect import connect
from backends.contract import Backend, BackendError, Conflict, Mutation
from backends.entities import LauncherRef, Record, Run, RunStatus
from console.training.channel import Channel
from console.training.job import RECIPE
from console.training.start import start_run, stop_run
from console.training.sweep.at_once import at_once
from console.training.sweep.goal import any_recipe
from console.training.sweep.space import SweepPlan
from console.training.sweep.trials import (
    LOSSES,
    NUMBER,
    PARAMS,
    PAUSED,
    PRUNED,
    Trial,
    best_of,
    since_best,
    trials_of,
)

LOOK_S: Final = 0.02
"""Between two looks whether the store changed: some microseconds each."""
LOOK_REMOTE_S: Final = 0.25
"""As `LOOK_S`, where the store is a server."""
ROOM_S: Final = 60.0
"""Between two looks at how many trials the cluster has room for."""
RETRY_S: Final = 3.0
FAILURES: Final = 5
"""So many trials may fail before any finished: then the recipe is at fault, not the parameters."""
TRIED_AGAIN: Final = 3
"""So often a trial is begun once more because its machine went down under it; then it counts as failed."""


class SweepJob(Record, frozen=True, kw_only=True):
    """`sweep.json`: what the controller is told."""

    place: str
    """URL of the backend."""
    sweep: str
    """Id of the sweep's run."""
    actor: str
    root: str = ""
    """The sweep that this one goes on with, back to the first: by it a trial that was half begun is known again."""
    launcher: LauncherRef | None = None
    """The cluster that trials are launched on."""
    environ: dict[str, str] = msgspec.field(default_factory=dict)
    """Of a command: what whoever began the sweep had it inherit."""


class Controller:
    """One sweep, brought to its end."""

    def __init__(self, backend: Backend, job: SweepJob, text: str, channel: Channel) -> None:
        self.backend = backend
        self.runs = backend.need("runs")
        self.job = job
        self.text = text
        self.recipe = any_recipe(text, RECIPE)
        assert self.recipe.sweep is not None  # noqa: S101 checked before it was started
        self.plan: SweepPlan = self.recipe.sweep
        self.primary = self.recipe.primary()
        self.channel = channel
        self.stopping = False
        self.began = time.monotonic()
        self.courses: dict[str, list[float]] = {}
        self._ended_read: set[str] = set()
        self._said = -1
        self._token: object = None
        self._exhausted = False
        self._forgiven: set[str] = set()
        self._lingered = False
        self._most = 1
        self._asked_room_at = float("-inf")
        self._look_s = LOOK_REMOTE_S if backend.features.page_limit else LOOK_S

    def run(self) -> str:
        """Until the budget is spent; why it ended, in words."""
        from console.training.sweep.asking import Adviser

        adviser = Adviser(self.plan, self.primary)
        self._take_up()
        while True:
            trials = trials_of(self.backend, self.job.sweep, self.primary)
            running = [trial for trial in trials if not trial.status.ended]
            if self.stopping:
                for trial in running:
                    self._stop(trial, "the sweep was stopped", "")
                return "stopped"
            self._tell(trials)
            lost = [trial for trial in trials if self._lets_again(trial)]
            why = self._spent(trials)
            if (lost or not why) and (over := self._over(trials)):
                lost, why = [], over
            if why and not running and not lost:
                if not self._lets_retry():
                    return why
                continue
            if self.plan.pruner != "none":
                self._read_courses(trials)
            paused = (bool(lost) or not why) and self._paused()
            at_once = len(running) if paused or (why and not lost) else self._at_once()
            for trial in [] if paused else lost[: max(0, at_once - len(running))]:
                again = self._again(trial)
                trials[trials.index(trial)] = again
                running.append(again)
            if not why and not paused:
                for number in self._next(trials, at_once - len(running)):
                    params = adviser.ask(trials, number, self.courses)
                    if params is None:
                        self._exhausted = True
                        break
                    trials.append(self._start(number, params))
                    trials.sort(key=lambda trial: trial.number)
            if self.plan.pruner != "none":
                for trial in running:
                    if not trial.pruned and adviser.hopeless(trials, self.courses, trial):
                        self._stop(trial, f"pruned: its {self.primary} is behind the others'", PRUNED)
            self._wait()

    def _at_once(self) -> int:
        """So many trials may run, the cluster being asked again now and then: it may have grown, or shrunk."""
        if self.plan.parallel:
            return self.plan.parallel
        if time.monotonic() < self._asked_room_at + ROOM_S:
            return self._most
        fits = self.backend.need("launcher").fits(
            self.recipe.needs.needs, {key: str(value) for key, value in self.recipe.launch.items()}
        )
        if fits is None and self.backend.launches_on is not None:
            return self._most  # it has not answered yet
        self._asked_room_at = time.monotonic()
        most = at_once(self.plan, fits)
        if most != self._most:
            self.channel.note(f"up to {most} trials run at once: the cluster has room for {fits} such runs")
        self._most = most
        return most

    def _take_up(self) -> None:
        """What another controller, killed in the middle, had only half begun; and what was lost up to now, however
        often, has its chances again: whoever goes on with a sweep has mended the cluster, perhaps."""
        for trial in trials_of(self.backend, self.job.sweep, self.primary):
            if trial.status is RunStatus.QUEUED:
                self._start(trial.number, trial.params)
            elif trial.status is RunStatus.LOST:
                self._forgiven.add(trial.run)

    def _next(self, trials: list[Trial], most: int) -> list[int]:
        """Up to `most` numbers that nothing was tried under: one whose run was deleted is tried again."""
        taken = {trial.number for trial in trials}
        return [number for number in range(self.plan.trials) if number not in taken][: max(0, most)]

    def _lets_retry(self) -> bool:
        """Once, before the end: whether the agent was given the time to begin a retry of a trial that failed last."""
        if self._lingered or not getattr(self.recipe, "retries", 0):
            return False
        self._lingered = True
        time.sleep(RETRY_S)
        return True

    def _spent(self, trials: list[Trial]) -> str:
        """Why there is no further trial to begin, or empty."""
        if len(trials) >= self.plan.trials:
            return f"{self.plan.trials} trials were tried"
        if self._exhausted:
            return f"all {len(trials)} combinations were tried"
        return ""

    def _over(self, trials: list[Trial]) -> str:
        """Why no trial is begun any more, a lost one neither; or empty."""
        plan = self.plan
        if plan.max_minutes and time.monotonic() - self.began > plan.max_minutes * 60:
            return f"{plan.max_minutes:g} minutes are over"
        if (
            plan.patience
            and best_of(trials, self.primary, self.plan)
            and since_best(trials, self.primary, self.plan) >= plan.patience
        ):
            return f"{plan.patience} trials brought nothing better"
        failed = [trial for trial in trials if self._failed(trial)]
        if len(failed) >= FAILURES and best_of(trials, self.primary, self.plan) is None:
            reason = self.runs.get(failed[-1].run).reason
            raise BackendError(f"the first {len(failed)} trials failed, so no more were begun; the last one: {reason}")
        return ""

    def _failed(self, trial: Trial) -> bool:
        return trial.status is RunStatus.FAILED or (trial.status is RunStatus.LOST and not self._lets_again(trial))

    def _lets_again(self, trial: Trial) -> bool:
        """Whether it was lost, not too often, and so is tried again."""
        lost = trial.status is RunStatus.LOST
        return lost and (trial.losses < TRIED_AGAIN or trial.run in self._forgiven)

    def _again(self, trial: Trial) -> Trial:
        """The trial once more, its run having been lost."""
        self.channel.note(f"trial {trial.number}: run {trial.run[:8]} was lost with its machine; it is tried again")
        return self._start(trial.number, trial.params, instead=trial)

    def _start(
        self, number: int, params: dict[str, str | int | float | bool], *, instead: Trial | None = None
    ) -> Trial:
        """Begin a trial. Begun before, by us or who was before us, it is the same run, and launched if it was not.

        The run of `instead` was lost with its machine.
        """
        key = f"sweep:{self.job.root or self.job.sweep}:{number}"
        losses = 0
        if instead is not None:
            losses = 1 if instead.run in self._forgiven else instead.losses + 1
        run = self._begin(number, params, f"{key}:{instead.run}" if instead else key, losses)
        while run.deleted_at is not None or run.parent != self.job.sweep:
            run = self._begin(number, params, f"{key}:{run.id}", losses)
        said = ", ".join(f"{name} {_short(value)}" for name, value in params.items())
        self.channel.note(f"trial {number}: run {run.id[:8]}, {said}")
        return Trial(number=number, run=run.id, name=run.name, status=run.status, params=params, losses=losses)

    def _begin(self, number: int, params: dict[str, str | int | float | bool], key: str, losses: int) -> Run:
        mutation = Mutation(
            actor=self.job.actor, reason=f"trial {number} of sweep {self.job.sweep[:8]}", key=key
        )  # fmt: skip
        # Encoded as JSON text, so that a text such as "1" stays one.
        tags = {LOSSES: str(losses)} if losses else {}
        overrides = {name: msgspec.json.encode(value).decode() for name, value in params.items()}
        return start_run(
            self.backend, self.text, mutation, name=f"{self.recipe.name or 'trial'} {number}", overrides=overrides,
            source=RECIPE, parent=self.job.sweep, environ=self.job.environ,
            tags={NUMBER: str(number), PARAMS: msgspec.json.encode(params).decode(), "console.register": "", **tags},
        )  # fmt: skip

    def _stop(self, trial: Trial, why: str, tag: str) -> None:
        mutation = Mutation(actor=self.job.actor, reason=why, action="sweep.prune" if tag else "run.stop")
        try:
            if tag:
                self.runs.set_tags(trial.run, {tag: "1"}, mutation)
            stop_run(self.backend, trial.run, mutation)
        except Conflict:
            return  # it ended by itself meanwhile
        self.channel.note(f"trial {trial.number}: {why}")

    def _read_courses(self, trials: list[Trial]) -> None:
        """How the primary metric went, stage by stage; of an ended trial it is read once."""
        for trial in trials:
            if trial.run in self.courses and trial.status.ended and trial.run in self._ended_read:
                continue
            points = self.runs.points(trial.run, self.primary, limit=1_000).items
            self.courses[trial.run] = [point.value for point in points]
            if trial.status.ended:
                self._ended_read.add(trial.run)

    def _tell(self, trials: list[Trial]) -> None:
        """Progress, and the best so far as a metric of the sweep itself."""
        ended = sum(trial.status.ended for trial in trials)
        if ended == self._said:
            return
        self._said = ended
        best = best_of(trials, self.primary, self.plan)
        words = f"{ended} of {self.plan.trials} trials"
        if best is not None and best.value is not None:
            words += f", best {self.primary} {best.value:.5g} in trial {best.number}"
            self.channel.metrics({self.primary: best.value, "best.trial": float(best.number)}, ended)
        self.channel.progress(min(ended / self.plan.trials, 1.0), words)

    def _paused(self) -> bool:
        return PAUSED in self.runs.get(self.job.sweep).tags

    def _wait(self) -> None:
        """Until something in the store changed, or a while is over: a budget of time may have run out."""
        until = time.monotonic() + 5.0
        while not self.stopping and time.monotonic() < until:
            token = self.backend.changed()
            if token != self._token:
                self._token = token
                return
            time.sleep(self._look_s)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> int:
    channel = Channel()
    folder = Path.cwd()
    job = msgspec.json.decode((folder / "sweep.json").read_bytes(), type=SweepJob)
    backend = connect("sweep", job.place, launcher=job.launcher)
    try:
        controller = Controller(backend, job, (folder / RECIPE).read_text(encoding="utf-8"), channel)

        def stop(_signal: int, _frame: FrameType | None) -> None:
            controller.stopping = True

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        why = controller.run()
        channel.note(why)
        channel.progress(1.0, why)
    except BackendError as error:
        channel.say(fail=" ".join(str(error).split()))
        return 1
    finally:
        backend.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
