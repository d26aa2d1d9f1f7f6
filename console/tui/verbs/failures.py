"""Requests that failed of the service that is looked at, with what leads to their traces."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from backends.contract import NotFound
from backends.entities import Alert, Deployment, Monitor
from console.safe import safe_text
from console.services.failed import Failed, asked_span, failed_requests, failed_text, service_of
from console.services.source import HINT, known_services, needed, service_named
from console.services.telling import labels_text
from console.tui.dialogs import Choose
from console.tui.lines import Line, wrapped
from console.tui.reading import ReadingScreen
from console.tui.verbs.models import session_of
from console.wording import local_time, plural

if TYPE_CHECKING:
    from console.services.source import Known
    from console.tui.here import Here


async def show(here: Here) -> None:
    """Of the service that is named, or of what is selected; a person is asked where that is not one."""
    found = await here.app.look_up(lambda: _meant(here))
    known = found[0]
    if len(found) > 1:
        options = [(each.service.name, each.service.name, ", ".join(each.monitors)) for each in found]
        name = await here.app.ask(Choose("Failed requests of which service", options))
        if name is None:
            return
        known = service_named(found, name)
    await show_of(here, known)


async def show_of(here: Here, known: Known) -> None:
    """Ask the store once, and show what it says."""
    source = needed(here.backend)
    since = time.time_ns() // 1_000_000 - asked_span(here.argument)[1]
    failed = await here.app.look_up(lambda: failed_requests(source, known, since=since))
    title = f"Failed requests of {safe_text(known.service.name, 60)}, by {safe_text(source.where(), 80)}"
    await here.app.push_screen_wait(ReadingScreen(title, failure_lines(failed, here.app.size.width)))


def _meant(here: Here) -> tuple[Known, ...]:
    table = session_of(here).context.metrics_table
    known = known_services(here.backend, table) if table is not None else ()
    if not known:
        raise NotFound(f"there is no service to look at; {HINT}")
    name, _ = asked_span(here.argument)
    if name:
        return (service_named(known, name),)
    if isinstance(here.selected, Deployment):
        return service_of(known, deployment=here.selected.name)
    if isinstance(here.selected, Monitor):
        return service_of(known, monitor=here.selected.name)
    if isinstance(here.selected, Alert):
        return service_of(known, monitor=here.selected.monitor)
    return known


def failure_lines(found: Failed, width: int) -> list[Line]:
    """What failed in a sentence; then a line for each request that left a trace, its series below."""
    tone = "warn" if found.errors or found.failures or found.requests is None else ""
    lines = wrapped(safe_text(failed_text(found), 2_000), width - 2, tone, " ")
    if not found.failures:
        return lines
    lines += [Line([("", "")]), Line([(f" {plural(len(found.failures), 'trace')}, the newest first", "head")])]
    for number, each in enumerate(found.failures):
        trace = labels_text(each.labels) or "no label"
        first, *rest = wrapped(safe_text(trace, 400), width - 24)
        lines.append(Line([(f" {local_time(each.at)}  ", "dim"), *first.spans], f"{number}", each))
        lines += [Line([(" " * 22, ""), *more.spans]) for more in rest]
        if each.series:
            lines += wrapped(safe_text(labels_text(each.series), 400), width - 2, "dim", " " * 22)
    return lines
