"""What a screen or a command shows of a monitor: plain records made from stored windows, without numpy or pandas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from backends.contract import Backend, NotFound
from backends.entities import (
    Alert,
    ColumnScore,
    Estimate,
    Millis,
    Monitor,
    MonitorState,
    Record,
    ServiceWindow,
    Window,
)
from console.monitoring.alarms.policy import read_policy
from console.monitoring.alarms.severity import is_firing
from console.monitoring.alarms.verdicts import primary_metric, verdicts
from console.monitoring.counted.counts import unpack
from console.monitoring.counted.profile import Profile
from console.monitoring.counted.windows import percent
from console.monitoring.feeds.batch_log import BatchRecord, recent_batches
from console.monitoring.feeds.known_files import left_out_words
from console.monitoring.folder import monitor_folder
from console.monitoring.marks import Mark
from console.monitoring.quality.bias import GroupRates, Groups, add_groups, bias_of, rates_of
from console.monitoring.quality.performance import LARGER_IS_BETTER, coverage
from console.monitoring.quality.spread import is_day
from console.monitoring.ranges import ALL, STRETCHES, against_previous, profile_of
from console.monitoring.reference import read_profile
from console.monitoring.rolled import kept_stretches, merged_by, read_stretches
from console.monitoring.wording import digits, interval, label, moment, plural
from console.wording import plural as count_of

if TYPE_CHECKING:
    from backends.contract.monitoring import MonitorStore

SEVERITY = {MonitorState.FIRING: 0, MonitorState.WARN: 1, MonitorState.OK: 2, MonitorState.NO_DATA: 3}

SHOWN = {"minute": 240, "hour": 336, "day": 366, "week": 106, "all": 1}
"""Windows that are read by what each is: four hours, two weeks, a year, two years."""
SHOWN_OTHERS = 120
MERGED = 1200
"""Windows that are merged when they are read, at most: the newest."""


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


class Look(Record, frozen=True):
    """How a monitor is looked at."""

    stretch: str = ""
    """What its windows are merged into: one of `ranges.stretches`; empty for the windows as they are."""
    at: Millis | None = None
    """Start of the stretch that is shown in detail; None for the newest."""
    previous: bool = False
    """Held against the stretch before, in place of training."""
    segment: str = ""


_AS_IT_IS = Look()


class MonitorView(Record, frozen=True):
    """Everything a pane or `monitor show` draws."""

    monitor: Monitor
    headline: str
    look: Look = Look()
    version: str = ""
    reference_rows: int = 0
    against: str = "training"
    """What the scores of `newest` are held against, in words."""
    metric: str = ""
    """The primary metric's key, e.g. `auc`."""
    reference: dict[str, float] = {}  # noqa: RUF012
    windows: tuple[Window, ...] = ()
    """Oldest first, without their packed counts, merged as the look says."""
    newest: Window | None = None
    """The one that is shown in detail, with its packed counts."""
    last: bool = True
    """It is the newest there is."""
    first_read: bool = True
    """There is nothing before the first of the windows."""
    last_read: bool = True
    """There is nothing behind the last of the windows."""
    coverage: float = 0.0
    """Share of the newest window's rows that have labels."""
    recent: Estimate | None = None
    """The primary metric over the policy's pooled windows: what the alert looks at."""
    features: tuple[Feature, ...] = ()
    """Worst first."""
    alerts: tuple[Alert, ...] = ()
    """Those that are open."""
    marks: tuple[Mark, ...] = ()
    """What happened along the windows, oldest first."""
    services: tuple[ServiceWindow, ...] = ()
    """How the service answered over the same time, oldest first."""
    batches: tuple[BatchRecord, ...] = ()
    """The newest files and what became of them, newest first."""
    left_out: str = ""
    """Lines of files that are no rows, in words; empty without one."""
    profile: Profile | None = None
    """For `histogram`; None where the version has none. With `previous` it counts what came before."""
    trouble: str = ""
    """Why there is no reference, if there is none."""

    @property
    def kind(self) -> str:
        """What each of the windows is: `minute`, `day`, `week`, …"""
        return self.look.stretch or self.monitor.window


