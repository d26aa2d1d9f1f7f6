"""The columns of monitors, and of the features that one compares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backends.entities import Monitor, MonitorState
from console.monitoring.read import SEVERITY, Feature, MonitorView
from console.monitoring.wording import newest
from console.tui.columns import Column, Tone
from console.tui.dataset_columns import percent
from console.tui.sparkline import sparkline
from console.tui.state import state_of
from console.wording import NOTHING, age, thousands

GUESSED = {"swapped": "swapped?", "unit change": "unit?"}
"""Faults that a window only looks like, as the table asks: a warm month is beyond a winter's range as another unit
would be."""
SPARK = 14
BAR = 6


def _tone(word: MonitorState) -> Tone:
    tone = state_of(word).tone
    return "" if tone == "good" else tone  # type: ignore[return-value]


def state_words(feature: Feature) -> str:
    """`▲ drift`; of values that are broken the fault instead, which is what one must know first."""
    score = feature.score
    word = "drift" if score.state is MonitorState.FIRING else str(score.state)
    if score.fault and score.state in (MonitorState.FIRING, MonitorState.WARN):
        word = GUESSED.get(score.fault, score.fault)
    return f"{state_of(score.state).glyph} {word}"


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
        Column("last", "newest", lambda m: age(newest(m)), 7, right=True, priority=1, order=lambda m: m.last_at),
        Column("source", "from", source, 14, priority=5, grow=2, most=50),
    )


def source(monitor: Monitor) -> str:
    """Where its rows come from."""
    return f"deployment {monitor.deployment}" if monitor.deployment else monitor.source or NOTHING


def feature_columns(span: str) -> tuple[Column[Feature], ...]:
    """Severity first; `span` says how far the sparkline reaches. What gives way first has the largest priority."""
    return (
        Column("column", "feature", lambda f: f.column, 13, grow=2, most=32),
        Column(
            "state",
            "state",
            state_words,
            11,
            grow=2,
            most=13,
            order=lambda f: SEVERITY[f.score.state],
            tone=lambda f: _tone(f.score.state),
        ),
        Column("psi", "PSI", lambda f: distance(f.score.psi), 6, right=True, order=lambda f: f.score.psi),
        Column("ks", "KS", lambda f: distance(f.score.ks), 6, right=True, priority=6, order=lambda f: f.score.ks),
        Column(
            "distance",
            "distance",
            shift,
            8,
            right=True,
            priority=8,
            order=lambda f: f.score.wasserstein if f.score.wasserstein is not None else f.score.jensen_shannon,
        ),
        Column("q", "q", lambda f: chance(f.score.q_value), 6, right=True, priority=7, order=lambda f: f.score.q_value),
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
            priority=4,
            order=lambda f: f.score.outside,
        ),
        Column("new", "new", lambda f: percent(f.score.new), 6, right=True, priority=5, order=lambda f: f.score.new),
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


def shift(feature: Feature) -> str:
    """How far in the column's own terms: a number's Wasserstein in standard deviations, a category's Jensen-Shannon."""
    score = feature.score
    if score.wasserstein is not None:
        return f"{score.wasserstein:.2f} sd" if score.wasserstein < 100 else f"{score.wasserstein:.0f} sd"
    return NOTHING if score.jensen_shannon is None else f"{score.jensen_shannon:.3f}"


def chance(value: float | None) -> str:
    """A corrected p-value: under a thousandth nobody needs to know how far."""
    if value is None:
        return NOTHING
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def exported_features(view: MonitorView) -> tuple[tuple[str, ...], Iterator[Sequence[object]]]:
    """Titles and rows of the features for a file, every figure whole."""
    fields = "psi", "ks", "jensen_shannon", "wasserstein", "p_value", "q_value", "missing", "outside", "new"
    titles = ("column", "state", "fault", *fields, "importance", "reason")
    rows = (
        (
            f.column,
            str(f.score.state),
            f.score.fault,
            *(getattr(f.score, name) for name in fields),
            f.importance,
            f.score.reason,
        )
        for f in view.features
    )
    return titles, rows
