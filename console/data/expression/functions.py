"""What an expression may call: each function with the types it takes, the type it gives, and how Arrow does it.

Light to import: pyarrow is there when the first value is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from backends.entities import ColumnType

B, I, F, S, T, D = (  # noqa: E741
    ColumnType.BOOL,
    ColumnType.INT,
    ColumnType.FLOAT,
    ColumnType.STRING,
    ColumnType.DATETIME,
    ColumnType.DATE,
)
NUMBER: Final = (I, F, B)
TEXT: Final = (S,)
TIME: Final = (T, D)
ANY: Final = (B, I, F, S, T, D)

Compute = Callable[..., Any]


class Function(NamedTuple):
    """A function by its name."""

    takes: tuple[tuple[ColumnType, ...], ...]
    """Types that each argument may have."""
    gives: Callable[[Sequence[ColumnType]], ColumnType]
    compute: Compute
    """(pyarrow.compute, arguments as Arrow arrays or scalars …) → Arrow array or scalar."""
    words: str
    """How it is called and what it does, for help."""
    more: bool = False
    """The last argument may be repeated."""
    literal: tuple[int, ...] = ()
    """Arguments that must be written out, because Arrow takes them as options."""


def common(types: Sequence[ColumnType]) -> ColumnType | None:
    """The type that holds values of all these, or None."""
    kinds = set(types)
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds <= {I, F, B}:
        return F if F in kinds else I
    if kinds <= {T, D}:
        return T
    return None


def _always(kind: ColumnType) -> Callable[[Sequence[ColumnType]], ColumnType]:
    return lambda _: kind


def _first(types: Sequence[ColumnType]) -> ColumnType:
    return I if types[0] is B else types[0]


def _widest(types: Sequence[ColumnType]) -> ColumnType:
    return common(types) or types[0]


def _branches(types: Sequence[ColumnType]) -> ColumnType:
    return common(types[1:]) or types[1]


def _number(pc: Any, value: Any) -> Any:
    """Whole numbers stay; truth becomes 0 and 1."""
    import pyarrow as pa

    return pc.cast(value, pa.int64()) if pa.types.is_boolean(value.type) else value


def _real(pc: Any, value: Any) -> Any:
    import pyarrow as pa

    return pc.cast(_number(pc, value), pa.float64(), safe=False)


def _finite(pc: Any, value: Any) -> Any:
    """NaN and infinities become missing: a root of -1, a logarithm of 0."""
    import pyarrow as pa

    return pc.if_else(pc.is_finite(value), value, pa.scalar(None, value.type))


def _time(pc: Any, value: Any) -> Any:
    import pyarrow as pa

    kind = value.type
    return pc.cast(value, pa.timestamp("us", getattr(kind, "tz", None)))


def _between(unit: float) -> Compute:
    def compute(pc: Any, start: Any, end: Any) -> Any:
        import pyarrow as pa

        ends = [pc.cast(pc.cast(_time(pc, each), pa.timestamp("us")), pa.int64()) for each in (start, end)]
        return pc.divide(pc.cast(pc.subtract(ends[1], ends[0]), pa.float64(), safe=False), unit * 1e6)

    return compute


def _later(unit: float) -> Compute:
    def compute(pc: Any, value: Any, count: Any) -> Any:
        import pyarrow as pa

        moment = _time(pc, value)
        step = pc.cast(pc.round(pc.multiply(_real(pc, count), unit * 1e6)), pa.int64())
        return pc.add_checked(moment, pc.cast(step, pa.duration("us")))

    return compute


def _part(name: str) -> Compute:
    return lambda pc, value: getattr(pc, name)(_time(pc, value))


def _text(name: str) -> Compute:
    return lambda pc, value: getattr(pc, name)(value)


def _sought(name: str) -> Compute:
    return lambda pc, value, sought: getattr(pc, name)(value, pattern=sought.as_py())


def _real_only(name: str) -> Compute:
    return lambda pc, value: _finite(pc, getattr(pc, name)(_real(pc, value)))


def _cast(kind: str) -> Compute:
    """A value that the type cannot hold becomes missing."""

    def compute(pc: Any, value: Any) -> Any:
        import pyarrow as pa

        if kind == "string":
            return pc.cast(value, pa.string())
        if pa.types.is_string(value.type):
            plain = pc.utf8_trim_whitespace(value)
            if kind == "bool":
                low = pc.utf8_lower(plain)
                true = pc.is_in(low, value_set=pa.array(["true", "t", "yes", "y", "1"]))
                false = pc.is_in(low, value_set=pa.array(["false", "f", "no", "n", "0"]))
                return pc.if_else(true, True, pc.if_else(false, False, pa.scalar(None, pa.bool_())))
            pattern = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
            if kind == "int":
                pattern = r"^[+-]?\d{1,18}$"
            fits = pc.match_substring_regex(plain, pattern=pattern)
            known = pc.if_else(fits, plain, pa.scalar(None, pa.string()))
            # Arrow's parser takes no plus sign.
            unsigned = pc.replace_substring_regex(known, pattern=r"^\+", replacement="")
            return pc.cast(unsigned, pa.int64() if kind == "int" else pa.float64())
        if kind == "bool":
            return pc.not_equal(_number(pc, value), 0)
        if kind == "float":
            return _real(pc, value)
        if pa.types.is_floating(value.type):
            whole = pc.trunc(value)
            fits = pc.and_(pc.less(pc.abs(whole), 9.2e18), pc.is_finite(whole))
            return pc.cast(pc.if_else(fits, whole, pa.scalar(None, value.type)), pa.int64())
        return _number(pc, value)

    return compute


def _round(pc: Any, value: Any, digits: Any = None) -> Any:
    import pyarrow as pa

    whole = pa.types.is_integer(value.type) or pa.types.is_boolean(value.type)
    return _number(pc, value) if whole else pc.round(value, ndigits=digits.as_py() if digits is not None else 0)


def _whole(name: str) -> Compute:
    def compute(pc: Any, value: Any) -> Any:
        import pyarrow as pa

        return getattr(pc, name)(value) if pa.types.is_floating(value.type) else _number(pc, value)

    return compute


def _extreme(name: str) -> Compute:
    def compute(pc: Any, *values: Any) -> Any:
        return getattr(pc, name)(*alike(pc, values), skip_nulls=False)

    return compute


def alike(pc: Any, values: Sequence[Any]) -> list[Any]:
    """The same values in the one type that holds them all."""
    import pyarrow as pa

    kinds = {value.type for value in values}
    if len(kinds) == 1:
        return list(values)
    if any(pa.types.is_timestamp(kind) for kind in kinds) or any(pa.types.is_date(kind) for kind in kinds):
        zone = next((kind.tz for kind in kinds if pa.types.is_timestamp(kind) and kind.tz), None)
        return [pc.cast(value, pa.timestamp("us", zone)) for value in values]
    if all(pa.types.is_string(kind) or pa.types.is_null(kind) or pa.types.is_large_string(kind) for kind in kinds):
        return [pc.cast(value, pa.string()) for value in values]
    if any(pa.types.is_floating(kind) for kind in kinds):
        return [_real(pc, value) for value in values]
    return [pc.cast(_number(pc, value), pa.int64()) for value in values]


def _pick(pc: Any, test: Any, yes: Any, no: Any) -> Any:
    """A missing test picks the second value, as in SQL's CASE."""
    return pc.if_else(pc.fill_null(test, False), *alike(pc, (yes, no)))


