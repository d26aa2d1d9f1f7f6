"""What a policy would have done: replayed over the windows that are stored, and over windows in which nothing happens.

Only a worker process simulates: `python -m console.monitoring.policy_replay URL MONITOR`, the policy's TOML on
stdin. Others call `replaying.replay_offloaded`.
"""

from __future__ import annotations

import argparse
import math
import sys
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from backends.contract import Backend, NotFound
from backends.entities import Alert, AlertState, Millis, Monitor, Progress, Window
from console.monitoring.alarms import alerts
from console.monitoring.alarms.policy import read_policy
from console.monitoring.alarms.replaying import Episode, Quiet, Replay, RuleReplay
from console.monitoring.alarms.rules import PERFORMANCE, Rule, policy_of
from console.monitoring.alarms.schema_rules import would_have_opened
from console.monitoring.alarms.verdicts import Verdict, primary_metric, verdicts
from console.monitoring.counted.counts import Counts, Layout, layout_of
from console.monitoring.counted.profile import PROBABILITY, SCORE_CELLS, CategoricalColumn, Profile, Spread
from console.monitoring.counted.windows import make_window
from console.monitoring.quality import performance
from console.monitoring.quality.ranking import METRICS
from console.monitoring.quality.spread import area_variance, critical, is_day, together
from console.monitoring.ranges import merged_words
from console.monitoring.reference import read_profile

MOST_WINDOWS = 20_000
"""Windows of history that are replayed, the newest."""
QUIET_WINDOWS = 400
"""Windows without any drift that are drawn to count false alarms in."""
QUIET_STRETCHES = 4000
WEEK_MS = 7 * 86_400_000

Step = Callable[[float, str], None]


def replay(backend: Backend, monitor: Monitor, *, step: Step = lambda _fraction, _stage: None) -> Replay:
    """What the monitor's rules would have done over its stored windows, and how often they would cry wolf.

    Raises NotFound where there are no windows or no reference. `monitor` is as it would be saved.
    """
    store = backend.need("monitors")
    windows = list(store.windows(monitor.name, limit=MOST_WINDOWS))
    if not windows:
        raise NotFound(f"monitor {monitor.name} has no windows yet, so there is no history to replay a policy on")
    profile = read_profile(backend, backend.need("registry").version(monitor.model, windows[-1].model_version))
    segments = {
        each.name: list(store.windows(monitor.name, segment=each.name, limit=MOST_WINDOWS)) for each in monitor.segments
    }
    services = list(store.services(monitor.deployment or f"monitor:{monitor.name}", limit=MOST_WINDOWS))
    step(0.1, "history")
    told = history(monitor, profile, windows, segments, services, step=lambda done: step(0.1 + 0.5 * done, "history"))
    told += [
        Episode(rule=rule.name, opened_at=each.opened_at, resolved_at=each.resolved_at, text=each.text)
        for rule, each in would_have_opened(
            alerts.rules_of(monitor), _about_columns(backend, monitor, windows[0].start)
        )
    ]
    step(0.6, "quiet windows")
    quiet = quiet_alarms(monitor, profile, windows, step=lambda done: step(0.6 + 0.4 * done, "quiet windows"))
    span = max(1, windows[-1].end - windows[0].start)
    rules = [
        RuleReplay(
            rule=rule,
            episodes=tuple(each for each in told if each.rule == rule.name),
            quiet=quiet.get(rule.name),
        )
        for rule in alerts.rules_of(monitor)
    ]
    return Replay(
        monitor=monitor.name, windows=len(windows), first=windows[0].start, last=windows[-1].end,
        days=span / 86_400_000, rules=tuple(rules), note=_coarse(monitor, windows),
    )  # fmt: skip


def _about_columns(backend: Backend, monitor: Monitor, since: Millis) -> list[Alert]:
    """Windows do not hold which columns were odd; the alerts that were opened about them do."""
    found = backend.need("monitors").alerts(monitor.name, limit=MOST_WINDOWS)
    return [each for each in found if each.opened_at >= since]


def _coarse(monitor: Monitor, windows: Sequence[Window]) -> str:
    said = merged_words(windows, monitor.window)
    if not said:
        return ""
    return (
        f"of {len(windows)} windows {said} were merged from shorter ones: there a rule waits for as many hours or "
        "days, and what was over sooner does not show"
    )


