"""From the counts of a stretch of time to a `Window`: what is odd in each column, in words. Plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from backends.contract import Invalid
from backends.entities import ColumnScore, Estimate, Millis, MonitorState, Window
from console.monitoring.counted import faults
from console.monitoring.counted.cells import Shares, coarse, gathered, in_order, score_total, shares
from console.monitoring.counted.counts import Counts, Layout, pack
from console.monitoring.counted.distances import (
    benjamini_hochberg,
    binomial_tail,
    fisher_more,
    jensen_shannon,
    ks,
    psi,
    two_sample_p,
    wasserstein,
)
from console.monitoring.counted.faults import GONE, MISSING, NEW, OUTSIDE
from console.monitoring.counted.profile import CategoricalColumn, Limits, NumericColumn, Profile, ReferenceColumn
from console.monitoring.quality import performance
from console.monitoring.quality.bias import bias_of
from console.monitoring.quality.estimated import estimate
from console.monitoring.quality.ranking import measure_ranked
from console.monitoring.quality.spread import reference_for

MIN_ROWS = 50
"""Under this many rows no distance is judged; what is missing or new is still named."""
RARE = 0.001
"""How unlikely a share of missing, outside or new values must be without drift before it is called odd."""
MIN_SHARE = 0.005
"""Shares that differ by less are never called odd, however sure it is that they differ."""
STRONG_SHARE = 0.2
FALSE_DISCOVERIES = 0.05
"""Share of the columns that are called far which may be so by chance."""

LENGTHS = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000}


def window_bounds(kind: str, at: Millis) -> tuple[Millis, Millis]:
    """Start and end of the minute, hour or day (UTC) that `at` falls into."""
    length = LENGTHS.get(kind)
    if length is None:
        raise Invalid(f"window {kind!r} is not known: use minute, hour, day or batch", "window")
    start = at - at % length
    return start, start + length


def limit(limits: Limits, statistic: str, reference_rows: int, rows: int) -> float:
    """How large `psi` or `ks` of this many rows gets without drift, but for one window in 1/alpha."""
    scaled = limits.psi if statistic == "psi" else limits.ks
    if not scaled or not reference_rows or not rows:
        return math.inf
    spot = scaled[-1]
    if rows <= limits.sizes[0]:
        spot = scaled[0]
    else:
        for (low, first), (high, second) in zip(
            zip(limits.sizes, scaled, strict=True), zip(limits.sizes[1:], scaled[1:], strict=False), strict=False
        ):
            if low <= rows <= high:
                share = (math.log(rows) - math.log(low)) / (math.log(high) - math.log(low))
                spot = first + share * (second - first)
                break
    scale = 1 / reference_rows + 1 / rows
    return max(spot * scale, limits.natural_psi) if statistic == "psi" else spot * math.sqrt(scale)


def make_window(
    monitor: str,
    profile: Profile,
    layout: Layout,
    counts: Counts,
    *,
    start: Millis,
    end: Millis,
    version: str,
    gone: Sequence[str] = (),
    segment: str = "",
) -> Window:
    """A window with its verdicts. `gone`: columns that its newest batch did not have."""
    by_column = {column.name: counts.column(layout, column.name) for column in profile.columns}
    bare = [
        score_column(profile, column, by_column[column.name], counts.new_levels.get(column.name, {}), gone)
        for column in profile.columns
    ]
    columns = faults.named(profile, by_column, counts.new_levels, corrected(bare))
    score = [number for part in counts.score(layout) for number in part]
    prediction = score_prediction(profile, score)
    bare_window = Window(
        monitor=monitor,
        start=start,
        end=end,
        model_version=version,
        segment=segment,
        rows=counts.rows,
        columns=columns,
        prediction=prediction,
        # The reference's calibration is that of all rows: a segment's own may be another.
        estimated={} if segment else estimate(profile, score, end - start),
        reference=reference_for(profile, end - start),
        state=_state((*columns, prediction)),
    )
    return relabelled(bare_window, profile, layout, counts)


def relabelled(window: Window, profile: Profile, layout: Layout, counts: Counts) -> Window:
    """The window with all that its labels say, from counts that hold more or other labels than before."""
    return msgspec.structs.replace(
        window,
        reference=window.reference | profile.ranking if counts.ranked else window.reference,
        counts=pack(counts),
        labelled=round(counts.sums[0]),
        performance=measured(profile, layout, counts),
        label=score_label(profile, counts.label(layout)),
        bias=bias_of(counts.groups, profile.task),
    )


def measured(profile: Profile, layout: Layout, counts: Counts) -> dict[str, Estimate]:
    """Every metric that the labels of these counts allow."""
    classes = profile.classes
    found = performance.measure(
        counts.score(layout),
        counts.sums,
        profile.task,
        profile.scale,
        table=counts.confusion(layout, len(classes)),
        positive=classes.index(profile.positive) if profile.positive in classes else 0,
    )
    return found | measure_ranked(counts.ranked)


def corrected(scores: Sequence[ColumnScore]) -> list[ColumnScore]:
    """The columns of a window with their p-values corrected for each other; a distance that the correction takes for
    chance is none."""
    known = [spot for spot, score in enumerate(scores) if score.p_value is not None]
    q_values = benjamini_hochberg([scores[spot].p_value or 0.0 for spot in known])
    found = list(scores)
    for spot, q_value in zip(known, q_values, strict=True):
        score = msgspec.structs.replace(found[spot], q_value=q_value)
        if score.state in (MonitorState.WARN, MonitorState.FIRING) and not score.fault and q_value > FALSE_DISCOVERIES:
            score = msgspec.structs.replace(
                score,
                state=MonitorState.OK,
                reason=f"PSI {score.psi or 0.0:.2f}, which one of {len(known)} columns reaches by chance",
            )
        found[spot] = score
    return found


def own_state(window: Window) -> MonitorState:
    """What a window says by its own columns and scores."""
    return _state((*window.columns, *((window.prediction,) if window.prediction else ())))


def _state(scores: Sequence[ColumnScore]) -> MonitorState:
    """A window warns at most: whether somebody must act is for the alerts, which look at several."""
    odd = any(score.state in (MonitorState.WARN, MonitorState.FIRING) for score in scores)
    return MonitorState.WARN if odd else MonitorState.OK


def score_column(
    profile: Profile,
    column: ReferenceColumn,
    counts: Sequence[int],
    new_levels: dict[str, int],
    gone: Sequence[str] = (),
) -> ColumnScore:
    """How far one column is from the reference, and why it is called odd."""
    here, there = shares(column, counts), shares(column, column.counts)
    rows = max(1, here.rows)
    before, now = coarse(column, column.counts), coarse(column, counts)
    distance = psi(before, now) if here.rows else None
    ordered = in_order(column, counts)
    gap = ks(in_order(column, column.counts), ordered) if sum(ordered) else None
    odd: list[tuple[MonitorState, str]] = []
    if column.name in gone:
        odd.append((MonitorState.FIRING, "not in the newest batch"))
    strange = _odd_shares(column, here, there, new_levels)
    odd += [(verdict, text) for verdict, text, _ in strange]
    if here.rows - here.missing > 0 and distance is not None:
        odd += _odd_distance(profile, column.limits, distance, there.rows, here.rows, "PSI")
    fault = GONE if column.name in gone else next((name for _, _, name in strange), "")
    state = MonitorState.NO_DATA if not here.rows else MonitorState.OK
    if any(verdict is MonitorState.FIRING for verdict, _ in odd):
        state = MonitorState.FIRING
    elif any(verdict is MonitorState.WARN for verdict, _ in odd):
        state = MonitorState.WARN
    reason = "; ".join(text for _, text in odd)
    if not reason and here.rows >= MIN_ROWS and distance is not None and distance >= profile.min_psi:
        reason = _ok_distance(column.limits, distance, there.rows, here.rows)
    if not reason and 0 < here.rows < MIN_ROWS:
        reason = f"{here.rows} rows: too few to judge the distance, {MIN_ROWS} are needed"
    return ColumnScore(
        column=column.name,
        state=state,
        psi=distance,
        ks=gap,
        missing=here.missing / rows,
        outside=here.outside / rows,
        new=here.new / rows,
        new_levels=tuple(new_levels),
        reason=reason,
        jensen_shannon=jensen_shannon(before, now) if here.rows else None,
        wasserstein=wasserstein(column.edges, in_order(column, column.counts), ordered)
        if isinstance(column, NumericColumn) and any(ordered)
        else None,
        p_value=two_sample_p(before, now) if here.rows >= MIN_ROWS else None,
        fault=fault,
    )


def score_label(profile: Profile, counts: Sequence[int]) -> ColumnScore | None:
    """How far the labels are from those of the held-out reference; None without labels, or where the profile has
    none."""
    column = profile.label
    rows = sum(counts)
    if column is None or not rows:
        return None
    before, now = coarse(column, column.counts), coarse(column, counts)
    distance, ordered = psi(before, now), in_order(column, counts)
    odd = _odd_distance(profile, column.limits, distance, sum(before), rows, "PSI")
    return ColumnScore(
        column=column.name,
        state=odd[0][0] if odd else MonitorState.OK,
        psi=distance,
        ks=ks(in_order(column, column.counts), ordered) if ordered else None,
        jensen_shannon=jensen_shannon(before, now),
        wasserstein=wasserstein(column.edges, in_order(column, column.counts), ordered)
        if isinstance(column, NumericColumn)
        else None,
        p_value=two_sample_p(before, now) if rows >= MIN_ROWS else None,
        reason="; ".join(text for _, text in odd),
    )


def score_prediction(profile: Profile, counts: Sequence[int]) -> ColumnScore:
    """How far the scores are from those on the held-out reference. counts: shape (3 * SCORE_CELLS,)."""
    now, before = score_total(counts), score_total(profile.score.counts)
    rows, reference_rows = sum(now), sum(before)
    if not rows:
        return ColumnScore(column="prediction", state=MonitorState.NO_DATA, reason="no row was scored")
    groups = profile.score.groups
    distance = psi(gathered(before, groups), gathered(now, groups))
    odd = _odd_distance(profile, profile.score.limits, distance, reference_rows, rows, "PSI")
    return ColumnScore(
        column="prediction",
        state=odd[0][0] if odd else MonitorState.OK,
        psi=distance,
        ks=ks(before, now),
        jensen_shannon=jensen_shannon(gathered(before, groups), gathered(now, groups)),
        p_value=two_sample_p(gathered(before, groups), gathered(now, groups)) if rows >= MIN_ROWS else None,
        reason="; ".join(text for _, text in odd),
    )


def _odd_distance(
    profile: Profile, limits: Limits, distance: float, reference_rows: int, rows: int, name: str
) -> list[tuple[MonitorState, str]]:
    bound = limit(limits, "psi", reference_rows, rows)
    if rows < MIN_ROWS or distance <= bound or distance < profile.min_psi:
        return []
    state = MonitorState.FIRING if distance >= profile.strong_psi else MonitorState.WARN
    return [(state, f"{name} {distance:.2f}, over {max(bound, profile.min_psi):.2f}")]


def _ok_distance(limits: Limits, distance: float, reference_rows: int, rows: int) -> str:
    """Why a distance that looks large is none."""
    bound = limit(limits, "psi", reference_rows, rows)
    if bound <= limits.natural_psi:
        return f"PSI {distance:.2f}, within what single training days reach ({limits.natural_psi:.2f})"
    return f"PSI {distance:.2f}, within what {rows} rows reach by chance ({bound:.2f})"


def _odd_shares(
    column: ReferenceColumn, here: Shares, there: Shares, new_levels: dict[str, int]
) -> list[tuple[MonitorState, str, str]]:
    """What is wrong with the values themselves, each said whether or not the distribution moved: state, words,
    fault."""
    odd: list[tuple[MonitorState, str, str]] = []
    if not here.rows:
        return odd
    missing, missed = here.missing / here.rows, there.missing / max(1, there.rows)
    if here.missing == here.rows and there.missing < there.rows:
        odd.append((MonitorState.FIRING, f"every value is missing ({percent(missed)} in the reference)", MISSING))
    elif (
        missing - missed >= MIN_SHARE and fisher_more(here.missing, here.rows, there.missing, max(1, there.rows)) < RARE
    ):
        state = MonitorState.FIRING if missing - missed >= STRONG_SHARE else MonitorState.WARN
        odd.append((state, f"{percent(missing)} missing ({percent(missed)} in the reference)", MISSING))
    if here.infinite and fisher_more(here.infinite, here.rows, there.infinite, max(1, there.rows)) < RARE * 10:
        odd.append((MonitorState.WARN, f"{here.infinite} infinite values", OUTSIDE))
    outside = here.outside / here.rows
    # The chance that a value lies beyond the least and the largest of N others is 2 / (N + 1).
    if outside >= MIN_SHARE and binomial_tail(here.outside, here.rows, 2 / (there.rows + 1)) < RARE:
        state = MonitorState.FIRING if outside >= STRONG_SHARE else MonitorState.WARN
        odd.append((state, f"{percent(outside)} outside the reference's range", OUTSIDE))
    if isinstance(column, CategoricalColumn) and here.new:
        names = ", ".join(list(new_levels)[:3]) + (f" and {len(new_levels) - 3} more" if len(new_levels) > 3 else "")
        # Good-Turing: levels seen once tell how much of the population had not been seen at all.
        expected = (column.singletons + 1) / (there.rows + 1)
        likely = binomial_tail(here.new, here.rows, min(1.0, expected)) >= RARE
        text = f"{here.new} row{'s' if here.new != 1 else ''} in new categories: {names}"
        odd.append((MonitorState.OK, text, "") if likely else (MonitorState.WARN, text, NEW))
    return odd


def percent(share: float) -> str:
    """A share as people read it: `12 %`, `0.4 %`, `< 0.1 %`."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{share * 100:.1f} %" if share < 0.0995 else f"{share * 100:.0f} %"
