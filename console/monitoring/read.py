"""What a screen or a command shows of a monitor: plain records made from stored windows, without numpy or pandas."""

from __future__ import annotations

from collections.abc import Sequence

from backends.contract import Backend, NotFound
from backends.entities import Alert, ColumnScore, Estimate, Millis, Monitor, MonitorState, Record, Window
from console.monitoring.bias import GroupRates, Groups, add_groups, bias_of, rates_of
from console.monitoring.cells import shares
from console.monitoring.champion import read_profile
from console.monitoring.counts import Counts, layout_of, merge, unpack
from console.monitoring.folder import BatchRecord, monitor_folder, recent_batches
from console.monitoring.performance import LARGER_IS_BETTER, coverage
from console.monitoring.policy import read_policy
from console.monitoring.profile import SCORE_CELLS, NumericColumn, Profile
from console.monitoring.severity import is_firing
from console.monitoring.spread import is_day
from console.monitoring.verdicts import primary_metric, verdicts
from console.monitoring.windows import percent
from console.monitoring.wording import digits, interval, label, moment

SEVERITY = {MonitorState.FIRING: 0, MonitorState.WARN: 1, MonitorState.OK: 2, MonitorState.NO_DATA: 3}


class Histogram(Record, frozen=True):
    """A column's distribution twice, in shares of all rows, over the same bars."""

    column: str
    bars: tuple[str, ...]
    """Name of each bar: a level, or the value a numeric bar starts at."""
    reference: tuple[float, ...]
    current: tuple[float, ...]
    edges: tuple[float, ...] = ()
    """Of a numeric column: one more than there are bars, equally far apart."""
    reference_rows: int = 0
    current_rows: int = 0
    special: dict[str, tuple[float, float]] = {}  # noqa: RUF012
    """`missing`, `below`, `above`, `infinite`, `new`, `other` → share in the reference and now, where either is
    above 0."""


class Feature(Record, frozen=True):
    """One line of the monitor's table."""

    column: str
    score: ColumnScore
    importance: float
    """Share of all importance, 0 to 1; 0 for all where the profile has none."""
    weight: float
    """Importance × PSI: what moved where the model looks."""
    course: tuple[float | None, ...]
    """PSI by window, oldest first."""


class MonitorView(Record, frozen=True):
    """Everything a pane or `monitor show` draws."""

    monitor: Monitor
    headline: str
    version: str = ""
    reference_rows: int = 0
    metric: str = ""
    """The primary metric's key, e.g. `auc`."""
    reference: dict[str, float] = {}  # noqa: RUF012
    windows: tuple[Window, ...] = ()
    """Oldest first, without their packed counts."""
    newest: Window | None = None
    """With its packed counts."""
    coverage: float = 0.0
    """Share of the newest window's rows that have labels."""
    recent: Estimate | None = None
    """The primary metric over the policy's pooled windows: what the alert looks at."""
    features: tuple[Feature, ...] = ()
    """Worst first."""
    alerts: tuple[Alert, ...] = ()
    batches: tuple[BatchRecord, ...] = ()
    """The newest files and what became of them, newest first."""
    profile: Profile | None = None
    """For `histogram`; None where the version has none."""
    trouble: str = ""
    """Why there is no reference, if there is none."""


def monitor_view(backend: Backend, name: str, *, windows: int = 60, batches: int = 20) -> MonitorView:
    """A monitor as it stands. Cheap enough for every change: it reads stored verdicts and unpacks only what the pooled
    metric needs."""
    import msgspec

    store = backend.need("monitors")
    monitor: Monitor = store.get(name)
    found: tuple[Window, ...] = store.windows(name, limit=windows)
    alerts = tuple(alert for alert in store.alerts(name, open_only=True))
    files = tuple(recent_batches(monitor_folder(backend, name), batches)) if backend.home is not None else ()
    if not found:
        return MonitorView(monitor=monitor, headline=_nothing_yet(monitor, files), alerts=alerts, batches=files)
    newest = found[-1]
    profile, trouble = None, ""
    try:
        profile = read_profile(backend, backend.need("registry").version(monitor.model, newest.model_version))
    except NotFound as error:
        trouble = str(error)
    metric, recent = "", None
    if profile is not None:
        metric = primary_metric(profile)
        policy = read_policy(monitor.policy)
        own = [window for window in found if window.model_version == newest.model_version and window.labelled]
        judged = verdicts(own[-policy.pool :], profile, policy)
        recent = judged[-1].value if judged else None
    return MonitorView(
        monitor=monitor,
        headline=headline(monitor, newest, metric, recent, alerts),
        version=newest.model_version,
        reference_rows=profile.rows if profile is not None else 0,
        metric=metric,
        reference=newest.reference,
        windows=tuple(msgspec.structs.replace(window, counts=b"") for window in found),
        newest=newest,
        coverage=coverage(newest.rows, newest.labelled),
        recent=recent,
        features=features(found, profile),
        alerts=alerts,
        batches=files,
        profile=profile,
        trouble=trouble,
    )


