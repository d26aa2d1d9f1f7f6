"""Profiles and rows of a dataset version as text."""

from __future__ import annotations

from typing import Any

from backends.entities import Column
from console.cli.output import Col, gap, narrate, print_record, print_table
from console.data.profile import ColumnProfile, VersionProfile
from console.data.reading import Hits
from console.data.rows import RowPage
from console.wording import THIN_SPACE, local_time, number, thousands

_TIMES = ("datetime", "date")
_BLOCKS = " ▁▂▃▄▅▆▇█"


def print_profile(found: VersionProfile) -> None:
    """A line a column."""
    columns: list[Col[ColumnProfile]] = [
        Col("column", lambda item: item.name),
        Col("type", lambda item: item.type),
        Col("missing", lambda item: _share(item.missing, found.rows), right=True),
        Col("distinct", lambda item: ("" if item.exact else "≈ ") + thousands(item.distinct), right=True),
        Col("least", lambda item: _value(item, item.minimum), right=True),
        Col("median", lambda item: _value(item, item.quantiles.get("0.5")), right=True),
        Col("most", lambda item: _value(item, item.maximum), right=True),
        Col("shape", lambda item: _shape(item.counts)),
        Col("most frequent", lambda item: _frequent(item, found.rows), widest=60),
    ]
    print_table(found.columns, columns)
    narrate(f"{found.ref}: {thousands(found.rows)} rows")
    for said in sorted({item.uncertainty for item in found.columns} - {""}):
        narrate(f"≈ {said}")


def print_column(found: ColumnProfile, column: Column, rows: int) -> None:
    """One column, figure by figure."""
    unit = f" {column.unit}" if column.unit else ""

    def value(of: float | None) -> str:
        return "" if of is None else _value(found, of) + unit

    lengths = f"{found.shortest} to {found.longest} characters, {number(found.mean_length)} on average"
    print_record(
        {
            "column": found.name,
            "type": found.type,
            "unit": column.unit,
            "note": column.note,
            "missing": f"{thousands(found.missing)}  {_share(found.missing, rows)}",
            "infinite": thousands(found.infinite) if found.infinite else "",
            "distinct": ("" if found.exact else "≈ ") + thousands(found.distinct),
            "least": value(found.minimum),
            **{f"{float(q) * 100:g} %": value(at) for q, at in found.quantiles.items()},
            "most": value(found.maximum),
            "mean": value(found.mean),
            "std": number(found.std) + unit if found.std is not None and found.type not in _TIMES else "",
            "length": lengths if found.shortest is not None else "",
            "shape": _shape(found.counts),
            "samples": ", ".join(found.samples),
            "estimated": found.uncertainty,
        }
    )
    gap()
    top: list[Col[tuple[str, int]]] = [
        Col("most frequent", lambda pair: pair[0], widest=60),
        Col("rows", lambda pair: thousands(pair[1]), right=True),
        Col("share", lambda pair: _share(pair[1], rows), right=True),
    ]
    print_table(found.top, top)


def print_rows(found: RowPage) -> None:
    columns: list[Col[tuple[Any, ...]]] = [
        Col(column.name, lambda row, index=index: row[index], right=column.type.numeric)  # type: ignore[misc]
        for index, column in enumerate(found.columns)
    ]
    print_table(found.rows, columns, empty="no rows there")
    last = found.first + len(found.rows)
    narrate(f"rows {thousands(found.first)} to {thousands(last)} of {thousands(found.total)}")


def print_found(found: Hits) -> None:
    columns: list[Col[tuple[Any, ...]]] = [Col("row", lambda row: row[0], right=True)]
    columns += [
        Col(column.name, lambda row, index=index: row[index], right=column.type.numeric)  # type: ignore[misc]
        for index, column in enumerate(found.columns, start=1)
    ]
    rows = [(number, *row) for number, row in zip(found.numbers, found.rows, strict=True)]
    print_table(rows, columns, empty="no row there holds it")
    if found.next is not None:
        narrate(f"more: --offset {found.next}")


def _share(count: int, rows: int) -> str:
    return f"{100 * count / rows:.1f}{THIN_SPACE}%" if rows and count else "0"


def _value(item: ColumnProfile, value: float | None) -> str:
    if value is None:
        return ""
    return local_time(int(value)) if item.type in _TIMES else number(value)


def _shape(counts: tuple[int, ...]) -> str:
    most = max(counts, default=0)
    return "".join(_BLOCKS[0 if not count else max(1, round(8 * count / most))] for count in counts) if most else ""


def _frequent(item: ColumnProfile, rows: int) -> str:
    if item.counts or not rows:
        return ""
    return ", ".join(f"{value} {100 * count / rows:.0f}{THIN_SPACE}%" for value, count in item.top[:3])
