"""What is promised of what a server often leaves to the sidecar: data, monitors, requests; and of launchers."""

from __future__ import annotations

from pathlib import Path

from backends.checks.finding import Unseen, Wrong, listed, shown
from backends.checks.listing import some, unknown
from backends.checks.listings import DATASET_VERSIONS, DEFINITIONS, LOGGED, MONITORS, TRIGGERS
from backends.checks.look import MANY, Look
from backends.checks.promise import promise
from backends.checks.records import check_record, check_times
from backends.contract import NotFound
from backends.entities import Alert, Capacity, DatasetVersion, Firing, Request, RunQueue, ServiceWindow, Window


@promise("datasets", "a version is found by its name alone, by its number and by its digest")
def dataset_by_any_name(look: Look) -> str:
    datasets = look.the("datasets")
    newest: DatasetVersion = some(look, DATASET_VERSIONS)[0]
    for ref in (newest.dataset, f"{newest.dataset}@{newest.version}", newest.digest, newest.digest[:16]):
        found: DatasetVersion = datasets.version(ref)
        if found.digest != newest.digest:
            raise Wrong(f"{newest.dataset}@{newest.version} for {shown(ref, 40)}", f"{found.dataset}@{found.version}")
    return f"{newest.dataset}@{newest.version}"


@promise("datasets", "a version's content is a local Parquet file")
def dataset_content(look: Look) -> str:
    newest: DatasetVersion = some(look, DATASET_VERSIONS)[0]
    path: Path = look.the("datasets").path(f"{newest.dataset}@{newest.version}")
    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            raise Wrong("a Parquet file", shown(str(path)))
    return f"{newest.dataset}@{newest.version}"


@promise("definitions", "versions of a definition come newest first, and the name alone is the newest")
def definition_versions(look: Look) -> str:
    definitions = look.the("definitions")
    first = some(look, DEFINITIONS)[0]
    found = definitions.versions(first.kind, first.name, limit=MANY).items
    if not found or found[0] != definitions.get(first.kind, first.name):
        raise Wrong(f"the newest version of {first.name} first", listed([each.ref for each in found]))
    if definitions.get(first.kind, found[-1].ref) != found[-1]:
        raise Wrong(f"{found[-1].ref} by its version", "another")
    return f"{len(found)} of {first.name}"


@promise("logged_models", "models of a run are among its outputs")
def outputs(look: Look) -> str:
    store = look.the("logged_models")
    model = next((each for each in some(look, LOGGED) if each.run), None)
    if model is None:
        raise Unseen("no logged model came from a run")
    beside = [each.id for each in store.page(run=model.run, limit=MANY).items if each.run != model.run]
    if beside:
        raise Wrong(f"logged models of run {model.run[:12]} alone", listed(beside))
    return f"{len(store.outputs(model.run))} outputs"


@promise("journal", "the chain of entries holds")
def chain(look: Look) -> str:
    page = look.the("journal").page(limit=1)
    if page.total is None or page.total > 20_000:
        raise Unseen("a long journal is verified by `journal verify`")
    checked, trouble = look.the("journal").verify()
    if trouble:
        raise Wrong("a whole chain", trouble)
    return f"{checked} entries"


@promise("monitors", "windows of a monitor come oldest first, the newest where not all are asked for")
def windows(look: Look) -> str:
    store, seen = look.the("monitors"), 0
    for monitor in some(look, MONITORS)[:3]:
        found: tuple[Window, ...] = store.windows(monitor.name, limit=MANY)
        starts = [window.start for window in found]
        if starts != sorted(starts) or len(found) > MANY:
            raise Wrong(f"at most {MANY} windows of {monitor.name}, oldest first", listed([str(at) for at in starts]))
        if found and [window.start for window in store.windows(monitor.name, limit=1)] != starts[-1:]:
            raise Wrong(f"the newest window of {monitor.name} for limit=1", "another")
        seen += len(found)
    return f"{seen} windows"


@promise("monitors", "alerts come newest first, and those of services oldest first")
def alerts(look: Look) -> str:
    store = look.the("monitors")
    found: tuple[Alert, ...] = store.alerts(limit=MANY)
    starts = [alert.opened_at for alert in found]
    if starts != sorted(starts, reverse=True):
        raise Wrong("the newest alert first", listed([alert.id for alert in found]))
    if store.services(unknown()) != ():
        raise Wrong("no windows of a service that nothing is known of", "some")
    for source, newest in store.service_sources()[:3]:
        windows: tuple[ServiceWindow, ...] = store.services(source, limit=MANY)
        order = [window.start for window in windows]
        if order != sorted(order) or (order and order[-1] != newest):
            raise Wrong(f"windows of {source} oldest first, up to {newest}", listed([str(at) for at in order]))
    return f"{len(found)} alerts"


@promise("triggers", "firings come newest first")
def firings(look: Look) -> str:
    some(look, TRIGGERS)
    found: tuple[Firing, ...] = look.the("triggers").firings(limit=MANY)
    times = [firing.at for firing in found]
    if times != sorted(times, reverse=True):
        raise Wrong("the newest firing first", listed([firing.id for firing in found]))
    return f"{len(found)} firings"


@promise("requests", "requests are listed by their states, no more than the limit")
def requests(look: Look) -> str:
    found: tuple[Request, ...] = look.the("requests").list(limit=3)
    beside = [f"{each.id} {each.state}" for each in found if each.state not in ("waiting", "claimed")]
    if beside or len(found) > 3:
        raise Wrong("at most 3 requests that wait or are claimed", listed(beside or [each.id for each in found]))
    for each in found:
        check_times(each, Request, f"request {each.id}")
    return f"{len(found)}"


@promise("launcher", "it says its name, its room and what waits; a log that is not there is NotFound")
def launcher(look: Look) -> str:
    found = look.the("launcher")
    if not found.engine or not isinstance(found.engine, str):
        raise Wrong("the name of its engine", shown(found.engine))
    check_record(found.capacity(), Capacity, "its room")
    queue: RunQueue = found.queue()
    check_record(queue, RunQueue, "what waits")
    try:
        found.log("f" * 32)
    except NotFound:
        return str(found.engine)
    raise Wrong("NotFound for the log of a run that is not there", "a log")
