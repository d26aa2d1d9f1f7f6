"""Steps on numbers: impute, standardise, normalise, clip, bucket. Checked against scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backends.entities import ColumnType
from console.data.inference import column_type
from console.data.transform.learners import Learner, Levels, Moments, Quantiles, most_frequent, nothing_in
from console.data.transform.operation import ANYTHING, NUMBERS, Operation, PerColumn, per_column
from console.data.transform.rows import Flow, Rows, Schema, as_floats
from console.wording import number


class Imputing(PerColumn):
    """State: column → the value that is filled in."""

    def bind(self, schema: Schema) -> None:
        mean = self.step.with_ in ("mean", "median")
        self.kinds = NUMBERS if mean else ANYTHING - {ColumnType.OTHER, ColumnType.DATETIME, ColumnType.DATE}
        super().bind(schema)
        self.flags = {name: f"{name}_missing" for name in self.every} if self.step.indicator else {}
        self.fresh(schema, self.flags.values(), "indicator")
        self.writes |= set(self.flags.values())
        if self.step.with_ == "constant":
            self.load(dict.fromkeys(self.every, self.step.value))

    def needs_fit(self) -> bool:
        return bool(self.step.with_ != "constant")

    def learner(self) -> Learner | None:
        if self.state is not None or not self.names:
            return None
        if self.step.with_ == "mean":
            return Moments(self.names, self.wrong)
        if self.step.with_ == "median":
            return Quantiles(self.names, [0.5], self.context.folder, self.wrong)
        return Levels(self.names, self.wrong)

    def learned(self, found: Any) -> None:
        if self.step.with_ == "mean":
            self.load({name: each["mean"] for name, each in found.items()})
        elif self.step.with_ == "median":
            self.load({name: each[0] for name, each in found.items()})
        else:
            fills = {name: most_frequent(counts) for name, counts in found.items()}
            for name, fill in fills.items():
                if fill is None:
                    raise self.wrong("columns", nothing_in(name))
            self.load(fills)

    def load(self, state: Any) -> None:
        self.state = state
        self._fills = {}
        for name in self.names:
            try:
                self._fills[name] = pa.scalar(state[name], self.type_of(name))
            except (pa.ArrowInvalid, pa.ArrowTypeError):
                kind = column_type(self.types[name])
                raise self.wrong("value", f"{state[name]!r} does not fit {name!r}, which is {kind}.") from None

    def type_of(self, name: str) -> Any:
        return pa.float64() if self.step.with_ in ("mean", "median") else self.types[name]

    def out(self, schema: Schema) -> Schema:
        lost = [flag for name, flag in self.flags.items() if name not in self.names]
        return super().out(schema).with_(dict.fromkeys(self.flags.values(), pa.bool_()), absent=lost)

    def apply(self, rows: Rows, flow: Flow) -> Rows:
        flags = {flag: pc.is_null(rows.columns[name]) for name, flag in self.flags.items() if name in self.names}
        return super().apply(rows, flow).with_(flags)

    def one(self, name: str, array: Any) -> Any:
        wanted = self._fills[name].type
        array = array if array.type == wanted else as_floats(array)
        return pc.fill_null(array, self._fills[name]) if array.null_count else array

    def told(self) -> str:
        return per_column(self.state, _shown)


class Standardising(PerColumn):
    """State: column → [mean, standard deviation], 1 for a column of one value."""

    def learner(self) -> Learner | None:
        return Moments(self.names, self.wrong) if self.state is None and self.names else None

    def learned(self, found: Any) -> None:
        self.load({name: [each["mean"], _scale(each)] for name, each in found.items()})

    def load(self, state: Any) -> None:
        self.state = state
        self._at = {name: (pa.scalar(float(state[name][0])), pa.scalar(float(state[name][1]))) for name in self.names}

    def one(self, name: str, array: Any) -> Any:
        mean, scale = self._at[name]
        return pc.divide(pc.subtract(as_floats(array), mean), scale)

    def told(self) -> str:
        return per_column(self.state, lambda each: f"{number(each[0])} ± {number(each[1])}")


def _scale(found: dict[str, float]) -> float:
    """The standard deviation; 1 where it is 0 but for rounding (scikit-learn's rule)."""
    eps, n, mean, variance = np.finfo(np.float64).eps, found["count"], found["mean"], found["variance"]
    return 1.0 if variance <= n * eps * variance + (n * mean * eps) ** 2 else float(np.sqrt(variance))


class Normalising(PerColumn):
    """State: column → [least, largest]."""

    def learner(self) -> Learner | None:
        return Moments(self.names, self.wrong) if self.state is None and self.names else None

    def learned(self, found: Any) -> None:
        self.load({name: [each["least"], each["largest"]] for name, each in found.items()})

    def load(self, state: Any) -> None:
        self.state = state
        low, high = self.step.range
        self._ends = pa.scalar(float(low)), pa.scalar(float(high))
        self._at = {}
        for name in self.names:
            least, largest = state[name]
            self._at[name] = pa.scalar(float(least)), pa.scalar((high - low) / ((largest - least) or 1.0))

    def one(self, name: str, array: Any) -> Any:
        least, scale = self._at[name]
        low, high = self._ends
        made = pc.add(pc.multiply(pc.subtract(as_floats(array), least), scale), low)
        if self.step.outside == "clip":
            made = pc.max_element_wise(pc.min_element_wise(made, high, skip_nulls=False), low, skip_nulls=False)
        return made

    def told(self) -> str:
        return per_column(self.state, lambda each: f"{number(each[0])} to {number(each[1])}")


class Clipping(PerColumn):
    """State: column → [low, high], None where there is no bound."""

    kinds = NUMBERS

    def bind(self, schema: Schema) -> None:
        super().bind(schema)
        if not self.needs_fit():
            self.load({name: [self.step.low, self.step.high] for name in self.every})

    def needs_fit(self) -> bool:
        return self.step.quantiles is not None

    def learner(self) -> Learner | None:
        if self.state is not None or not self.names:
            return None
        return Quantiles(self.names, self.step.quantiles, self.context.folder, self.wrong)

    def type_of(self, name: str) -> Any:
        whole = not self.needs_fit() and all(isinstance(end, int | None) for end in (self.step.low, self.step.high))
        return self.types[name] if whole else pa.float64()

    def load(self, state: Any) -> None:
        self.state = state
        self._at = {
            name: tuple(None if end is None else pa.scalar(end, self.type_of(name)) for end in state[name])
            for name in self.names
        }

    def one(self, name: str, array: Any) -> Any:
        low, high = self._at[name]
        array = array if array.type == self.type_of(name) else as_floats(array)
        if low is not None:
            array = pc.max_element_wise(array, low, skip_nulls=False)
        return array if high is None else pc.min_element_wise(array, high, skip_nulls=False)

    def told(self) -> str:
        return (
            per_column(self.state, lambda each: f"{_shown(each[0])} to {_shown(each[1])}") if self.needs_fit() else ""
        )


class Bucketing(PerColumn):
    """State: column → edges."""

    def bind(self, schema: Schema) -> None:
        super().bind(schema)
        if not self.needs_fit():
            self.load({name: list(self.step.edges) for name in self.every})

    def needs_fit(self) -> bool:
        return bool(self.step.bins)

    def learner(self) -> Learner | None:
        if self.state is not None or not self.names:
            return None
        if self.step.by == "width":
            return Moments(self.names, self.wrong)
        shares = [float(share) for share in np.linspace(0, 1, self.step.bins + 1)]
        return Quantiles(self.names, shares, self.context.folder, self.wrong)

    def learned(self, found: Any) -> None:
        edges = {}
        for name, each in found.items():
            if self.step.by == "width":
                edges[name] = np.linspace(each["least"], each["largest"], self.step.bins + 1)
            else:
                laid = np.asarray(each)
                edges[name] = laid[np.ediff1d(laid, to_begin=np.inf) > 1e-8]  # scikit-learn's least width
            if len(edges[name]) < 2 or edges[name][0] == edges[name][-1]:
                raise self.wrong("columns", f"{name!r} has one value only in the training part; nothing to divide.")
        self.load({name: [float(edge) for edge in each] for name, each in edges.items()})

    def load(self, state: Any) -> None:
        self.state = state
        self._at = {name: np.asarray(state[name], np.float64) for name in self.names}
        for name in self.names:
            if self.step.labels and len(self.step.labels) != len(state[name]) - 1:
                raise self.wrong(
                    "labels",
                    f"{len(self.step.labels)} labels, and {name!r} has {len(state[name]) - 1} intervals "
                    "(those of no width were left out).",
                )
        self._labels = pa.array(self.step.labels) if self.step.labels else None

    def type_of(self, name: str) -> Any:  # noqa: ARG002
        return pa.string() if self.step.labels else pa.int64()

    def one(self, name: str, array: Any) -> Any:
        edges = self._at[name]
        values = as_floats(array).to_numpy(zero_copy_only=False)
        missing = np.isnan(values)
        codes = np.searchsorted(edges[1:-1], values, side="right").astype(np.int64)
        if self.step.outside != "clamp":
            beyond = (values < edges[0]) | (values > edges[-1])
            if self.step.outside == "error" and beyond.any():
                raise self.wrong(
                    "outside",
                    f"{name!r} holds {values[beyond][0]:g}, beyond {edges[0]:g} to {edges[-1]:g}; "
                    'outside = "clamp" or "missing" would take it.',
                )
            missing |= beyond
        made = pa.array(codes, mask=missing) if missing.any() else pa.array(codes)
        return made if self._labels is None else self._labels.take(made)

    def told(self) -> str:
        if not self.needs_fit():
            return ""
        return per_column(self.state, lambda each: "|".join(number(edge) for edge in each[:8]), 3)


def _shown(value: Any) -> str:
    if isinstance(value, bool | str) or value is None:
        return "–" if value is None else str(value)
    return number(value)


KINDS: dict[str, type[Operation]] = {
    "impute": Imputing,
    "standardise": Standardising,
    "normalise": Normalising,
    "clip": Clipping,
    "bucket": Bucketing,
}
