"""The columns of a table: what each shows, how wide it is, and which give way on a narrow screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from console.safe import cell_length, safe_text
from console.tui.glyphs import drawn
from console.wording import NOTHING, number

R = TypeVar("R")

Tone = Literal["", "good", "warn", "bad", "accent", "dim"]
"""What a cell's colour means; the word beside it always says the same."""

GAP = "  "


@dataclass(frozen=True)
class Column(Generic[R]):
    """One column. `cell` gives the value as text, raw: the table alone makes it safe."""

    key: str
    """Identity, and how settings name it: `name`, `metrics.auc`."""
    title: str
    cell: Callable[[R], object]
    width: int
    """Cells it needs."""
    right: bool = False
    priority: int = 0
    """0 stays for ever; of the others the largest gives way first, the rightmost of equals."""
    grow: int = 0
    """Its share of cells that are left over, in parts."""
    most: int = 60
    """It grows no wider."""
    sort: str = ""
    """Key of the query language that sorts by it; empty where it cannot be sorted."""
    order: Callable[[R], object] | None = None
    """What rows kept in memory are sorted by; without one, the cell."""
    tone: Callable[[R], Tone] | None = None
    """Colour by row. Each coloured cell costs about 40 bytes a row on the wire, so plain rows give ""."""


@dataclass(frozen=True)
class Placed(Generic[R]):
    """A column that has found its place."""

    column: Column[R]
    start: int
    width: int


def place(columns: Sequence[Column[R]], cells: int, indent: int) -> tuple[Placed[R], ...]:
    """The columns that fit into `cells`, in their order, after `indent` cells for cursor and mark."""
    kept = list(columns)
    while len(kept) > 1 and indent + sum(c.width for c in kept) + len(GAP) * (len(kept) - 1) > cells:
        # the largest number gives way; of equals the rightmost
        worst = max(range(len(kept)), key=lambda i: (kept[i].priority, i))
        if kept[worst].priority == 0:
            break
        del kept[worst]
    widths = [c.width for c in kept]
    spare = cells - indent - sum(widths) - len(GAP) * (len(kept) - 1)
    while spare > 0:
        growing = [i for i, c in enumerate(kept) if c.grow and widths[i] < c.most]
        if not growing:
            break
        parts = sum(kept[i].grow for i in growing)
        given = 0
        for i in growing:
            more = min(kept[i].most - widths[i], max(1, spare * kept[i].grow // parts), spare - given)
            widths[i] += more
            given += more
        if not given:
            break
        spare -= given
    placed, start = [], indent
    for column, width in zip(kept, widths, strict=True):
        placed.append(Placed(column, start, width))
        start += width + len(GAP)
    return tuple(placed)


def metric(value: float | None) -> str:
    """A measurement as columns line up best: four decimals around one, else four digits; `–` where there is none."""
    if value is None:
        return NOTHING
    if value != value:
        return "NaN"
    if value and not 1e-3 <= abs(value) < 1e5:
        return number(value)
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.1f}"


def fitted(value: object, width: int, right: bool) -> str:
    """The value made safe, cut and padded to exactly `width` cells."""
    text = drawn(safe_text(value, width))
    pad = " " * (width - cell_length(text))
    return pad + text if right else text + pad


def title_cell(column: Column[R], width: int, mark: str) -> str:
    """The column's heading with its sort mark, which the title gives way to."""
    if not mark:
        return fitted(column.title, width, column.right)
    text = safe_text(column.title, max(0, width - 2))
    return fitted(f"{text} {mark}" if text else mark, width, column.right)
