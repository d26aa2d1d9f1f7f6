"""What stands beside a monitor's windows on the same time axis: marks of what happened, and how the service did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from backends.contract import Backend, BackendError, NotFound
from backends.entities import Alert, JournalEntry, Millis, Monitor, Outcome, ServiceWindow, Window, merge_services
from backends.query import Compare, Key, Order, Query
from console.monitoring.counted.windows import percent
from console.monitoring.marks import Happened, Mark
from console.monitoring.quality.adwin import service_changes
from console.monitoring.ranges import ALL, STRETCHES, bounds
from console.monitoring.reasons.onset import Onset
from console.monitoring.wording import label

MOST = 40
"""Marks of one kind at most, the newest."""
SERVICES = 1500
"""Service windows that are read at most, the newest."""


def marks_of(backend: Backend, monitor: Monitor, windows: Sequence[Window]) -> tuple[Mark, ...]:
    """What happened between the first and the last of the windows, oldest first. windows: oldest first."""
    if not windows:
        return ()
    first, last = windows[0].start, windows[-1].end
    found = [
        Mark(at=after.start, what=Happened.VERSION, text=f"v{after.model_version} takes over")
        for before, after in pairwise(windows)
        if before.model_version != after.model_version
    ]
    alerts: Sequence[Alert] = backend.need("monitors").alerts(monitor.name, limit=MOST)
    found += [Mark(at=alert.opened_at, what=Happened.ALERT, text=f"alert {label(alert.metric)}") for alert in alerts]
    found += _moves(backend, monitor)
    return tuple(sorted((mark for mark in found if first <= mark.at <= last), key=lambda mark: mark.at))


def _moves(backend: Backend, monitor: Monitor) -> Iterator[Mark]:
    """Promotions of the model and changes of what serves it, as the journal has them."""
    if backend.journal is None:
        return
    targets = {monitor.model: Happened.PROMOTION}
    if monitor.deployment:
        targets[monitor.deployment] = Happened.DEPLOY
    order = (Order(Key("attribute", "at"), descending=True),)
    for target, what in targets.items():
        where = Compare(Key("attribute", "target"), "=", target)
        try:
            page = backend.journal.page(Query(where=where, order=order), limit=MOST)
        except BackendError:
            continue  # a journal that cannot be asked leaves the windows as they are
        for entry in page.items:
            text = _move_text(entry)
            if text and entry.outcome is Outcome.DONE:
                yield Mark(at=entry.at, what=what, text=text)


def _move_text(entry: JournalEntry) -> str:
    noun, _, verb = entry.action.partition(".")
    if noun == "model" and verb in ("promote", "rollback", "alias"):
        version = entry.after.get("version") or ""
        said = {"promote": "promoted", "rollback": "rolled back", "alias": "moved"}[verb]
        return f"{said}{f' to v{version}' if version else ''}"
    if noun == "deploy" and verb in ("start", "change", "stop", "restart", "split", "scale"):
        return f"deployment {verb}"
    return ""


def mark_of(onset: Onset | None) -> Mark | None:
    """The mark of an onset; None where nothing stands out as one."""
    if onset is None or not onset.certain:
        return None
    return Mark(at=onset.start, what=Happened.ONSET, text=f"onset, by {onset.what}")


def onset_mark(backend: Backend, monitor: str) -> Mark | None:
    """When a monitor's trouble began, by all that its newest version has counted; None where nothing stands out.

    It unpacks up to `why.KEPT` windows, so a screen asks it once an alert and not at every change.
    """
    from console.monitoring.reasons.onset import onset_of
    from console.monitoring.reasons.why import KEPT
    from console.monitoring.reference import read_profile

    store = backend.need("monitors")
    found: Monitor = store.get(monitor)
    windows = store.windows(monitor, limit=KEPT)
    if not windows:
        return None
    try:
        profile = read_profile(backend, backend.need("registry").version(found.model, windows[-1].model_version))
    except NotFound:
        return None  # without a reference nothing began
    version = windows[-1].model_version
    return mark_of(onset_of([window for window in windows if window.model_version == version], profile))


def services_of(backend: Backend, monitor: Monitor, windows: Sequence[Window], kind: str) -> tuple[ServiceWindow, ...]:
    """How the service answered while the windows were counted, merged to their length; oldest first. Without windows
    what was seen of it last: it may be measured where no rows come in."""
    store = backend.need("monitors")
    since, until = (windows[0].start, windows[-1].end) if windows else (None, None)
    found: Sequence[ServiceWindow] = store.services(monitor.service_source, since=since, until=until, limit=SERVICES)
    stretch = kind if kind in STRETCHES else "minute"
    if kind in (ALL, "week", "day") and found and found[-1].end - found[0].start < 3 * STRETCHES["day"]:
        stretch = "hour"  # a day of traffic would be one point
    return merged_services(found, stretch)


def service_marks(services: Sequence[ServiceWindow]) -> tuple[Mark, ...]:
    """When a service's times or errors changed, oldest first: `p95 80 → 310 ms`. services: oldest first."""
    found = []
    for change in service_changes(services)[-MOST:]:
        name = change.metric.removeprefix("service.")
        if name == "errors":
            text = f"errors {percent(change.before)} → {percent(change.after)}"
        else:
            text = f"{name} {change.before:.3g} → {change.after:.3g} ms"
        found.append(Mark(at=change.at, what=Happened.SERVICE, text=text))
    return tuple(found)


def merged_services(services: Sequence[ServiceWindow], stretch: str) -> tuple[ServiceWindow, ...]:
    """Service windows merged by stretch, oldest first; a stretch of which nothing is known is left out."""
    if stretch == "minute":
        return tuple(services)
    grouped: dict[Millis, list[ServiceWindow]] = {}
    for each in services:
        grouped.setdefault(bounds(stretch, each.start)[0], []).append(each)
    found = []
    for start in sorted(grouped):
        # One that was merged into a longer one for good keeps its end.
        end = max(start + STRETCHES[stretch], *(each.end for each in grouped[start]))
        made = merge_services(grouped[start], start=start, end=end)
        if made is not None:
            found.append(made)
    return tuple(found)