def monitor_view(
    backend: Backend, name: str, *, windows: int = 0, batches: int = 20, look: Look = _AS_IT_IS
) -> MonitorView:
    """A monitor as it stands. Cheap enough for every change: it reads stored verdicts and unpacks only what the pooled
    metric, and the stretch that is still filling, need. windows: how many, 0 for what its kind of window asks for."""
    store = backend.need("monitors")
    monitor: Monitor = store.get(name)
    alerts = tuple(store.alerts(name, open_only=True))
    files = tuple(recent_batches(monitor_folder(backend, name), batches)) if backend.home is not None else ()
    left_out = left_out_words(monitor_folder(backend, name)) if backend.home is not None else ""
    newest_of_all = store.windows(name, limit=1, segment=look.segment)
    if not newest_of_all:
        text = _nothing_in(monitor, look.segment) if look.segment else _nothing_yet(monitor, files)
        from console.monitoring.happened import services_of

        services = services_of(backend, monitor, (), look.stretch or monitor.window)
        return MonitorView(
            monitor=monitor,
            headline=text,
            look=look,
            alerts=alerts,
            batches=files,
            services=services,
            left_out=left_out,
        )
    profile, trouble = _profile(backend, monitor, newest_of_all[-1].model_version)
    found = _windows(store, monitor, profile, look, windows)
    at = len(found) - 1
    if look.at is not None:
        at = max((spot for spot, each in enumerate(found) if each.start <= look.at), default=0)
    newest = found[at]
    if newest.model_version != newest_of_all[-1].model_version:
        profile, trouble = _profile(backend, monitor, newest.model_version)
    metric, recent = "", None
    if profile is not None:
        metric = primary_metric(profile)
        recent = _recent(found[: at + 1], newest, profile, monitor)
    shown, against, held = newest, "training", profile
    before = found[at - 1] if at else None
    if look.previous and profile is not None:
        if before is None or before.model_version != newest.model_version:
            against = "training, for there is nothing of this version before"
        else:
            shown, held = against_previous(newest, before, profile), profile_of(profile, unpack(before.counts))
            against = f"the {look.stretch or monitor.window} before"
    kind = look.stretch or monitor.window
    from console.monitoring.happened import marks_of, service_marks, services_of

    services = services_of(backend, monitor, found, kind)
    return MonitorView(
        monitor=monitor,
        headline=headline(monitor, shown, metric, recent, alerts, kind),
        look=look,
        version=newest.model_version,
        reference_rows=held.rows if held is not None else 0,
        against=against,
        metric=metric,
        reference=shown.reference,
        windows=tuple(msgspec.structs.replace(window, counts=b"") for window in found),
        newest=shown,
        last=at == len(found) - 1 and found[-1].end > newest_of_all[-1].start,
        first_read=found[0].start <= (store.extent(name, segment=look.segment) or (found[0].start,))[0],
        last_read=found[-1].end > newest_of_all[-1].start,
        coverage=coverage(newest.rows, newest.labelled),
        recent=recent,
        features=features((*found[:at], shown), profile),
        alerts=alerts,
        marks=tuple(sorted((*marks_of(backend, monitor, found), *service_marks(services)), key=lambda mark: mark.at)),
        services=services,
        batches=files,
        left_out=left_out,
        profile=held,
        trouble=trouble,
    )


def _profile(backend: Backend, monitor: Monitor, version: str) -> tuple[Profile | None, str]:
    try:
        return read_profile(backend, backend.need("registry").version(monitor.model, version)), ""
    except NotFound as error:
        return None, str(error)


