"""Why a monitor is off: since when, by which features, in which part of the rows, and after what changes.

What stored windows and the journal tell is told here, in plain Python; `why_rows` adds what only sampled rows can
tell (the effect on error, the worst slices, examples), in a process of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from backends.contract import Backend, NotFound
from backends.entities import Alert, Estimate, Millis, Monitor, Record, Segment, Window
from console.monitoring.alarms.measures import value_of
from console.monitoring.alarms.severity import is_firing
from console.monitoring.alarms.verdicts import primary_metric
from console.monitoring.counted.cells import coarse
from console.monitoring.counted.counts import Counts, layout_of, unpack
from console.monitoring.counted.distances import psi
from console.monitoring.counted.profile import Profile
from console.monitoring.drift.histograms import Histogram, histogram
from console.monitoring.ranges import merged
from console.monitoring.reasons.onset import Loss, Onset, loss_name, loss_of, onset_of
from console.monitoring.reasons.upstream import Upstream, upstream
from console.monitoring.reference import read_profile
from console.monitoring.wording import digits, label, moment

KEPT = 400
"""Newest windows that are looked at."""
DRAWN = 12
"""Features whose histograms are given."""
FEWEST = 30
"""Labelled rows of a part below which nothing is said about its error."""
AROUND = 3 * 86_400_000
"""Before the earliest onset, and after it: a change takes a while to be felt, and moments are estimates (ms)."""


class Cause(Record, frozen=True, kw_only=True):
    """A feature, and how much of the trouble it may explain."""

    column: str
    weight: float
    """Importance × drift × effect on error, as a share of all features together; without an effect: of the first
    two."""
    importance: float
    """Share of all importance, 0 to 1; the same for all where the reference has none."""
    drift: float
    """PSI of the stretch against the reference."""
    effect: float | None = None
    """How much larger the loss is in the part of the rows that there is more of, than it was in that part before (or
    in the whole reference); None where too few labels tell."""
    rows: int = 0
    """Labelled sampled rows in that part."""
    part: str = ""
    """Which part of its values there is more of, in words."""
    text: str
    histogram: Histogram | None = None


class Carrier(Record, frozen=True, kw_only=True):
    """A part of the rows, and how much of the shortfall it carries."""

    name: str
    kind: str
    """`segment`, or `slice` where it was found by itself."""
    where: str
    rows: int
    share: float
    """Of the labelled rows of the stretch, 0 to 1."""
    loss: float
    expected: float
    """Its own loss before the onset where that is known, else that of the whole."""
    contribution: float | None
    """Share of the whole shortfall that comes from it; above 1 where the rest got better. None without a shortfall."""
    text: str


class Example(Record, frozen=True, kw_only=True):
    """A row that was answered wrongly and with confidence."""

    id: str
    at: Millis
    answer: str
    truth: str
    score: float
    loss: float
    values: dict[str, str]
    """Without the columns that the monitor redacts."""


class Why(Record, frozen=True, kw_only=True):
    """What is known about the trouble."""

    monitor: str
    alert: str = ""
    """The alert it is about, if there is one."""
    headline: str
    metric: str = ""
    value: Estimate | None = None
    """The primary metric over the stretch."""
    reference: float | None = None
    since: Millis | None = None
    until: Millis | None = None
    """The stretch that is explained: from the onset to the last window's end."""
    version: str = ""
    rows: int = 0
    labelled: int = 0
    onset: Onset | None = None
    causes: tuple[Cause, ...] = ()
    """Most telling first; the first ones with both histograms."""
    carriers: tuple[Carrier, ...] = ()
    examples: tuple[Example, ...] = ()
    upstream: tuple[Upstream, ...] = ()
    notes: tuple[str, ...] = ()
    """What could not be told, and why."""
    sampled: int = 0
    """Labelled rows that the effect on error, slices and examples come from; 0 before they were looked at."""
    redacted: tuple[str, ...] = ()
    """Columns that the examples leave out, as the monitor says."""
    course: tuple[tuple[Millis, float | None], ...] = ()
    """The metric (without labels the share of drifted features) by window, oldest first; None is a gap."""


