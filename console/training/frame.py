"""The rows of a dataset version as a frame, and which of its columns become features."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from backends.contract import Invalid
from backends.entities import Column, ColumnType
from console.data.bias.groups import Asked, group_columns
from console.data.inference import column_type
from console.data.stored import told_if_damaged
from console.training.recipe import Recipe, check_columns

FEWEST_ROWS = 20
MOST_CLASSES = 100
IDENTIFIER_SHARE = 0.9
"""Text with more distinct values per row than this names the row; a model can only learn it by heart."""


class Features(msgspec.Struct, frozen=True):
    """Feature columns by how they are prepared, and the ones left out with the reason."""

    numeric: list[str]
    categorical: list[str]
    datetimes: list[str]
    dropped: dict[str, str]

    @property
    def names(self) -> list[str]:
        return [*self.numeric, *self.categorical, *self.datetimes]


class Rows(msgspec.Struct, frozen=True):
    """What a run trains on. `frame` has a fresh 0..n-1 index; `numbers` are the rows' numbers in the dataset
    version."""

    frame: Any
    target: Any
    numbers: Any
    features: Features
    columns: tuple[Column, ...]
    """The features as they are in the dataset version, in its order."""


def protected_columns(recipe: Recipe, columns: Sequence[Column]) -> list[str]:
    """The columns that tell the groups apart which the audit compares. Invalid where one is not there."""
    asked = Asked(by=recipe.audit.protected, label=recipe.target)
    return group_columns(asked, columns) if asked.by else []


def load_rows(recipe: Recipe, path: Path, dataset: str) -> Rows:
    """Read the Parquet file of a dataset version. Invalid where it cannot serve this recipe."""
    with told_if_damaged(dataset, path):
        schema = pq.read_schema(path)
    columns = [Column(name=field.name, type=column_type(field.type)) for field in schema]
    check_columns(recipe, columns, dataset)
    chosen = _chosen(recipe, [column.name for column in columns])
    needed = [*chosen, recipe.target, *recipe.aside, *protected_columns(recipe, columns)]
    with told_if_damaged(dataset, path):
        table = pq.read_table(path, columns=list(dict.fromkeys(needed)))
    frame = frame_of(table)
    numbers = np.arange(len(frame), dtype="<i8")
    dropped: dict[str, str] = {}
    keep = frame[recipe.target].notna().to_numpy()
    if not keep.any():
        raise Invalid(
            f"target {recipe.target!r} of {dataset} has no value in any row; there is nothing to learn.", "target"
        )
    if recipe.split.by == "time":
        keep = keep & frame[recipe.split.column].notna().to_numpy()
    if not keep.all():
        print(
            f"{int((~keep).sum())} of {len(keep)} rows have no target (or no time to split by) and are left out",
            flush=True,
        )
        frame, numbers = frame[keep].reset_index(drop=True), numbers[keep]
    if len(frame) < FEWEST_ROWS:
        raise Invalid(
            f"{dataset} has {len(frame)} usable rows, wanted at least {FEWEST_ROWS} to train and test on; "
            "bring more data.",
            "dataset",
        )
    kinds = {column.name: column.type for column in columns}
    features = _features(recipe, frame, [name for name in chosen if name in kinds], kinds, schema, dropped)
    if not features.names:
        reasons = "; ".join(f"{name}: {why}" for name, why in list(dropped.items())[:5])
        raise Invalid(f"no column of {dataset} is left to learn from ({reasons}).", "columns")
    target = _target(recipe, frame[recipe.target], dataset)
    return Rows(
        frame=frame,
        target=target,
        numbers=numbers,
        features=features,
        columns=tuple(column for column in columns if column.name in set(features.names)),
    )


def _chosen(recipe: Recipe, names: list[str]) -> list[str]:
    if recipe.columns:
        return list(recipe.columns)
    # what the rows are split by or when they happened tells them apart; a model must not learn it unless asked to
    out = {recipe.target, *recipe.exclude, *recipe.aside}
    return [name for name in names if name not in out]


def frame_of(table: Any) -> pd.DataFrame:
    """Booleans and decimals as numbers, so that a missing one does not make the column objects."""
    fields = []
    for field in table.schema:
        kind = field.type
        if pa.types.is_boolean(kind) and table[field.name].null_count:
            kind = pa.int8()
        elif pa.types.is_decimal(kind):
            kind = pa.float64()
        elif pa.types.is_date(kind):
            kind = pa.timestamp("us")
        fields.append(pa.field(field.name, kind))
    return table.cast(pa.schema(fields)).to_pandas()


def _features(
    recipe: Recipe,
    frame: pd.DataFrame,
    chosen: list[str],
    kinds: dict[str, ColumnType],
    schema: Any,
    dropped: dict[str, str],
) -> Features:
    features = Features([], [], [], dropped)
    for name in chosen:
        values, kind = frame[name], kinds[name]
        if not values.notna().any():
            dropped[name] = "all values are missing"
        elif kind.numeric or pa.types.is_decimal(schema.field(name).type):
            features.numeric.append(name)
        elif kind in (ColumnType.DATETIME, ColumnType.DATE):
            if recipe.preprocess.datetime.encode == "drop":
                dropped[name] = "preprocess.datetime.encode is drop"
            else:
                features.datetimes.append(name)
        elif kind is ColumnType.STRING:
            distinct = values.nunique()
            if recipe.preprocess.categorical.encode == "drop":
                dropped[name] = "preprocess.categorical.encode is drop"
            elif not recipe.columns and distinct > 100 and distinct > IDENTIFIER_SHARE * values.notna().sum():
                dropped[name] = f"names rows: {distinct} distinct values (list it in columns to use it)"
            else:
                features.categorical.append(name)
        else:
            dropped[name] = f"type {schema.field(name).type} cannot be learned from"
    for name, why in dropped.items():
        print(f"column {name!r} left out: {why}", flush=True)
    return features


def _target(recipe: Recipe, values: pd.Series, dataset: str) -> Any:
    """shape (n,): float64 for regression; classes as bool, int64 or str."""
    if recipe.task == "regression":
        if not pd.api.types.is_numeric_dtype(values.dtype):
            raise Invalid(
                f"target {recipe.target!r} of {dataset} is text, regression wants numbers; "
                'set task = "classification", or choose another target.',
                "target",
            )
        numbers = values.to_numpy("float64")
        if not np.isfinite(numbers).all():
            raise Invalid(
                f"target {recipe.target!r} of {dataset} holds infinite values; regression cannot learn those.", "target"
            )
        if (numbers == numbers[0]).all():
            raise Invalid(
                f"target {recipe.target!r} of {dataset} is {numbers[0]:g} in every row; nothing to learn.", "target"
            )
        return numbers
    distinct = values.nunique()
    if distinct == 1:
        raise Invalid(
            f"target {recipe.target!r} of {dataset} has one class only ({json.dumps(_plain(values.iloc[0]))} in all "
            f"{len(values)} rows); classification needs at least two. "
            "Bring data with other outcomes, or choose another target.",
            "target",
        )
    if distinct > MOST_CLASSES:
        raise Invalid(
            f"target {recipe.target!r} of {dataset} has {distinct} distinct values, more than {MOST_CLASSES} classes; "
            + (
                'set task = "regression" for a number.'
                if pd.api.types.is_numeric_dtype(values.dtype)
                else "group them first."
            ),
            "target",
        )
    if pd.api.types.is_bool_dtype(values.dtype):
        return values.to_numpy(bool)
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = values.to_numpy("float64")
        return numbers.astype("int64") if (numbers == np.floor(numbers)).all() else values.astype(str).to_numpy(object)
    return values.astype(str).to_numpy(object)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)