def _nothing_yet(monitor: Monitor, files: Sequence[BatchRecord]) -> str:
    if files and files[0].state == "failed":
        return f"Nothing counted yet: {files[0].reason}"
    if monitor.source:
        return f"Nothing counted yet. Drop a batch (CSV, JSONL, Parquet) into {monitor.source}."
    return f"Nothing counted yet. Hand a batch in: mlops-console monitor ingest {monitor.name} FILE"


def headline(
    monitor: Monitor, newest: Window, metric: str, recent: Estimate | None, alerts: Sequence[Alert] = ()
) -> str:
    """One sentence: what is wrong, or that nothing is."""
    firing = [alert for alert in alerts if is_firing(alert)]
    if firing:
        return firing[0].text
    reference = newest.reference.get(metric)
    pool = read_policy(monitor.policy).pool
    parts = []
    if recent is not None and reference is not None:
        gap = recent.value - reference if LARGER_IS_BETTER.get(metric, True) else reference - recent.value
        course = "level with" if abs(gap) < 0.005 else f"{digits(abs(gap))} {'better' if gap > 0 else 'worse'} than"
        parts.append(
            f"{label(metric)} {digits(recent.value)}{interval(recent)}"
            f"{' within days' if is_day(newest.end - newest.start) else ''} over {pool} windows, "
            f"{course} the reference {digits(reference)}"
        )
    elif newest.labelled:
        found = newest.performance.get(metric)
        if found is not None:
            parts.append(f"{label(metric)} {digits(found.value)}{interval(found)} in the newest window")
    else:
        parts.append("no labels yet, so nobody knows how good the answers are")
    odd = [score for score in newest.columns if score.state in (MonitorState.FIRING, MonitorState.WARN)]
    if odd:
        worst = max(odd, key=lambda score: score.psi or 0.0)
        parts.append(f"{len(odd)} of {len(newest.columns)} features odd, most {worst.column}: {worst.reason}")
    else:
        parts.append(f"all {len(newest.columns)} features as in the reference")
    return f"{moment(newest.start, monitor.window)}: {'; '.join(parts)}."


def features(windows: Sequence[Window], profile: Profile | None) -> tuple[Feature, ...]:
    """The newest window's columns, worst first: by state, then importance × PSI, then PSI. Windows oldest first."""
    if not windows:
        return ()
    weights = {column.name: column.importance for column in profile.columns} if profile is not None else {}
    whole = sum(weights.values())
    courses: dict[str, list[float | None]] = {score.column: [] for score in windows[-1].columns}
    for window in windows:
        known = {score.column: score.psi for score in window.columns}
        for column, values in courses.items():
            values.append(known.get(column))
    lines = []
    for score in windows[-1].columns:
        importance = weights.get(score.column, 0.0) / whole if whole else 0.0
        lines.append(
            Feature(
                column=score.column,
                score=score,
                importance=importance,
                weight=importance * (score.psi or 0.0),
                course=tuple(courses[score.column]),
            )
        )
    lines.sort(key=lambda line: (SEVERITY[line.score.state], -line.weight, -(line.score.psi or 0.0), line.column))
    return tuple(lines)


def course(windows: Sequence[Window], metric: str) -> list[tuple[Millis, Estimate | None]]:
    """A metric by window, oldest first; None where it could not be measured, which is a gap."""
    return [(window.start, window.performance.get(metric)) for window in windows]


def merged(windows: Sequence[Window]) -> Counts | None:
    """The counts of windows of one version together: an hour, a week, any stretch."""
    return merge(unpack(window.counts) for window in windows if window.counts)


def bias_over(
    backend: Backend, monitor: Monitor, windows: Sequence[Window]
) -> tuple[dict[str, Estimate], tuple[GroupRates, ...]]:
    """Bias over a stretch of windows together: its measures, and each group's rates. Groups add up across versions,
    since they are cut alike."""
    groups: Groups = {}
    for window in windows:
        groups = add_groups(groups, unpack(window.counts).groups)
    if not groups:
        return {}, ()
    profile = read_profile(backend, backend.need("registry").version(monitor.model, windows[-1].model_version))
    return bias_of(groups, profile.task), rates_of(groups)