def history(
    monitor: Monitor,
    profile: Profile,
    windows: Sequence[Window],
    segments: dict[str, list[Window]],
    services: Sequence[Any],
    *,
    step: Callable[[float], None] = lambda _: None,
) -> list[Episode]:
    """Every alert that the rules would have opened, as each window came. Windows are taken with the labels that they
    have now, which is how they looked once labels had come. The text is what the alert said when it opened."""
    reach = alerts.horizon(monitor)
    known: dict[str, Alert] = {}
    said: dict[str, str] = {}
    judged = _judged_once(monitor, profile, windows)
    for at, window in enumerate(windows):
        if at % 50 == 0:
            step(at / len(windows))
        recent = windows[max(0, at + 1 - reach) : at + 1]
        parts = {
            name: [each for each in found if recent[0].start <= each.start <= window.start]
            for name, found in segments.items()
        }
        seen = {
            name: [each for each in found if recent[0].start <= each.start <= window.start]
            for name, found in judged[window.model_version].items()
        }
        changed = alerts.evaluate(monitor, profile, recent, list(known.values()), segments=parts, judged=seen)
        known |= {alert.id: alert for alert in changed}
        said = {alert.id: alert.text for alert in changed} | said
    for at in range(len(services)):
        changed = alerts.evaluate_service(monitor, services[max(0, at + 1 - reach) : at + 1], list(known.values()))
        known |= {alert.id: alert for alert in changed}
        said = {alert.id: alert.text for alert in changed} | said
    return [
        Episode(
            rule=alert.rule, segment=alert.segment, opened_at=alert.opened_at,
            resolved_at=alert.resolved_at if alert.state is AlertState.RESOLVED else None, text=said[alert.id],
        )
        for alert in sorted(known.values(), key=lambda alert: alert.opened_at)
    ]  # fmt: skip


def _judged_once(monitor: Monitor, profile: Profile, windows: Sequence[Window]) -> dict[str, dict[str, list[Verdict]]]:
    """version → rule about performance → verdicts of all its windows: unpacking a window's counts again for each later
    one would take a second a hundred windows."""
    rules = [rule for rule in alerts.rules_of(monitor) if rule.metric == PERFORMANCE]
    found: dict[str, dict[str, list[Verdict]]] = {}
    for version in {window.model_version for window in windows}:
        own = [window for window in windows if window.model_version == version]
        found[version] = {
            rule.name: verdicts(own, profile, policy_of(rule, read_policy(monitor.policy))) for rule in rules
        }
    return found


# ---------------------------------------------------------------- windows in which nothing happens


def quiet_alarms(
    monitor: Monitor, profile: Profile, windows: Sequence[Window], *, step: Callable[[float], None] = lambda _: None
) -> dict[str, Quiet]:
    """rule → how often it fires though nothing happens: over windows as large as the monitor's own, drawn from the
    reference. Rules about the service, bias, estimates and many columns together have no reference to be drawn
    from."""
    recent = windows[-100:]
    rows = int(np.median([window.rows for window in recent]))
    labelled = int(np.median([window.labelled for window in recent]))
    length = recent[-1].end - recent[-1].start
    if length <= 0 or rows < 1:
        return {}
    weekly = WEEK_MS / length
    found: dict[str, Quiet] = {}
    layout, rng = layout_of(profile), np.random.default_rng(0)
    drawn = []
    for at in range(QUIET_WINDOWS):
        counts = quiet_counts(profile, layout, rows, min(labelled, rows), rng)
        drawn.append(
            make_window(
                monitor.name, profile, layout, counts, start=at * length, end=(at + 1) * length,
                version=recent[-1].model_version,
            )
        )  # fmt: skip
        if at % 20 == 0:
            step(0.8 * at / QUIET_WINDOWS)
    fired: dict[str, int] = {}
    whole = msgspec.structs.replace(monitor, segments=())
    for episode in history(whole, profile, drawn, {}, (), step=lambda done: step(0.8 + 0.2 * done)):
        fired[episode.rule] = fired.get(episode.rule, 0) + 1
    for rule in alerts.rules_of(monitor):
        kind = rule.metric.partition(".")[0]
        if kind in ("schema", "service", "bias", "estimated", "gap", "multivariate", "coverage", "lag", "rows"):
            continue
        if rule.metric in METRICS:  # nothing drawn has queries
            continue
        spread = profile.within.get(primary_metric(profile)) if is_day(length) else None
        if rule.metric == PERFORMANCE and (not labelled or (profile.task == "regression" and spread is None)):
            continue
        if rule.metric == PERFORMANCE and spread is not None:
            found[rule.name] = _quiet_days(rule, profile, spread, labelled, weekly)
        else:
            found[rule.name] = _quiet(fired.get(rule.name, 0), QUIET_WINDOWS, weekly)
    return found


def _quiet(fired: int, windows: int, weekly: float) -> Quiet:
    """With the exact interval of a Poisson count (Garwood, Biometrika 28, 1936)."""
    from scipy.special import gammaincinv  # half a chi-square is a gamma; scipy.stats takes a second to import

    low = gammaincinv(fired, 0.025) if fired else 0.0
    high = gammaincinv(fired + 1, 0.975)
    scale = weekly / windows
    return Quiet(fired=fired, windows=windows, per_week=fired * scale, low=float(low) * scale, high=float(high) * scale)


