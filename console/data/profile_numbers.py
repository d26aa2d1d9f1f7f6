"""The profile of a column of numbers or times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

from backends.entities import Column, ColumnType
from console.data.profile import BINS, QUANTILES, TOP, ColumnProfile, Room, Samples, number_text, pieces
from console.data.sketch import DISTINCT_ERROR, Chooser, HyperLogLog, rank_error

COUNTED_RANGE = 1 << 22
"""Whole numbers whose range is within this are counted value by value instead of sorted."""
CHUNK = 1 << 15
"""Values worked on at once: what is made of them stays in the processor's cache."""
LONG_CHUNK = 1 << 20


def profile_numbers(file: Any, column: Column, chosen: list[int], room: Room) -> ColumnProfile:
    """Exact up to `room.exact_values` rows; else see `profile`."""
    import pyarrow as pa

    total = file.metadata.num_rows
    tally = Tally(total, room)
    samples = Samples(chosen)
    missing, scale = 0, 1.0
    for piece in pieces(file, column.name):
        samples.look(piece)
        missing += piece.null_count
        if pa.types.is_temporal(piece.type):
            scale, whole = milliseconds(piece.type)
            piece = piece.cast(whole)
        if piece.null_count:
            piece = piece.drop_null()
        for chunk in piece.chunks:
            values = chunk.to_numpy()
            for at in range(0, len(values), CHUNK):
                tally.add(values[at : at + CHUNK])
    found = tally.finish(column.type, scale)
    return ColumnProfile(
        name=column.name,
        type=column.type,
        missing=missing + tally.nan,
        infinite=tally.infinite,
        samples=samples.texts(),
        **found,
    )


def milliseconds(kind: Any) -> tuple[float, Any]:
    """What one unit of a time's whole number is in milliseconds, and the type of that number."""
    import pyarrow as pa

    if pa.types.is_date32(kind):
        return 86_400_000.0, pa.int32()
    if pa.types.is_date64(kind):
        return 1.0, pa.int64()
    return {"s": 1000.0, "ms": 1.0, "us": 1e-3, "ns": 1e-6}[kind.unit], pa.int64()


