"""Which segments and protected groups each row of a batch is in. numpy and pandas live here: a worker process alone.

The columns that it makes (`segment:NAME`, truth; `group:COLUMN`, text) are kept beside each scored prediction, so that
a label that comes later finds the windows and groups that its row was counted in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from backends.contract import Invalid
from backends.entities import Column, Monitor
from backends.query import And, Compare, Has, In, Key, Node, Not, Or, matches
from backends.query_match import Value
from console.monitoring.counted.columns import Vector, as_text, is_numeric, numeric_values
from console.monitoring.counted.profile import PROBABILITY, CategoricalColumn, NumericColumn, Profile
from console.monitoring.counted.segments import read_segment, row_fields
from console.monitoring.quality.bias import MISSING, MOST_GROUPS, OTHER, Groups, add_groups

SEGMENT = "segment:"
GROUP = "group:"
BANDS = 4
"""A numeric protected column is cut at the quartiles of the reference, once for all windows."""


def members_of(
    frame: pd.DataFrame, rows: pd.DataFrame, monitor: Monitor, columns: Sequence[Column], profile: Profile
) -> tuple[pd.DataFrame, list[str]]:
    """Segments and groups of each row, and what could not be told, in words.

    frame: the batch as it came; rows: its features in the model's types, the same rows. A segment whose condition does
    not fit the version that scores holds no row, and a protected column that is not there is not counted.
    """
    made: dict[str, Any] = {}
    odd: list[str] = []
    for segment in monitor.segments:
        try:
            made[SEGMENT + segment.name] = mask_of(read_segment(segment, columns), rows, columns)
        except Invalid as error:
            odd.append(f"{error}; nothing was counted into it.")
    for name in monitor.protected:
        column = profile.column(name)
        values = rows[name] if name in rows.columns else frame[name] if name in frame.columns else None
        if values is None:
            odd.append(f"protected column {name!r} is not there; its groups were not compared.")
        else:
            made[GROUP + name] = group_names(values, column)
    return pd.DataFrame(made, index=rows.index), odd


def mask_of(node: Node, rows: pd.DataFrame, columns: Sequence[Column]) -> Vector:
    """Which rows a condition holds for, shape (n,): what `query.matches` says of each row, a column at a time."""
    named = {column.name.lower(): column.name for column in columns}
    return _mask(node, rows, named, row_fields(columns).attributes)


def _mask(node: Node, rows: pd.DataFrame, named: dict[str, str], kinds: Any) -> Vector:
    match node:
        case And(nodes):
            every: Vector = np.logical_and.reduce([_mask(part, rows, named, kinds) for part in nodes])
            return every
        case Or(nodes):
            some: Vector = np.logical_or.reduce([_mask(part, rows, named, kinds) for part in nodes])
            return some
        case Not(inner):
            return ~_mask(inner, rows, named, kinds)
        case Compare(key) | In(key) | Has(key):
            name = named[key.name]
            if name not in rows.columns:
                return np.zeros(len(rows), dtype=bool)
            return _term(node, key, rows[name], str(kinds[key.name]))
    raise Invalid("a segment compares columns, and this compares none", "where")


def _term(node: Compare | In | Has, key: Key, values: pd.Series[Any], kind: str) -> Vector:
    """One comparison, asked once for each distinct value: one rule says what matches, here and in lists."""
    if kind == "text":
        plain = pd.Series(as_text(values).to_pandas()).astype("object")
    elif kind == "bool":
        plain = values.astype("boolean").astype("object").reset_index(drop=True)
    elif kind == "time":
        stamps = pd.to_datetime(values, utc=True, errors="coerce")
        moments = stamps.dt.tz_convert(None).astype("datetime64[ms]").astype("int64")
        plain = moments.where(stamps.notna(), np.nan).reset_index(drop=True)
    else:
        plain = pd.Series(numeric_values(values))
    codes, distinct = pd.factorize(plain)
    found = np.array([_holds(node, key, _value(value)) for value in distinct], dtype=bool)
    # A missing value has the code -1: the answer for it stands last.
    answers: Vector = np.append(found, _holds(node, key, None))[codes]
    return answers


def _holds(node: Node, key: Key, value: Value) -> bool:
    return matches(node, lambda asked: value if asked == key else None)


def _value(value: Any) -> Value:
    plain: Value = value.item() if isinstance(value, np.generic) else value
    return plain


def group_names(values: pd.Series[Any], column: NumericColumn | CategoricalColumn | None) -> Vector:
    """The group of each row of a protected column, shape (n,), text: a level, or a band of a numeric column."""
    if isinstance(column, NumericColumn):
        return _bands(numeric_values(values), column)
    if column is None and is_numeric(values):
        numbers = numeric_values(values)
        values = pd.Series(np.where(np.isfinite(numbers), numbers, np.nan))
    text = pd.Series(as_text(values).to_pandas()).astype("object")
    names = text.where(text.notna(), MISSING)
    if column is not None:
        kept = set(column.levels[: MOST_GROUPS - 2])
        names = names.where(names.isin(kept) | (names == MISSING), OTHER)
    found: Vector = names.to_numpy(dtype=object)
    return found


def _bands(values: Vector, column: NumericColumn) -> Vector:
    counts = np.array(column.counts[: column.cells], dtype=np.int64)
    edges = np.array(column.edges)
    share = np.cumsum(counts) / max(1, counts.sum())
    cuts = sorted({float(edges[np.searchsorted(share, part / BANDS) + 1]) for part in range(1, BANDS)} - {edges[-1]})
    names = [f"{'under' if not number else f'{cuts[number - 1]:.4g} to'} {cut:.4g}" for number, cut in enumerate(cuts)]
    names.append(f"from {cuts[-1]:.4g}" if cuts else "any value")
    at = np.searchsorted(cuts, values, side="right")
    found: Vector = np.array(names, dtype=object)[np.minimum(at, len(cuts))]
    found[np.isnan(values)] = MISSING
    return found


def chosen(scores: Vector, profile: Profile) -> Vector:
    """Which rows are answered with the positive class, shape (n,); of more than two classes: none."""
    if profile.task != "binary":
        return np.zeros(len(scores), dtype=bool)
    picked: Vector = scores >= (0.5 if profile.scale == PROBABILITY else 0.0)
    return picked


def count_groups(members: pd.DataFrame, scores: Vector | None, targets: Vector, profile: Profile) -> Groups:
    """Rows by protected column and group. members: of n rows, as `members_of`; scores (n,) or (n, classes); targets
    (n,), NaN where unlabelled."""
    found: Groups = {}
    if scores is None or profile.task == "regression":
        return found
    picked = chosen(scores, profile)
    known = ~np.isnan(targets)
    if profile.task == "binary":
        positive, right = known & (targets == 1), known & (picked == (targets == 1))
    else:  # right and wrong alone: no class is the positive one
        positive = np.zeros(len(targets), dtype=bool)
        right = known & (scores.argmax(axis=1) == np.where(known, targets, -1))
    alarms = (known & ~positive & picked) if profile.task == "binary" else known & ~right
    columns = (np.ones(len(targets), bool), picked, known, positive, positive & right, alarms)
    for name in members.columns:
        if not str(name).startswith(GROUP):
            continue
        codes, names = pd.factorize(members[name])
        table = np.stack([np.bincount(codes[flags & (codes >= 0)], minlength=len(names)) for flags in columns])
        cells = {str(group): tuple(int(n) for n in table[:, at]) for at, group in enumerate(names)}
        found[str(name).removeprefix(GROUP)] = cells
    return add_groups({}, found)


def change_groups(members: pd.DataFrame, scores: Vector, old: Vector, fresh: Vector, profile: Profile) -> Groups:
    """What new labels add to the groups of a window."""
    after, before = count_groups(members, scores, fresh, profile), count_groups(members, scores, old, profile)
    return {
        column: {
            name: tuple(a - b for a, b in zip(cells, before[column][name], strict=True))
            for name, cells in groups.items()
        }
        for column, groups in after.items()
    }
