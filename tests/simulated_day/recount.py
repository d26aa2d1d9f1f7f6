"""Counted again with pandas and numpy alone, from the ledger, the profile's edges and levels, and the model's scores.

Nothing of the program's counting is used: what both say must be the same to the row.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.simulated_day.ledger import Ledger, Row

Cells = list[int]
CELLS = 256


def frame_of(rows: list[Row], labels: dict[int, str]) -> pd.DataFrame:
    """The rows that count (those whose time can be read), with the label that was told last."""
    found = pd.DataFrame(
        {
            "id": pd.Series([row.id for row in rows], dtype="object"),
            "at": [row.at for row in rows],
            "weight": [math.nan if not isinstance(row.weight, float) else row.weight for row in rows],
            "distance": [math.nan if row.distance is None else row.distance for row in rows],
            "carrier": pd.Series([row.carrier for row in rows], dtype="object"),
            "scored": [row.scored for row in rows],
            "label": pd.Series(
                [row.late if row.told else labels.get(row.id) if row.id is not None else None for row in rows],
                dtype="object",
            ),
        }
    )
    return found[found["at"].notna()].astype({"at": "int64"}).reset_index(drop=True)


class Recount:
    """Against one reference profile, given as its JSON."""

    def __init__(self, profile: dict[str, Any], model: Any) -> None:
        self._profile = profile
        self._model = model
        self._columns = {column["name"]: column for column in profile["columns"]}
        self._yes = [str(name) for name in model.classes_].index(profile["positive"])

    def scored(self, rows: pd.DataFrame) -> pd.DataFrame:
        """With the model's probability of a late delivery."""
        features = rows[["weight", "distance"]].assign(carrier=rows["carrier"].astype("str"))
        return rows.assign(score=self._model.predict_proba(features)[:, self._yes])

    def cells(self, rows: pd.DataFrame) -> Cells:
        """Every cell of a window, in the order in which they are kept."""
        found: Cells = []
        for name, column in self._columns.items():
            found += self._numeric(rows[name], column) if column["kind"] == "numeric" else self._levels(rows, column)
        scored = rows[rows["scored"]]
        spot = (scored["score"] * CELLS).astype(int).clip(0, CELLS - 1)
        for group in ("no", "yes", None):
            mine = scored["label"].isna() if group is None else scored["label"] == group
            found += np.bincount(spot[mine], minlength=CELLS).tolist()
        told = scored["label"].value_counts()
        found += [int(told.get(level, 0)) for level in self._profile["label"]["levels"]] + [0, 0, 0]
        guess = np.where(scored["score"] >= 0.5, "yes", "no")
        for predicted in self._profile["classes"]:
            for true in (*self._profile["classes"], None):
                same = scored["label"].isna() if true is None else scored["label"] == true
                found.append(int((same.to_numpy() & (guess == predicted)).sum()))
        return found

    def _numeric(self, values: pd.Series, column: dict[str, Any]) -> Cells:
        edges = column["edges"]
        inside = pd.cut(values[(values >= edges[0]) & (values < edges[-1])], edges, right=False)
        cells = inside.value_counts(sort=False).tolist()
        cells[-1] += int((values == edges[-1]).sum())
        endless = int(np.isinf(values).sum())
        above = int((values > edges[-1]).sum()) - int((values == math.inf).sum())
        return [*cells, int((values < edges[0]).sum()), above, endless, int(values.isna().sum())]

    def _levels(self, rows: pd.DataFrame, column: dict[str, Any]) -> Cells:
        values = rows[column["name"]]
        found = values.value_counts()
        known = [int(found.get(level, 0)) for level in column["levels"]]
        return [*known, 0, int(values.notna().sum()) - sum(known), int(values.isna().sum())]

    def strangers(self, rows: pd.DataFrame) -> dict[str, int]:
        """Carriers that the reference never had."""
        found = rows["carrier"].dropna()
        strange = found[~found.isin(self._columns["carrier"]["levels"])].value_counts()
        return {str(name): int(n) for name, n in strange.items()}

    def groups(self, rows: pd.DataFrame) -> dict[str, tuple[int, ...]]:
        """Of each carrier: rows, answered yes, labelled, truly late, hits, false alarms."""
        scored = rows[rows["scored"]]
        named = scored["carrier"].where(scored["carrier"].isin(self._columns["carrier"]["levels"]), "(other)")
        named = named.where(scored["carrier"].notna(), "(missing)")
        yes, known, late = scored["score"] >= 0.5, scored["label"].notna(), scored["label"] == "yes"
        flags = {"rows": 1, "yes": yes, "known": known, "late": late, "hit": yes & late, "false": yes & known & ~late}
        table = pd.DataFrame(flags)
        return {str(name): tuple(int(n) for n in part.sum()) for name, part in table.astype(int).groupby(named)}

    def sums(self, rows: pd.DataFrame) -> tuple[float, ...]:
        """Labelled, right, log loss and its square, Brier and its square."""
        known = rows[rows["scored"] & rows["label"].notna()]
        if not len(known):
            return (0.0,) * 6
        y, p = (known["label"] == "yes").to_numpy(float), known["score"].to_numpy()
        loss, brier = -np.log(np.where(y == 1, p, 1 - p)), (p - y) ** 2
        right = (p >= 0.5) == (y == 1)
        found = (len(y), right.sum(), loss.sum(), (loss**2).sum(), brier.sum(), (brier**2).sum())
        return tuple(float(each) for each in found)


SEGMENTS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "": lambda rows: rows,
    "far": lambda rows: rows[rows["distance"] > 300],
    "ups": lambda rows: rows[rows["carrier"] == "ups"],
}


def reference(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def expected(ledger: Ledger, monitor: str, recount: Recount, length: int) -> dict[tuple[str, int], dict[str, Any]]:
    """Of each segment and each window of so many milliseconds: all that is to be counted."""
    rows = recount.scored(frame_of(ledger.rows[monitor], ledger.labels))
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for segment, pick in SEGMENTS.items():
        for start, part in pick(rows).groupby(rows["at"] - rows["at"] % length):
            found[segment, int(start)] = {
                "rows": len(part),
                "cells": recount.cells(part),
                "new": {"carrier": strange} if (strange := recount.strangers(part)) else {},
                "groups": recount.groups(part),
                "sums": recount.sums(part),
            }
    return found
