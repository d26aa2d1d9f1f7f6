"""The values of an expression over the rows of a batch, by Arrow's own kernels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from backends.contract import Invalid
from backends.entities import ColumnType
from console.data.expression.functions import FUNCTIONS, alike
from console.data.expression.tree import Among, Arithmetic, Call, ColumnRef, Comparison, IsNull, Literal, Logic, Node

if TYPE_CHECKING:
    from console.data.expression.parse import Expression

_COMPARE: Final = {
    "=": "equal", "!=": "not_equal", "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal",
}  # fmt: skip


def arrow_type(kind: ColumnType) -> Any:
    """The Arrow type in which an expression of this type gives its values."""
    import pyarrow as pa

    return {
        ColumnType.INT: pa.int64(),
        ColumnType.FLOAT: pa.float64(),
        ColumnType.BOOL: pa.bool_(),
        ColumnType.STRING: pa.string(),
        ColumnType.DATETIME: pa.timestamp("us"),
        ColumnType.DATE: pa.date32(),
    }[kind]


def evaluate(expression: Expression, batch: Any) -> Any:
    """An Arrow array with one value a row."""
    import pyarrow as pa

    absent = [name for name in expression.columns if name not in batch.schema.names]
    if absent:
        raise Invalid(f"{expression.text[:80]} reads {absent[0]}, and there is no such column here.", "expression")
    columns = {name: _column(batch.column(name)) for name in expression.columns}
    try:
        found = _value(expression.tree, columns)
        found = _typed(found, expression.tree.type)
    except pa.ArrowInvalid as error:
        what = "a whole number grows past 64 bits" if "overflow" in str(error) else str(error).split("\n")[0][:160]
        raise Invalid(f"{expression.text[:80]}: {what}; write float(…) around it.", "expression") from None
    if isinstance(found, pa.Scalar):
        return pa.array([found.as_py()], found.type).take(pa.array([0] * batch.num_rows, pa.int32()))
    return found


def _column(array: Any) -> Any:
    """As one array, in one of the types that the functions know; NaN counts as missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    kind = array.type
    if pa.types.is_dictionary(kind):
        array = pc.cast(array, kind.value_type)
        kind = array.type
    if pa.types.is_integer(kind) and kind != pa.int64():
        return pc.cast(array, pa.int64())
    if pa.types.is_decimal(kind) or (pa.types.is_floating(kind) and kind != pa.float64()):
        array = pc.cast(array, pa.float64())
        kind = array.type
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_nan(array), pa.scalar(None, kind), array)
    if pa.types.is_large_string(kind):
        return pc.cast(array, pa.string())
    return array


def _typed(found: Any, kind: ColumnType | None) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(found.type) and kind is ColumnType.DATETIME:
        return found
    wanted = arrow_type(kind or ColumnType.STRING)
    if isinstance(found, pa.Scalar) and found.as_py() is None:
        return pa.scalar(None, wanted)
    return found if found.type == wanted else pc.cast(found, wanted)


def _value(node: Node, columns: Mapping[str, Any]) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    match node:
        case Literal():
            return _scalar(node)
        case ColumnRef():
            return columns[node.name]
        case Call():
            arguments = [_value(each, columns) for each in node.arguments]
            return FUNCTIONS[node.name].compute(pc, *arguments)
        case Logic(word="not"):
            return pc.invert(_truth(node.sides[0], columns))
        case Logic():
            combine = pc.and_kleene if node.word == "and" else pc.or_kleene
            return combine(*(_truth(side, columns) for side in node.sides))
        case Comparison():
            sides = alike(pc, [_value(node.left, columns), _value(node.right, columns)])
            return getattr(pc, _COMPARE[node.sign])(*sides)
        case IsNull():
            missing = pc.is_null(_value(node.value, columns), nan_is_null=True)
            return pc.invert(missing) if node.negated else missing
        case Among():
            return _among(node, _value(node.value, columns))
        case Arithmetic():
            return _arithmetic(node, _value(node.left, columns), _value(node.right, columns))
    raise AssertionError(pa, node)


def _scalar(node: Literal) -> Any:
    import pyarrow as pa

    return pa.scalar(node.value, arrow_type(node.type)) if node.type else pa.scalar(None, pa.null())


def _truth(node: Node, columns: Mapping[str, Any]) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = _value(node, columns)
    return pc.cast(found, pa.bool_()) if found.type != pa.bool_() else found


def _among(node: Among, value: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    choices = [_scalar(choice) for choice in node.choices]
    value, *choices = alike(pc, [value, *choices])
    inside = pc.is_in(value, value_set=pa.array([choice.as_py() for choice in choices], value.type))
    if node.negated:
        inside = pc.invert(inside)
    # A missing value is neither among them nor not.
    return pc.if_else(pc.is_valid(value), inside, pa.scalar(None, pa.bool_()))


def _arithmetic(node: Arithmetic, left: Any, right: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = pa.float64() if node.type is ColumnType.FLOAT else pa.int64()
    left, right = (_number(pc, pa, side, kind) for side in (left, right))
    if node.sign in ("+", "-", "*"):
        name = {"+": "add", "-": "subtract", "*": "multiply"}[node.sign]
        return getattr(pc, name if node.type is ColumnType.FLOAT else f"{name}_checked")(left, right)
    zero = pc.equal(right, pa.scalar(0, kind))
    right = pc.if_else(zero, pa.scalar(None, kind), right)
    quotient = pc.divide(left, right) if node.type is ColumnType.FLOAT else pc.divide_checked(left, right)
    if node.sign == "/":
        return quotient
    floor = _floor_of(pc, pa, node, left, right, quotient)
    if node.sign == "//":
        return floor
    return pc.subtract(left, pc.multiply(floor, right))


def _number(pc: Any, pa: Any, value: Any, kind: Any) -> Any:
    whole = pc.cast(value, pa.int64()) if pa.types.is_boolean(value.type) else value
    return pc.cast(whole, kind, safe=False)  # a large whole number loses its last digits, as everywhere


def _floor_of(pc: Any, pa: Any, node: Arithmetic, left: Any, right: Any, quotient: Any) -> Any:
    """Division rounded towards minus infinity, as Python's `//`: Arrow's own goes towards zero."""
    if node.type is ColumnType.FLOAT:
        return pc.floor(quotient)
    rest = pc.subtract(left, pc.multiply(quotient, right))
    below = pc.and_(pc.not_equal(rest, 0), pc.xor(pc.less(rest, 0), pc.less(right, 0)))
    return pc.subtract(quotient, pc.cast(below, pa.int64()))