def _coalesce(pc: Any, *values: Any) -> Any:
    import pyarrow as pa

    def known(value: Any) -> Any:
        return (
            pc.if_else(pc.is_nan(value), pa.scalar(None, value.type), value)
            if pa.types.is_floating(value.type)
            else value
        )

    return pc.coalesce(*(known(value) for value in alike(pc, values)))


def _concat(pc: Any, *values: Any) -> Any:
    import pyarrow as pa

    return pc.binary_join_element_wise(*(pc.cast(value, pa.string()) for value in values), "")


def _weekday(pc: Any, value: Any) -> Any:
    return pc.day_of_week(_time(pc, value))


def _date(pc: Any, value: Any) -> Any:
    import pyarrow as pa

    return pc.cast(pc.floor_temporal(_time(pc, value), unit="day"), pa.date32())


def _substring(pc: Any, value: Any, start: Any, length: Any) -> Any:
    first = start.as_py() - 1
    return pc.utf8_slice_codeunits(value, start=first, stop=first + length.as_py())


def _replace(pc: Any, value: Any, old: Any, new: Any) -> Any:
    return pc.replace_substring(value, pattern=old.as_py(), replacement=new.as_py())


def _power(pc: Any, base: Any, exponent: Any) -> Any:
    return _finite(pc, pc.power(_real(pc, base), _real(pc, exponent)))