class Tally:
    """Values as they come: sums of all, and all of them or a sample to rank."""

    def __init__(self, total: int, room: Room) -> None:
        self.n = 0
        self.nan = 0
        self.infinite = 0
        self._mean = self._squares = self._origin = 0.0
        self._low: Any = None
        self._high: Any = None
        self.exact = total <= room.exact_values
        self._room = room
        self._most = min(total, room.exact_values)
        self._chooser = None if self.exact else Chooser(total, room.exact_values // 2)
        self._sketch = None if self.exact else HyperLogLog()
        self._values: Any = None
        self._kept = 0

    def add(self, values: Any) -> None:
        """`values` is an array without missing ones, shape (n,)."""
        if values.dtype.kind == "f":
            import numpy as np

            sound = np.isfinite(values)
            if not sound.all():
                nan = int(np.isnan(values).sum())
                self.nan += nan
                self.infinite += len(values) - nan - int(sound.sum())
                values = values[sound]
        if not len(values):
            return
        if self._values is None:
            self._values = self._room.array("values", self._most, values.dtype)
        self._sum(values)
        if self._sketch is not None and self._chooser is not None:
            from pandas.util import hash_array

            self._sketch.add(hash_array(values + 0 if values.dtype.kind == "f" else values))  # -0.0 is 0.0
            values = values[self._chooser.places(len(values))]
        values = values[: self._most - self._kept]
        self._values[self._kept : self._kept + len(values)] = values
        self._kept += len(values)

    def _sum(self, values: Any) -> None:
        """Mean and squares joined as by Chan, Golub & LeVeque, The American Statistician 37 (1983); of distances from
        a value in their midst, or nothing would be left of the digits of a narrow spread far from zero."""
        import numpy as np

        low, high = values.min(), values.max()
        if self.n == 0:
            self._low, self._high, self._origin = low, high, float(np.median(values))
        self._low, self._high = min(self._low, low), max(self._high, high)
        count = len(values)
        with np.errstate(over="ignore", invalid="ignore"):
            off = values - self._origin
            mean = float(off.mean())
            off -= mean
            squares = float(np.square(off, out=off).sum())  # not `dot`: its threads spin longer than they work
        apart = mean - self._mean
        both = self.n + count
        self._squares += squares + apart * apart * (self.n * count / both)
        self._mean += apart * (count / both)
        self.n = both

    def finish(self, kind: ColumnType, scale: float) -> dict[str, Any]:
        """The fields of a `ColumnProfile` that the values decide."""
        if not self.n:
            return {"distinct": 0}
        ranked = rank(self._values[: self._kept])
        low, high = _scaled(self._low, scale), _scaled(self._high, scale)
        edges = histogram_edges(low, high)
        share = 1.0 if self.exact else self.n / max(self._kept, 1)
        counts = [round(count * share) for count in ranked.cells([edge / scale for edge in edges])]
        distinct = ranked.distinct if self._sketch is None else max(ranked.distinct, self._sketch.count())
        deviation = math.sqrt(self._squares / (self.n - 1)) * scale if self.n > 1 else math.nan
        return {
            "distinct": distinct,
            "exact": self.exact,
            "minimum": low,
            "maximum": high,
            "mean": _sound((self._origin + self._mean) * scale),
            "std": _sound(deviation),
            "quantiles": {str(q): ranked.quantile(q) * scale for q in QUANTILES},
            "edges": tuple(edges),
            "counts": tuple(counts),
            "top": tuple(
                (number_text(value if scale == 1.0 else value * scale, kind), round(count * share))
                for value, count in ranked.top()
            ),
            "rank_error": 0.0 if self.exact else rank_error(self._kept),
            "distinct_error": 0.0 if self.exact else DISTINCT_ERROR,
        }


def _sound(value: float) -> float | None:
    """None for what numbers near the largest float run over to."""
    return value if math.isfinite(value) else None


def _scaled(value: Any, scale: float) -> float:
    return float(value) if scale == 1.0 else float(value) * scale


def histogram_edges(low: float, high: float) -> list[float]:
    """Edges of equal cells, as `numpy.histogram` has them."""
    import numpy as np

    bins, first, last = (BINS, low, high) if high > low else (1, low - 0.5, high + 0.5)
    edges: list[float] = np.linspace(first, last, bins + 1).tolist()
    return edges


class Ranked(Protocol):
    """Values in order."""

    distinct: int

    def quantile(self, q: float) -> float: ...

    def cells(self, edges: Sequence[float]) -> list[int]:
        """How many lie between neighbouring edges; the last cell holds its upper edge."""
        ...

    def top(self) -> list[tuple[Any, int]]: ...


def rank(values: Any) -> Ranked:
    """Sorts in place where it has to."""
    if values.dtype.kind in "iu" and len(values):
        low, high = int(values.min()), int(values.max())
        if high - low < min(COUNTED_RANGE, max(4 * len(values), 1024)):
            return Counted(values, low, high - low + 1)
    return Sorted(values)


class Sorted:
    """By a sort."""

    def __init__(self, values: Any) -> None:
        import numpy as np

        values.sort()
        self._values = values
        fresh = 1 if len(values) else 0
        for at in range(1, len(values), LONG_CHUNK):
            end = min(at + LONG_CHUNK, len(values))
            fresh += int(np.count_nonzero(values[at:end] != values[at - 1 : end - 1]))
        self.distinct = fresh

    def quantile(self, q: float) -> float:
        return _between(q, len(self._values), lambda at: float(self._values[at]))

    def cells(self, edges: Sequence[float]) -> list[int]:
        import numpy as np

        places = np.searchsorted(self._values, np.asarray(edges, float), "left")
        places[0] = 0
        places[-1] = len(self._values)
        return [int(count) for count in np.diff(places)]

    def top(self) -> list[tuple[Any, int]]:
        """The most frequent; of equals the smallest."""
        import numpy as np

        values = self._values
        if self.distinct == len(values):
            return [(value.item(), 1) for value in values[:TOP]]
        best: list[tuple[int, int]] = []
        begun = 0
        for at in range(1, len(values) + 1, LONG_CHUNK):
            end = min(at + LONG_CHUNK, len(values))
            starts = at + np.flatnonzero(values[at:end] != values[at - 1 : end - 1])
            if end == len(values):
                starts = np.append(starts, end)
            starts = np.concatenate([[begun], starts])  # a run may have begun in the stretch before
            counts = np.diff(starts)
            least = -best[-1][0] if len(best) == TOP else 0
            better = np.flatnonzero(counts > least)
            best += [(-int(counts[at]), int(starts[at])) for at in better[most_frequent(counts[better])]]
            best = sorted(best)[:TOP]
            begun = int(starts[-1])
        return [(values[start].item(), -count) for count, start in best]


class Counted:
    """Whole numbers of a small range, by counting each."""

    def __init__(self, values: Any, low: int, size: int) -> None:
        import numpy as np

        counts = np.zeros(size, np.int64)
        for at in range(0, len(values), LONG_CHUNK):
            part = values[at : at + LONG_CHUNK]
            if part.dtype.itemsize < 8:
                part = part.astype(np.int64)
            # the range is small: in 8 bytes no difference can run over
            counts += np.bincount((part - part.dtype.type(low)).astype(np.int64, copy=False), minlength=size)
        there = np.flatnonzero(counts)
        self._values = [low + int(at) for at in there] if size <= 1024 else there + low
        self._counts = counts[there]
        self._ends = np.cumsum(self._counts)
        self.distinct = len(there)

    def quantile(self, q: float) -> float:
        import numpy as np

        return _between(
            q, int(self._ends[-1]), lambda at: float(self._values[int(np.searchsorted(self._ends, at, "right"))])
        )

    def cells(self, edges: Sequence[float]) -> list[int]:
        import numpy as np

        places = np.searchsorted(np.asarray(self._values, float), np.asarray(edges, float), "left")
        places[0], places[-1] = 0, self.distinct
        ends = np.concatenate([[0], self._ends])
        return [int(count) for count in np.diff(ends[places])]

    def top(self) -> list[tuple[Any, int]]:
        return [(int(self._values[at]), int(self._counts[at])) for at in most_frequent(self._counts)]


def most_frequent(counts: Any, most: int = TOP) -> list[int]:
    """Places of the largest counts, largest first; of equals the first ones."""
    import numpy as np

    if len(counts) <= most:
        return [int(at) for at in np.argsort(-counts, kind="stable")]
    several = np.flatnonzero(counts > 1)
    if most <= len(several) < len(counts):
        return [int(several[at]) for at in most_frequent(counts[several], most)]  # a partition of equals is slow
    least = np.partition(counts, len(counts) - most)[len(counts) - most]
    above = np.flatnonzero(counts > least)
    equal = np.flatnonzero(counts == least)[: most - len(above)]
    places = np.concatenate([above, equal])
    return [int(at) for at in places[np.argsort(-counts[places], kind="stable")]]


def _between(q: float, count: int, value: Any) -> float:
    """Linear interpolation between ranks, as `numpy.quantile` has it."""
    place = q * (count - 1)
    below = math.floor(place)
    first = value(below)
    second = value(min(below + 1, count - 1))
    part = place - below
    return float(first + (second - first) * part if part < 0.5 else second - (second - first) * (1 - part))
