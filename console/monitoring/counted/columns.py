"""From the values of a column to counts: numpy and Arrow, so that only a worker process comes here. Values are those of
a pandas frame or of an Arrow table; pandas is not loaded for Arrow's."""

from __future__ import annotations

import math
import zlib
from array import array
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from console.monitoring.counted.counts import Counts, Layout, most_frequent
from console.monitoring.counted.levels import count_known
from console.monitoring.counted.profile import LEVELS, CategoricalColumn, NumericColumn, Profile

if TYPE_CHECKING:
    import pandas as pd

    Values: TypeAlias = pd.Series[Any] | pa.ChunkedArray

Vector = np.ndarray[Any, Any]

GRID, FINE_GRID = 4096, 8192
"""Cells of the even grid over a column's range; the finer one leaves fewer values in doubt and pays for many rows."""
BLOCK = 1 << 14
"""Rows at once: what they need stays in the processor's own memory."""
FEW = 1 << 15
"""Rows, and no more, that the coarser grid is for."""
PROBED, FEW_LEVELS = 4096, 256
UNSETTLED = 255
"""In place of a cell: the grid does not settle it."""
LARGEST = float(np.finfo(np.float64).max)


def is_numeric(values: Values) -> bool:
    """Whether the column is counted between edges; booleans and everything textual are counted by level."""
    if isinstance(values, pa.ChunkedArray):
        kind = values.type
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_timestamp(kind))
    import pandas as pd

    return bool(
        (pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values))
        or pd.api.types.is_datetime64_any_dtype(values)
    )


def numeric_values(values: Values) -> Vector:
    """As float64 with NaN for missing. Times count by their second of the day: the date itself always moves on."""
    if isinstance(values, pa.ChunkedArray):
        if not pa.types.is_timestamp(values.type):
            return floats_of(values.cast(pa.float64(), safe=False).combine_chunks())
        values = values.to_pandas()
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values):
        clock = values.dt.hour * 3600 + values.dt.minute * 60 + values.dt.second
        return numeric_values(clock)
    found: Vector = values.to_numpy(dtype=np.float64, na_value=np.nan)
    return found


def floats_of(numbers: pa.Array) -> Vector:
    """Arrow's doubles with NaN for missing, shape (n,). Its own `to_numpy` would load pandas."""
    valid, content = numbers.buffers()
    stop = numbers.offset + len(numbers)
    found: Vector = np.frombuffer(content or b"", dtype="<f8")[numbers.offset : stop]
    if numbers.null_count:
        bits = np.unpackbits(np.frombuffer(valid, dtype=np.uint8), count=stop, bitorder="little")
        found = np.where(bits[numbers.offset :], found, np.nan)
    return found


def count_numeric(values: Vector, edges: Sequence[float] | Vector) -> Vector:
    """Rows per cell: between the edges, then below, above, infinite, missing. shape (len(edges) - 1 + 4,).

    An even grid over the range settles nearly every value by one multiplication, because most grid cells lie within one
    cell; the rest (beside an edge, outside, not finite) is sorted and the edges are looked up in it. Exact: the grid
    position never falls as the value rises, so only values in an edge's own grid cell are in doubt.
    """
    bounds = edges if isinstance(edges, tuple) else tuple(float(edge) for edge in edges)
    grid = _grid(bounds, FINE_GRID if len(values) > FEW else GRID) if len(bounds) <= UNSETTLED else None
    if grid is None:
        return _count_sorted(values, bounds)
    scale, shift, cells = grid
    # Two cells read as one number take half the counting.
    settled = np.zeros(len(values) + len(values) % 2, dtype=np.uint8)
    settled[len(values) :] = UNSETTLED
    left = []
    size = min(BLOCK, len(values))
    place, spots, wide = np.empty(size), np.empty(size, dtype=np.int32), np.empty(size, dtype=np.intp)
    # NaN and what is beyond every integer become the least or the largest one, whichever the processor has it: all that
    # is beyond the grid is read as its outermost position, which settles nothing.
    with np.errstate(invalid="ignore", over="ignore"):
        for first in range(0, len(values), BLOCK):
            part = values[first : first + BLOCK]
            if len(part) < size:
                place, spots, wide = place[: len(part)], spots[: len(part)], wide[: len(part)]
            np.multiply(part, scale, out=place)
            np.add(place, shift, out=place)
            np.copyto(spots, place, casting="unsafe")
            np.copyto(wide, spots)
            into = settled[first : first + len(part)]
            cells.take(wide, out=into, mode="clip")
            left.append(part.take(np.flatnonzero(into == UNSETTLED)))
    counts = _count_bytes(settled)[: len(bounds) - 1]
    counts = np.concatenate([counts, np.zeros(4, dtype=np.int64)])
    return counts + _count_sorted(np.concatenate(left), bounds) if left else counts


