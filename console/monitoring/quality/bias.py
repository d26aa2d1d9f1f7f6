"""Bias over time: how unlike the groups of a protected column are answered, from counts that add up. Plain Python.

A group's counts are rows, rows answered with the positive class, labelled rows, labelled positive ones, hits and
false alarms: from them selection rate, true and false positive rate and accuracy follow. The measures themselves are
those that a dataset and a trained model are examined by (`console.data.bias`).
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from backends.entities import Estimate, Record

if TYPE_CHECKING:
    from console.data.bias.groups import Cells
    from console.data.bias.measures import Measure

FIELDS = ("rows", "selected", "labelled", "positive", "hits", "false_alarms")
MOST_GROUPS = 24
"""Of one column; the rarest beyond it are put together and not compared."""
OTHER = "(other)"
MISSING = "(missing)"

Groups = dict[str, dict[str, tuple[int, ...]]]
"""column → group → counts in the order of `FIELDS`."""

MEASURES = {
    "demographic parity ratio": "demographic_parity_ratio",
    "demographic parity difference": "demographic_parity_difference",
    "equal opportunity difference": "equal_opportunity_difference",
    "equalized odds difference": "equalized_odds_difference",
    "accuracy difference": "accuracy_gap",
}
"""Name in `console.data.bias` → key of a window."""


class GroupRates(Record, frozen=True):
    """One group of a protected column in a stretch of time; a rate is None where nothing tells it."""

    column: str
    group: str
    rows: int
    labelled: int
    compared: bool
    """Whether it has enough rows to be compared."""
    selection_rate: float | None
    true_positive_rate: float | None
    false_positive_rate: float | None
    accuracy: float | None


def add_groups(first: Groups, second: Groups) -> Groups:
    """The counts of both together. A group beyond the most that are kept goes to the other ones."""
    total = {column: dict(groups) for column, groups in first.items()}
    for column, groups in second.items():
        into = total.setdefault(column, {})
        full = len(into) >= MOST_GROUPS
        for name, cells in groups.items():
            # What was put together stays together: a late label of such a row must find its row there.
            at = OTHER if full and name not in into else name
            into[at] = tuple(map(operator.add, into[at], cells)) if at in into else tuple(cells)
        total[column] = _bounded(into)
    return total


def _bounded(groups: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    if len(groups) <= MOST_GROUPS:
        return groups
    ranked = sorted((name for name in groups if name != OTHER), key=lambda name: (-groups[name][0], name))
    kept = {name: groups[name] for name in ranked[: MOST_GROUPS - 1]}
    rest = [*ranked[MOST_GROUPS - 1 :], *((OTHER,) if OTHER in groups else ())]
    kept[OTHER] = tuple(map(sum, zip(*(groups[name] for name in rest), strict=True)))
    return kept


def bias_of(groups: Groups, task: str) -> dict[str, Estimate]:
    """`COLUMN.metric` → how far its groups are apart, with an interval that holds for all pairs of them at once. Of
    groups with too few rows, and of values put together because they are rare, nothing is said."""
    if not groups or task == "regression":
        return {}
    from console.data.bias.measures import LEAST, measure_bias  # 0.1 s: only for monitors that compare groups

    found: dict[str, Estimate] = {}
    for column, cells in groups.items():
        compared = {name: counts for name, counts in cells.items() if name not in (OTHER, MISSING)}
        judged = _judged(compared, LEAST)
        answers = _measures(measure_bias(_cells(compared, 0)).measures, sum(n[0] for n in compared.values()))
        labels = _measures(measure_bias(_cells(judged, 2)).measures, sum(n[2] for n in judged.values()))
        for key in MEASURES.values():
            parity = key.startswith("demographic")
            estimate = (answers if parity else labels).get(key)
            if estimate is not None and (task == "binary" or key == "accuracy_gap"):
                found[f"{column}.{key}"] = estimate
    return found


def _judged(groups: Mapping[str, tuple[int, ...]], least: int) -> dict[str, tuple[int, ...]]:
    """Groups with enough labelled rows: what happened to a handful is an extreme of chance."""
    return {name: counts for name, counts in groups.items() if counts[2] >= least}


def _cells(groups: Mapping[str, tuple[int, ...]], size: int) -> list[Cells]:
    from console.data.bias.groups import Cells

    return [
        Cells(
            key=(name,),
            rows=counts[size],
            labelled=counts[2],
            positive=counts[3],
            predicted=counts[0],
            selected=counts[1],
            judged=counts[2],
            judged_positive=counts[3],
            hits=counts[4],
            false_alarms=counts[5],
        )
        for name, counts in groups.items()
    ]


def _measures(measures: Sequence[Measure], rows: int) -> dict[str, Estimate]:
    return {
        MEASURES[each.name]: Estimate(value=each.value, low=each.low, high=each.high, n=rows)
        for each in measures
        if each.name in MEASURES
    }


def rates_of(groups: Groups) -> tuple[GroupRates, ...]:
    """Each group's rates, the largest group of each column first."""
    from console.data.bias.measures import LEAST

    lines = []
    for column, cells in groups.items():
        for name, (rows, selected, labelled, positive, hits, alarms) in sorted(
            cells.items(), key=lambda item: (-item[1][0], item[0])
        ):
            negative = labelled - positive
            lines.append(
                GroupRates(
                    column=column,
                    group=name,
                    rows=rows,
                    labelled=labelled,
                    compared=rows >= LEAST and name not in (OTHER, MISSING),
                    selection_rate=selected / rows if rows else None,
                    true_positive_rate=hits / positive if positive else None,
                    false_positive_rate=alarms / negative if negative else None,
                    accuracy=(negative - alarms + hits) / labelled if labelled else None,
                )
            )
    return tuple(lines)
