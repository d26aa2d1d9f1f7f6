"""The counts of a window: how many rows fell into each cell of a profile. They add up; rows are not kept.

Plain Python on purpose: the screen unpacks windows with the standard library alone. What fills the cells is `counting`.
"""

from __future__ import annotations

import json
import operator
import struct
import zlib
from array import array
from collections.abc import Iterable, Sequence

import msgspec

from console.monitoring.counted.profile import MOST_CLASSES, SCORE_CELLS, Profile
from console.monitoring.quality.bias import Groups, add_groups
from console.monitoring.quality.ranking import TOP, add_ranked

MAGIC = b"MC1"
HEADER = struct.Struct("<IIIII")
"""Layout, rows, cells, sums, bytes of JSON."""
MIXED = 0
NAMED_LEVELS = 20
"""New levels are named up to this many a column, most frequent first."""

CLASSIFICATION_SUMS = ("labelled", "correct", "log_loss", "log_loss2", "brier", "brier2")
REGRESSION_SUMS = (
    *("labelled", "absolute", "squared", "squared2", "target", "target2"),
    *("error", "percent", "percent2", "nonzero"),
)
"""`error` is signed; `percent` is |error| / |target| over the `nonzero` targets. Windows of before have the first
six."""


class Layout(msgspec.Struct, frozen=True):
    """Where each column's cells stand in the flat array of counts."""

    code: int
    """Checksum of the cells' definition: counts of different layouts must never be added."""
    columns: dict[str, tuple[int, int]]
    """name → (start, stop)"""
    score: tuple[int, int]
    size: int
    label: tuple[int, int] = (0, 0)
    """Cells of the labels as a column; empty in profiles without."""
    confusion: tuple[int, int] = (0, 0)
    """Predicted class × (true classes, unlabelled), row by row; empty for a regression and for many classes."""

    @property
    def answers(self) -> tuple[int, int]:
        """All that scores and labels fill: score cells, label cells, confusion."""
        return self.score[0], self.size


class Counts(msgspec.Struct):
    """Rows per cell (`cells`, laid out by the profile), sums of the errors, and the names of new levels."""

    layout: int
    rows: int
    cells: array[int]
    sums: tuple[float, ...]
    new_levels: dict[str, dict[str, int]] = {}
    groups: Groups = {}
    """Rows by protected column and group; empty where the monitor compares none."""
    ranked: tuple[float, ...] = ()
    """Sums over queries as `quality.ranking.SUMS`; empty where nothing is ranked."""
    top: int = TOP
    """Ranks that those look at; `MIXED` where windows of several were put together, which have no order in common."""

    def column(self, layout: Layout, name: str) -> tuple[int, ...]:
        start, stop = layout.columns[name]
        return tuple(self.cells[start:stop])

    def score(self, layout: Layout) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Score cells of label 0, label 1 and unlabelled rows, each of shape (SCORE_CELLS,)."""
        start, _ = layout.score
        first, second, third = (
            tuple(self.cells[start + i * SCORE_CELLS : start + (i + 1) * SCORE_CELLS]) for i in range(3)
        )
        return first, second, third

    def label(self, layout: Layout) -> tuple[int, ...]:
        """Label cells, as a column's; empty where the profile has none."""
        start, stop = layout.label
        return tuple(self.cells[start:stop])

    def confusion(self, layout: Layout, classes: int) -> tuple[tuple[int, ...], ...]:
        """Rows by predicted class (first axis) and true class, unlabelled last; () where it is not counted."""
        start, stop = layout.confusion
        wide = classes + 1
        return tuple(tuple(self.cells[at : at + wide]) for at in range(start, stop, wide))


def layout_of(profile: Profile) -> Layout:
    """How counts under this profile are laid out."""
    columns: dict[str, tuple[int, int]] = {}
    at = 0
    definition: list[object] = [profile.task, profile.score.low, profile.score.high]
    for column in profile.columns:
        columns[column.name] = (at, at + len(column.counts))
        at += len(column.counts)
        definition.append([column.name, column.edges if hasattr(column, "edges") else column.levels])
    score = (at, at + 3 * SCORE_CELLS)
    label = confusion = (score[1], score[1])
    if profile.label is not None:
        label = (score[1], score[1] + len(profile.label.counts))
        classes = len(profile.classes) if 2 <= len(profile.classes) <= MOST_CLASSES else 0
        confusion = (label[1], label[1] + classes * (classes + 1))
        definition += [profile.label.edges if hasattr(profile.label, "edges") else profile.label.levels, classes]
    return Layout(
        code=zlib.crc32(msgspec.json.encode(definition)),
        columns=columns,
        score=score,
        size=confusion[1],
        label=label,
        confusion=confusion,
    )


def empty(layout: Layout) -> Counts:
    """Counts of no rows."""
    return Counts(
        layout=layout.code, rows=0, cells=array("q", bytes(8 * layout.size)), sums=(0.0,) * len(CLASSIFICATION_SUMS)
    )


