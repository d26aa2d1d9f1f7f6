"""Steps on levels: one-hot, ordinal and target encoding. Checked against scikit-learn's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backends.entities import ColumnType
from console.data.inference import column_type
from console.data.transform.learners import Folds, Learner, Levels, TargetSums, ordered, value_set
from console.data.transform.operation import AMOUNTS, LEVELS, Operation, PerColumn, per_column
from console.data.transform.rows import Flow, Rows, Schema
from console.wording import number

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEW = 64
"""Values that are looked up one by one."""
WIDEST = 1_000
"""Columns that a one-hot encoding may make of one."""

_TRUE, _FALSE = pa.array([True]), pa.array([False])


class _Encoding(PerColumn):
    """What the three have in common: levels, and the number of each row's level, -1 where training had none such."""

    kinds = LEVELS
    limit = 0
    _sets: dict[str, Any]
    """The levels as an Arrow array."""
    _numbers: dict[str, dict[Any, int]]
    """The same, each with its place."""

    def needs_fit(self) -> bool:
        return not self.step.levels

    def bind(self, schema: Schema) -> None:
        super().bind(schema)
        if self.step.levels and self.learns_from == set():
            self.load({name: self._fitting(name, self.step.levels) for name in self.every})

    def _fitting(self, name: str, levels: Any) -> list[Any]:
        try:
            value_set(levels, self.types[name])
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            raise self.wrong("levels", f"they do not fit {name!r}, which is {column_type(self.types[name])}.") from None
        return list(levels)

    def learner(self) -> Learner | None:
        return Levels(self.names, self.wrong) if self.state is None and self.names else None

    def learned(self, found: Any) -> None:
        self.load({name: self._kept(name, counts) for name, counts in found.items()})

    def _kept(self, name: str, counts: dict[Any, int]) -> list[Any]:
        counts = {level: count for level, count in counts.items() if count >= self.step.min_count}
        if self.step.max_levels and len(counts) > self.step.max_levels:
            often = sorted(ordered(counts), key=lambda level: -counts[level])[: self.step.max_levels]
            counts = {level: counts[level] for level in often}
        if self.limit and len(counts) > self.limit:
            raise self.wrong(
                "columns",
                f"{name!r} has {len(counts):,} levels, more than {self.limit:,}; "
                'set max_levels, or use do = "target" or "ordinal".',
            )
        return ordered(counts)

    def levels(self, state: dict[str, list[Any]]) -> None:
        self._sets = {name: value_set(levels, self.types[name]) for name, levels in state.items()}
        self._numbers = {name: {level: at for at, level in enumerate(levels)} for name, levels in state.items()}

    def numbered(self, name: str, array: Any) -> NDArray[np.int64]:
        """shape (n,): the number of each value's level, -1 for one that is none."""
        if len(array) <= FEW:  # Arrow would lay a table of all levels each time
            number_of = self._numbers[name].get
            return np.array([number_of(value, -1) for value in array.to_pylist()], np.int64)
        found = pc.index_in(array, self._sets[name])
        if found.null_count:
            found = pc.fill_null(found, -1)
        return np.asarray(found.to_numpy(zero_copy_only=False))

    def refuse(self, name: str, array: Any, codes: NDArray[np.int64], *, but_missing: bool = False) -> None:
        """The error for a level that training did not have."""
        strange = codes < 0
        if but_missing:
            strange = strange & pc.is_valid(array).to_numpy(zero_copy_only=False)
        if strange.any():
            value = array[int(np.argmax(strange))].as_py()
            known = len(self._sets[name])
            raise self.wrong(
                "unknown",
                f"{name!r} holds {value!r}, which is none of the {known} levels of the training part; "
                'unknown = "error" asks for this. Another rule would take it.',
            )


