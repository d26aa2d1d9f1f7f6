"""What only sampled rows can tell of a trouble: the effect of each drift on error, the worst slices, and examples.
numpy and pandas live here: a worker process alone."""

from __future__ import annotations

import msgspec
import numpy as np
import pandas as pd

from backends.contract import Backend
from backends.entities import Millis, Monitor, Segment
from console.monitoring.counted.cells import coarse
from console.monitoring.counted.columns import Vector, as_text, count_categorical, numeric_values
from console.monitoring.counted.counts import layout_of
from console.monitoring.counted.profile import NumericColumn, Profile, ReferenceColumn
from console.monitoring.feeds.sample import OWN, read_sample
from console.monitoring.folder import monitor_folder
from console.monitoring.ranges import merged
from console.monitoring.reasons.data_difference import with_differences
from console.monitoring.reasons.found_slices import Slices
from console.monitoring.reasons.onset import Loss
from console.monitoring.reasons.slices import error_name, errors_of, worst_slices
from console.monitoring.reasons.why import FEWEST, Carrier, Cause, Example, Why, carrier, why
from console.monitoring.reference import read_profile
from console.telling import Told, tell
from console.wording import thousands

SAMPLED = 20_000
"""Rows at most."""
EXAMPLES = 8
TRIED = 10
"""Features whose effect is looked at, those that drifted most where the model looks."""


def explain(backend: Backend, monitor: str, *, alert: str = "", told: Told = None) -> Why:
    """All that is known: `why.why`, with what the sampled rows add."""
    tell(told, 0.05, "reading windows")
    light = why(backend, monitor, alert=alert)
    tell(told, 0.1, "comparing the data upstream")
    changed = with_differences(backend, light.upstream)
    light = msgspec.structs.replace(light, upstream=changed.upstream, notes=(*light.notes, *changed.notes))
    found: Monitor = backend.need("monitors").get(monitor)
    profile = read_profile(backend, backend.need("registry").version(found.model, light.version))
    folder = monitor_folder(backend, found.name)
    tell(told, 0.2, "reading sampled rows")
    after = read_sample(folder, since=light.since, until=light.until, version=light.version, limit=SAMPLED)
    before = read_sample(folder, until=light.since, version=light.version, limit=SAMPLED)
    errors = errors_of(after, profile) if len(after) else np.empty(0)
    labelled = ~np.isnan(errors)
    if labelled.sum() < FEWEST:
        note = (
            f"{int(labelled.sum())} labelled rows were sampled, {FEWEST} are needed: no effect on error, no slice "
            "and no example can be told"
        )
        return msgspec.structs.replace(light, notes=(*light.notes, note))
    after, errors = after[labelled].reset_index(drop=True), errors[labelled]
    errors_before = errors_of(before, profile) if len(before) else np.empty(0)
    known = ~np.isnan(errors_before)
    before, errors_before = (before[known].reset_index(drop=True) if len(before) else before), errors_before[known]
    usual = float(errors_before.mean()) if len(errors_before) >= FEWEST else _reference_error(profile)
    tell(told, 0.4, "effect of each drift on error")
    windows = backend.need("monitors").windows(found.name, since=light.since, until=light.until)
    stretch = merged([window for window in windows if window.model_version == light.version])
    causes = light.causes
    if stretch is not None and usual is not None:
        layout = layout_of(profile)
        drifts = {column.name: stretch.column(layout, column.name) for column in profile.columns}
        causes = tuple(
            _with_effect(cause, profile.column(cause.column), drifts[cause.column], after, errors, before,
                         errors_before, usual)
            if place < TRIED else cause
            for place, cause in enumerate(causes)
        )  # fmt: skip
        causes = _ranked(causes)
    tell(told, 0.6, "worst slices")
    slices, _ = worst_slices(_features(after), errors)
    carriers = [*light.carriers]
    if usual is not None:
        excess = float(errors.sum()) - len(errors) * usual
        carriers += [
            _carried(each.where, each.rows, each.error, usual, len(errors), excess, profile) for each in slices[:5]
        ]
    tell(told, 0.95, "examples")
    return msgspec.structs.replace(
        light,
        causes=causes,
        carriers=tuple(carriers),
        examples=_examples(after, errors, profile, found.redact),
        sampled=len(errors),
    )


