"""How deployments do: what is served against what the alias says, and the figures of each version between two looks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from backends.contract import Backend, BackendError
from backends.entities import Deployment, DeploymentState, Record
from backends.together import together
from console.serving.counters import quantile
from console.serving.deployment import live
from console.serving.deployment.place import folder_of
from console.serving.deployment.watched import Watched, watched_of
from console.serving.state import State, VersionState

SPAN_MS: Final = 60_000
"""Rates and latencies are of the last minute: long enough to mean something, short enough to be now."""
REMOTE_S: Final = 10.0
MOST: Final = 200
"""Deployments that are asked at once."""


class VersionFigures(Record, frozen=True, kw_only=True):
    """One version between two looks. Times in milliseconds; None where nothing was answered."""

    version: str
    targets: tuple[str, ...] = ()
    """By which it is served; none for a version of before."""
    share: float | None = None
    """Of the requests, as the split says."""
    shadow: bool = False
    requests: int = 0
    """Since the server's start."""
    rate: float | None = None
    """Requests a second; None at the first look."""
    errors: float | None = None
    """Share of the answers, 0 to 1."""
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class Moment(Record, frozen=True, kw_only=True):
    """All versions together between one look and the next."""

    rate: float
    """Requests a second."""
    p95: float | None = None
    """Milliseconds; None where nothing was answered."""


class Standing(Record, frozen=True, kw_only=True):
    """One target: what the alias names, and what is served."""

    target: str
    share: float
    shadow: bool
    wanted: str = ""
    """What the registry says now; empty where it cannot be asked, or names nothing."""
    served: str = ""
    engine: str = ""
    """What computes its answers: `onnx` or `sklearn`; empty where its server cannot be asked."""
    trouble: str = ""

    @property
    def agrees(self) -> bool:
        return bool(self.served) and self.served == self.wanted and not self.trouble


class View(Record, frozen=True, kw_only=True):
    """A deployment as a person wants to see it."""

    deployment: Deployment
    standings: tuple[Standing, ...] = ()
    versions: tuple[VersionFigures, ...] = ()
    whole: VersionFigures | None = None
    """All versions together; None while its server says nothing."""
    course: tuple[Moment, ...] = ()
    """The last minute, look by look, oldest first."""
    cpu: float | None = None
    """Of one core, 0 to 1 and beyond; None at the first look."""
    rss: int | None = None
    """Bytes of all workers, to the million."""
    workers: int | None = None
    """That answer now."""
    dropped: int = 0
    """Predictions that were not kept."""
    watched: Watched | None = None
    """What the guard saw of those that share the traffic; None without a guard."""
    needs: str = ""
    """What a person should look at, as half a sentence; empty for nothing."""


@dataclass
class Looks:
    """What servers said over the last minute, so that figures are of now. One for each pane or command."""

    said: dict[str, list[State]] = field(default_factory=dict)
    aliases: dict[tuple[str, str], str] = field(default_factory=dict)
    asked_at: float = -60.0

    def add(self, name: str, found: State) -> State | None:
        """Keep it, and give what to hold it against: the oldest of the same server within the span."""
        held = [
            each
            for each in self.said.get(name, [])
            if each.started_at == found.started_at and each.pid == found.pid and found.at - each.at <= SPAN_MS
        ]
        self.said[name] = [*held, found]
        return held[0] if held else None


def views(backend: Backend, deployments: Sequence[Deployment], looks: Looks) -> tuple[View, ...]:
    """One of each, in their order. A server that says nothing leaves figures out."""
    # Who looks every other second asks a remote registry less often than the store beside it.
    if not backend.features.page_limit or time.monotonic() - looks.asked_at > REMOTE_S:
        looks.aliases, looks.asked_at = _wanted(backend, deployments), time.monotonic()
    wanted = looks.aliases

    def asked(deployment: Deployment) -> Callable[[], View]:
        return lambda: _view(backend, deployment, wanted, looks)

    return tuple(together([asked(each) for each in deployments[:MOST]])) if deployments else ()


def needs_of(deployment: Deployment, standings: Sequence[Standing], watched: Watched | None = None) -> str:
    """What a person should look at, as half a sentence; empty for nothing."""
    status = deployment.status
    if status.state is DeploymentState.CRASH_LOOP:
        return f"crash loop: {status.reason}"
    if deployment.desired == "stopped":
        return ""
    for each in standings:
        if each.served and each.wanted and each.served != each.wanted:
            why = f": {each.trouble}" if each.trouble else ""
            return f"serves v{each.served} for {each.target}, which is v{each.wanted}{why}"
        if each.trouble:
            return each.trouble
    return status.reason or deployment.halted or (watched.undecided if watched is not None else "")


def _watched(backend: Backend, deployment: Deployment) -> Watched | None:
    """What the guard saw; None where there is none."""
    if deployment.guard is None or backend.home is None:
        return None
    return watched_of(folder_of(backend.home, deployment.name))


def _wanted(backend: Backend, deployments: Sequence[Deployment]) -> dict[tuple[str, str], str]:
    """(model, alias) → version, each model asked once."""
    found: dict[tuple[str, str], str] = {}
    registry = backend.registry
    if registry is None:
        return found
    for model in {each.model for each in deployments}:
        try:
            found |= {(model, alias): version for alias, version in registry.get(model).aliases.items()}
        except BackendError:  # a server that is away, or a model that is gone: what is served is still known
            continue
    return found


def engine_text(view: View) -> str:
    """What computes, of each version where several answer; and what is wanted, where that is one of them."""
    served = list(dict.fromkeys(f"{each.engine} (v{each.served})" for each in view.standings if each.engine))
    wanted = "" if view.deployment.engine == "auto" else f", {view.deployment.engine} wanted"
    return "  ".join(served) + wanted if served else view.deployment.engine


