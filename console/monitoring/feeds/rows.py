"""The rows of a chunk made ready to be counted: which version answered each, with what score, when, under which id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from backends.contract import Invalid, NotFound
from backends.entities import Monitor
from console.monitoring.counted.columns import as_text
from console.monitoring.counted.counting import encode_labels
from console.monitoring.counted.members import members_of
from console.monitoring.counted.profile import CategoricalColumn
from console.monitoring.counted.ranked import QUERY, query_of
from console.monitoring.counted.windows import RARE
from console.monitoring.feeds.batch import AS_MISSING, UNSCORED, SchemaEvent, fit_columns, times_of
from console.monitoring.feeds.champion import Champion, scores_of
from console.monitoring.feeds.chunk import Chunk
from console.monitoring.feeds.versions import Versions

LOGGED = "prediction."
"""Columns of a server's prediction log begin with it."""
SCORE, SCORES, VERSION, VALUE = (f"{LOGGED}{name}" for name in ("score", "scores", "version", "value"))

Vector = np.ndarray[Any, Any]


@dataclass
class Rows:
    """Rows that one version answers, in the order in which they came."""

    reference: Champion
    frame: pd.DataFrame
    """All that came, shape (n, …)."""
    features: pd.DataFrame
    """The version's columns in the types of training; a column that did not come is left out."""
    at: Vector
    """Shape (n,), milliseconds since 1970 UTC."""
    scores: Vector | None
    """Shape (n,) or (n, classes); None where they could not be scored."""
    targets: Vector
    """Shape (n,), NaN where there is no label yet."""
    ids: pd.Series[Any] | None
    members: pd.DataFrame
    """Segments and groups of each row, shape (n, …), as `members_of`."""
    untold: list[str] = field(default_factory=list)
    """Which of them could not be told, and why."""
    events: list[SchemaEvent] = field(default_factory=list)

    @property
    def gone(self) -> list[str]:
        return [event.column for event in self.events if event.kind in ("gone", "renamed")]


def check_related(frame: pd.DataFrame, reference: Champion, name: str) -> None:
    """Raises Invalid where not one column is the version's."""
    columns = reference.meta.features
    if not any(column.name in frame.columns for column in columns):
        raise Invalid(
            f"{name} has none of the {len(columns)} columns of {reference.version.ref} "
            f"(first: {', '.join(column.name for column in columns[:3])}); "
            f"it has {', '.join(map(str, frame.columns[:5]))}",
            "file",
        )


def timed(frame: pd.DataFrame, monitor: Monitor, chunk: Chunk) -> tuple[pd.DataFrame, Vector, list[SchemaEvent]]:
    """The rows that have a time, and the time of each; without a time column, the chunk's own time."""
    if not monitor.time_column:
        return frame, np.array(chunk.times(len(frame)), dtype=np.int64), []
    if monitor.time_column not in frame:
        raise Invalid(
            f"{chunk.name} has no column {monitor.time_column!r}, the monitor's time column; it has "
            f"{', '.join(map(str, frame.columns[:8]))}",
            "time_column",
        )
    times = times_of(frame[monitor.time_column])
    timeless = times.isna().to_numpy(dtype=bool)
    at = times.fillna(0).to_numpy(dtype=np.int64)
    lost = int(timeless.sum())
    if not lost:
        return frame, at, []
    if lost == len(frame):
        raise Invalid(
            f"{chunk.name}: no value of {monitor.time_column!r} can be read as a time; nothing counted", "time_column"
        )
    event = SchemaEvent(
        column=monitor.time_column,
        kind="unreadable values",
        text=f"{lost} rows of {chunk.name} have no readable time in {monitor.time_column!r} and were left out.",
        blocks=False,
    )
    return frame[~timeless], at[~timeless], [event]


def parted(
    frame: pd.DataFrame, at: Vector, monitor: Monitor, chunk: Chunk, versions: Versions, version: str
) -> list[Rows]:
    """The rows by the version that answered: that of the log where they were logged, else `version`, which scores
    them. Raises Invalid where none can be counted."""
    if VERSION in frame and (SCORE in frame or SCORES in frame):
        return _logged(frame, at, monitor, chunk, versions)
    reference = versions.scoring(version)
    rows = _fitted(frame, at, monitor, chunk, reference)
    if not any(event.blocks for event in rows.events):
        rows.scores = score(reference, rows.features, chunk.name)
    return [rows]


def score(champion: Champion, rows: pd.DataFrame, name: str) -> Vector:
    """Raises Invalid where the version cannot score them."""
    try:
        scores: Vector = scores_of(champion, rows)
    except Exception as error:  # an estimator may raise anything; the next batch may be good
        raise Invalid(f"{champion.version.ref} cannot score {name}: {type(error).__name__}: {error}", "file") from error
    if not np.isfinite(scores).all():
        raise Invalid(f"{champion.version.ref} gave scores for {name} that are no numbers; nothing counted", "file")
    return scores