def _quiet_days(rule: Rule, profile: Profile, spread: Spread, labelled: int, weekly: float) -> Quiet:
    """A calm model's days differ; so days with the reference's own spread are drawn, not rows alone."""
    metric = primary_metric(profile)
    if metric == "auc":
        score = profile.score.counts
        negatives, positives = sum(score[:SCORE_CELLS]), sum(score[SCORE_CELLS : 2 * SCORE_CELLS])
        good = max(1, round(labelled * positives / max(1, negatives + positives)))
        variance = area_variance(spread.mean, good, max(1, labelled - good))
    else:
        variance = spread.unit / max(1, labelled)
    rng = np.random.default_rng(1)
    length = 60
    draws = max(1, QUIET_STRETCHES // length)
    effect = (rule.worse_by or 0.0) * (abs(spread.mean) if profile.task == "regression" else 1.0)
    bound = max(1e-12, critical(rule.pool, rule.k, rule.n))
    fired = 0
    for _ in range(draws):
        # What the reference is known by is itself uncertain, alike for all days of a stretch.
        off = rng.normal(0, spread.error)
        values = rng.normal(spread.mean, math.hypot(spread.between, math.sqrt(variance)), length + rule.pool - 1)
        bad: list[bool] = []
        is_open = False
        for at in range(length):
            mean, error = together(list(values[at : at + rule.pool]), [variance] * rule.pool, spread)
            short = performance.shortfall(metric, mean, spread.mean + off)
            bad.append(short > max(effect, bound * math.hypot(error, spread.error)))
            if is_open:
                is_open = not (at >= rule.k and short <= effect and not any(bad[-rule.k :]))
            elif bad[-1] and sum(bad[-rule.n :]) >= rule.k:
                fired, is_open = fired + 1, True
    return _quiet(fired, draws * length, weekly)


def quiet_counts(profile: Profile, layout: Layout, rows: int, labelled: int, rng: np.random.Generator) -> Counts:
    """A window's counts, drawn from the reference (each column by itself)."""
    cells = np.zeros(layout.size, dtype=np.int64)
    for column in profile.columns:
        start, stop = layout.columns[column.name]
        seen = np.array(column.counts, dtype=np.float64)
        if seen.sum():
            cells[start:stop] = rng.multinomial(rows, seen / seen.sum())
    score = np.array(profile.score.counts, dtype=np.float64)
    known = score[: 2 * SCORE_CELLS]
    sums = np.zeros(6)
    start = layout.score[0]
    if known.sum():
        drawn = rng.multinomial(labelled, known / known.sum())
        cells[start : start + 2 * SCORE_CELLS] = drawn
        share = known.reshape(2, SCORE_CELLS).sum(axis=0)
        cells[start + 2 * SCORE_CELLS : start + 3 * SCORE_CELLS] = rng.multinomial(rows - labelled, share / share.sum())
        sums = _sums(profile, drawn.reshape(2, SCORE_CELLS))
        if isinstance(profile.label, CategoricalColumn) and profile.task == "binary":
            column = profile.label
            by_name = {profile.positive: drawn[SCORE_CELLS:].sum()}
            for spot, name in enumerate(column.levels):
                cells[layout.label[0] + spot] = by_name.get(name, drawn[:SCORE_CELLS].sum())
    return Counts(layout=layout.code, rows=rows, cells=array("q", cells.tobytes()), sums=tuple(sums.tolist()))


def _sums(profile: Profile, drawn: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Sums of errors of labelled rows by the middle of their score cell. drawn: shape (2, SCORE_CELLS)."""
    total = drawn.sum()
    if profile.task == "regression":
        return np.array([total, 0, 0, 0, 0, 0], dtype=np.float64)
    width = (profile.score.high - profile.score.low) / SCORE_CELLS
    middle = profile.score.low + width * (np.arange(SCORE_CELLS) + 0.5)
    if profile.task == "multiclass":
        correct, likely = drawn[1].sum(), np.stack([1 - middle, middle])
    else:
        cut = 0.5 if profile.scale == PROBABILITY else 0.0
        correct = drawn[1][middle >= cut].sum() + drawn[0][middle < cut].sum()
        likely = np.stack([1 - middle, middle])
    if profile.scale != PROBABILITY:
        return np.array([total, correct, 0, 0, 0, 0], dtype=np.float64)
    loss, brier = -np.log(np.clip(likely, 1e-12, 1)), (1 - likely) ** 2
    return np.array(
        [total, correct, (drawn * loss).sum(), (drawn * loss**2).sum(), (drawn * brier).sum(), (drawn * brier**2).sum()]
    )


def main(argv: list[str]) -> int:
    from console.speaker import Speaker, speak_of

    parser = argparse.ArgumentParser(prog="console.monitoring.policy_replay")
    parser.add_argument("url")
    parser.add_argument("monitor")
    parser.add_argument("--rules", default=None)
    asked = parser.parse_args(argv)

    def work(backend: Backend, speaker: Speaker) -> Replay:
        monitor: Monitor = backend.need("monitors").get(asked.monitor)
        if asked.rules is not None:
            monitor = msgspec.structs.replace(monitor, rules=asked.rules)

        def step(fraction: float, stage: str) -> None:
            import time

            speaker.progress(Progress(at=int(time.time() * 1000), fraction=fraction, stage=stage))

        return replay(backend, monitor, step=step)

    return speak_of(asked.url, work)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
