"""The columns of monitors, and of the features that one compares."""

from __future__ import annotations

from backends.entities import Monitor, MonitorState
from console.monitoring.read import SEVERITY, Feature
from console.tui.columns import Column, Tone
from console.tui.dataset_columns import percent
from console.tui.sparkline import sparkline
from console.tui.state import state_of
from console.wording import NOTHING, age, thousands

SPARK = 14
BAR = 6


def _tone(word: MonitorState) -> Tone:
    tone = state_of(word).tone
    return "" if tone == "good" else tone  # type: ignore[return-value]


def _word(word: MonitorState) -> str:
    return f"{state_of(word).glyph} {'drift' if word is MonitorState.FIRING else word}"


def monitor_columns() -> tuple[Column[Monitor], ...]:
    def shown(monitor: Monitor) -> str:
        word = "paused" if monitor.paused else str(monitor.state)
        return f"{state_of(word).glyph} {word}"

    return (
        Column("state", "state", shown, 10, order=lambda m: SEVERITY[m.state], tone=lambda m: _tone(m.state)),
        Column("name", "name", lambda m: m.name, 16, grow=3, most=40, sort="name"),
        Column("model", "model", lambda m: f"{m.model}@{m.alias}", 18, grow=2, most=40),
        Column("rows", "rows", lambda m: thousands(m.rows), 10, right=True, priority=2, order=lambda m: m.rows),
        Column("windows", "windows", lambda m: m.windows, 7, right=True, priority=3, order=lambda m: m.windows),
        Column("last", "newest", lambda m: age(m.last_at), 7, right=True, priority=1, order=lambda m: m.last_at),
        Column("source", "from", lambda m: m.source or NOTHING, 14, priority=5, grow=2, most=50),
    )


def feature_columns(span: str) -> tuple[Column[Feature], ...]:
    """Severity first; `span` says how far the sparkline reaches."""
    return (
        Column("column", "feature", lambda f: f.column, 14, grow=2, most=32),
        Column(
            "state",
            "state",
            lambda f: _word(f.score.state),
            9,
            order=lambda f: SEVERITY[f.score.state],
            tone=lambda f: _tone(f.score.state),
        ),
        Column("psi", "PSI", lambda f: distance(f.score.psi), 6, right=True, order=lambda f: f.score.psi),
        Column("ks", "KS", lambda f: distance(f.score.ks), 6, right=True, priority=4, order=lambda f: f.score.ks),
        Column(
            "missing",
            "missing",
            lambda f: percent(f.score.missing),
            7,
            right=True,
            priority=1,
            order=lambda f: f.score.missing,
        ),
        Column(
            "outside",
            "outside",
            lambda f: percent(f.score.outside),
            7,
            right=True,
            priority=3,
            order=lambda f: f.score.outside,
        ),
        Column("new", "new", lambda f: percent(f.score.new), 6, right=True, priority=3, order=lambda f: f.score.new),
        Column(
            "course",
            span or "course",
            lambda f: sparkline(f.course, SPARK, low=0),
            SPARK,
            priority=2,
            # In the foreground colour the bars of neighbouring rows would be the loudest thing on the screen.
            tone=lambda _: "dim",
        ),
        Column(
            "weight",
            "weight × drift",
            lambda f: f"{'█' * min(BAR, round(f.weight / 0.1)) or ('▏' if f.weight else ''):<{BAR}} {f.weight:.2f}",
            14,
            right=True,
            priority=3,
            order=lambda f: f.weight,
        ),
    )


def distance(value: float | None) -> str:
    """PSI, KS and the like: three digits after the point are all that a window of a thousand rows can tell."""
    if value is None:
        return NOTHING
    return "<0.001" if 0 < value < 0.001 else f"{value:.3f}" if value < 10 else f"{value:.1f}"
