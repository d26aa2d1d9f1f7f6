"""Everything about a monitor or one of its features, as lines."""

from __future__ import annotations

from backends.entities import Monitor
from console.monitoring.feeds.batch_log import BatchRecord
from console.monitoring.quality.answers import unranked_words
from console.monitoring.read import Feature, MonitorView
from console.monitoring.wording import label, newest, time_words
from console.safe import safe_text
from console.tui import ink, state
from console.tui.dataset_columns import percent
from console.tui.describing import field
from console.tui.lines import Line, wrapped
from console.tui.monitor_columns import chance
from console.wording import ago, by_whom, local_time, number, plural

BLANK = Line([("", "")])
PREDICTION = "prediction"
"""The row of the model's own answers among the features."""
LABEL = "label"
"""The row of what truly happened."""


def prediction_feature(view: MonitorView) -> Feature | None:
    """The model's score as one more line of the table."""
    if view.newest is None or view.newest.prediction is None:
        return None
    course = tuple(w.prediction.psi if w.prediction else None for w in view.windows)
    return Feature(column=PREDICTION, score=view.newest.prediction, importance=0.0, weight=0.0, course=course)


def label_feature(view: MonitorView) -> Feature | None:
    """What truly happened as one more line of the table; None without labels."""
    if view.newest is None or view.newest.label is None:
        return None
    course = tuple(w.label.psi if w.label else None for w in view.windows)
    return Feature(column=LABEL, score=view.newest.label, importance=0.0, weight=0.0, course=course)


def monitor_lines(monitor: Monitor, width: int) -> list[Line]:
    lines = [
        Line([(f" {safe_text(monitor.name, max(8, width - 20))}  ", "head"), state.span(str(monitor.state))]),
        field("model", safe_text(f"{monitor.model}@{monitor.alias}", 60)),
        field("window", monitor.window),
        field("counted", f"{plural(monitor.rows, 'row')} in {plural(monitor.windows, 'window')}"),
        field("newest", f"{local_time(newest(monitor))}"),
        field("folder", safe_text(monitor.source, max(10, width - 18)) or "none: batches are handed in"),
        field("time column", safe_text(time_words(monitor), 60)),
        field("label", safe_text(monitor.label_column, 60) or "comes later, by id"),
        field("made", by_whom(ago(monitor.created_at), safe_text(monitor.created_by, 40))),
    ]
    if monitor.group_column:
        lines.append(field("ranks", f"the first {monitor.top} of each {safe_text(monitor.group_column, 40)}"))
    for name, value in sorted(monitor.policy.items()):
        lines.append(field(name, number(value)))
    if monitor.note:
        lines += [BLANK, *wrapped(safe_text(monitor.note, 2000), width, indent=" ")]
    return lines


def feature_lines(feature: Feature, view: MonitorView, width: int) -> list[Line]:
    """A feature: how far it is from the reference, in words and numbers."""
    score = feature.score
    lines = [Line([(f" {safe_text(feature.column, 40)}  ", "head"), state.span(str(score.state))])]
    lines += wrapped(safe_text(score.reason or "as in the reference", 400), width, indent=" ")
    shares = [("missing", score.missing), ("outside", score.outside), ("new", score.new)]
    if score.fault:
        lines.append(field("fault", safe_text(score.fault, 40)))
    lines.append(field("PSI, KS", f"{number(score.psi, 3)}   {number(score.ks, 3)}"))
    apart = []
    if score.jensen_shannon is not None:
        apart.append(f"Jensen-Shannon {number(score.jensen_shannon, 3)}")
    if score.wasserstein is not None:
        apart.append(f"Wasserstein {number(score.wasserstein, 3)} sd")
    if apart:
        lines.append(field("distance", "   ".join(apart)))
    if score.p_value is not None:
        corrected = "" if score.q_value is None else f"; q {chance(score.q_value)} over all features"
        lines.append(field("by chance", f"p {chance(score.p_value)}{corrected}"))
    reference = view.profile.column(feature.column) if view.profile is not None else None
    if reference is not None and reference.limits.natural_psi:
        natural = number(reference.limits.natural_psi, 3)
        lines.append(field("days differ", f"by a PSI of up to {natural} within the training data itself"))
    lines.append(field("cells", "   ".join(f"{name} {percent(share)}" for name, share in shares)))
    if feature.column not in (PREDICTION, LABEL):
        lines.append(field("importance", f"{percent(feature.importance)} of the model's"))
    if score.new_levels:
        lines.append(field("new levels", safe_text(", ".join(score.new_levels), max(10, width - 18))))
    return lines


def batch_lines(view: MonitorView, width: int) -> list[Line]:
    """What people noted on the monitor and its open alerts; what arrived lately, and what became of it."""
    noted = [("", view.monitor.note), *((alert.metric, alert.note) for alert in view.alerts)]
    notes: list[Line] = []
    for what, note in noted:
        if note:
            said = f"{safe_text(label(what), 30)}: {safe_text(note, 2000)}" if what else safe_text(note, 2000)
            notes += wrapped(safe_text(said), width, indent=" ")
    if notes:
        notes = [BLANK, Line([(" notes", "head")]), *notes]
    if view.newest is not None and (unranked := unranked_words(view.newest)):
        notes += wrapped(unranked, width, "warn", " ")
    if view.left_out:
        notes += wrapped(safe_text(f"left out {view.left_out}", 400), width, "warn", " ")
    lines = [*notes, BLANK, Line([(" latest files", "head")])]
    if view.trouble:
        lines += wrapped(safe_text(view.trouble, 400), width, "warn", " ")
    for record in view.batches[:20]:
        lines.append(_batch(record))
    return lines if view.batches or view.trouble else notes


def _batch(record: BatchRecord) -> Line:
    name = ink.fit(safe_text(record.file, 30), 30)
    reason = f"  {safe_text(record.reason, 200)}" if record.reason else ""
    return Line([(f" {name} ", ""), state.span(record.state), (reason, "dim")])
