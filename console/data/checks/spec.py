"""The kinds of checks and what each can be told: one frozen record a kind. Light: no data library is imported here.

A share is between 0 and 1. `against` names another version: `name@version`, `name` (its latest) or `previous` (the
version before the one that is checked; where there is none, the check passes and says so). A row's missing value
passes every row-wise kind but `complete` and `key`: that a value is there is a question of its own.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from backends.entities import Record

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Whole = Annotated[int, msgspec.Meta(ge=0)]
Columns = tuple[str, ...]
Bound = Any
"""A number, or for a time column a date, a time or its ISO text. The grammar makes sure."""

PREVIOUS = "previous"
TYPES = Literal["int", "float", "bool", "string", "datetime", "date", "other"]


class Check(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every check can be told."""

    KIND: ClassVar[str] = ""
    NEEDS: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Of each group at least one key must be given."""

    name: str = ""
    """Once in a set; made from the kind and its columns where it is left out."""
    severity: Literal["warn", "fail"] = "fail"
    owner: str = ""
    note: str = ""


# ---------------------------------------------------------------- the columns


class Type(Check, frozen=True, kw_only=True):
    """The column has this type."""

    KIND = "type"
    column: str
    type: TYPES


class Required(Check, frozen=True, kw_only=True):
    """These columns are there."""

    KIND = "required"
    columns: Columns


class Strict(Check, frozen=True, kw_only=True):
    """No other columns than these are there; `ordered` in this order."""

    KIND = "strict"
    columns: Columns
    ordered: bool = False


# ---------------------------------------------------------------- row by row


class Complete(Check, frozen=True, kw_only=True):
    """At most this share of the values is missing (null, or NaN)."""

    KIND = "complete"
    column: str
    missing: Share = 0.0


class Range(Check, frozen=True, kw_only=True):
    """Numbers, dates or times lie within bounds, which belong to it; `tolerance` is the share that may not."""

    KIND = "range"
    NEEDS = (("min", "max"),)
    column: str
    min: Bound = None
    max: Bound = None
    tolerance: Share = 0.0


class Set(Check, frozen=True, kw_only=True):
    """Values are among these."""

    KIND = "set"
    column: str
    values: tuple[str | int | float | bool, ...]
    tolerance: Share = 0.0


class Regex(Check, frozen=True, kw_only=True):
    """Texts match the pattern from beginning to end (RE2 syntax)."""

    KIND = "regex"
    column: str
    pattern: str
    tolerance: Share = 0.0


class Length(Check, frozen=True, kw_only=True):
    """Texts have this many characters."""

    KIND = "length"
    NEEDS = (("min", "max"),)
    column: str
    min: Whole | None = None
    max: Whole | None = None
    tolerance: Share = 0.0


class Expression(Check, frozen=True, kw_only=True):
    """The expression over the row's columns is true; where it cannot be told, because a value is missing, it passes."""

    KIND = "expression"
    expression: str
    tolerance: Share = 0.0


class Monotonic(Check, frozen=True, kw_only=True):
    """From row to row the values never fall (or never rise); `strictly`: nor stay."""

    KIND = "monotonic"
    column: str
    direction: Literal["up", "down"] = "up"
    strictly: bool = False
    tolerance: Share = 0.0


# ---------------------------------------------------------------- statistics


class Mean(Check, frozen=True, kw_only=True):
    """The mean lies in a band."""

    KIND = "mean"
    NEEDS = (("min", "max"),)
    column: str
    min: float | None = None
    max: float | None = None


class Quantile(Check, frozen=True, kw_only=True):
    """A quantile (exact, interpolated linearly) lies in a band."""

    KIND = "quantile"
    NEEDS = (("min", "max"),)
    column: str
    q: Share
    min: float | None = None
    max: float | None = None


class Constant(Check, frozen=True, kw_only=True):
    """The column is not constant: it holds at least this many different values."""

    KIND = "constant"
    column: str
    distinct: Annotated[int, msgspec.Meta(ge=2, le=100_000)] = 2


class Outliers(Check, frozen=True, kw_only=True):
    """At most this share lies further than `factor` interquartile ranges outside the quartiles."""

    KIND = "outliers"
    column: str
    share: Share = 0.01
    factor: Annotated[float, msgspec.Meta(gt=0)] = 3.0


class Correlation(Check, frozen=True, kw_only=True):
    """Pearson's correlation of two columns, over rows that have both, lies in a band."""

    KIND = "correlation"
    NEEDS = (("min", "max"),)
    columns: Annotated[Columns, msgspec.Meta(min_length=2, max_length=2)]
    min: Annotated[float, msgspec.Meta(ge=-1, le=1)] | None = None
    max: Annotated[float, msgspec.Meta(ge=-1, le=1)] | None = None


class Freshness(Check, frozen=True, kw_only=True):
    """The newest value is at most `within` old (`36h`, `7d`), or not before a moment."""

    KIND = "freshness"
    NEEDS = (("within", "not_before"),)
    column: str
    within: str = ""
    not_before: Bound = None


class Rows(Check, frozen=True, kw_only=True):
    """The version has this many rows."""

    KIND = "rows"
    NEEDS = (("min", "max"),)
    min: Whole | None = None
    max: Whole | None = None


class Volume(Check, frozen=True, kw_only=True):
    """Against another version the rows fell by at most the share `drop` and grew by at most `growth`."""

    KIND = "volume"
    against: str = PREVIOUS
    drop: Share = 0.2
    growth: Annotated[float, msgspec.Meta(ge=0)] = 1.0