FUNCTIONS: Final[dict[str, Function]] = {
    "abs": Function((NUMBER,), _first, lambda pc, x: pc.abs_checked(_number(pc, x)), "abs(x): without its sign"),
    "round": Function((NUMBER,), _first, _round, "round(x): to a whole number, halves to the even one"),
    "floor": Function((NUMBER,), _first, _whole("floor"), "floor(x): the next whole number below"),
    "ceil": Function((NUMBER,), _first, _whole("ceil"), "ceil(x): the next whole number above"),
    "sqrt": Function((NUMBER,), _always(F), _real_only("sqrt"), "sqrt(x): missing for a negative x"),
    "log": Function((NUMBER,), _always(F), _real_only("ln"), "log(x): natural; missing for x <= 0"),
    "log1p": Function((NUMBER,), _always(F), _real_only("log1p"), "log1p(x): log(1 + x)"),
    "exp": Function((NUMBER,), _always(F), _real_only("exp"), "exp(x): missing where it overflows"),
    "sin": Function((NUMBER,), _always(F), _real_only("sin"), "sin(x): of radians"),
    "cos": Function((NUMBER,), _always(F), _real_only("cos"), "cos(x): of radians"),
    "power": Function((NUMBER, NUMBER), _always(F), _power, "power(x, y): x to the y"),
    "sign": Function((NUMBER,), _first, lambda pc, x: pc.sign(_number(pc, x)), "sign(x): -1, 0 or 1"),
    "least": Function((ANY, ANY), _widest, _extreme("min_element_wise"), "least(a, b, …): the smallest", more=True),
    "greatest": Function(
        (ANY, ANY), _widest, _extreme("max_element_wise"), "greatest(a, b, …): the largest", more=True
    ),
    "if": Function(((B,), ANY, ANY), _branches, _pick, "if(test, a, b): a where the test holds, else b"),
    "coalesce": Function((ANY, ANY), _widest, _coalesce, "coalesce(a, b, …): the first that is not missing", more=True),
    "lower": Function((TEXT,), _always(S), _text("utf8_lower"), "lower(s)"),
    "upper": Function((TEXT,), _always(S), _text("utf8_upper"), "upper(s)"),
    "trim": Function((TEXT,), _always(S), _text("utf8_trim_whitespace"), "trim(s): without blanks at the ends"),
    "length": Function((TEXT,), _always(I), lambda pc, s: _long(pc, pc.utf8_length(s)), "length(s): in characters"),
    "contains": Function((TEXT, TEXT), _always(B), _sought("match_substring"), "contains(s, 'text')", literal=(1,)),
    "starts": Function((TEXT, TEXT), _always(B), _sought("starts_with"), "starts(s, 'text')", literal=(1,)),
    "ends": Function((TEXT, TEXT), _always(B), _sought("ends_with"), "ends(s, 'text')", literal=(1,)),
    "matches": Function(
        (TEXT, TEXT),
        _always(B),
        _sought("match_substring_regex"),
        "matches(s, 'regex'): RE2 syntax, anywhere unless ^ and $ say otherwise",
        literal=(1,),
    ),
    "replace": Function((TEXT, TEXT, TEXT), _always(S), _replace, "replace(s, 'old', 'new')", literal=(1, 2)),
    "substring": Function(
        (TEXT, (I,), (I,)), _always(S), _substring, "substring(s, first, length): counted from 1", literal=(1, 2)
    ),
    "concat": Function((ANY, ANY), _always(S), _concat, "concat(a, b, …): end to end", more=True),
    "year": Function((TIME,), _always(I), _part("year"), "year(t)"),
    "month": Function((TIME,), _always(I), _part("month"), "month(t): 1 to 12"),
    "day": Function((TIME,), _always(I), _part("day"), "day(t): of the month"),
    "hour": Function((TIME,), _always(I), _part("hour"), "hour(t): 0 to 23"),
    "minute": Function((TIME,), _always(I), _part("minute"), "minute(t)"),
    "weekday": Function((TIME,), _always(I), _weekday, "weekday(t): 0 is Monday"),
    "day_of_year": Function((TIME,), _always(I), _part("day_of_year"), "day_of_year(t): from 1"),
    "date": Function((TIME,), _always(D), _date, "date(t): the day that it is in"),
    "seconds_between": Function((TIME, TIME), _always(F), _between(1), "seconds_between(from, to)"),
    "minutes_between": Function((TIME, TIME), _always(F), _between(60), "minutes_between(from, to)"),
    "hours_between": Function((TIME, TIME), _always(F), _between(3600), "hours_between(from, to)"),
    "days_between": Function((TIME, TIME), _always(F), _between(86400), "days_between(from, to)"),
    "add_minutes": Function((TIME, NUMBER), _always(T), _later(60), "add_minutes(t, n)"),
    "add_hours": Function((TIME, NUMBER), _always(T), _later(3600), "add_hours(t, n)"),
    "add_days": Function((TIME, NUMBER), _always(T), _later(86400), "add_days(t, n)"),
    "int": Function(((*NUMBER, S),), _always(I), _cast("int"), "int(x): towards zero; missing where it is no number"),
    "float": Function(((*NUMBER, S),), _always(F), _cast("float"), "float(x): missing where it is no number"),
    "bool": Function(((*NUMBER, S),), _always(B), _cast("bool"), "bool(x): of yes and no, true and false, 1 and 0"),
    "string": Function((ANY,), _always(S), _cast("string"), "string(x): as text"),
}


def _long(pc: Any, value: Any) -> Any:
    import pyarrow as pa

    return pc.cast(value, pa.int64())