def histogram(profile: Profile, counts: Counts, column: str, *, bars: int = 24) -> Histogram:
    """A column's reference and current distribution for drawing; `prediction` for the score. Raises NotFound.

    Numeric cells are as wide as the reference's quantiles made them: their rows are spread evenly over bars of equal
    width that reach from the reference's 1st to its 99th percentile cell, or its whole range where that is not much
    wider.
    """
    layout = layout_of(profile)
    if column == "prediction":
        return _score_histogram(profile, counts, bars)
    reference = profile.column(column)
    if reference is None:
        raise NotFound(f"the reference of this version has no column {column!r}")
    now, before = counts.column(layout, column), reference.counts
    total, reference_total = max(1, sum(now)), max(1, sum(before))
    here, there = shares(reference, now), shares(reference, before)
    odd = {
        "missing": (there.missing, here.missing),
        "infinite": (there.infinite, here.infinite),
        "new": (there.new, here.new),
    }
    if isinstance(reference, NumericColumn):
        odd["below"] = (before[-4], now[-4])
        odd["above"] = (before[-3], now[-3])
        edges = _drawn_edges(reference, bars)
        inner = reference.edges
        names = tuple(f"{edge:.4g}" for edge in edges[:-1])
        old_bars = _spread(inner, before[: reference.cells], edges)
        new_bars = _spread(inner, now[: reference.cells], edges)
    else:
        edges = ()
        kept = min(bars, len(reference.levels))
        names = reference.levels[:kept]
        old_bars, new_bars = list(map(float, before[:kept])), list(map(float, now[:kept]))
        odd["other"] = (sum(before[kept:-2]), sum(now[kept:-2]))
    return Histogram(
        column=column,
        bars=names,
        reference=tuple(value / reference_total for value in old_bars),
        current=tuple(value / total for value in new_bars),
        edges=edges,
        reference_rows=sum(before),
        current_rows=sum(now),
        special={name: (old / reference_total, new / total) for name, (old, new) in odd.items() if old or new},
    )


def _score_histogram(profile: Profile, counts: Counts, bars: int) -> Histogram:
    step = (profile.score.high - profile.score.low) / SCORE_CELLS
    inner = tuple(profile.score.low + step * cell for cell in range(SCORE_CELLS + 1))
    edges = _even(profile.score.low, profile.score.high, bars)
    before = [sum(profile.score.counts[cell::SCORE_CELLS]) for cell in range(SCORE_CELLS)]
    now = [sum(parts) for parts in zip(*counts.score(layout_of(profile)), strict=True)]
    return Histogram(
        column="prediction",
        bars=tuple(f"{edge:.4g}" for edge in edges[:-1]),
        reference=tuple(value / max(1, sum(before)) for value in _spread(inner, before, edges)),
        current=tuple(value / max(1, sum(now)) for value in _spread(inner, now, edges)),
        edges=edges,
        reference_rows=sum(before),
        current_rows=sum(now),
    )


def _drawn_edges(column: NumericColumn, bars: int) -> tuple[float, ...]:
    """A tail that holds a hundredth of the rows must not squeeze the rest into one bar."""
    edges = column.edges
    low, high = edges[0], edges[-1]
    total = sum(column.counts[: column.cells])
    inner_low, inner_high = low, high
    seen = 0
    for cell, count in enumerate(column.counts[: column.cells]):
        if seen + count <= total * 0.02:
            inner_low = edges[cell + 1]
        if seen >= total * 0.98:
            inner_high = min(inner_high, edges[cell])
        seen += count
    if inner_high - inner_low < (high - low) / 3 and inner_high > inner_low:
        low, high = inner_low, inner_high
    return _even(low, high, bars)


def _even(low: float, high: float, bars: int) -> tuple[float, ...]:
    if high <= low:
        high = low + 1.0
    return tuple(low + (high - low) * bar / bars for bar in range(bars + 1))


def _spread(inner: Sequence[float], counts: Sequence[int], edges: Sequence[float]) -> list[float]:
    """Rows of uneven cells over even bars; what lies outside the bars goes into the outer ones."""
    bars = len(edges) - 1
    width = (edges[-1] - edges[0]) / bars
    out = [0.0] * bars

    def bar_of(value: float) -> int:
        return min(bars - 1, max(0, int((value - edges[0]) / width)))

    for cell, count in enumerate(counts):
        if not count:
            continue
        left, right = inner[cell], inner[cell + 1]
        first, last = bar_of(left), bar_of(right)
        if right <= left or first == last:
            out[bar_of((left + right) / 2)] += count
            continue
        for bar in range(first, last + 1):
            start = left if bar == first else edges[bar]
            stop = right if bar == last else edges[bar + 1]
            out[bar] += count * max(0.0, stop - start) / (right - left)
    return out


def worst_reason(window: Window) -> str:
    """The oddest column of a window in words, for a list: `temp: PSI 3.91, over 0.12`."""
    odd = [score for score in window.columns if score.reason and score.state is not MonitorState.OK]
    if not odd:
        return ""
    worst = min(odd, key=lambda score: (SEVERITY[score.state], -(score.psi or 0.0)))
    return f"{worst.column}: {worst.reason}"


def label_share(window: Window) -> str:
    """`871 labels (98 %)`"""
    return f"{window.labelled} labels ({percent(coverage(window.rows, window.labelled))})"
