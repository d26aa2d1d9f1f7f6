"""The rows of a request as the frame that a trained pipeline takes, in the types of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from backends.entities import Column, ColumnType
from console.serving.rows import Rows


def frame_of(features: Sequence[Column], rows: Rows) -> pd.DataFrame:
    """Shape (rows, features): numbers float64 (missing NaN), text objects (missing None), times UTC."""
    made: dict[str, Any] = {}
    for column, values in zip(features, rows.columns, strict=True):
        if column.type.numeric:
            made[column.name] = np.array(values, dtype=np.float64)
        elif column.type in (ColumnType.DATETIME, ColumnType.DATE):
            made[column.name] = pd.to_datetime(pd.Series(values, dtype=object), utc=True, format="ISO8601")
        else:
            made[column.name] = np.array(values, dtype=object)
    return pd.DataFrame(made)
