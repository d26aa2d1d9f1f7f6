"""The `[sweep]` table of a recipe: what is searched, how, and how long. Light: optuna is imported where it samples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from backends.contract import Invalid
from backends.entities import Column, ColumnType, Record
from console.data.expression import parse_expression

MOST_POINTS: Final = 1_000
Value = str | int | float | bool


class Dimension(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One parameter: a range, or choices."""

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    """Sampled evenly in the logarithm."""
    step: int | float | None = None
    type: Literal["", "int", "float"] = ""
    """By default int where `low`, `high` and `step` are whole numbers."""
    points: int = 5
    """How many values of a float's range a grid takes."""
    choices: tuple[Value, ...] = ()
    when: str = ""
    """A condition over the parameters before it, such as `solver = 'saga'`: else the recipe's own value stays."""

    @property
    def whole(self) -> bool:
        if self.type:
            return self.type == "int"
        return all(isinstance(value, int) for value in (self.low, self.high, 1 if self.step is None else self.step))


class SweepPlan(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a space is searched. It ends by `trials`, `max_minutes`, or when `patience` trials brought nothing better."""

    space: dict[str, Dimension] = msgspec.field(default_factory=dict)
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    pruner: Literal["none", "median", "hyperband"] = "none"
    trials: int = 20
    parallel: int = 0
    """Trials at once. 0: one on this machine, on a cluster what `at_once` says."""
    seed: int = 0
    patience: int = 0
    max_minutes: float = 0.0
    metric: str = ""
    """Of a command: the metric it logs by which trials are judged; an estimator's recipe says `metrics.primary`."""
    direction: Literal["", "maximize", "minimize"] = ""


def wrong_plan(plan: SweepPlan) -> tuple[str, str] | None:
    """(key within the table, what is wrong), or None."""
    if not plan.space:
        return (
            "space",
            "is empty; name at least one parameter, such as [sweep.space.max_depth] with low = 2, high = 10.",
        )
    for key, low, high in (("trials", 1, 100_000), ("parallel", 0, 1_000), ("patience", 0, 100_000)):
        if not low <= getattr(plan, key) <= high:
            return key, f"is {getattr(plan, key)}, wanted {low} to {high}."
    if plan.max_minutes < 0:
        return "max_minutes", f"is {plan.max_minutes}, wanted 0 (no limit) or more."
    known: list[Column] = []
    for name, each in plan.space.items():
        trouble = _wrong_dimension(each)
        if trouble:
            return f"space.{name}", trouble
        if each.when:
            try:
                parse_expression(each.when, known, wanted=ColumnType.BOOL)
            except Invalid as error:
                return f"space.{name}.when", f"{error}; it may read the parameters before it."
        known.append(Column(name=name, type=_type_of(each)))
    # Where the first parameter has no condition it is always searched; else it takes pyarrow to know.
    if next(iter(plan.space.values())).when and not any(grid_of(plan)):
        return "space", "leaves nothing to try: no condition (when) in it ever holds."
    return None


def _wrong_dimension(each: Dimension) -> str:
    if each.choices:
        if each.low is not None or each.high is not None:
            return "give choices, or low and high, not both."
        return "" if len(set(map(repr, each.choices))) == len(each.choices) else "has a choice twice."
    if each.low is None or each.high is None:
        return "wanted choices, or low and high."
    if not (math.isfinite(each.low) and math.isfinite(each.high)) or each.low > each.high:
        return f"goes from {each.low} to {each.high}; wanted low at most high."
    if each.log and each.low <= 0:
        return f"log needs a low above 0, and it is {each.low}."
    if each.step is not None and (each.step <= 0 or each.log):
        return "log takes no step." if each.log else f"step is {each.step}, wanted more than 0."
    if each.whole and any(isinstance(value, float) and value != int(value) for value in (each.low, each.high)):
        return f"is int, and goes from {each.low} to {each.high}."
    return f"points is {each.points}, wanted 1 to {MOST_POINTS}." if not 1 <= each.points <= MOST_POINTS else ""


def _type_of(each: Dimension) -> ColumnType:
    if not each.choices:
        return ColumnType.INT if each.whole else ColumnType.FLOAT
    kinds = {type(value) for value in each.choices}
    if kinds == {bool}:
        return ColumnType.BOOL
    if kinds == {int}:
        return ColumnType.INT
    return ColumnType.FLOAT if kinds <= {int, float} else ColumnType.STRING


def applies(plan: SweepPlan, name: str, params: Mapping[str, Value]) -> bool:
    """Whether a parameter is searched, given those before it."""
    each = plan.space[name]
    if not each.when:
        return True
    import pyarrow as pa  # 0.1 s: only for spaces with conditions

    before = list(plan.space)[: list(plan.space).index(name)]
    columns = [Column(name=other, type=_type_of(plan.space[other])) for other in before]
    types = {ColumnType.INT: pa.int64(), ColumnType.FLOAT: pa.float64(), ColumnType.BOOL: pa.bool_()}
    arrays = [
        pa.array([params.get(c.name) if c.type in types or c.name not in params else str(params[c.name])],
                 types.get(c.type, pa.string()))
        for c in columns
    ]  # fmt: skip
    # A batch without columns would have no row to ask about.
    batch = pa.RecordBatch.from_arrays([pa.array([0]), *arrays], ["", *(c.name for c in columns)])
    return parse_expression(each.when, columns).evaluate(batch)[0].as_py() is True


def points_of(each: Dimension) -> list[Value]:
    """The values that a grid takes of it."""
    if each.choices:
        return list(each.choices)
    low, high = float(each.low or 0), float(each.high or 0)
    if each.whole:
        step = int(each.step or max(1, math.ceil((high - low + 1) / MOST_POINTS)))
        if each.log or (each.step is None and high - low + 1 > each.points):
            spread = _spread(low, high, each.points, log=each.log)
            return list(dict.fromkeys(round(value) for value in spread))
        return list(range(int(low), int(high) + 1, step))
    if each.step is not None:
        count = min(int((high - low) / each.step + 1e-9) + 1, MOST_POINTS)
        return [low + at * each.step for at in range(count)]
    return list(_spread(low, high, each.points, log=each.log))


def _spread(low: float, high: float, count: int, *, log: bool) -> list[float]:
    if count == 1 or low == high:
        return [low]
    a, b = (math.log(low), math.log(high)) if log else (low, high)
    values = [a + (b - a) * at / (count - 1) for at in range(count)]
    return [low, *(math.exp(value) if log else value for value in values[1:-1]), high]


def grid_of(plan: SweepPlan) -> Any:
    """Every combination, in order; parameters whose condition does not hold are left out."""

    def rest(names: list[str], chosen: dict[str, Value]) -> Any:
        if not names:
            yield dict(chosen)
            return
        name, *others = names
        if not applies(plan, name, chosen):
            yield from rest(others, chosen)
            return
        for value in points_of(plan.space[name]):
            yield from rest(others, chosen | {name: value})

    return rest(list(plan.space), {})
