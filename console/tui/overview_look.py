"""What the overview reads: a page of each list at most, and of a server less than that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backends.contract import Backend, BackendError
from backends.entities import (
    Alert,
    AliasMove,
    Deployment,
    JournalEntry,
    Model,
    ModelVersion,
    Monitor,
    Outcome,
    Request,
    Run,
    RunStatus,
    Trigger,
    TriggerState,
    Window,
)
from backends.query import And, Has, In, Key, Not, Order, Query
from backends.together import both
from console.monitoring.alarms.severity import by_urgency
from console.promotion.approvals import KIND, Waiting, waiting
from console.promotion.pending import half_done
from console.training.sweep import TRIAL_TAG

if TYPE_CHECKING:
    from console.serving.deployment.figures import Looks, View

SHOWN = 20
"""Rows in a section; the lists have the rest."""

LATELY = 6
"""Changes that the overview names; the journal has the rest."""

RECENT_MS = 24 * 3_600_000


@dataclass(frozen=True)
class InProduction:
    """A model with a champion, and how it does."""

    model: Model
    version: ModelVersion | None
    """None while only its number is known."""
    move: AliasMove | None
    monitor: Monitor | None
    windows: tuple[Window, ...]


@dataclass(frozen=True)
class Seen:
    """One look at the workspace."""

    at: int
    alerts: tuple[Alert, ...]
    pending: tuple[JournalEntry, ...]
    asked: tuple[Waiting, ...]
    """Promotions that wait for others to agree."""
    lately: tuple[JournalEntry, ...]
    """The newest changes by anybody, newest first."""
    broken: tuple[Run, ...]
    unwell: tuple[tuple[Deployment, str], ...]
    """Deployments that need somebody, with what for."""
    served: tuple[View, ...]
    """All deployments, as they are."""
    looks: Looks | None
    """What their servers said lately; None where nothing is served."""
    production: tuple[InProduction, ...]
    running: tuple[Run, ...]
    work: tuple[Request, ...]
    """What else is asked for or under way: requests that belong to no run."""
    datasets: bool
    runs: bool
    models: bool
    """Whether there is any."""
    new: bool
    """Nothing here is older than a day."""
    stopped: tuple[Trigger, ...] = ()
    """Triggers that failed too often, and wait for a person."""
    cluster: str = ""
    """The cluster that runs go to, in words; empty where they stay on this machine."""
    look: int = 0
    """The how manieth, from 0."""

    @property
    def fresh(self) -> bool:
        """Nobody has made anything here yet."""
        return not (self.datasets or self.runs or self.models)


def look(backend: Backend, before: Seen | None = None, early: Callable[[Seen], None] | None = None) -> Seen:
    """Read what the overview shows: a page of each list at most. What was found at the look before spares a server
    questions; `early` is given what there is before the details of what is in production have come."""
    at = now_ms()
    turn = 0 if before is None else before.look + 1
    monitors = {m.model: m for m in backend.monitors.page(limit=100).items} if backend.monitors else {}
    models, (running, latest, some_run) = _asked(
        backend, lambda: _models(backend), lambda: _runs(backend, before, turn)
    )
    champions = tuple(model for model in models if "champion" in model.aliases)
    pending: tuple[JournalEntry, ...] = ()
    lately: tuple[JournalEntry, ...] = ()
    if backend.journal:
        # A server's moves are written down before and after: what was done says it.
        newest = backend.journal.page(limit=2 * LATELY).items
        lately = tuple(each for each in newest if each.outcome is not Outcome.INTENT)[:LATELY]
        pending = half_done(backend)[:SHOWN]
    datasets = backend.datasets.page(limit=100).items if backend.datasets else ()
    looks, served = _served(backend, None if before is None else before.looks)
    alerts = tuple(by_urgency(backend.monitors.alerts(open_only=True))[:SHOWN]) if backend.monitors else ()
    found = Seen(
        at=at,
        alerts=alerts,
        pending=pending,
        asked=waiting(backend)[:SHOWN],
        lately=lately,
        broken=latest,
        unwell=tuple((view.deployment, view.needs) for view in served if view.needs)[:SHOWN],
        served=served,
        looks=looks,
        production=tuple(InProduction(model, None, None, monitors.get(model.name), ()) for model in champions),
        running=running,
        work=tuple(one for one in backend.requests.list(limit=SHOWN) if "run" not in one.payload and one.kind != KIND)
        if backend.requests
        else (),
        datasets=bool(datasets),
        runs=some_run,
        models=bool(models),
        new=all(at - made < RECENT_MS for made in [*(d.created_at for d in datasets), *(m.created_at for m in models)]),
        stopped=_stopped(backend, alerts),
        cluster=_cluster(backend),
        look=turn,
    )
    if early is not None and champions and backend.features.page_limit:
        early(found)
    return replace(found, production=_in_production(backend, champions, monitors, _known(backend, before, turn)))


def _stopped(backend: Backend, alerts: Sequence[Alert]) -> tuple[Trigger, ...]:
    """Triggers that stopped themselves and of which no alert tells already: nothing needs somebody twice."""
    if backend.triggers is None:
        return ()
    told = {alert.monitor for alert in alerts}
    found = (each for each in backend.triggers.page(limit=500).items if each.status.state is TriggerState.STOPPED)
    return tuple(each for each in found if each.actor not in told)[:SHOWN]


def _asked(backend: Backend, one: Callable[[], Any], other: Callable[[], Any]) -> tuple[Any, Any]:
    """Of a server at once; an embedded store answers sooner than a thread begins."""
    return both(one, other) if backend.features.page_limit else (one(), other())


def _models(backend: Backend) -> tuple[Model, ...]:
    return backend.registry.page(limit=100).items if backend.registry else ()


def _runs(backend: Backend, before: Seen | None, turn: int) -> tuple[tuple[Run, ...], tuple[Run, ...], bool]:
    """(under way, failed today, whether there is any). A server is asked two questions: at every second look it tells
    of what failed, in between whether there are experiments that we do not know, once it has told of all champions."""
    runs = backend.runs
    if runs is None:
        return (), (), False
    live = In(Key("attribute", "status"), (RunStatus.RUNNING, RunStatus.STOPPING, RunStatus.QUEUED))
    bad = In(Key("attribute", "status"), (RunStatus.FAILED, RunStatus.LOST))
    order = (Order(Key("attribute", "created"), descending=True),)

    def failed() -> tuple[Run, ...]:
        """Not trials: those that were lost are tried again, and of those that failed their sweep tells."""
        where = bad if backend.features.page_limit else And((bad, Not(Has(Key("tag", TRIAL_TAG)))))
        return tuple(
            run for run in runs.page(Query(where=where, order=order), limit=5).items if TRIAL_TAG not in run.tags
        )

    def others() -> tuple[Run, ...]:
        if before is None or turn % 2 == 0 or not backend.features.page_limit:
            return failed()
        if backend.experiments is not None and all(one.version for one in before.production):
            backend.experiments.page(limit=1)
        return before.broken

    def under_way() -> tuple[Run, ...]:
        """Where a sweep has more trials under way than there is room for, it is they that are left out, and not it."""
        found = tuple(runs.page(Query(where=live, order=order), limit=SHOWN).items)
        if len(found) < SHOWN or backend.features.page_limit:  # a server is asked no further question
            return found
        apart = runs.page(Query(where=And((live, Not(Has(Key("tag", TRIAL_TAG))))), order=order), limit=SHOWN).items
        trials = [run for run in found if TRIAL_TAG in run.tags]
        kept = {run.id for run in (*apart, *trials[: SHOWN - len(apart)])}
        return tuple(run for run in (*found, *(each for each in apart if each not in found)) if run.id in kept)

    running, latest = _asked(backend, under_way, others)
    some = bool(running or latest or (before is not None and before.runs))
    if not some and (before is None or turn % 2 or not backend.features.page_limit):
        some = bool(runs.page(limit=1).items)
    now = now_ms()
    broken = tuple(run for run in latest if now - (run.ended_at or run.created_at) < RECENT_MS)
    return running, broken, some


def _cluster(backend: Backend) -> str:
    if backend.launches_on is None or backend.launcher is None:
        return ""
    from console.cluster import capacity_words

    return capacity_words(backend.launcher.capacity())


def _served(backend: Backend, looks: Looks | None) -> tuple[Looks | None, tuple[View, ...]]:
    """Deployments, those whose server runs with what it says of itself."""
    found = backend.deployments.page(limit=100).items if backend.deployments else ()
    if not found:
        return None, ()
    from console.serving.deployment.figures import Looks, views  # 20 ms: only where something is served

    kept = looks or Looks()
    return kept, views(backend, found, kept)


def _known(backend: Backend, before: Seen | None, turn: int) -> dict[str, ModelVersion | None]:
    """Champions by model as they were at the look before, at looks that ask a server for what failed instead."""
    if before is None or turn % 2 or not backend.features.page_limit:
        return {}
    return {one.model.name: one.version for one in before.production}


def _in_production(
    backend: Backend,
    champions: tuple[Model, ...],
    monitors: dict[str, Monitor],
    known: Mapping[str, ModelVersion | None],
) -> tuple[InProduction, ...]:
    if not champions:
        return ()
    registry = backend.need("registry")
    same = all(
        model.name in known and ((held := known[model.name]) is None or held.version == model.aliases["champion"])
        for model in champions
    )
    versions = known if same else registry.holders(champions, "champion")
    found = []
    for model in champions:
        version, monitor = versions.get(model.name), monitors.get(model.name)
        move: AliasMove | None = None
        if version is not None:
            try:
                move = next(iter(registry.history(model.name, alias="champion", limit=1)), None)
            except BackendError:
                move = None  # a registry without a history still has a champion
        windows = backend.monitors.windows(monitor.name, limit=30) if monitor and backend.monitors else ()
        found.append(InProduction(model, version, move, monitor, windows))
    return tuple(found)


def now_ms() -> int:
    import time

    return time.time_ns() // 1_000_000