def find_slices(
    backend: Backend, monitor: str, *, since: Millis | None = None, until: Millis | None = None, told: Told = None
) -> Slices:
    """The worst slices of the newest version's sampled rows between two moments; by default of all that are kept."""
    store = backend.need("monitors")
    found: Monitor = store.get(monitor)
    windows = store.windows(found.name, since=since, until=until)
    if not windows:
        return Slices(monitor=found.name, what="", rows=0, tried=0, notes=("no window was counted in that time",))
    version = windows[-1].model_version
    profile = read_profile(backend, backend.need("registry").version(found.model, version))
    tell(told, 0.1, "reading sampled rows")
    rows = read_sample(monitor_folder(backend, found.name), since=since, until=until, version=version, limit=SAMPLED)
    errors = errors_of(rows, profile) if len(rows) else np.empty(0)
    labelled = ~np.isnan(errors)
    what = error_name(profile)
    if labelled.sum() < 2 * FEWEST:
        note = f"{int(labelled.sum())} of {len(rows)} sampled rows have a label; {2 * FEWEST} are needed"
        return Slices(monitor=found.name, what=what, rows=int(labelled.sum()), tried=0, notes=(note,))
    tell(told, 0.5, f"parts of {thousands(int(labelled.sum()))} labelled rows")
    slices, tried = worst_slices(_features(rows[labelled].reset_index(drop=True)), errors[labelled])
    return Slices(
        monitor=found.name,
        what=what,
        rows=int(labelled.sum()),
        tried=tried,
        error=float(errors[labelled].mean()),
        slices=tuple(slices),
    )


