"""What needs you, what is in production, what is running."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backends.entities import (
    Alert,
    Deployment,
    JournalEntry,
    Model,
    ModelVersion,
    MonitorState,
    Request,
    RequestState,
    Run,
    RunStatus,
    SourceAlert,
    Trigger,
)
from backends.entities.triggers import ACTOR
from console.monitoring.alarms.severity import alert_word
from console.promotion.approvals import Waiting
from console.safe import safe_text
from console.training.flags import flagged, flags
from console.training.measured import headline
from console.tui import ink, state
from console.tui.hints import hint_lines
from console.tui.journal_change import change
from console.tui.lines import Line, LineList
from console.tui.overview_look import RECENT_MS, InProduction, Seen, look, now_ms
from console.tui.overview_outside import Outside, OutsideAlerts, details, outside_lines
from console.tui.pane import Pane
from console.tui.reading import ReadingScreen
from console.wording import age, ago, bar, clock, local_time, number

if TYPE_CHECKING:
    from textual.app import ComposeResult

BEAT_S = 5.0
"""Between two looks at servers that run: they do not write what they count into the store."""
WIDE = 110
"""Columns from which everything about what is served has room."""
LONG_AGO_MS = 365 * RECENT_MS
TAKEN_UP_MS = 30_000
"""An agent that is there takes up within it what was asked for: shorter ago, it is perhaps about to start."""


class OverviewPane(Pane):
    """The first screen."""

    PANE = "overview"
    TITLE = "Overview"
    seen: Seen | None = None
    _heard: Outside | None = None
    """What is on the screen of alerts outside."""

    def compose(self) -> ComposeResult:
        yield LineList(id="overview")

    def on_mount(self) -> None:
        self._outside = OutsideAlerts()
        super().on_mount()
        self.set_interval(BEAT_S, self._beat)
        if self.backend.metrics is not None:
            self.set_interval(1.0, self._hear)

    def _hear(self) -> None:
        """Ask the metrics store while somebody looks; draw what has come."""
        if self.app.pane is self and self.app.app_focus:
            self._outside.ask(self.backend.metrics)
        if self._outside.heard is not self._heard:
            self.draw()

    def _beat(self) -> None:
        running = self.seen is not None and any(view.whole is not None for view in self.seen.served)
        if running and self.app.pane is self and self.app.app_focus and not self.busy:
            self.refresh_data()

    @property
    def lines(self) -> LineList:
        return self.query_one("#overview", LineList)

    def fetch(self) -> Seen:
        return look(self.backend, self.seen, None if self.loaded else self.early)

    def show(self, data: Any) -> None:
        self.seen = data
        self.draw()

    def draw(self) -> None:
        if self.seen is None:
            return
        self._heard = self._outside.heard
        left = idle(self.seen) if self.app.facts.agent is False else 0
        self.lines.set_lines(overview_lines(self.seen, self.size.width, self.app.welcome, self._heard, left))

    def on_resize(self) -> None:
        super().on_resize()
        self.draw()

    def tick(self) -> None:
        if self.seen is not None:
            self.seen = replace(self.seen, at=now_ms())
            self.draw()

    def on_line_list_moved(self) -> None:
        self.app.refresh_frame()

    def selected(self) -> object | None:
        if not self.loaded:
            return None
        line = self.lines.current
        return line.value if line else None

    def open_selected(self) -> None:
        """Where the thing lives, with the cursor on it."""
        chosen = self.selected()
        match chosen:
            case Alert() if chosen.monitor.startswith(ACTOR):
                self.app.perform_chosen("triggers")
            case Alert():
                self.app.show_pane("monitor", chosen.monitor)
            case ModelVersion():
                self.app.show_pane("models", chosen.model)
            case Model():
                self.app.show_pane("models", chosen.name)
            case Run():
                self.app.show_pane("runs", f"id = '{chosen.id}'")
            case Waiting():
                self.app.show_pane("models", chosen.asked.model)
            case JournalEntry():
                self.app.show_pane("journal", f"id = '{chosen.id}'")
            case Deployment():
                self.app.show_pane("deployments", chosen.name)
            case Trigger():
                self.app.perform_chosen("triggers")
            case SourceAlert():
                self.app.push_screen(
                    ReadingScreen(f"Alert {safe_text(chosen.name, 60)}", details(chosen, self.size.width))
                )

    def copies(self) -> list[tuple[str, str]]:
        match self.selected():
            case Alert() as alert:
                return [("text", alert.text), ("monitor", alert.monitor), ("id", alert.id)]
            case ModelVersion() as version:
                return [("version", version.ref), ("model", version.model), ("run", version.run)]
            case Run() as run:
                return [("run id", run.id), ("name", run.name)]
            case Deployment() as deployment:
                return [("name", deployment.name), ("url", deployment.status.url)]
            case SourceAlert() as alert:
                return [("alert", alert.name), ("id", alert.id), ("text", alert.text)]
            case Waiting() as waiting:
                return [("request", waiting.id), ("model", waiting.asked.model)]
            case JournalEntry() as entry:
                return [("entry", entry.id), ("target", entry.target)]
        return []


# ---------------------------------------------------------------- drawing


def since(at: int, when: int) -> str:
    """An age while it is one that people count in days, else the day: alerts of replayed data are years old."""
    return age(at, when) if when - at < LONG_AGO_MS else local_time(at)[:10]


def idle(seen: Seen) -> int:
    """Runs that an agent would have taken up by now; those that run on this machine do without one for a while."""
    alone = [run for run in seen.running if run.status is RunStatus.QUEUED or (seen.cluster and run.engine != "local")]
    return sum(seen.at - run.created_at > TAKEN_UP_MS for run in alone)


def overview_lines(
    seen: Seen, width: int, welcome: bool | None, heard: Outside = Outside(), left: int = 0
) -> list[Line]:
    """`left`: runs that no agent looks after."""
    return [
        *hint_lines(seen, welcome),
        *_needs(seen, width, heard, left),
        *_production(seen, width),
        *_running(seen, width),
        *_lately(seen, width),
    ]


_BLANK = Line([("", "")])


def _head(text: str, note: str = "") -> Line:
    return Line([(f" {text}", "head"), (f"  {note}", "dim")])


def _needs(seen: Seen, width: int, heard: Outside, left: int) -> list[Line]:
    lines = [_head("NEEDS YOU")]
    if left:
        runs = "1 run is" if left == 1 else f"{left} runs are"
        said = f"{runs} left alone: mlops-console agent start"
        lines.append(
            Line([state.span("warn", "off     "), (" " + ink.fit("agent", 16) + " ", ""), (said, "")], "agent")
        )
    for alert in seen.alerts:
        word = alert_word(alert)
        lines.append(
            Line(
                [
                    state.span(word, f"{word:<8}"),
                    (" " + ink.fit(safe_text(alert.monitor), 16) + " ", ""),
                    (safe_text(alert.text, max(20, width - 44)), ""),
                    *([(f"  “{safe_text(alert.note, 60)}”", "dim")] if alert.note else []),
                    (f"  {since(alert.opened_at, seen.at)}", "dim"),
                ],
                f"alert:{alert.id}",
                alert,
            )
        )
    lines += outside_lines(heard, seen.at, width)
    for deployment, needs in seen.unwell:
        word = "failed" if deployment.health == "failed" else "warn"
        lines.append(
            Line(
                [
                    state.span(word, f"{word:<8}"),
                    (" " + ink.fit(safe_text(deployment.name), 16) + " ", ""),
                    (safe_text(needs, max(20, width - 44)), ""),
                    (f"  {since(deployment.status.since or deployment.changed_at, seen.at)}", "dim"),
                ],
                f"deployment:{deployment.name}",
                deployment,
            )
        )
    for trigger in seen.stopped:
        lines.append(
            Line(
                [
                    state.span("warn", f"{trigger.status.state:<8}"),
                    (" " + ink.fit(safe_text(trigger.name), 16) + " ", ""),
                    (safe_text(f"trigger: {trigger.status.reason}", max(20, width - 44)), ""),
                    (f"  {since(trigger.status.since, seen.at)}", "dim"),
                ],
                f"trigger:{trigger.name}",
                trigger,
            )
        )
    for asked in seen.asked:
        lines.append(_asked_line(asked, seen, width))
    for entry in seen.pending:
        lines.append(
            Line(
                [
                    state.span("intent", "open    "),
                    (" " + ink.fit(safe_text(entry.target), 16) + " ", ""),
                    (f"{safe_text(entry.action, 24)} began {ago(entry.at, seen.at)}, no outcome yet; by ", ""),
                    (safe_text(entry.actor, 24), "dim"),
                ],
                f"entry:{entry.id}",
                entry,
            )
        )
    for run, flag in flagged(seen.running, seen.at):
        lines.append(
            Line(
                [
                    state.span(flag.flag, f"{flag.flag:<8}"),
                    (" " + ink.fit(safe_text(run.name or run.id[:8]), 16) + " ", ""),
                    (safe_text(flag.text, max(20, width - 44)), ""),
                    (f"  {age(run.started_at, seen.at)}", "dim"),
                ],
                f"{flag.flag}:{run.id}",
                run,
            )
        )
    for run in seen.broken:
        lines.append(
            Line(
                [
                    state.span(run.status, f"{run.status:<8}"),
                    (" " + ink.fit(safe_text(run.name or run.id[:8]), 16) + " ", ""),
                    (safe_text(run.reason or "no reason was given", max(20, width - 44)), ""),
                    (f"  {age(run.ended_at or run.created_at, seen.at)}", "dim"),
                ],
                f"run:{run.id}",
                run,
            )
        )
    if len(lines) == 1:
        lines.append(
            Line([("   ", ""), state.span("ok", "nothing: no alert is firing, no run is stuck or failed today")])
        )
    return [*lines, _BLANK]


def _asked_line(waiting: Waiting, seen: Seen, width: int) -> Line:
    """Who wants what, why, and how many have agreed."""
    word = waiting.state(seen.at)
    said = (
        f"v{waiting.asked.version} → {waiting.asked.alias}: {len(waiting.agreed)} of {waiting.asked.approvals} agreed"
    )
    reason = f"  “{waiting.asked.reason}”" if waiting.asked.reason else ""
    spans: list[ink.Span] = [
        state.span("waiting" if word == "waiting" else "warn", f"{word:<8}"),
        (" " + ink.fit(safe_text(waiting.asked.model), 16) + " ", ""),
        (safe_text(f"{said}; asked by {waiting.by.split('@', 1)[0]}{reason}", max(20, width - 44)), ""),
        (f"  {since(waiting.at, seen.at)}", "dim"),
    ]
    return Line(spans, f"asked:{waiting.id}", waiting)


def _production(seen: Seen, width: int) -> list[Line]:
    if not seen.production:
        return [
            _head("IN PRODUCTION"),
            Line([("   No model has a champion yet. Go to Models (4) and promote a version with p.", "dim")]),
            _BLANK,
        ]
    name_cells = min(28, max(12, *(len(one.model.name) for one in seen.production)) + 1)
    served = "served".ljust(_served_cells(width)) if seen.served else ""
    title = f"{ink.fit(' IN PRODUCTION', name_cells + 3)}version        since   {served}quality"
    lines = [Line([(title, "head")])]
    for one in seen.production:
        lines.append(_production_line(one, seen, name_cells, width))
    return [*lines, _BLANK]


def _production_line(one: InProduction, seen: Seen, name_cells: int, width: int) -> Line:
    held = since(one.move.at, seen.at) if one.move else "–"
    spans: list[ink.Span] = [
        (" " + ink.fit(safe_text(one.model.name), name_cells), ""),
        (ink.fit(f"v{safe_text(one.model.aliases['champion'], 6)} champion", 14), ""),
        (ink.fit(held, 7, right=True) + "  ", "dim"),
    ]
    if seen.served:
        from console.tui.overview_served import served_spans, serving_of

        spans += served_spans(serving_of(seen.served, one.model.name), width >= WIDE)
    metric, values = quality(one)
    if metric:
        spans.append((ink.fit(f"{safe_text(metric, 10)} {number(values[-1], 3)}", 17), ""))
        if len(values) > 1 and width >= (WIDE if seen.served else 90):
            from console.tui.sparkline import sparkline

            spans.append((sparkline(values, 18) + "  ", "dim"))
    else:
        spans.append((ink.fit("no labels yet" if one.monitor else "not monitored", 17), "dim"))
    if one.monitor:
        word = str(one.monitor.state)
        spans.append(state.span(word))
        drifted = [c.column for c in one.windows[-1].columns if c.state is MonitorState.FIRING] if one.windows else []
        if drifted:
            words = "1 feature drifts" if len(drifted) == 1 else f"{len(drifted)} features drift"
            spans.append((f"  {words}: {safe_text(', '.join(drifted), 40)}", ""))
    return Line(spans, f"model:{one.model.name}", one.version or one.model)


def _served_cells(width: int) -> int:
    from console.tui.overview_served import CELLS, NARROW

    return CELLS if width >= WIDE else NARROW


def quality(one: InProduction) -> tuple[str, list[float]]:
    """The metric that the windows follow, oldest first: the one the version was judged by, else the first there is."""
    measured = [window.performance for window in one.windows if window.performance]
    if not measured:
        return "", []
    last = measured[-1]
    metric = next((key for key in ("auc", "accuracy", "r2", "rmse") if key in last), next(iter(last)))
    return metric, [found[metric].value for found in measured if metric in found]


def _running(seen: Seen, width: int) -> list[Line]:
    lines = [_head("RUNNING", ink.fit(seen.cluster, max(20, width - 14)).rstrip() if seen.cluster else "")]
    for request in seen.work:
        lines.append(Line(_work_spans(request, width), f"request:{request.id}", request))
    for run in seen.running:
        lines.append(Line(_running_spans(run, seen, width), f"run:{run.id}", run))
    if len(lines) == 1:
        lines.append(Line([("   Nothing runs. Press t to train, or: mlops-console run start RECIPE.toml", "dim")]))
    return lines


def _work_spans(request: Request, width: int) -> list[ink.Span]:
    """A request may say of itself `title`, `step` and `fraction`."""
    title, step, fraction = (request.payload.get(key) for key in ("title", "step", "fraction"))
    spans: list[ink.Span] = [(ink.fit(f" {safe_text(title or request.kind, 27)}", 30), "")]
    if request.state is RequestState.WAITING:
        return [*spans, state.span("queued"), (f"  {safe_text(step or '', 60)}", "dim")]
    if isinstance(fraction, float | int) and 0 <= fraction <= 1:
        spans.append((f"{bar(fraction, 24 if width >= 100 else 10)} {fraction * 100:3.0f} %   ", "accent"))
    else:
        spans += [state.span("running"), ("  ", "")]
    return [*spans, (safe_text(step or "", 60), "")]


def _running_spans(run: Run, seen: Seen, width: int) -> list[ink.Span]:
    spans: list[ink.Span] = [
        (f" {safe_text(run.id[:4])}  ", "dim"),
        (ink.fit(safe_text(run.name or run.id), 22) + " ", ""),
    ]
    for flag in flags(run, seen.at):
        spans += [state.span(flag.flag), ("  ", "")]
    if run.status is not RunStatus.RUNNING:
        spans += [state.span(run.status), (f"  {age(run.created_at, seen.at)}", "dim")]
        return spans
    if run.progress is None:
        spans += [state.span("running"), (f"  {age(run.started_at, seen.at)}", "dim")]
        return spans
    progress = run.progress
    if progress.fraction is not None:
        spans.append(
            (f"{bar(progress.fraction, 24 if width >= 100 else 10)} {progress.fraction * 100:3.0f} %   ", "accent")
        )
    spans.append((ink.fit(safe_text(progress.stage), 16) + "  ", ""))
    key = headline(run)
    if key:
        spans.append((f"{safe_text(key, 12)} {number(run.metrics[key], 3)}   ", ""))
    if progress.rate:
        spans.append((f"{safe_text(progress.rate, 14)}   ", "dim"))
    if progress.eta_s is not None:
        spans.append((f"eta {clock(progress.eta_s)}", "dim"))
    return spans


def _lately(seen: Seen, width: int) -> list[Line]:
    """The newest changes: what, to what, from what to what, by whom, why."""
    if not seen.lately:
        return []
    lines = [_BLANK, _head("LATELY")]
    for entry in seen.lately:
        word = "undone" if entry.undone_by else str(entry.outcome)
        done = word == "done"
        moved = change(entry) if "version" in entry.before else ""  # what was made anew is told by its name
        reason = f"  “{safe_text(entry.reason, 60)}”" if entry.reason else ""
        spans: list[ink.Span] = [
            (f" {ink.fit(age(entry.at, seen.at), 6, right=True)}  ", "dim"),
            (ink.fit(safe_text(entry.action), 16) + " ", ""),
            (ink.fit(safe_text(entry.target), 22 if width >= 100 else 16) + " ", ""),
            *(() if done else (state.span(word), ("  ", ""))),
            (safe_text(moved, 24) + "  " if moved else "", ""),
            (safe_text(entry.actor.split("@", 1)[0], 16), "dim"),
            (reason, "dim"),
        ]
        lines.append(Line(spans, f"entry:{entry.id}", entry))
    return lines