def _windows(
    store: MonitorStore, monitor: Monitor, profile: Profile | None, look: Look, most: int
) -> tuple[Window, ...]:
    """The windows of a look, oldest first; at least one."""
    stretch = look.stretch or monitor.window
    limit = most or SHOWN.get(stretch, SHOWN_OTHERS)
    until = None
    if look.at is not None and stretch != ALL:
        # So far back that the newest ones do not reach it: those around it are read.
        length = STRETCHES.get(stretch, STRETCHES["day"])
        extent = store.extent(monitor.name, segment=look.segment)
        if extent is not None and look.at < extent[1] - (limit - 1) * length:
            until = look.at + limit // 2 * length
    if profile is None or stretch == monitor.window:
        return store.windows(monitor.name, until=until, limit=limit, segment=look.segment)
    if stretch in kept_stretches(monitor.window):
        return read_stretches(store, monitor, stretch, until=until, limit=limit, segment=look.segment, profile=profile)
    kept = kept_stretches(monitor.window)
    if kept:
        parts = read_stretches(store, monitor, kept[-1], limit=MERGED, segment=look.segment, profile=profile)
    else:
        parts = store.windows(monitor.name, until=until, limit=MERGED, segment=look.segment)
    return merged_by(parts, stretch, profile)[-limit:] or parts[-1:]


def _recent(windows: Sequence[Window], newest: Window, profile: Profile, monitor: Monitor) -> Estimate | None:
    policy = read_policy(monitor.policy)
    own = [window for window in windows if window.model_version == newest.model_version and window.labelled]
    judged = verdicts(own[-policy.pool :], profile, policy)
    return judged[-1].value if judged else None


def _nothing_in(monitor: Monitor, segment: str) -> str:
    return f"No row of segment {segment} has come to {monitor.name} yet. Press z for another segment, or for all rows."


def _nothing_yet(monitor: Monitor, files: Sequence[BatchRecord]) -> str:
    if files and files[0].state == "failed":
        return f"Nothing counted yet: {files[0].reason}"
    if monitor.source:
        return f"Nothing counted yet. Drop a batch (CSV, JSONL, Parquet) into {monitor.source}."
    return f"Nothing counted yet. Hand a batch in: mlops-console monitor ingest {monitor.name} FILE"


def headline(
    monitor: Monitor,
    newest: Window,
    metric: str,
    recent: Estimate | None,
    alerts: Sequence[Alert] = (),
    kind: str = "",
) -> str:
    """One sentence: what is wrong, or that nothing is. kind: what the windows are, where they are merged."""
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
            f"{' within days' if is_day(newest.end - newest.start) else ''} over {pool} {plural(kind or 'window')}, "
            f"{course} the reference {digits(reference)}"
        )
    elif newest.labelled:
        found = newest.performance.get(metric)
        if found is not None:
            part = "over all of it" if kind == ALL else "in this window"
            parts.append(f"{label(metric)} {digits(found.value)}{interval(found)} {part}")
    else:
        parts.append("no labels yet, so nobody knows how good the answers are")
    odd = [score for score in newest.columns if score.state in (MonitorState.FIRING, MonitorState.WARN)]
    if odd:
        worst = max(odd, key=lambda score: score.psi or 0.0)
        parts.append(f"{len(odd)} of {len(newest.columns)} features odd, most {worst.column}: {worst.reason}")
    else:
        parts.append(f"all {len(newest.columns)} features as in the reference")
    since = "since " if kind == ALL else ""
    return f"{since}{when(newest.start, kind or monitor.window)}: {'; '.join(parts)}."


def when(at: Millis, kind: str) -> str:
    """The moment of a window as precisely as such windows are; of weeks and longer the day."""
    return moment(at, "day" if kind in ("week", ALL) else kind)


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


def worst_reason(window: Window) -> str:
    """The oddest column of a window in words, for a list: `temp: PSI 3.91, over 0.12`."""
    odd = [score for score in window.columns if score.reason and score.state is not MonitorState.OK]
    if not odd:
        return ""
    worst = min(odd, key=lambda score: (SEVERITY[score.state], -(score.psi or 0.0)))
    return f"{worst.column}: {worst.reason}"


def label_share(window: Window) -> str:
    """`871 labels (98 %)`"""
    return f"{count_of(window.labelled, 'label')} ({percent(coverage(window.rows, window.labelled))})"