class OneHotEncoding(_Encoding):
    """State: column → levels."""

    opens = True
    limit = WIDEST

    def bind(self, schema: Schema) -> None:
        self._before = set(schema.types)
        self.flags: dict[str, list[str]] = {}
        super().bind(schema)
        self.opens = self.state is None
        if not self.step.suffix:
            self.writes |= set(self.names)

    def load(self, state: Any) -> None:
        self.state = state
        self.levels({name: state[name] for name in self.every})
        self.opens = False
        known = self._before - (set() if self.step.suffix else set(self.every))
        for name in self.every:
            flags = [f"{self.made[name]}_{_word(level)}" for level in state[name]]
            flags += [f"{self.made[name]}_other"] if self.step.unknown == "other" else []
            clash = next((flag for at, flag in enumerate(flags) if flag in known or flag in flags[:at]), "")
            if clash:
                raise self.wrong("columns", f"would make a column {clash!r} of {name!r}, and there is one; rename it.")
            known |= set(flags)
            self.flags[name] = flags[1:] if self.step.drop_first else flags
        self.writes = {flag for flags in self.flags.values() for flag in flags}
        self.writes |= set() if self.step.suffix else set(self.names)

    def out(self, schema: Schema) -> Schema:
        types: dict[str, Any] = {}
        absent = dict(schema.absent)
        for name, kind in schema.types.items():
            if name in self.flags:
                types |= {name: kind} if self.step.suffix else {}
                types |= dict.fromkeys(self.flags[name], pa.bool_())
                absent |= {} if name in self.names else dict.fromkeys(self.flags[name], True)
            else:
                types[name] = kind
        return schema.replaced(types, absent)

    def apply(self, rows: Rows, flow: Flow) -> Rows:  # noqa: ARG002
        columns: dict[str, Any] = {}
        for name, array in rows.columns.items():
            if name not in self.flags:
                columns[name] = array
                continue
            if self.step.suffix:
                columns[name] = array
            codes = self.numbered(name, array)
            if self.step.unknown == "error":
                self.refuse(name, array, codes)
            first = 1 if self.step.drop_first else 0
            known = len(self._sets[name])
            for at, flag in enumerate(self.flags[name], first):
                place = at if at < known else -1
                if rows.count == 1:  # a record at a time: no array to be made
                    columns[flag] = _TRUE if codes[0] == place else _FALSE
                else:
                    columns[flag] = pa.array(codes == place)
        return Rows(columns, rows.count)

    def told(self) -> str:
        return per_column(self.state, lambda each: f"{len(each)} levels")


def _word(level: Any) -> str:
    return "missing" if level is None else str(level).lower() if isinstance(level, bool) else str(level)


class OrdinalEncoding(_Encoding):
    """State: column → levels, whose place is their number."""

    def load(self, state: Any) -> None:
        self.state = state
        self.levels({name: [level for level in state[name] if level is not None] for name in self.names})

    def type_of(self, name: str) -> Any:  # noqa: ARG002
        return pa.int64()

    def one(self, name: str, array: Any) -> Any:
        if len(array) <= FEW:
            found = pa.array([self._numbers[name].get(value) for value in array.to_pylist()], pa.int64())
        else:
            found = pc.cast(pc.index_in(array, self._sets[name], skip_nulls=True), pa.int64())
        if self.step.unknown == "missing" or found.null_count == array.null_count:
            return found
        if self.step.unknown == "error":
            self.refuse(name, array, self.numbered(name, array), but_missing=True)
        strange = pc.and_(pc.is_null(found), pc.is_valid(array))
        return pc.if_else(strange, pa.scalar(-1, pa.int64()), found)

    def told(self) -> str:
        return per_column(self.state, lambda each: f"{len(each)} levels")


