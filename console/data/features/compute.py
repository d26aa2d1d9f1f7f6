"""A feature set bound to columns: the one place where features are computed, for a batch and for a single record."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import pyarrow as pa

from backends.contract import Invalid
from backends.entities import Column, ColumnType, Definition
from console.data.expression import ExpressionError, parse_expression
from console.data.expression.evaluate import arrow_type
from console.data.features.grammar import FeatureSet, parse_features
from console.data.inference import column_type
from console.data.rows import plain
from console.data.transform.rows import Rows, no_nan
from console.data.transform.values import array_of
from console.toml_form import did_you_mean

_WIDENED = {(ColumnType.INT, ColumnType.FLOAT), (ColumnType.DATE, ColumnType.DATETIME)}


class Defined(msgspec.Struct, frozen=True):
    """`Definition.state` of a feature set: the columns that its expressions were written for."""

    dataset: str
    schema: str


class Features:
    """The set's expressions over known columns. `reads` are the columns they take; Invalid where one is wrong."""

    def __init__(self, features: FeatureSet, types: Mapping[str, Any]) -> None:
        self.set = features
        columns = [Column(name=name, type=column_type(kind)) for name, kind in types.items()]
        self._parsed: list[tuple[str, Any, Any]] = []
        for at, feature in enumerate(features.features):
            try:
                expression = parse_expression(feature.as_, columns)
            except ExpressionError as error:
                raise Invalid(f"{features.where(at, 'as')}: as: {error}\n{error.pointed}", "as") from None
            if expression.type != feature.type and (expression.type, feature.type) not in _WIDENED:
                raise Invalid(
                    f"{features.where(at, 'type')}: type is {feature.type}, and its expression gives "
                    f"{expression.type}; change one of them.",
                    "type",
                )
            self._parsed.append((feature.name, expression, arrow_type(feature.type)))
        for key, names in (("key", features.key), ("time", (features.time,) if features.time else ())):
            for name in names:
                if name not in types:
                    raise Invalid(
                        f"{features.places.of(key)}: {key}: {name!r} is not a column of {features.dataset}"
                        f"{did_you_mean(name, types)}",
                        key,
                    )
        used = {name for _, expression, _ in self._parsed for name in expression.columns}
        self.types = dict(types)
        self.reads = tuple(name for name in types if name in used)

    @property
    def made(self) -> dict[str, Any]:
        """Name → Arrow type of each feature."""
        return {name: kind for name, _, kind in self._parsed}

    def compute(self, rows: Rows) -> Rows:
        """The features of each row, and nothing else."""
        made = {}
        for at, (name, expression, kind) in enumerate(self._parsed):
            try:
                batch = rows.batch(expression.columns) if expression.columns else rows.batch()
                made[name] = no_nan(_as(expression.evaluate(batch), kind))
            except Invalid as error:
                raise Invalid(f"{self.set.where(at, 'as')}: {error}", "as") from None
        return Rows(made, rows.count)

    def one(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The features of one record, as plain values; what stands in it besides is not looked at. For a model
        server. Invalid names the field that lacks or does not fit."""
        found = self.compute(self.rows([record]))
        return {name: plain(array[0].as_py()) for name, array in found.columns.items()}

    def rows(self, records: Collection[Mapping[str, Any]]) -> Rows:
        what = f"feature set {self.set.name}"
        return Rows({name: array_of(name, self.types[name], records, what) for name in self.reads}, len(records))


def bound(definition: Definition) -> Features:
    """The features of a kept set, over the columns it was defined on."""
    state = msgspec.json.decode(definition.state, type=Defined)
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(state.schema)))
    return Features(set_of(definition), {field.name: field.type for field in schema})


def set_of(definition: Definition) -> FeatureSet:
    return parse_features(definition.text, f"feature set {definition.ref}", definition.name)


def defined_state(dataset: str, types: Mapping[str, Any]) -> str:
    schema = base64.b64encode(pa.schema(list(types.items())).serialize()).decode()
    return msgspec.json.encode(Defined(dataset, schema)).decode()


def _as(array: Any, kind: Any) -> Any:
    import pyarrow.compute as pc

    if array.type == kind or (pa.types.is_timestamp(kind) and pa.types.is_timestamp(array.type)):
        return array
    return pc.cast(array, kind, safe=False)
