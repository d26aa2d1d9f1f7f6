"""While a deployment shares its traffic: what each version does is counted, judged, and the worse one stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from backends.contract import Backend, Conflict, Mutation
from backends.entities import Deployment, GateResult
from backends.local.run_folder import write_whole
from console.serving.deployment.change import halt
from console.serving.deployment.judge import GROWTH, Course, judge, undecided, worse
from console.serving.deployment.watched import FILE, Watched, watched_of
from console.serving.state import State, TargetState, TargetTally

ACTOR: Final = "agent"


class Watchman:
    """Of one deployment."""

    def __init__(self, backend: Backend, folder: Path, say: Callable[[str], None]) -> None:
        self._backend = backend
        self._folder = folder
        self._say = say
        self._watched: Watched | None = None

    def look(self, deployment: Deployment, found: State) -> None:
        """Count what is new; where there is enough of it, judge; where a version is worse, take its traffic away."""
        live = [each for each in found.targets if not each.shadow]
        guard = deployment.guard
        if guard is None or len(live) < 2 or found.draining:
            return
        held = self._watched if self._watched is not None else watched_of(self._folder)
        split = _split(deployment, live)
        # The requests are of the server's whole life: what it had answered before the split is no part of it.
        server = f"{found.pid} {found.started_at}"
        counted = {each.version: each.requests for each in found.versions}
        if held.split != split:
            self._keep(Watched(split=split, counted=counted, server=server))
            return
        before = held.counted if held.server == server else {}
        versions = [each.version for each in live]
        tallies = {each.target: each for each in found.tallies}
        courses = {
            each.target: _gone_on(
                held.courses.get(each.target),
                each.version,
                max(0, counted.get(each.version, 0) - before.get(each.version, 0)),
                tallies.get(each.target),
            )
            for each in live
            # Two targets at one version are one: there is nothing to tell apart.
            if versions.count(each.version) == 1
        }
        fresh = msgspec.structs.replace(held, courses=courses, counted=counted, server=server)
        others = sum(course.requests for name, course in courses.items() if name != live[0].target)
        if live[0].target in courses and others >= max(held.judged_at * GROWTH, held.judged_at + 1):
            fresh = self._judge(deployment, live, msgspec.structs.replace(fresh, judged_at=others))
        if fresh != held:
            self._keep(fresh)

    def _judge(self, deployment: Deployment, live: Sequence[TargetState], watched: Watched) -> Watched:
        assert deployment.guard is not None  # noqa: S101 the caller knows
        base, look = watched.courses[live[0].target], watched.looks + 1
        results: dict[str, tuple[GateResult, ...]] = {}
        open_questions = []
        for target in live[1:]:
            course = watched.courses.get(target.target)
            found = () if course is None else judge(base, course, deployment.guard, look)
            if course is None or not found:
                continue
            results[target.target] = found
            why = worse(found)
            if why:
                self._halt(deployment, live[0], target, why, found)
                break  # the others are judged on the split that is left
            question = undecided(course, found)
            if question:
                open_questions.append(f"{_named(target)}: {question}")
        if not results:
            return watched
        return msgspec.structs.replace(watched, looks=look, results=results, undecided="; ".join(open_questions))

    def _halt(
        self, deployment: Deployment, first: TargetState, other: TargetState, why: str, found: tuple[GateResult, ...]
    ) -> None:
        label = other.alias or other.target
        sentence = f"{_named(other)} was stopped: against {_named(first)} {why}"
        mutation = Mutation(ACTOR, reason=sentence, action="deploy.halt", gates=found)
        try:
            halt(self._backend, deployment, label, sentence, mutation)
        except Conflict:  # a person changed it meanwhile; what they want is judged next
            return
        self._say(sentence)

    def _keep(self, watched: Watched) -> None:
        self._watched = watched
        write_whole(self._folder / FILE, msgspec.json.encode(watched))


def _named(target: TargetState) -> str:
    """`challenger (v8)`, or `v8` where no alias names it."""
    return f"{target.alias} (v{target.version})" if target.alias else f"v{target.version}"


def _split(deployment: Deployment, live: Sequence[TargetState]) -> str:
    shares = " ".join(f"{each.target}=v{each.version}:{each.share:g}" for each in live)
    guard = msgspec.json.encode(deployment.guard).decode()
    return f"{shares} {guard}"


def _gone_on(course: Course | None, version: str, answered: int, tally: TargetTally | None) -> Course:
    """The course with what was answered since the last look, and what its callers last got."""
    now = tally or TargetTally(target="")
    return Course(
        version=version,
        requests=(course.requests if course is not None else 0) + answered,
        keys=now.keys,
        failed=now.failed,
        seconds=now.times,
        scores=now.scores,
    )
