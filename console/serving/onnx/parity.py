"""Whether two ways of asking a version say the same of the same rows."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pandas as pd

from backends.entities import CheckResult, Column, ColumnType, GateStatus
from console.serving.answering import Loaded
from console.serving.onnx.facts import TOLERANCE
from console.serving.rows import Rows, Value
from console.training.columns import as_number, as_text
from console.wording import number, thousands


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    rows: int
    equal: float
    """Share of the rows with the same class; of a regression, of those within the tolerance."""
    largest: float
    """Absolute difference of a probability, a margin or a prediction."""
    worst: float
    """The same, of margins and predictions relative to the larger of 1 and their size."""
    compared: str

    @property
    def status(self) -> GateStatus:
        same = self.equal == 1.0 and self.worst <= TOLERANCE
        return GateStatus.PASS if same and self.rows else GateStatus.FAIL

    def results(self) -> tuple[CheckResult, ...]:
        """As a report has them."""
        differ = round((1 - self.equal) * self.rows)
        what = "class" if self.compared != "prediction" else "prediction within tolerance"
        beyond = "" if self.compared == "probability" else ", relative to the larger of 1 and its size"
        return (
            CheckResult(
                check=f"same {what}", kind="parity", status=GateStatus.PASS if not differ else GateStatus.FAIL,
                value=f"{thousands(self.rows - differ)} of {thousands(self.rows)} rows", rule="all", failing=differ,
                rows=self.rows,
            ),
            CheckResult(
                check=f"largest difference of a {self.compared}", kind="parity",
                status=GateStatus.PASS if self.worst <= TOLERANCE else GateStatus.FAIL, value=number(self.largest, 2),
                rule=f"at most {TOLERANCE:g}{beyond}", rows=self.rows,
            ),
        )  # fmt: skip


def compared(one: Loaded, other: Loaded, rows: Rows) -> Parity:
    """Both are asked for these rows: for what they predict, and for all that stands behind it."""
    said, again = one.answer(rows), other.answer(rows)
    kind = one.judges
    if kind == "probability":
        method = "predict_proba"
    elif kind == "margin":
        method = "decision_function"
    else:
        method = "predict"
    first, second = (np.asarray(each.answer(rows, method).values, dtype=np.float64) for each in (one, other))
    differences = np.abs(first - second)
    scale = 1.0 if kind == "probability" else np.maximum(1.0, np.abs(first))
    if first.shape != second.shape:
        return Parity(rows=rows.count, equal=0.0, largest=np.inf, worst=np.inf, compared=kind)
    relative = differences / scale
    same = (
        np.array([a == b for a, b in zip(said.values, again.values, strict=True)])
        if one.classifies
        else relative <= TOLERANCE
    )
    return Parity(
        rows=rows.count,
        equal=float(same.mean()),
        largest=float(differences.max()),
        worst=float(np.nan_to_num(relative, nan=np.inf).max()),
        compared=kind,
    )


def both(first: Parity, second: Parity) -> Parity:
    """Of all rows together; `rows` and `equal` are those of the first."""
    return msgspec.structs.replace(
        first,
        equal=first.equal if second.equal == 1.0 else min(first.equal, second.equal),
        largest=max(first.largest, second.largest),
        worst=max(first.worst, second.worst),
    )


def rows_from(frame: pd.DataFrame, features: tuple[Column, ...]) -> Rows:
    """A frame's rows as a request brings them."""
    columns: list[list[Value]] = []
    for column in features:
        values: Any = frame[column.name]
        if column.type in (ColumnType.DATETIME, ColumnType.DATE):
            times = pd.to_datetime(values, utc=True, errors="coerce")
            columns.append([None if time is pd.NaT else time.isoformat() for time in times])
        elif column.type.numeric:
            columns.append([None if value != value else value for value in as_number(values).tolist()])
        else:
            columns.append(list(as_text(values)))
    return Rows(len(frame), columns)
