"""What an earlier agent, or a machine that went down, left in the middle: found, and brought to where it belongs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from backends.contract import Backend, all_pages
from backends.entities import Run, RunStatus
from backends.launchers import installed
from backends.local.cluster_launcher import HAND_OVER, hand_over_key
from backends.local.handed import notice_of
from backends.local.launcher import LAUNCHES, kind_of, launch_key
from backends.local.run_folder import RunFolder
from backends.local.settle import Standing, now, standing
from backends.local.slots import launch_payload
from backends.query import And, In, Key, Query
from console.agent.launches import Launches
from console.agent.registrations import REGISTER

UNSUBMITTED_MS = 120_000
"""A queued run that nobody submitted within two minutes never will be: who made it died before.

Submitting follows making within a second; should a console wake from a long sleep in between, its run stays lost.
"""


def take_over_requests(backend: Backend, launches: Launches, say: Callable[[str], None]) -> None:
    """At start only: what is claimed was claimed by an agent that is gone, since we hold the lock."""
    requests = backend.need("requests")
    for request in requests.list(states=("claimed",), kind=REGISTER, limit=10_000):
        requests.release(request.id)
    claimed = [each for kind in LAUNCHES for each in requests.list(states=("claimed",), kind=kind, limit=10_000)]
    for request in claimed:
        run = str(request.payload.get("run", ""))
        say(f"run {run}: taken over from {request.claimed_by}")
        launches.take(request)


def reconcile_runs(backend: Backend, workspace: Path, launches: Launches, say: Callable[[str], None]) -> None:
    """Runs whose state in the store is not what their folders say."""
    for run in _open_runs(backend):
        if launches.watched(run.id):
            continue
        try:
            _reconcile(backend, RunFolder.of(workspace, run.id), run, launches, say)
        except Exception as error:
            say(f"run {run.id}: not reconciled: {type(error).__name__}: {error}")


def _open_runs(backend: Backend) -> Iterator[Run]:
    states = tuple(status.value for status in RunStatus if not status.ended)
    open_here = And(
        (In(Key("attribute", "status"), states), In(Key("attribute", "engine"), installed())),
    )
    runs = backend.need("runs")
    yield from list(all_pages(lambda at: runs.page(Query(where=open_here), at=at, limit=500, columns=())))


def _reconcile(backend: Backend, folder: RunFolder, run: Run, launches: Launches, say: Callable[[str], None]) -> None:
    spec = folder.spec()
    if spec is None:
        # Started elsewhere (a script, a notebook) or not submitted yet: only the latter can be forgotten.
        if run.status is RunStatus.QUEUED and now() - run.created_at > UNSUBMITTED_MS:
            reason = "never submitted: the console that made it died before; start it again"
            backend.need("runs").end(run.id, RunStatus.LOST, reason=reason)
            say(f"run {run.id}: {reason}")
        return
    if standing(folder) is not Standing.UNSTARTED:
        if notice_of(folder) is None:
            launches.adopt(run.id)
        return  # of a cluster's run its request is claimed, and its follower has it
    stop = folder.stop()
    if stop is not None:
        backend.need("runs").end(run.id, RunStatus.STOPPED, reason=f"stopped by {stop.actor} before it began")
        say(f"run {run.id}: stopped before it began")
        return
    ref = notice_of(folder)
    payload = launch_payload(run.id, spec.needs)
    request = backend.need("requests").add(
        kind_of(spec) if ref is None else HAND_OVER,
        payload if ref is None else {**payload, "launcher": ref.url},
        key=launch_key(run.id) if ref is None else hand_over_key(run.id),
        created_by=run.created_by or "agent",
        priority=spec.priority,
    )
    if request.state not in ("waiting", "claimed"):
        reason = f"never begun, and its launch request is {request.state.value}" + (
            f": {request.error}" if request.error else ""
        )
        backend.need("runs").end(run.id, RunStatus.LOST, reason=reason)
        say(f"run {run.id}: {reason}")
