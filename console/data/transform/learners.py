"""What is learned from rows as they stream by: moments, levels, order statistics, means of a target by level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backends.contract import Invalid
from console.data.row_hash import mix
from console.data.transform.rows import Flow, Rows, as_floats, floats
from console.data.transform.spool import Spool

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_LEVELS = 100_000
"""Distinct values of a column that are told apart while fitting."""

Wrong = Callable[[str, str], Invalid]
"""(key, message) → the error with its place."""


class Learner(Protocol):
    training_only: bool
    """It is shown the training part alone."""

    def add(self, rows: Rows, flow: Flow) -> None: ...

    def finish(self) -> Any:
        """What was learned: plain values for a step that keeps it with the definition."""
        ...


class Moments:
    """count, mean, variance (divided by n), least and largest per column. Merged as Chan, Golub & LeVeque 1983."""

    training_only = True

    def __init__(self, columns: Sequence[str], wrong: Wrong) -> None:
        self._wrong = wrong
        self._sums = dict.fromkeys(columns, (0, 0.0, 0.0, np.inf, -np.inf))

    def add(self, rows: Rows, flow: Flow) -> None:  # noqa: ARG002
        for name, (n, mean, spread, low, high) in self._sums.items():
            values = floats(rows.columns[name])
            if not len(values):
                continue
            more = len(values)
            if not np.isfinite(values).all():
                raise self._wrong("columns", f"{name!r} holds infinite values, from which nothing can be learned; "
                                  "clip or filter them in a step before this one.")  # fmt: skip
            its_mean = float(values.mean())
            its_spread = float(np.square(values - its_mean).sum())
            apart = its_mean - mean
            total = n + more
            self._sums[name] = (
                total,
                mean + apart * more / total,
                spread + its_spread + apart * apart * n * more / total,
                min(low, float(values.min())),
                max(high, float(values.max())),
            )

    def finish(self) -> dict[str, dict[str, float]]:
        for name, (n, *_) in self._sums.items():
            if not n:
                raise self._wrong("columns", nothing_in(name))
        return {
            name: {"count": n, "mean": mean, "variance": spread / n, "least": low, "largest": high}
            for name, (n, mean, spread, low, high) in self._sums.items()
        }


class Quantiles:
    """Exact quantiles per column, from the values on disk."""

    training_only = True

    def __init__(self, columns: Sequence[str], shares: Sequence[float], folder: Path, wrong: Wrong) -> None:
        self._shares, self._wrong = shares, wrong
        self._spools = {name: Spool(folder / f"values-{id(self)}-{at}") for at, name in enumerate(columns)}

    def add(self, rows: Rows, flow: Flow) -> None:  # noqa: ARG002
        for name, spool in self._spools.items():
            spool.add(floats(rows.columns[name]))

    def finish(self) -> dict[str, list[float]]:
        made = {}
        for name, spool in self._spools.items():
            if not spool.count:
                raise self._wrong("columns", nothing_in(name))
            made[name] = spool.quantiles(self._shares)
            spool.path.unlink()
        return made


class Levels:
    """How often each value of a column occurs; a missing one is None."""

    training_only = True

    def __init__(self, columns: Sequence[str], wrong: Wrong) -> None:
        self._wrong = wrong
        self._counts: dict[str, dict[Any, int]] = {name: {} for name in columns}

    def add(self, rows: Rows, flow: Flow) -> None:  # noqa: ARG002
        for name, known in self._counts.items():
            found = pc.value_counts(rows.columns[name])
            values, counts = found.field("values").to_pylist(), found.field("counts").to_pylist()
            for value, count in zip(values, counts, strict=True):
                known[value] = known.get(value, 0) + count
            if len(known) > MOST_LEVELS:
                raise self._wrong(
                    "columns",
                    f"{name!r} has more than {MOST_LEVELS:,} distinct values; it names rows rather than groups of "
                    "them. Leave it out, or make fewer of it in a step before this one.",
                )

    def finish(self) -> dict[str, dict[Any, int]]:
        return self._counts


def ordered(counts: dict[Any, int]) -> list[Any]:
    """The levels in ascending order, a missing one last."""
    return [*sorted(value for value in counts if value is not None), *([None] if None in counts else [])]


class TargetSums:
    """Per fold and level of a column: rows, and sum and squares of the target about a first guess of its mean."""

    training_only = True

    def __init__(self, columns: Sequence[str], target: Callable[[Rows], Any], folds: Folds, wrong: Wrong) -> None:
        self._columns, self._target, self._folds, self._wrong = columns, target, folds, wrong
        self._codes: dict[str, dict[Any, int]] = {name: {} for name in columns}
        self._sums: dict[str, NDArray[np.float64]] = {name: np.zeros((3, folds.count, 64)) for name in columns}
        self._shift: float | None = None

    def add(self, rows: Rows, flow: Flow) -> None:
        folds = self._folds.of(rows.count, flow)
        target = as_floats(self._target(rows))
        there = pc.is_valid(target).to_numpy(zero_copy_only=False)
        values = target.to_numpy(zero_copy_only=False)[there]
        if not len(values):
            return
        if not np.isfinite(values).all():
            raise self._wrong("target", "it holds infinite values; clip or filter them in a step before this one.")
        self._shift = float(values.mean()) if self._shift is None else self._shift
        off, folds = values - self._shift, folds[there]
        for name in self._columns:
            codes = self._coded(name, rows.columns[name])[there]
            sums, size = self._sums[name], self._sums[name].shape[2]
            cells = folds * size + codes
            for at, weights in enumerate((None, off, off * off)):
                sums[at] += np.bincount(cells, weights, self._folds.count * size).reshape(self._folds.count, size)

    def _coded(self, name: str, array: Any) -> NDArray[np.int64]:
        known = self._codes[name]
        coded = array.dictionary_encode(null_encoding="encode")
        places = np.array([known.setdefault(value, len(known)) for value in coded.dictionary.to_pylist()], np.int64)
        if len(known) > MOST_LEVELS:
            raise self._wrong("columns", f"{name!r} has more than {MOST_LEVELS:,} distinct values.")
        while self._sums[name].shape[2] < len(known):
            self._sums[name] = np.concatenate([self._sums[name], np.zeros_like(self._sums[name])], axis=2)
        return places[coded.indices.to_numpy(zero_copy_only=False)] if len(places) else np.zeros(0, np.int64)

    def finish(self) -> tuple[float, dict[str, tuple[list[Any], NDArray[np.float64]]]]:
        """The guess, and per column its levels in order with sums of shape (3, folds, levels)."""
        if self._shift is None:
            raise self._wrong("target", "it has no value in any row of the training part.")
        made = {}
        for name, known in self._codes.items():
            levels = ordered(dict.fromkeys(known, 0))
            made[name] = (levels, self._sums[name][:, :, [known[level] for level in levels]])
        return self._shift, made


class Folds:
    """Which fold each row of a part is in: by its number among them, through a hash, so that any order is as good."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self._seed = count, seed
        self._seen: dict[str, int] = {}

    def start(self) -> None:
        """The rows come from the first again."""
        self._seen = {}

    def of(self, rows: int, flow: Flow) -> NDArray[np.int64]:
        first = self._seen.get(flow.part, 0)
        self._seen[flow.part] = first + rows
        return places_hash(first, rows, self._seed, self.count)


def places_hash(first: int, rows: int, seed: int, count: int) -> NDArray[np.int64]:
    """shape (rows,): 0 to count - 1, for the rows from number `first` on."""
    numbers = np.arange(first, first + rows, dtype=np.uint64)
    return (mix(mix(numbers) ^ mix(np.array([seed], np.uint64))) % np.uint64(count)).astype(np.int64)


def nothing_in(name: str) -> str:
    return f"{name!r} has no value in any row that is learned from; drop it, or fill it with a constant."


def most_frequent(counts: dict[Any, int]) -> Any:
    """The smallest of the most frequent values that are there, or None."""
    present = {value: count for value, count in counts.items() if value is not None}
    most = max(present.values(), default=0)
    return min((value for value, count in present.items() if count == most), default=None)


def value_set(levels: Sequence[Any], kind: Any) -> Any:
    return pa.array(list(levels), kind)