def _features(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[[name for name in rows.columns if not str(name).startswith(OWN)]]


def _reference_error(profile: Profile) -> float | None:
    """What `errors_of` would say of the held-out rows."""
    if profile.task == "regression":
        return profile.metrics.get("mae")
    return 1 - profile.metrics["accuracy"] if "accuracy" in profile.metrics else None


def _with_effect(
    cause: Cause,
    column: ReferenceColumn | None,
    counts: tuple[int, ...],
    after: pd.DataFrame,
    errors: Vector,
    before: pd.DataFrame,
    errors_before: Vector,
    usual: float,
) -> Cause:
    """How much the error grew in the part of the values that there is more of than in the reference."""
    if column is None or column.name not in after.columns:
        return cause
    grown, words = _grown(column, counts)
    inside = np.isin(_cells(after[column.name], column), grown)
    if inside.sum() < FEWEST:
        return msgspec.structs.replace(cause, rows=int(inside.sum()), part=words)
    expected = usual
    if len(before) and column.name in before.columns:
        there = np.isin(_cells(before[column.name], column), grown)
        if there.sum() >= FEWEST:
            expected = float(errors_before[there].mean())
    effect = float(errors[inside].mean()) - expected
    return msgspec.structs.replace(cause, effect=effect, rows=int(inside.sum()), part=words)


def _grown(column: ReferenceColumn, counts: tuple[int, ...]) -> tuple[list[int], str]:
    """Coarse cells that hold a larger share than in the reference, and the one that grew most in words."""
    old, new = np.array(coarse(column, column.counts), float), np.array(coarse(column, counts), float)
    gain = new / max(1.0, new.sum()) - old / max(1.0, old.sum())
    grown = [int(at) for at in np.flatnonzero(gain > 0)]
    most = int(gain.argmax())
    if isinstance(column, NumericColumn):
        special = {len(old) - 2: "infinite", len(old) - 1: "missing"}
        if most in special:
            return grown, f"{column.name} {special[most]}"
        low = column.edges[column.groups[most]]
        stop = column.groups[most + 1] if most + 1 < len(column.groups) else column.cells
        return grown, f"{column.name} from {low:.4g} to {column.edges[stop]:.4g}"
    names = [*column.levels[: len(column.groups)], "other levels", "new levels", "missing"]
    return grown, f"{column.name} {names[most]}"


def _cells(values: pd.Series[object], column: ReferenceColumn) -> Vector:
    """The coarse cell of each row, as `cells.coarse` counts them, shape (n,)."""
    if isinstance(column, NumericColumn):
        numbers = numeric_values(values)
        starts = np.array([column.edges[start] for start in column.groups])
        at = np.clip(np.searchsorted(starts, numbers, side="right") - 1, 0, len(starts) - 1)
        at = np.where(np.isinf(numbers), len(starts), at)
        found: Vector = np.where(np.isnan(numbers), len(starts) + 1, at)
        return found
    kept = list(column.levels[: len(column.groups)])
    text = pd.Series(as_text(values).to_pandas()).astype("object")
    codes = {level: spot for spot, level in enumerate(column.levels)}
    new = len(kept) + 1

    def cell(level: object) -> int:
        if not isinstance(level, str):
            return new + 1
        spot = codes.get(level)
        if spot is not None:
            return min(spot, len(kept))
        one, _ = count_categorical(as_text(pd.Series([level])), column)
        return new if one[-2] else len(kept)

    distinct = {level: cell(level) for level in text.unique()}
    mapped: Vector = text.map(distinct).fillna(new + 1).to_numpy(dtype=np.int64)
    return mapped


def _ranked(causes: tuple[Cause, ...]) -> tuple[Cause, ...]:
    """By importance × drift × effect. A part that is answered no worse than before explains nothing."""
    effects = [cause.effect for cause in causes if cause.effect is not None]
    if not effects:
        return causes
    typical = float(np.mean([max(0.0, effect) for effect in effects]))
    products = [
        cause.importance * cause.drift * (typical if cause.effect is None else max(0.0, cause.effect))
        for cause in causes
    ]
    whole = sum(products) or 1.0
    weighed = [
        msgspec.structs.replace(
            cause,
            weight=product / whole,
            text=cause.text
            + (
                " × effect unknown"
                if cause.effect is None
                else f" × error {cause.effect:+.3f} where there is more of it ({cause.part}, {cause.rows} rows)"
            ),
        )
        for cause, product in zip(causes, products, strict=True)
    ]
    return tuple(sorted(weighed, key=lambda cause: (-cause.weight, -cause.drift, cause.column)))


def _carried(
    where: str, rows: int, error: float, usual: float, labelled: int, excess: float, profile: Profile
) -> Carrier:
    part = Segment(name=where, where=where)
    return carrier(part, "slice", Loss(rows, rows * error), usual, labelled, excess, error_name(profile))


def _examples(rows: pd.DataFrame, errors: Vector, profile: Profile, redact: tuple[str, ...]) -> tuple[Example, ...]:
    """The wrong answers that were the surest; of a regression the farthest off."""
    scores = rows[[name for name in rows.columns if str(name).startswith(f"{OWN}score")]].to_numpy(dtype=np.float64)
    target = rows[f"{OWN}target"].to_numpy(dtype=np.float64)
    if profile.task == "regression":
        sure, answers, truths = errors, [f"{value:.6g}" for value in scores[:, 0]], [f"{value:.6g}" for value in target]
    elif profile.task == "binary":
        middle = 0.5 if profile.scale == "probability" else 0.0
        other = next((name for name in profile.classes if name != profile.positive), f"not {profile.positive}")
        sure = np.where(errors == 1, np.abs(scores[:, 0] - middle), -1.0)
        answers = [profile.positive if value >= middle else other for value in scores[:, 0]]
        truths = [profile.positive if value == 1 else other for value in target]
    else:
        sure = np.where(errors == 1, scores.max(axis=1), -1.0)
        answers = [profile.classes[at] for at in scores.argmax(axis=1)]
        truths = [profile.classes[int(at)] for at in target]
    features = _features(rows).drop(columns=[name for name in redact if name in rows.columns])
    best = [int(at) for at in np.argsort(-sure, kind="stable")[:EXAMPLES] if sure[at] >= 0]
    return tuple(
        Example(
            id=str(rows[f"{OWN}id"].iloc[at]),
            at=int(rows[f"{OWN}at"].iloc[at]),
            answer=answers[at],
            truth=truths[at],
            score=float(scores[at].max() if profile.task == "multiclass" else scores[at, 0]),
            loss=float(errors[at]),
            values={str(name): _plain(features[name].iloc[at]) for name in features.columns},
        )
        for at in best
    )


def _plain(value: object) -> str:
    if value is None or value is pd.NA or value != value:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
