"""Services that a metrics store measures, on a screen to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.entities import SourceAlert
from console.safe import safe_text
from console.services.read import Standing, standing
from console.services.source import known_services, needed
from console.services.telling import alert_text, standing_state
from console.tui import ink, state
from console.tui.lines import Line, wrapped
from console.tui.reading import ReadingScreen
from console.tui.verbs.models import session_of
from console.wording import age, figure, local_time, number, percent, plural

if TYPE_CHECKING:
    from console.tui.here import Here


async def show(here: Here) -> None:
    """Ask the store once, and show what it says."""
    session = session_of(here)
    table = session.context.metrics_table
    source = needed(here.backend)

    def ask() -> tuple[tuple[Standing, ...], tuple[SourceAlert, ...]]:
        known = known_services(session.backend, table) if table is not None else ()
        return tuple(standing(source, each) for each in known), source.alerts()

    found, alerts = await here.app.look_up(ask)
    lines = service_lines(found, alerts, here.app.size.width)
    await here.app.push_screen_wait(ReadingScreen(f"Services, by {safe_text(source.where(), 80)}", lines))


def service_lines(found: tuple[Standing, ...], alerts: tuple[SourceAlert, ...], width: int) -> list[Line]:
    """A line for each service, a second one with what is wrong; then what fires there."""
    lines = [
        Line([(f" {ink.fit('', 8)} {ink.fit('service', 20)} {'req/s':>8} {'errors':>7} {'p50 ms':>8} {'p95 ms':>8} "
               f"{'p99 ms':>8} {'cpu':>6} {'MB':>8}", "head")])
    ]  # fmt: skip
    for each in found:
        word, window = standing_state(each), each.newest
        figures = ""
        if window is not None:
            times = [None if value is None else value * 1000 for value in (window.p50, window.p95, window.p99)]
            memory = None if window.memory_bytes is None else window.memory_bytes / 1e6
            figures = (
                f"{number(window.rate, 3):>8} {percent(window.error_share):>7} "
                f"{' '.join(f'{number(value, 3):>8}' for value in times)} {number(window.cpu, 3):>6} "
                f"{figure(memory):>8}  {local_time(window.end)[11:]}"
            )
        name = ink.fit(safe_text(each.known.service.name), 20)
        lines.append(Line([(" ", ""), state.span(word, f"{word:<8}"), (f" {name} {figures}", "")]))
        if each.trouble:
            lines += wrapped(safe_text(each.trouble, 2_000), width - 2, "dim", " " * 10)
    if not found:
        lines += wrapped("No service. Name one in the context: [contexts.NAME.metrics.services.SERVICE]", width - 2)
    lines += [Line([("", "")]), Line([(f" {plural(len(alerts), 'alert')} there", "head")])]
    for alert in alerts:
        lines.append(
            Line(
                [
                    (" ", ""),
                    state.span("firing" if alert.state == "firing" else "waiting", f"{safe_text(alert.state, 8):<8}"),
                    (f" {ink.fit(safe_text(alert.name), 20)} ", ""),
                    (safe_text(alert_text(alert), max(20, width - 44)), ""),
                    (f"  {age(alert.since)}", "dim"),
                ]
            )
        )
    return lines