class TargetEncoding(_Encoding):
    """State: column → levels, their values, the same per fold, and what stands for a level unseen (overall and per
    fold)."""

    def bind(self, schema: Schema) -> None:
        super().bind(schema)
        step = self.step
        if step.target in self.every:
            raise self.wrong("columns", f"hold the target {step.target!r} itself; except it.")
        if schema.absent.get(step.target, True):  # what is absent is wanted only to learn from
            self.named(schema, [step.target], "target", [*AMOUNTS, ColumnType.STRING])
        if column_type(schema.types[step.target]) is ColumnType.STRING and step.positive is None:
            raise self.wrong("positive", f"{step.target!r} is text; say which value counts as 1: positive = …")
        self.learns_from = {*self.names, step.target}
        self.folds = Folds(step.folds, step.seed)

    def needs_fit(self) -> bool:
        return True

    def start(self) -> None:
        self.folds.start()

    def _goal(self, rows: Rows) -> Any:
        array = rows.columns[self.step.target]
        if self.step.positive is not None:
            return pc.equal(array, pa.scalar(self.step.positive, array.type))
        return array

    def learner(self) -> Learner | None:
        if self.state is not None or not self.names:
            return None
        return TargetSums(self.names, self._goal, self.folds, self.wrong)

    def learned(self, found: Any) -> None:
        shift, sums = found
        state = {}
        for name, (levels, each) in sums.items():
            enough = each[0].sum(axis=0) >= self.step.min_count
            if self.step.levels:
                enough &= np.array([level in self.step.levels for level in levels], bool)
            if self.step.max_levels and enough.sum() > self.step.max_levels:
                often = np.argsort(-np.where(enough, each[0].sum(axis=0), -1), kind="stable")[: self.step.max_levels]
                enough &= np.isin(np.arange(len(levels)), often)
            whole = each.sum(axis=1)
            outer, values = _encoded(whole, shift, self.step.smooth)
            inner = [_encoded(whole - each[:, fold], shift, self.step.smooth) for fold in range(self.step.folds)]
            if self.step.folds == 1:
                inner = [(outer, values)]
            state[name] = {
                "levels": [level for level, keep in zip(levels, enough, strict=True) if keep],
                "values": values[enough].tolist(),
                "otherwise": outer,
                "folds": [fold[enough].tolist() for _, fold in inner],
                "folds_otherwise": [mean for mean, _ in inner],
            }
        self.load(state)

    def load(self, state: Any) -> None:
        self.state = state
        self.levels({name: state[name]["levels"] for name in self.names})
        self._values = {name: np.array([*state[name]["values"], state[name]["otherwise"]]) for name in self.names}
        self._inner = {
            name: np.array(
                [[*fold, mean] for fold, mean in zip(state[name]["folds"], state[name]["folds_otherwise"], strict=True)]
            )
            for name in self.names
        }

    def apply(self, rows: Rows, flow: Flow) -> Rows:
        folds = self.folds.of(rows.count, flow) if flow.training else None
        made = {}
        for name in self.names:
            codes = self.numbered(name, rows.columns[name])
            values = self._values[name][codes] if folds is None else self._inner[name][folds, codes]
            if self.step.unknown == "error":
                self.refuse(name, rows.columns[name], codes)
            strange = codes < 0
            if self.step.unknown == "missing" and strange.any():
                made[self.made[name]] = pa.array(values, mask=strange)
            else:
                made[self.made[name]] = pa.array(values)
        return rows.with_(made)

    def told(self) -> str:
        return per_column(self.state, lambda each: f"{len(each['levels'])} levels, else {number(each['otherwise'])}")


def _encoded(sums: NDArray[np.float64], shift: float, smooth: Any) -> tuple[float, NDArray[np.float64]]:
    """(mean of all, value per level) from rows, sums and squares about `shift`, each of shape (levels,).

    With a number m: (sum + m · mean of all) / (rows + m). `auto`: the empirical Bayes weight of scikit-learn's
    TargetEncoder, v·n / (v·n + s²) with v the variance of the target and s² that within the level.
    """
    rows, sum_, squares = sums
    total = rows.sum()
    if not total:
        return shift, np.full(len(rows), shift)
    mean = sum_.sum() / total
    with np.errstate(invalid="ignore", divide="ignore"):
        own = sum_ / rows
        if smooth == "auto":
            variance = squares.sum() / total - mean**2
            within = np.maximum(squares / rows - own**2, 0.0)
            weight = variance * rows / (variance * rows + within)
            made = np.where(np.isnan(weight), mean, weight * own + (1 - weight) * mean)
        else:
            made = (sum_ + smooth * mean) / (rows + smooth)
            made = np.where(rows + smooth == 0, mean, made)
    made = np.where(rows == 0, mean, made)
    return float(mean + shift), made + shift


KINDS: dict[str, type[Operation]] = {"onehot": OneHotEncoding, "ordinal": OrdinalEncoding, "target": TargetEncoding}