def _standings(deployment: Deployment, found: State | None, wanted: dict[tuple[str, str], str]) -> tuple[Standing, ...]:
    served = live.served_of(found) if found is not None else deployment.status.served
    by_target = {each.target: each for each in served}
    engines = {each.version: each.engine for each in found.targets} if found is not None else {}
    standings = []
    for target in deployment.targets:
        here = by_target.get(target.label)
        standings.append(
            Standing(
                target=target.label,
                share=target.share,
                shadow=target.shadow,
                wanted=target.version or wanted.get((deployment.model, target.alias), ""),
                served=here.version if here is not None else "",
                engine=engines.get(here.version, "") if here is not None else "",
                trouble=here.trouble if here is not None else "",
            )
        )
    return tuple(standings)


def _view(backend: Backend, deployment: Deployment, wanted: dict[tuple[str, str], str], looks: Looks) -> View:
    found = None
    if backend.home is not None and deployment.status.pid is not None:
        try:
            path = live.socket_of(folder_of(backend.home, deployment.name))
            found = live.state(path, timeout=2.0) if path else None
        except BackendError:  # it starts, or has just ended: the status says which
            found = None
    standings = _standings(deployment, found, wanted)
    watched = _watched(backend, deployment)
    needs = needs_of(deployment, standings, watched)
    if found is None:
        return View(deployment=deployment, standings=standings, watched=watched, needs=needs)
    before = looks.add(deployment.name, found)
    old = {each.version: each for each in before.versions} if before is not None else {}
    seconds = (found.at - before.at) / 1000 if before is not None else 0.0
    versions = tuple(_figures(each, old.get(each.version), seconds, found) for each in found.versions)
    idle = {each.version for each in found.targets} - {each.version for each in found.versions}
    versions += tuple(_figures(VersionState(version=each), None, seconds, found) for each in sorted(idle) if each)
    cpu = None
    if before is not None and seconds > 0:
        spent = {each.pid: each.cpu_seconds for each in before.workers}
        used = sum(each.cpu_seconds - spent.get(each.pid, each.cpu_seconds) for each in found.workers)
        cpu = round(max(0.0, used / seconds), 2)
    return View(
        deployment=deployment,
        standings=standings,
        versions=versions,
        course=_course(looks.said[deployment.name]),
        whole=_figures(_together(found.versions), _together(old.values()) if old else None, seconds, found),
        cpu=cpu,
        rss=sum(each.rss for each in found.workers) // 1_000_000 * 1_000_000,
        workers=len(found.workers),
        dropped=found.log_dropped,
        watched=watched,
        needs=needs,
    )


def _figures(now: VersionState, before: VersionState | None, seconds: float, found: State) -> VersionFigures:
    """Between the looks where there were answers, else since the server's start."""
    held = before if before is not None and before.requests <= now.requests else VersionState(version=now.version)
    fresh = now.requests - held.requests
    since = held if fresh else VersionState(version=now.version)
    count = now.requests - since.requests
    failed = sum(now.errors.values()) - sum(since.errors.values())
    old = since.times or (0,) * len(now.times)
    times = [a - b for a, b in zip(now.times, old, strict=True)]
    targets = [each for each in found.targets if each.version == now.version]
    live_share = sum(each.share for each in targets if not each.shadow)
    return VersionFigures(
        version=now.version,
        targets=tuple(each.alias or each.target for each in targets),
        share=live_share if targets else None,
        shadow=bool(targets) and all(each.shadow for each in targets),
        requests=now.requests,
        rate=round(fresh / seconds, 2) if seconds > 0 else None,
        errors=failed / count if count else None,
        p50=_ms(times, 0.50),
        p95=_ms(times, 0.95),
        p99=_ms(times, 0.99),
    )


def _course(said: Sequence[State]) -> tuple[Moment, ...]:
    found = []
    for one, other in pairwise(said):
        seconds = (other.at - one.at) / 1000
        if seconds <= 0:
            continue
        before, after = _together(one.versions), _together(other.versions)
        old = before.times or (0,) * len(after.times)
        times = [a - b for a, b in zip(after.times, old, strict=True)]
        found.append(Moment(rate=round((after.requests - before.requests) / seconds, 2), p95=_ms(times, 0.95)))
    return tuple(found)


def _ms(times: Sequence[int], share: float) -> float | None:
    found = quantile(times, share) if times else None
    return None if found is None else found * 1000


def _together(versions: object) -> VersionState:
    found = [each for each in versions if isinstance(each, VersionState)]  # type: ignore[attr-defined]
    size = max((len(each.times) for each in found), default=0)
    errors: dict[str, int] = {}
    for each in found:
        for status, count in each.errors.items():
            errors[status] = errors.get(status, 0) + count
    return VersionState(
        version="",
        requests=sum(each.requests for each in found),
        errors=errors,
        times=tuple(sum(each.times[cell] for each in found if each.times) for cell in range(size)),
    )


def wait_until_served(backend: Backend, name: str, revision: int, *, seconds: float) -> Deployment:
    """The deployment once its server has this revision, is in a crash loop, or the time is over: whichever is first."""
    store = backend.need("deployments")
    until = time.monotonic() + seconds
    while True:
        found: Deployment = store.get(name)
        status = found.status
        settled = status.revision >= revision and status.state in (DeploymentState.SERVING, DeploymentState.STOPPED)
        refused = status.state is DeploymentState.SERVING and status.reason and status.revision < revision
        # One that is told to stop while it is in a crash loop is in it a moment longer.
        looping = status.revision >= revision and status.state is DeploymentState.CRASH_LOOP
        if settled or refused or looping or time.monotonic() > until:
            return found
        time.sleep(0.1)
