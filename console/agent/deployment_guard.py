"""While a deployment shares its traffic: what each version does is counted, judged, and the worse one stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from backends.contract import Backend, Conflict, Mutation
from backends.entities import Deployment, GateResult, Record
from backends.local.run_folder import write_whole
from console.serving.deployment.change import halt
from console.serving.deployment.judge import GROWTH, Course, judge, worse
from console.serving.state import State, TargetState, VersionState

FILE: Final = "guard.json"
ACTOR: Final = "agent"


class Watched(Record, frozen=True, kw_only=True):
    """What was seen since the split was set. Kept on disk, so that another agent goes on with it."""

    split: str = ""
    """Which split, and which versions: with another one it begins anew."""
    courses: dict[str, Course] = msgspec.field(default_factory=dict)
    """Target → what it did."""
    counted: dict[str, VersionState] = msgspec.field(default_factory=dict)
    """Version → what the server had counted at the last look."""
    server: str = ""
    """Of which server those counts are."""
    looks: int = 0
    judged_at: int = 0
    """Requests of all but the first target at the last judgement."""
    results: tuple[GateResult, ...] = ()
    """Of the last judgement."""


class Watchman:
    """Of one deployment."""

    def __init__(self, backend: Backend, folder: Path, say: Callable[[str], None]) -> None:
        self._backend = backend
        self._path = folder / FILE
        self._say = say
        self._watched: Watched | None = None

    def look(self, deployment: Deployment, found: State) -> None:
        """Count what is new; where there is enough of it, judge; where a version is worse, take its traffic away."""
        live = [each for each in found.targets if not each.shadow]
        guard = deployment.guard
        if guard is None or len(live) < 2 or found.draining:
            return
        held = self._watched if self._watched is not None else watched_of(self._path)
        split = _split(deployment, live)
        # The counts are the server's whole life: what it had counted before the split is no part of it.
        server = f"{found.pid} {found.started_at}"
        counted = {each.version: each for each in found.versions}
        if held.split != split:
            self._keep(Watched(split=split, counted=counted, server=server))
            return
        before = held.counted if held.server == server else {}
        versions = [each.version for each in live]
        courses = {
            each.target: _grown(held.courses.get(each.target), counted.get(each.version), before.get(each.version))
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
        results: list[GateResult] = []
        for target in live[1:]:
            course = watched.courses.get(target.target)
            found = () if course is None else judge(base, course, deployment.guard, look)
            if not found:
                continue
            results += found
            why = worse(found)
            if why:
                self._halt(deployment, live[0], target, why, found)
                break  # the others are judged on the split that is left
        return msgspec.structs.replace(watched, looks=look, results=tuple(results)) if results else watched

    def _halt(
        self, deployment: Deployment, first: TargetState, other: TargetState, why: str, found: tuple[GateResult, ...]
    ) -> None:
        label = other.alias or other.target
        sentence = (
            f"{label} (v{other.version}) was stopped: against {first.alias or first.target} (v{first.version}) {why}"
        )
        mutation = Mutation(ACTOR, reason=sentence, action="deploy.halt", gates=found)
        try:
            halt(self._backend, deployment, label, sentence, mutation)
        except Conflict:  # a person changed it meanwhile; what they want is judged next
            return
        self._say(sentence)

    def _keep(self, watched: Watched) -> None:
        self._watched = watched
        write_whole(self._path, msgspec.json.encode(watched))


def watched_of(path: Path) -> Watched:
    """What an agent kept there; nothing where there is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Watched)
    except (FileNotFoundError, msgspec.DecodeError):
        return Watched()


def _split(deployment: Deployment, live: Sequence[TargetState]) -> str:
    shares = " ".join(f"{each.target}=v{each.version}:{each.share:g}" for each in live)
    guard = msgspec.json.encode(deployment.guard).decode()
    return f"{shares} {guard}"


def _grown(course: Course | None, now: VersionState | None, before: VersionState | None) -> Course:
    """The course with what was counted since the last look."""
    held = course or Course()
    if now is None:
        return held
    old = before or VersionState(version=now.version)
    if now.requests < old.requests:
        old = VersionState(version=now.version)
    return Course(
        version=now.version,
        requests=held.requests + now.requests - old.requests,
        failed=held.failed + sum(now.errors.values()) - sum(old.errors.values()),
        seconds=_added(held.seconds, now.times, old.times),
        scores=_added(held.scores, now.scores, old.scores),
    )


def _added(held: tuple[int, ...], now: tuple[int, ...], before: tuple[int, ...]) -> tuple[int, ...]:
    size = max(len(held), len(now), len(before))
    whole = [each + (0,) * (size - len(each)) for each in (held, now, before)]
    return tuple(a + b - c for a, b, c in zip(*whole, strict=True))
