"""Services that a metrics store measures, on a screen to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from backends.contract import BackendError
from backends.entities import SourceAlert
from console.safe import safe_text
from console.services.read import Standing, standing
from console.services.source import Known, known_services, needed
from console.services.telling import alert_text, standing_state
from console.tui import ink, state
from console.tui.lines import Line, wrapped
from console.tui.reading import ReadingScreen
from console.tui.verbs.models import session_of
from console.wording import age, figure, local_time, number, percent, plural

if TYPE_CHECKING:
    from console.tui.here import Here


class ServicesScreen(ReadingScreen):
    """The cursor goes through the services; the answer is the one whose failed requests are wanted, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,E", "errors", "errors", id="services.errors", tooltip="Its requests that failed, with traces."),
    ]

    def __init__(self, title: str, lines: list[Line], at: str) -> None:
        super().__init__(title, lines)
        self._start = at

    def on_mount(self) -> None:
        super().on_mount()
        if self._start:
            self.body.select(self._start)

    def keys(self) -> ink.Spans:
        some = any(line.key for line in self.initial)
        own: tuple[ink.Span, ...] = ((" enter", "key"), (" failed requests  ", "dim")) if some else ()
        return [*own, *super().keys()]

    def action_errors(self) -> None:
        line = self.body.current
        if line is not None and isinstance(line.value, Known):
            self.dismiss(line.value)  # type: ignore[arg-type]


async def show(here: Here) -> None:
    """Ask the store, and show what it says, until it is left; from there to what failed, and back."""
    from console.tui.verbs.failures import show_of

    session = session_of(here)
    table = session.context.metrics_table
    source = needed(here.backend)

    def ask() -> tuple[tuple[Standing, ...], tuple[SourceAlert, ...]]:
        known = known_services(session.backend, table) if table is not None else ()
        return tuple(standing(source, each) for each in known), source.alerts()

    title, at = f"Services, by {safe_text(source.where(), 80)}", ""
    while True:
        found, alerts = await here.app.look_up(ask)
        lines = service_lines(found, alerts, here.app.size.width)
        chosen: Known | None = await here.app.push_screen_wait(
            ServicesScreen(title, lines, at)  # type: ignore[arg-type]
        )
        if chosen is None:
            return
        at = chosen.service.name
        try:
            await show_of(here, chosen)
        except BackendError as error:
            here.app.tell(error, severity="warning")


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
        spans: ink.Spans = [(" ", ""), state.span(word, f"{word:<8}"), (f" {name} {figures}", "")]
        lines.append(Line(spans, each.known.service.name, each.known))
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