def why(backend: Backend, monitor: str, *, alert: str = "") -> Why:
    """What stored windows and the journal tell. alert: id of one of the monitor's alerts; by default the open one that
    fires. Raises NotFound for a monitor, an alert, or windows that are not there."""
    store = backend.need("monitors")
    found: Monitor = store.get(monitor)
    about = _alert(store.alerts(found.name), alert, found.name)
    until = about.resolved_at if about is not None else None
    windows = store.windows(found.name, until=until, limit=KEPT)
    if not windows:
        raise NotFound(f"monitor {found.name} has counted nothing yet, so nothing can be explained; hand a batch in")
    version = backend.need("registry").version(found.model, windows[-1].model_version)
    profile = read_profile(backend, version)
    own = [window for window in windows if window.model_version == version.version]
    onset = onset_of(own, profile)
    began = own[0].start if onset is None else onset.start
    stretch = [window for window in own if window.start >= began]
    counts = merged(stretch)
    assert counts is not None  # noqa: S101 - there is at least one window
    end = stretch[-1].end
    reach = (began, began) if onset is None else (onset.earliest, onset.latest if onset.certain else onset.start)
    changes, notes = upstream(backend, found, version, reach[0] - AROUND, reach[1] + AROUND)
    metric = primary_metric(profile)
    value = _measured(counts, profile).get(metric)
    reference = stretch[-1].reference.get(metric, profile.metrics.get(metric))
    causes = _causes(profile, counts)
    carriers = segment_carriers(backend, found, profile, own, began)
    if not counts.sums[0]:
        notes = (*notes, "no labels in this stretch: nobody knows how much the drift matters")
    return Why(
        monitor=found.name,
        alert="" if about is None else about.id,
        headline=_headline(found, about, onset, metric, value, reference),
        metric=metric,
        value=value,
        reference=reference,
        since=began,
        until=end,
        version=version.version,
        rows=counts.rows,
        labelled=round(counts.sums[0]),
        onset=onset,
        causes=causes,
        carriers=carriers,
        upstream=changes,
        notes=notes,
        redacted=found.redact,
        course=_course(own, metric),
    )


def _course(windows: Sequence[Window], metric: str) -> tuple[tuple[Millis, float | None], ...]:
    key = metric if any(metric in window.performance for window in windows) else "drift.share"
    measured = ((window.start, value_of(window, key)) for window in windows)
    return tuple((start, None if found is None else found.value) for start, found in measured)


def _alert(alerts: Sequence[Alert], wanted: str, monitor: str) -> Alert | None:
    """The alert with this id (or the only one that begins so), else the worst open one."""
    if wanted:
        named = [each for each in alerts if each.id == wanted] or [
            each for each in alerts if each.id.startswith(wanted)
        ]
        if len(named) != 1:
            raise NotFound(
                f"monitor {monitor} has {'no' if not named else 'more than one'} alert {wanted}; "
                "mlops-console alert list names them"
            )
        return named[0]
    opened = [each for each in alerts if each.resolved_at is None]
    return next((each for each in opened if is_firing(each)), opened[0] if opened else None)


def _measured(counts: Counts, profile: Profile) -> dict[str, Estimate]:
    from console.monitoring.quality import performance

    return performance.measure(counts.score(layout_of(profile)), counts.sums, profile.task, profile.scale)


def _headline(
    monitor: Monitor,
    alert: Alert | None,
    onset: Onset | None,
    metric: str,
    value: Estimate | None,
    reference: float | None,
) -> str:
    parts = []
    if value is not None and reference is not None:
        parts.append(f"{label(metric)} {digits(value.value)} against the reference {digits(reference)}")
    elif alert is not None:
        parts.append(alert.text)
    if onset is not None and onset.certain:
        parts.append(
            f"since about {moment(onset.start, monitor.window)}, when {onset.what} went from "
            f"{digits(onset.before or 0.0)} to {digits(onset.after)}"
        )
    elif onset is not None:
        parts.append("no window stands out as the first: the windows that are kept are alike")
    return "; ".join(parts) + "."