def _count_bytes(found: Vector) -> Vector:
    """How often each byte is there, shape (256,). found: an even number of bytes."""
    if len(found) < 1 << 16:
        return np.bincount(found, minlength=256)
    pairs = np.zeros(1 << 16, dtype=np.int64)
    for first in range(0, len(found), 1 << 18):
        pairs += np.bincount(found[first : first + (1 << 18)].view(np.uint16), minlength=1 << 16)
    square = pairs.reshape(256, 256)
    counts: Vector = square.sum(axis=0) + square.sum(axis=1)
    return counts


@lru_cache(maxsize=4096)
def _grid(edges: tuple[float, ...], steps: int) -> tuple[float, float, Vector] | None:
    """Scale and shift to a grid position (1 to `steps` within the range), and the cell of each position or `UNSETTLED`.
    None where the range is empty or too wide for a grid."""
    width = edges[-1] - edges[0]
    scale = steps / width if width > 0 else 0.0
    shift = 1.0 - edges[0] * scale
    if not (0 < scale < np.inf and np.isfinite(shift) and np.isfinite(width)):
        return None
    at = np.clip((np.array(edges) * scale + shift).astype(np.int64), 0, steps + 1)
    cells = np.clip(np.searchsorted(at, np.arange(steps + 2), side="right") - 1, 0, len(edges) - 2).astype(np.uint8)
    cells[[0, steps + 1]] = cells[at] = UNSETTLED
    return scale, shift, cells


def _count_sorted(values: Vector, edges: Sequence[float]) -> Vector:
    """The same counts by sorting the values and looking up the few edges in them."""
    return count_in_order(np.sort(values), edges)


def count_in_order(ordered: Vector, edges: Sequence[float] | Vector) -> Vector:
    """`count_numeric` of values that are already in the order of `np.sort`: NaN last."""
    beyond = math.nextafter(edges[-1], math.inf)
    bounds = np.array([-LARGEST, *edges[:-1], beyond, np.inf, np.nan])
    at = ordered.searchsorted(bounds, side="left")
    steps = np.diff(at)
    # at: end of -inf, start of the first cell, …, end of the last cell, end of above, end of +inf.
    below, cells, above, infinite = steps[0], steps[1:-2], steps[-2], at[0] + steps[-1]
    return np.concatenate([cells, [below, above, infinite, len(ordered) - at[-1]]])


def as_text(values: Values) -> pa.Array:
    """The column as Arrow strings with nulls for missing: `True`, `3` and not `3.0`."""
    if isinstance(values, pa.ChunkedArray):
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            return values.combine_chunks()
        values = values.to_pandas()
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        return pa.array(values).dictionary_decode().cast(pa.string())
    if pd.api.types.is_bool_dtype(values) or pd.api.types.is_datetime64_any_dtype(values):
        text = values.astype("object").map(str, na_action="ignore")
        return pa.array(text.where(values.notna(), None), type=pa.string(), from_pandas=True)
    if pd.api.types.is_integer_dtype(values):  # not by a float, which holds no id of 19 digits
        return pa.array([None if value is pd.NA else str(value) for value in values.tolist()], type=pa.string())
    if pd.api.types.is_numeric_dtype(values):
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        plain = [
            None if n != n else (str(int(n)) if np.isfinite(n) and n == int(n) else repr(float(n))) for n in numbers
        ]
        return pa.array(plain, type=pa.string())
    if values.dtype == object:
        return pa.array(
            [None if value is None or value is pd.NA or value != value else str(value) for value in values],
            type=pa.string(),
        )
    found = pa.array(values, from_pandas=True)
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    return found.cast(pa.string()) if not pa.types.is_large_string(found.type) else found


