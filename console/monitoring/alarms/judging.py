"""What a rule says of a series of windows: which are bad, which are over it, and why. Plain Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from backends.entities import Estimate, Millis, Record, ServiceWindow, Window
from console.monitoring.alarms.measures import expanded, unit_of, value_of
from console.monitoring.alarms.rules import Rule, upwards
from console.monitoring.counted.distances import benjamini_hochberg
from console.monitoring.wording import digits, interval, label

Seen = Window | ServiceWindow
Corrected = Mapping[tuple[Millis, str, str], float]
"""(start, segment, column) → p-value corrected over the columns and segments of that time."""


class Judgement(Record, frozen=True):
    """One window under one rule."""

    start: Millis
    end: Millis
    bad: bool
    good: bool
    """Back beyond the clear threshold. A window may be neither."""
    worst: tuple[tuple[str, Estimate], ...] = ()
    """Keys that are beyond the threshold, worst first; of a good window the key nearest to it."""


def judgements(
    rule: Rule, windows: Sequence[Seen], *, segment: str = "", corrected: Corrected | None = None
) -> list[Judgement]:
    """Every window that can be judged, oldest first; those of which the measure is not known are stepped over."""
    found = []
    for window in windows:
        known = [
            (key, value)
            for key in (expanded(window, rule.metric) if isinstance(window, Window) else (rule.metric,))
            if (value := value_of(window, key)) is not None and value.n >= rule.min_sample
        ]
        if not known:
            continue
        up = upwards(rule)
        ranked = sorted(known, key=lambda item: item[1].value, reverse=up)
        beyond = [
            (key, value)
            for key, value in ranked
            if _beyond(rule, key, value, window) and _surely(rule, key, window, segment, corrected)
        ]
        clear = all(_clear(rule, key, value, window) for key, value in known)
        found.append(
            Judgement(
                start=window.start,
                end=window.end,
                bad=bool(beyond),
                good=not beyond and clear,
                worst=tuple(beyond or ranked[:1]),
            )
        )
    return found


def said(rule: Rule, judgement: Judgement, windows: Sequence[Seen], top: int = 0) -> str:
    """The measure as it stands, in words: `service.p95 312 ms, over 250`. top: ranks that a ranking looks at."""
    parts = []
    window = next(window for window in windows if window.start == judgement.start)
    for key, value in judgement.worst[:3]:
        unit = f" {unit_of(key)}" if unit_of(key) else ""
        parts.append(f"{label(key, top)} {digits(value.value)}{interval(value)}{unit}")
    if len(judgement.worst) > 3:
        parts.append(f"{len(judgement.worst) - 3} more")
    bound = _bound(rule, judgement.worst[0][0], window)
    beyond = "" if bound is None else f", {'over' if upwards(rule) else 'under'} {digits(bound)}"
    return ", ".join(parts) + (beyond if judgement.bad else "")


def corrected_over(segments: Mapping[str, Sequence[Window]]) -> dict[tuple[Millis, str, str], float]:
    """Benjamini-Hochberg over all columns and segments of each time. segments: name ('' for all rows) → windows."""
    by_start: dict[Millis, list[tuple[str, str, float]]] = defaultdict(list)
    for segment, windows in segments.items():
        for window in windows:
            by_start[window.start] += [
                (segment, score.column, score.p_value) for score in window.columns if score.p_value is not None
            ]
    found = {}
    for start, known in by_start.items():
        for (segment, column, _), q_value in zip(known, benjamini_hochberg([p for *_, p in known]), strict=True):
            found[start, segment, column] = q_value
    return found


def _bound(rule: Rule, key: str, window: Seen) -> float | None:
    if rule.worse_by is None:
        return rule.threshold
    if not isinstance(window, Window):
        return None
    reference = window.reference.get(key.removeprefix("estimated."))
    if reference is None:
        return None
    # As for the primary metric: errors of a regression by share, metrics of a classification as they are.
    effect = rule.worse_by * (abs(reference) if key.rpartition(".")[2] in ("mae", "rmse") else 1.0)
    return reference + effect if upwards(rule) else reference - effect


def _beyond(rule: Rule, key: str, value: Estimate, window: Seen) -> bool:
    """The whole interval lies beyond the threshold, or the value where it has none."""
    bound = _bound(rule, key, window)
    if bound is None:
        return False
    if upwards(rule):
        return (value.value if value.low is None else value.low) > bound
    return (value.value if value.high is None else value.high) < bound


def _clear(rule: Rule, key: str, value: Estimate, window: Seen) -> bool:
    bound = _bound(rule, key, window) if rule.clear is None else rule.clear
    if bound is None:
        return True
    return value.value <= bound if upwards(rule) else value.value >= bound


def _surely(rule: Rule, key: str, window: Seen, segment: str, corrected: Corrected | None) -> bool:
    """Of one column among many: that chance is no likely cause, corrected for all that were looked at."""
    if not (rule.metric.startswith("drift.") and "*" in rule.metric) or not isinstance(window, Window):
        return True
    column = key.partition(".")[2].rpartition(".")[0]
    score = next((score for score in window.columns if score.column == column), None)
    q_value = None if score is None else score.q_value
    if corrected is not None:
        q_value = corrected.get((window.start, segment, column), q_value)
    return q_value is None or q_value <= rule.fdr