class NewCategory(Check, frozen=True, kw_only=True):
    """Values that the other version does not have make up at most this share of the rows."""

    KIND = "new_category"
    column: str
    against: str = PREVIOUS
    share: Share = 0.0


class Drift(Check, frozen=True, kw_only=True):
    """The column is spread as in the other version: population stability index, or for numbers the KS distance."""

    KIND = "drift"
    column: str
    against: str = PREVIOUS
    psi: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """0.2 where neither is given."""
    ks: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None


# ---------------------------------------------------------------- keys, and rows among each other


class Unique(Check, frozen=True, kw_only=True):
    """No value comes twice; missing ones do not count. `share` of the values may."""

    KIND = "unique"
    column: str
    share: Share = 0.0


class Key(Check, frozen=True, kw_only=True):
    """The columns together tell rows apart, and none of them is missing."""

    KIND = "key"
    columns: Columns


class Duplicates(Check, frozen=True, kw_only=True):
    """At most this share of the rows repeats an earlier one in these columns (all, where none is named)."""

    KIND = "duplicates"
    columns: Columns = ()
    share: Share = 0.0


class Determines(Check, frozen=True, kw_only=True):
    """What stands in `columns` settles what stands in `column`: the rows that say otherwise are at most this share."""

    KIND = "determines"
    columns: Columns
    column: str
    share: Share = 0.0


class Conflicts(Check, frozen=True, kw_only=True):
    """Rows that agree in all features but not in the label are at most this share."""

    KIND = "conflicts"
    target: str
    columns: Columns = ()
    """The features; all but the target where none is named."""
    share: Share = 0.0


# ---------------------------------------------------------------- leaks


class Leakage(Check, frozen=True, kw_only=True):
    """No single feature tells the label: its score (AUC for classes, R² for numbers) is at most this."""

    KIND = "leakage"
    target: str
    columns: Columns = ()
    """The features; all but the target where none is named."""
    max: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.95


class Overlap(Check, frozen=True, kw_only=True):
    """Rows that stand in the other version too are at most this share: a test set has none of its training rows."""

    KIND = "overlap"
    against: str
    columns: Columns = ()
    """The columns that both have where none is named."""
    share: Share = 0.0


class IdLeakage(Check, frozen=True, kw_only=True):
    """Of the ids in this column at most this share stands in the other version too (a patient, a customer, a tail)."""

    KIND = "id_leakage"
    column: str
    against: str
    share: Share = 0.0


class TimeSplit(Check, frozen=True, kw_only=True):
    """Everything here lies before (or after) everything in the other version, with at least `gap` between."""

    KIND = "time_split"
    column: str
    against: str
    order: Literal["before", "after"] = "before"
    gap: str = "0s"


# ---------------------------------------------------------------- classes and groups


class Balance(Check, frozen=True, kw_only=True):
    """Each class has at least this share of the rows that have one."""

    KIND = "balance"
    column: str
    min: Share = 0.01


class Representation(Check, frozen=True, kw_only=True):
    """Each of the groups (those named, else all that occur) has at least this share of the rows."""

    KIND = "representation"
    column: str
    min: Share = 0.01
    groups: tuple[str, ...] = ()


class LabelRate(Check, frozen=True, kw_only=True):
    """The share of the positive label differs between groups by at most `gap`; or the least is at least `ratio` of the
    greatest (four fifths is 0.8). Groups of fewer rows than `least` are left out."""

    KIND = "label_rate"
    NEEDS = (("gap", "ratio"),)
    target: str
    positive: str | int | bool
    group: str
    gap: Share | None = None
    ratio: Share | None = None
    least: Whole = 30


KINDS: dict[str, type[Check]] = {
    kind.KIND: kind
    for kind in (
        Type, Required, Strict, Complete, Range, Set, Regex, Length, Expression, Monotonic, Mean, Quantile, Constant,
        Outliers, Correlation, Freshness, Rows, Volume, NewCategory, Drift, Unique, Key, Duplicates, Determines,
        Conflicts, Leakage, Overlap, IdLeakage, TimeSplit, Balance, Representation, LabelRate,
    )
}  # fmt: skip


class CheckSet(Record, frozen=True, kw_only=True):
    """What a file of checks says, short forms written out, each check with a name of its own."""

    checks: tuple[Check, ...]


def columns_of(check: Check) -> Columns:
    """The columns that a check names, in order, each once."""
    named: list[str] = []
    for key in ("columns", "column", "target", "group"):
        value = getattr(check, key, ())
        named += [value] if isinstance(value, str) else list(value)
    return tuple(dict.fromkeys(named))


def default_name(check: Check) -> str:
    """`range dep_delay`, `drift carrier against previous`."""
    words = [check.KIND]
    named = columns_of(check)
    if check.KIND not in ("required", "strict") and named:
        words.append(", ".join(named[:4]) + (", …" if len(named) > 4 else ""))
    if isinstance(check, Quantile):
        words.append(f"q{check.q:g}")
    elif isinstance(check, Expression):
        words.append(check.expression[:60])
    against = getattr(check, "against", "")
    return " ".join([*words, *(["against", against] if against else [])])


def described() -> list[str]:
    """A line a kind: its name, the keys it takes, what it asks."""
    lines = []
    for name, kind in KINDS.items():
        keys = [
            field.name if field.required else f"[{field.name}]"
            for field in msgspec.structs.fields(kind)
            if field.name not in ("name", "severity", "owner", "note")
        ]
        sentence = " ".join((kind.__doc__ or "").split())
        lines.append(f"{name:<15} {' '.join(keys)}: {sentence}")
    return lines
