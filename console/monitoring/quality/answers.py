"""How good the answers of a window were, and how good they ought to be by their scores alone, as a reader is told it.
Plain Python."""

from __future__ import annotations

from backends.entities import Estimate, Record, Window
from console.monitoring.counted.counts import MIXED, unpack
from console.monitoring.counted.windows import percent
from console.monitoring.quality.performance import LARGER_IS_BETTER, coverage, provisional
from console.monitoring.quality.ranking import METRICS
from console.monitoring.wording import digits, interval, label
from console.wording import duration

Part = tuple[str, str]
"""Words, and their tone: empty, `dim`, `warn` or `bad`."""

UNRANKED = "at different k: no common figure"
LEVEL = 0.005
"""Differences under this are called none."""


class Gap(Record, frozen=True):
    """What is measured with labels against what is expected without."""

    realized: Estimate
    estimated: Estimate
    value: float
    """Estimated less realized, in the metric's own unit."""
    optimistic: bool
    """The estimate is better than what came."""
    sure: bool
    """The two intervals do not meet: chance does not explain it."""


def gap_of(window: Window, metric: str) -> Gap | None:
    """The gap in one metric; None where one of the two is not known."""
    realized, estimated = window.performance.get(metric), window.estimated.get(metric)
    if realized is None or estimated is None:
        return None
    value = estimated.value - realized.value
    optimistic = value > 0 if LARGER_IS_BETTER.get(metric.rpartition(".")[2], True) else value < 0
    known = None not in (realized.low, realized.high, estimated.low, estimated.high)
    apart = known and (
        (estimated.low or 0.0) > (realized.high or 0.0) or (estimated.high or 0.0) < (realized.low or 0.0)
    )
    return Gap(realized=realized, estimated=estimated, value=value, optimistic=optimistic, sure=apart)


def quality_parts(window: Window, metric: str) -> list[Part]:
    """Measured performance with its interval, how it stands to the reference, labels and their lag (provisional while
    labels are still to come that could move it), what was expected
    without labels, and what lies between: `AUC 0.640 [0.612, 0.668]`, `0.109 worse than the reference 0.749`, …"""
    parts: list[Part] = []
    found = window.performance.get(metric) if metric else None
    mixed = bool(unranked_words(window))
    if mixed and metric in METRICS:
        parts.append((f"{label(metric)} not known: {UNRANKED}", "warn"))
    elif found is not None:
        parts.append((f"{label(metric)} {digits(found.value)}{interval(found)}", "head"))
        reference = window.reference.get(metric)
        if reference is not None:
            parts.append(against(metric, found, reference))
    elif metric:
        parts.append((f"{label(metric)} not known: {'too few labels' if window.labelled else 'no labels yet'}", "dim"))
    if mixed and metric not in METRICS:
        parts.append((unranked_words(window), "warn"))
    share = percent(coverage(window.rows, window.labelled))
    parts.append(
        (f"labels {share}, provisional" if provisional(window.rows, window.labelled) else f"labels {share}", "dim")
    )
    if window.label_lag is not None:
        parts.append((f"{duration(window.label_lag)} late", "dim"))
    expected = window.estimated.get(metric)
    if expected is not None:
        parts.append((f"estimated without labels {digits(expected.value)}{interval(expected)}", ""))
    gap = gap_of(window, metric) if metric else None
    if gap is not None:
        parts.append(gap_words(gap))
    return parts


def ranks_of(window: Window) -> int | None:
    """How many of the first its ranking looks at, `MIXED` where that differs within it; None where nothing is ranked,
    or its counts are not at hand."""
    counts = unpack(window.counts) if window.counts else None
    return counts.top if counts is not None and (counts.ranked or counts.top == MIXED) else None


def unranked_words(window: Window) -> str:
    """Why a ranking is not told, where its parts cannot be put together; else nothing."""
    return f"ranking {UNRANKED}" if ranks_of(window) == MIXED else ""


def against(metric: str, found: Estimate, reference: float) -> Part:
    """`0.109 worse than the reference 0.749`; it warns where the interval does not reach the reference."""
    better = found.value >= reference if LARGER_IS_BETTER.get(metric, True) else found.value <= reference
    if abs(found.value - reference) < LEVEL:
        return f"level with the reference {digits(reference)}", ""
    edge = found.high if LARGER_IS_BETTER.get(metric, True) else found.low
    sure = not better and edge is not None and (edge < reference) is LARGER_IS_BETTER.get(metric, True)
    word = "better" if better else "worse"
    return f"{digits(abs(found.value - reference))} {word} than the reference {digits(reference)}", (
        "warn" if sure else ""
    )


def gap_words(gap: Gap) -> Part:
    """What the gap means: an estimate from scores believes that a score still means what it meant in training."""
    said = f"gap {digits(abs(gap.value))}"
    if not gap.sure:
        return f"{said}, within chance", "dim"
    if gap.optimistic:
        return f"{said}: the estimate cannot see this, what a score means has changed (concept drift)", "warn"
    return f"{said}: better than the scores say", ""