def add(first: Counts, second: Counts) -> Counts:
    """The counts of both together. Raises ValueError when they were counted in different cells."""
    if first.layout != second.layout:
        raise ValueError("these counts were made against different reference profiles and cannot be added")
    levels = {name: dict(found) for name, found in first.new_levels.items()}
    for name, found in second.new_levels.items():
        into = levels.setdefault(name, {})
        for level, count in found.items():
            into[level] = into.get(level, 0) + count
    top = _same_top(first, second)
    return Counts(
        layout=first.layout,
        rows=first.rows + second.rows,
        cells=array("q", map(operator.add, first.cells, second.cells)),
        sums=add_sums(first.sums, second.sums),
        new_levels={name: most_frequent(found) for name, found in levels.items()},
        groups=add_groups(first.groups, second.groups),
        ranked=add_ranked(first.ranked, second.ranked) if top != MIXED else (),
        top=top,
    )


def _same_top(first: Counts, second: Counts) -> int:
    """The ranks that both look at; of one that ranks nothing, those of the other."""
    if first.top == second.top or not (second.ranked or second.top == MIXED):
        return first.top
    return second.top if not first.ranked and first.top != MIXED else MIXED


def add_sums(first: Sequence[float], second: Sequence[float]) -> tuple[float, ...]:
    """Sums of errors of both together: those that both have, or the other's where one is of no labels at all."""
    if not any(first):
        return tuple(second) if any(second) or len(second) > len(first) else tuple(first)
    return tuple(map(operator.add, first, second)) if any(second) else tuple(first)


def merge(parts: Iterable[Counts]) -> Counts | None:
    """The counts of all parts together, or None of none."""
    total: Counts | None = None
    for part in parts:
        total = part if total is None else add(total, part)
    return total


def most_frequent(levels: dict[str, int]) -> dict[str, int]:
    return dict(sorted(levels.items(), key=lambda item: (-item[1], item[0]))[:NAMED_LEVELS])


def pack(counts: Counts) -> bytes:
    """As bytes: zlib over a header, the cells in byte planes (most are small, so most planes are zero), sums and
    names; behind them groups and ranking, which a console that knows none does not read."""
    names = json.dumps(counts.new_levels, separators=(",", ":")).encode() if counts.new_levels else b""
    wide = 8 if max(counts.cells, default=0) >= 1 << 32 else 4
    raw = _little_endian(counts.cells, wide)
    planes = b"".join(raw[plane::wide] for plane in range(wide))
    header = HEADER.pack(counts.layout, min(counts.rows, 0xFFFFFFFF), len(counts.cells), len(counts.sums), len(names))
    sums = struct.pack(f"<{len(counts.sums)}d", *counts.sums)
    beside: dict[str, object] = {}
    if counts.groups:
        beside["groups"] = counts.groups
    if counts.ranked:
        beside["ranked"] = counts.ranked
    if counts.top != TOP:
        beside["top"] = counts.top
    more = json.dumps(beside, separators=(",", ":")).encode() if beside else b""
    return MAGIC + bytes([wide]) + zlib.compress(header + planes + sums + names + more, 6)


def unpack(packed: bytes) -> Counts:
    """What `pack` packed. Raises ValueError on anything else."""
    if packed[:3] != MAGIC or len(packed) < 4 or packed[3] not in (4, 8):
        raise ValueError("these bytes are no window counts of this console")
    wide = packed[3]
    try:
        body = zlib.decompress(packed[4:])
        layout, rows, cells, sums, names = HEADER.unpack_from(body)
        at = HEADER.size
        planes = body[at : at + wide * cells]
        at += wide * cells
        raw = bytearray(wide * cells)
        for plane in range(wide):
            raw[plane::wide] = planes[plane * cells : (plane + 1) * cells]
        values = struct.unpack_from(f"<{cells}{'I' if wide == 4 else 'Q'}", raw)
        totals = struct.unpack_from(f"<{sums}d", body, at)
        at += 8 * sums
        levels = json.loads(body[at : at + names]) if names else {}
        more = json.loads(body[at + names :]) if len(body) > at + names else {}
        groups = {
            column: {name: tuple(cells) for name, cells in found.items()}
            for column, found in more.get("groups", {}).items()
        }
        ranked = tuple(float(value) for value in more.get("ranked", ()))
        top = int(more.get("top", TOP))
    except (zlib.error, struct.error, ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"the window's counts are damaged: {error}") from error
    return Counts(
        layout=layout,
        rows=rows,
        cells=array("q", values),
        sums=totals,
        new_levels=levels,
        groups=groups,
        ranked=ranked,
        top=top,
    )


def _little_endian(cells: Sequence[int], wide: int) -> bytes:
    return struct.pack(f"<{len(cells)}{'I' if wide == 4 else 'Q'}", *cells)
