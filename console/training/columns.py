"""The first step of every trained pipeline: from a frame as it comes to the columns the model was fitted on.

It selects by name and brings each column to the kind it had in training, so that a batch from a CSV, a Parquet file
or a JSON request scores alike: numbers and booleans as float64 (missing as NaN), text as str objects (missing as
None), times as their parts. It is a type of our own, and on the console's allow-list for model files.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

PARTS = ("month", "day", "weekday", "hour")
"""What a time becomes: 1-12, 1-31, 0 (Monday)-6, 0-23, each a float64 column `<name>.<part>`."""


class ModelColumns(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Pick and type the columns named in training; others are ignored.

    numeric, categorical, datetimes: lists of column names. `transform` takes a DataFrame of shape (n, any) and gives
    one of shape (n, numeric + categorical + 4 per datetime), and raises ValueError naming the columns that are not
    there.
    """

    def __init__(
        self,
        numeric: list[str] | None = None,
        categorical: list[str] | None = None,
        datetimes: list[str] | None = None,
    ) -> None:
        self.numeric = numeric
        self.categorical = categorical
        self.datetimes = datetimes

    def fit(self, frame: pd.DataFrame, y: Any = None) -> ModelColumns:  # noqa: ARG002
        self.n_features_in_ = len(frame.columns)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        numeric, categorical, datetimes = self.numeric or [], self.categorical or [], self.datetimes or []
        absent = [name for name in (*numeric, *categorical, *datetimes) if name not in frame.columns]
        if absent:
            raise ValueError(f"the model needs the columns {', '.join(absent)}, which the data does not have")
        made: dict[str, Any] = {name: as_number(frame[name]) for name in numeric}
        # The dtype is said: guessed, it is another one for rows of which none has a value, and they would be encoded
        # as an unknown text instead of a missing one.
        made |= {name: pd.array(as_text(frame[name]), dtype="str") for name in categorical}
        for name in datetimes:
            made |= {f"{name}.{part}": values for part, values in time_parts(frame[name]).items()}
        return pd.DataFrame(made, index=frame.index)

    def get_feature_names_out(self, names: Any = None) -> Any:  # noqa: ARG002
        parts = [f"{name}.{part}" for name in self.datetimes or [] for part in PARTS]
        return np.array([*(self.numeric or []), *(self.categorical or []), *parts], dtype=object)


def as_number(values: pd.Series) -> np.ndarray[Any, Any]:
    """shape (n,) float64; what is no number is NaN."""
    if not pd.api.types.is_numeric_dtype(values.dtype):
        values = pd.to_numeric(values, errors="coerce")
    return np.asarray(values.to_numpy(dtype="float64", na_value=np.nan))


def as_text(values: pd.Series) -> np.ndarray[Any, Any]:
    """shape (n,) of str, None where missing; whole floats (ids beside a missing one) read as whole numbers."""
    if isinstance(values.dtype, pd.StringDtype):
        return np.asarray(values.to_numpy(dtype=object, na_value=None))  # all are text already
    plain = values.astype(object).to_numpy()
    out = np.empty(len(plain), dtype=object)
    out[:] = [
        None if value is None or value is pd.NA or value is pd.NaT or value != value else _level(value)
        for value in plain
    ]
    return out


def _level(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def time_parts(values: pd.Series) -> dict[str, np.ndarray[Any, Any]]:
    times = (
        values
        if pd.api.types.is_datetime64_any_dtype(values.dtype)
        else pd.to_datetime(values, errors="coerce", utc=True)
    )
    return {
        "month": times.dt.month.to_numpy("float64", na_value=np.nan),
        "day": times.dt.day.to_numpy("float64", na_value=np.nan),
        "weekday": times.dt.day_of_week.to_numpy("float64", na_value=np.nan),
        "hour": times.dt.hour.to_numpy("float64", na_value=np.nan),
    }