def _logged(frame: pd.DataFrame, at: Vector, monitor: Monitor, chunk: Chunk, versions: Versions) -> list[Rows]:
    """By version and by whether there is a score; rows of a version that has no reference are said and left out."""
    named = pd.Series(as_text(frame[VERSION]).to_pandas().array, index=frame.index).astype("object")
    found: list[Rows] = []
    lost: list[str] = []
    for version in sorted(named.dropna().unique(), key=str):
        try:
            reference = versions.reference(str(version))
        except NotFound as error:
            lost.append(str(error))
            continue
        own = (named == version).to_numpy(dtype=bool)
        scores, scored = _scores(frame[own], reference)
        for mask, kept in ((scored, scores[scored]), (~scored, None)):
            if mask.any():
                rows = _fitted(frame[own][mask], at[own][mask], monitor, chunk, reference, logged=True)
                rows.scores = kept
                found.append(rows)
    if not found:
        raise Invalid(
            f"{chunk.name}: no row names a version in {VERSION!r} that the monitor can hold it against; "
            f"{lost[0] if lost else 'the column is empty'}",
            "file",
        )
    if lost:
        found[-1].events.append(SchemaEvent(column=VERSION, kind="unreadable values", text=lost[0], blocks=False))
    return found


def _scores(frame: pd.DataFrame, reference: Champion) -> tuple[Vector, Vector]:
    """What the log says that was answered, and which rows have it."""
    profile = reference.profile
    if profile.task == "multiclass":
        width = len(profile.classes)
        lists = frame[SCORES] if SCORES in frame else pd.Series([None] * len(frame))
        table = np.full((len(frame), width), np.nan)
        for at, values in enumerate(lists):
            if values is not None and not isinstance(values, float) and len(values) == width:
                table[at] = values
        return table, np.isfinite(table).all(axis=1)
    values = frame[SCORE] if SCORE in frame else pd.Series(np.nan, index=frame.index)
    if profile.task == "regression" and VALUE in frame:  # its score is the value itself
        values = values.where(values.notna(), frame[VALUE])
    numbers: Vector = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers, np.isfinite(numbers)


def _each_for_itself(
    features: pd.DataFrame, events: Sequence[SchemaEvent], reference: Champion, chunk: Chunk
) -> list[SchemaEvent]:
    """What still keeps the rows from being scored: that must not depend on which others came at once.

    A value that cannot be read counts as missing. So does a key that a JSON object leaves out; that none of them has it
    is an event where chance makes it unlikely. A column that a table's header does not have blocks all of its rows.
    """
    kept = []
    for event in events:
        text = event.text.replace(UNSCORED, AS_MISSING)
        if event.kind == "retyped":
            event = msgspec.structs.replace(event, blocks=False, text=text)
        elif event.blocks and chunk.path.lower().removesuffix(".gz").endswith((".jsonl", ".ndjson")):
            column = reference.profile.column(event.column)
            features[event.column] = np.nan
            if isinstance(column, CategoricalColumn):
                features[event.column] = features[event.column].astype("str")
            missing = 0.0 if column is None else (column.counts[-1] + 1) / (sum(column.counts) + 2)
            if event.kind == "gone" and missing ** len(features) > RARE:
                continue
            event = msgspec.structs.replace(event, blocks=False, text=text)
        kept.append(event)
    return kept


def _fitted(
    frame: pd.DataFrame, at: Vector, monitor: Monitor, chunk: Chunk, reference: Champion, *, logged: bool = False
) -> Rows:
    columns = reference.meta.features
    known = [monitor.time_column, monitor.id_column, monitor.label_column, monitor.group_column, reference.meta.target]
    known += [str(name) for name in frame.columns if logged and str(name).startswith(LOGGED)]
    check_related(frame, reference, chunk.name)
    features, events = fit_columns(frame, columns, chunk.name, known=known)
    events = [event for event in events if not (event.kind == "gone" and event.column in monitor.redact)]
    if not logged:
        events = _each_for_itself(features, events, reference, chunk)
    ids = None
    if monitor.id_column in frame and monitor.id_column:
        ids = pd.Series(as_text(frame[monitor.id_column]).to_pandas())
    members, untold = members_of(frame, features, monitor, columns, reference.profile)
    if monitor.group_column and reference.profile.task != "multiclass":
        if monitor.group_column in frame:
            members[QUERY] = query_of(frame[monitor.group_column], ids)
        else:
            untold.append(f"group column {monitor.group_column!r} is not there; nothing was ranked.")
    return Rows(
        reference=reference,
        frame=frame,
        features=features,
        at=at,
        scores=None,
        targets=np.full(len(frame), np.nan),
        ids=ids,
        members=members,
        untold=untold,
        events=events,
    )


def own_labels(rows: Rows, monitor: Monitor, waiting: Sequence[Any] | None) -> None:
    """Labels that came with the rows, else those that came before them (`waiting`, in the order of the rows)."""
    profile = rows.reference.profile
    if monitor.label_column and monitor.label_column in rows.frame:
        labels = rows.frame[monitor.label_column]
        rows.targets = encode_labels(labels, profile.task, profile.positive, profile.classes)
    if waiting is not None:
        before = encode_labels(waiting, profile.task, profile.positive, profile.classes)
        rows.targets = np.where(np.isnan(rows.targets), before, rows.targets)
