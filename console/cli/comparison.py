"""Runs side by side, as text."""

from __future__ import annotations

from typing import Any

from backends.system_metrics import is_system
from console.cli.output import Col, gap, narrate, print_table
from console.training.compare import Comparison, MetricRow
from console.wording import number


def print_comparison(found: Comparison, *, everything: bool) -> None:
    """A column a run; only rows that differ, unless everything is asked for.

    `*` is the best; in brackets stands the difference to the baseline.
    """
    names = [f"{name} {run[:4]}" for name, run in zip(found.names, found.runs, strict=True)]
    parts: list[tuple[str, list[tuple[str, list[str]]]]] = [
        ("metric", [(row.key, _metric(row)) for row in found.metrics if everything or _tells(row)]),
        (
            "parameter",
            [(row.key, [_or_none(value) for value in row.values]) for row in found.params if everything or row.differs],
        ),
        (
            "fact",
            [(row.key, [_or_none(value) for value in row.values]) for row in found.facts if everything or row.differs],
        ),
    ]
    shown = [(title, rows) for title, rows in parts if rows]
    for index, (title, rows) in enumerate(shown):
        if index:
            gap()
        columns: list[Col[Any]] = [Col(title, lambda row: row[0])]
        columns += [
            Col(name, lambda row, at=at: row[1][at], right=title == "metric")  # type: ignore[misc]
            for at, name in enumerate(names)
        ]
        print_table(rows, columns)
    if not shown:
        narrate("these runs do not differ")


def _tells(row: MetricRow) -> bool:
    """What the machine did differs always, and says nothing of the models."""
    return len(set(row.values)) > 1 and not is_system(row.key)


def _metric(row: MetricRow) -> list[str]:
    cells = []
    for at, (value, off) in enumerate(zip(row.values, row.differences, strict=True)):
        moved = f" ({off:+.3g})" if off else ""
        cells.append(number(value) + moved + (" *" if at in row.best else "  "))
    return cells


def _or_none(value: str | None) -> str:
    return "" if value is None else value
