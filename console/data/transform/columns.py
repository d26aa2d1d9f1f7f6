"""Steps on whole columns: derive, cast, rename, select, drop."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from backends.contract import Invalid
from backends.entities import ColumnType
from console.data.expression import ExpressionError, parse_expression
from console.data.inference import column_type
from console.data.transform.operation import ANYTHING, Operation, PerColumn
from console.data.transform.rows import Flow, Rows, Schema, no_nan

_TYPES = {
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "datetime": pa.timestamp("us"),
    "date": pa.date32(),
}
_TIMES = frozenset({ColumnType.DATETIME, ColumnType.DATE})


def parsed(operation: Operation, key: str, text: str, schema: Schema, *, wanted: ColumnType | None = None) -> Any:
    """The expression; a fault is told with its place in the file and in the text."""
    try:
        return parse_expression(text, schema.columns(), wanted=wanted)
    except ExpressionError as error:
        if schema.open:
            from console.data.transform.operation import NotYet

            raise NotYet from None
        raise Invalid(
            f"{operation.recipe.where(operation.number, key)}: {key}: {error}\n{error.pointed}", key
        ) from None


def evaluated(operation: Operation, key: str, expression: Any, rows: Rows) -> Any:
    try:
        return expression.evaluate(rows.batch(expression.columns) if expression.columns else rows.batch())
    except Invalid as error:
        raise Invalid(f"{operation.recipe.where(operation.number, key)}: {key}: {error}", key) from None


class Deriving(Operation):
    """A column from an expression."""

    def bind(self, schema: Schema) -> None:
        self._expression = parsed(self, "as", self.step.as_, schema)
        names = self.named(schema, self._expression.columns, "as")
        self._lost = any(name in schema.absent for name in names)
        self.writes = {self.step.column}
        self.reads = set() if self._lost else set(names)
        empty = Rows({name: pa.array([], schema.types[name]) for name in names}, 0)
        self._type = evaluated(self, "as", self._expression, empty).type

    def out(self, schema: Schema) -> Schema:
        return schema.with_({self.step.column: self._type}, absent=[self.step.column] if self._lost else [])

    def apply(self, rows: Rows, flow: Flow) -> Rows:  # noqa: ARG002
        if self._lost:
            return Rows({name: array for name, array in rows.columns.items() if name != self.step.column}, rows.count)
        return rows.with_({self.step.column: no_nan(evaluated(self, "as", self._expression, rows))})


class Casting(PerColumn):
    """To another type; what does not fit is an error or missing."""

    kinds = ANYTHING - {ColumnType.OTHER}

    def bind(self, schema: Schema) -> None:
        super().bind(schema)
        times = self.step.to in ("datetime", "date")
        for name, kind in self.types.items():
            found = column_type(kind)
            if times != (found in _TIMES) and found is not ColumnType.STRING and self.step.to != "string":
                raise self.wrong("to", f"{name!r} is {found}, which cannot become {self.step.to}.")

    def needs_fit(self) -> bool:
        return False

    def type_of(self, name: str) -> Any:  # noqa: ARG002
        return _TYPES[self.step.to]

    def one(self, name: str, array: Any) -> Any:
        wanted = self.type_of(name)
        if array.type == wanted:
            return array
        values, indices = array, None
        if pa.types.is_string(array.type) and len(array) > 1:  # reading text costs more than finding it again
            coded = array.dictionary_encode()
            values, indices = coded.dictionary, coded.indices
        try:
            made = _cast(values, wanted)
        except pa.ArrowInvalid:
            if self.step.errors == "error":
                value = _first_that_fails(values, wanted)
                raise self.wrong(
                    "to", f'{name!r} holds {value!r}, which is no {self.step.to}; errors = "missing" would drop it.'
                ) from None
            made = _cast_each(values, wanted)
        return no_nan(made if indices is None else made.take(indices))


def _cast(values: Any, wanted: Any) -> Any:
    """Times that say their zone become those of UTC."""
    try:
        return pc.cast(values, wanted)
    except pa.ArrowInvalid:
        if not pa.types.is_timestamp(wanted) or not pa.types.is_string(values.type):
            raise
        return pc.cast(pc.cast(values, pa.timestamp("us", "UTC")), wanted)


def _cast_each(values: Any, wanted: Any) -> Any:
    """What cannot be cast becomes missing; halved until it is found."""
    try:
        return _cast(values, wanted)
    except pa.ArrowInvalid:
        if len(values) == 1:
            return pa.nulls(1, wanted)
        half = len(values) // 2
        return pa.concat_arrays([_cast_each(values[:half], wanted), _cast_each(values[half:], wanted)])


def _first_that_fails(values: Any, wanted: Any) -> Any:
    while len(values) > 1:
        half = values[: len(values) // 2]
        try:
            _cast(half, wanted)
            values = values[len(half) :]
        except pa.ArrowInvalid:
            values = half
    return values[0].as_py()


class Renaming(Operation):
    def bind(self, schema: Schema) -> None:
        for old in self.step.columns:
            if old not in schema.absent:
                self.named(schema, [old], "columns")
        left = [name for name in schema.types if name not in self.step.columns]
        for new in self.step.columns.values():
            if not new:
                raise self.wrong("columns", "a new name is empty.")
            if new in left:
                raise self.wrong("columns", f"would make a second column {new!r}; rename or drop that first.")
        self.reads = {old for old in self.step.columns if old not in schema.absent}
        self.writes = {new for old, new in self.step.columns.items() if old not in schema.absent} | self.reads

    def _new(self, name: str) -> str:
        return str(self.step.columns.get(name, name))

    def out(self, schema: Schema) -> Schema:
        return schema.replaced(
            {self._new(name): kind for name, kind in schema.types.items()},
            {self._new(name): may for name, may in schema.absent.items()},
        )

    def apply(self, rows: Rows, flow: Flow) -> Rows:  # noqa: ARG002
        return Rows({self._new(name): array for name, array in rows.columns.items()}, rows.count)


class Selecting(Operation):
    """What may be absent is absent afterwards too; it is no reason to refuse."""

    def bind(self, schema: Schema) -> None:
        self.named(schema, [name for name in self.step.columns if name not in schema.absent], "columns")

    def _kept(self, names: Any) -> list[str]:
        return [name for name in dict.fromkeys(self.step.columns) if name in names]

    def out(self, schema: Schema) -> Schema:
        return schema.replaced({name: schema.types[name] for name in self._kept(schema.types)})

    def apply(self, rows: Rows, flow: Flow) -> Rows:  # noqa: ARG002
        return Rows({name: rows.columns[name] for name in self._kept(rows.columns)}, rows.count)


class Dropping(Selecting):
    def _kept(self, names: Any) -> list[str]:
        return [name for name in names if name not in self.step.columns]


KINDS: dict[str, type[Operation]] = {
    "derive": Deriving,
    "cast": Casting,
    "rename": Renaming,
    "select": Selecting,
    "drop": Dropping,
}