def tally(text: pa.Array) -> dict[str, int]:
    """Count per level, missing left out."""
    text = text.drop_null() if text.null_count else text
    levels = pc.unique(text.slice(0, PROBED)).to_pylist() if len(text) >= 8 * PROBED else ()
    # What the first rows have is nearly all there is, and of few levels each has a place of its own at once.
    known = count_known(text, tuple(levels)) if 0 < len(levels) <= LEVELS else None
    if known is not None:
        found, rest = known
        counts = dict(zip(levels, found.tolist(), strict=True))
        return counts | {level: counts.get(level, 0) + rows for level, rows in _tally(rest).items()}
    return _tally(text)


def _tally(text: pa.Array) -> dict[str, int]:
    counted = pc.value_counts(text)
    return dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))


def count_categorical(text: pa.Array, column: CategoricalColumn) -> tuple[Vector, dict[str, int]]:
    """Rows per cell (levels, other, new, missing), and the new levels with their counts."""
    missing = text.null_count
    text = text.drop_null() if missing else text
    known = count_known(text, column.levels)
    if known is not None:
        found, rest = known
        told, strange = count_tallied(_tally(rest), missing, column)
        told[: len(found)] += found
        return told, strange
    if len(text) >= 2 * PROBED and len(pc.unique(text.slice(0, PROBED))) <= FEW_LEVELS:
        # Counting the texts at once costs less than a code for each row, unless nearly each is another.
        return count_tallied(_tally(text), missing, column)
    size = len(column.levels)
    counts = np.zeros(size + 3, dtype=np.int64)
    counts[size + 2] = missing
    codes = pc.index_in(text, value_set=pa.array(column.levels, type=text.type))
    found = codes.fill_null(size).to_numpy(zero_copy_only=False)
    counts[: size + 1] = np.bincount(found, minlength=size + 1)
    new: dict[str, int] = {}
    if counts[size]:
        new = _new_levels(tally(text.filter(pc.is_null(codes))), column)
        unseen = sum(new.values())
        counts[size] -= unseen
        counts[size + 1] = unseen
    return counts, new


def count_tallied(found: Mapping[str, int], missing: int, column: CategoricalColumn) -> tuple[Vector, dict[str, int]]:
    """`count_categorical` of rows that are already counted by level."""
    counts = np.zeros(len(column.levels) + 3, dtype=np.int64)
    counts[: len(column.levels)] = [found.get(level, 0) for level in column.levels]
    known = set(column.levels)
    new = _new_levels({level: count for level, count in found.items() if level not in known}, column)
    unseen = sum(new.values())
    counts[-3:] = sum(found.values()) - int(counts.sum()) - unseen, unseen, missing
    return counts, new


def _new_levels(strange: Mapping[str, int], column: CategoricalColumn) -> dict[str, int]:
    """Those that the reference never had, of levels without a cell of their own."""
    if column.open:
        return {}
    rare = set(np.frombuffer(column.others, dtype="<u4").tolist())
    return {level: count for level, count in strange.items() if zlib.crc32(level.encode()) not in rare}


def count_features(frame: pd.DataFrame, profile: Profile, layout: Layout) -> Counts:
    """Counts of every profiled column over the rows of a batch, in O(rows). A column that is absent counts as missing
    throughout.

    The score's cells stay empty; `add_scores` fills them.
    """
    cells = np.zeros(layout.size, dtype=np.int64)
    levels: dict[str, dict[str, int]] = {}
    for column in profile.columns:
        start, stop = layout.columns[column.name]
        if column.name not in frame.columns:
            cells[stop - 1] = len(frame)
        elif isinstance(column, NumericColumn):
            cells[start:stop] = count_numeric(numeric_values(frame[column.name]), column.edges)
        else:
            cells[start:stop], new = count_categorical(as_text(frame[column.name]), column)
            if new:
                levels[column.name] = most_frequent(new)
    return Counts(
        layout=layout.code, rows=len(frame), cells=array("q", cells.tobytes()), sums=(0.0,) * 6, new_levels=levels
    )