def shares_of_importance(profile: Profile) -> dict[str, float]:
    """Of each feature, adding up to 1; alike for all where the reference knows none."""
    weights = {column.name: column.importance for column in profile.columns}
    whole = sum(weights.values())
    return {name: weight / whole if whole else 1 / len(weights) for name, weight in weights.items()}


def _causes(profile: Profile, counts: Counts) -> tuple[Cause, ...]:
    layout, importance = layout_of(profile), shares_of_importance(profile)
    drifts = {
        column.name: psi(coarse(column, column.counts), coarse(column, counts.column(layout, column.name)))
        for column in profile.columns
    }
    products = {name: importance[name] * drift for name, drift in drifts.items()}
    whole = sum(products.values()) or 1.0
    ranked = sorted(products, key=lambda name: (-products[name], -drifts[name], name))
    return tuple(
        Cause(
            column=name,
            weight=products[name] / whole,
            importance=importance[name],
            drift=drifts[name],
            text=f"importance {importance[name] * 100:.0f} % × PSI {drifts[name]:.2f}",
            histogram=histogram(profile, counts, name) if place < DRAWN else None,
        )
        for place, name in enumerate(ranked)
    )


def segment_carriers(
    backend: Backend, monitor: Monitor, profile: Profile, windows: Sequence[Window], began: Millis
) -> tuple[Carrier, ...]:
    """The monitor's segments by how much of the shortfall they carry. windows: the whole's, of one version."""
    store = backend.need("monitors")
    after = _loss([window for window in windows if window.start >= began], profile)
    before = _loss([window for window in windows if window.start < began], profile)
    expected = _expected(before, profile)
    if after.labelled < FEWEST or expected is None:
        return ()
    excess = after.total - after.labelled * expected
    found = []
    for segment in monitor.segments:
        own = [
            window
            for window in store.windows(monitor.name, since=windows[0].start, limit=KEPT, segment=segment.name)
            if window.model_version == windows[-1].model_version
        ]
        here = _loss([window for window in own if window.start >= began], profile)
        if here.labelled < FEWEST:
            continue
        earlier = _loss([window for window in own if window.start < began], profile)
        usual = earlier.total / earlier.labelled if earlier.labelled >= FEWEST else expected
        found.append(carrier(segment, "segment", here, usual, after.labelled, excess, loss_name(profile)))
    return tuple(sorted(found, key=lambda each: -(each.contribution or 0.0)))


def carrier(part: Segment, kind: str, here: Loss, expected: float, labelled: int, excess: float, what: str) -> Carrier:
    """How much of the whole's `excess` loss comes from a part of its `labelled` rows."""
    loss = here.total / here.labelled
    contribution = (here.total - here.labelled * expected) / excess if excess > 0 else None
    share = here.labelled / labelled
    carried = "" if contribution is None else f", {contribution * 100:.0f} % of the shortfall"
    return Carrier(
        name=part.name,
        kind=kind,
        where=part.where,
        rows=here.labelled,
        share=share,
        loss=loss,
        expected=expected,
        contribution=contribution,
        text=f"{share * 100:.0f} % of the rows{carried}: {what} {digits(loss)}, expected {digits(expected)}",
    )


def _loss(windows: Sequence[Window], profile: Profile) -> Loss:
    labelled, total = 0, 0.0
    for window in windows:
        if window.labelled:
            found = loss_of(unpack(window.counts), profile)
            labelled, total = labelled + found.labelled, total + found.total
    return Loss(labelled=labelled, total=total)


def _expected(before: Loss, profile: Profile) -> float | None:
    """The loss of a row before the onset, else on the held-out reference."""
    if before.labelled >= FEWEST:
        return before.total / before.labelled
    return reference_loss(profile)


def reference_loss(profile: Profile) -> float | None:
    """Mean loss of a held-out row, where the reference knows it."""
    metrics = profile.metrics
    if profile.task == "regression":
        return metrics["rmse"] ** 2 if "rmse" in metrics else None
    if loss_name(profile) == "log loss":
        return metrics.get("log_loss")
    return 1 - metrics["accuracy"] if "accuracy" in metrics else None
