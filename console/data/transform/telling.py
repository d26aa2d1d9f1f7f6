"""What became of the columns and of each step, for the record and for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.entities import Column
from console.data.inference import column_type
from console.data.rows import plain
from console.data.transform.plan import Plan
from console.data.transform.result import StepReport
from console.data.transform.rows import Rows
from console.data.transform.source import Source


def described(plan: Plan, source: Source, nulls: Mapping[str, int] | None) -> tuple[Column, ...]:
    """What a column means and is measured in stays with it unless a step made it anew."""
    known = {column.name: column for column in source.version.columns}
    changed = {name for operation in plan.operations for name in operation.writes}
    found = []
    for name, kind in plan.schema.present.items():
        old = known.get(name) if name not in changed else None
        found.append(
            Column(
                name=name,
                type=column_type(kind),
                nulls=nulls[name] if nulls is not None else None,
                unit=old.unit if old else "",
                note=old.note if old else "",
            )
        )
    return tuple(found)


def reports(plan: Plan) -> tuple[StepReport, ...]:
    found = []
    schema = plan.source
    for operation in plan.operations:
        after = operation.out(schema)
        came, left = plan.counts.get(operation.number, (0, 0))
        found.append(
            StepReport(
                number=operation.number,
                do=operation.step.do,
                learned=operation.told(),
                rows_in=came,
                rows_out=left,
                added=tuple(name for name in after.present if name not in schema.present),
                removed=tuple(name for name in schema.present if name not in after.present),
            )
        )
        schema = after
    return tuple(found)


def plain_rows(rows: Rows, names: list[str], most: int) -> list[tuple[Any, ...]]:
    if most <= 0 or not names:
        return []
    columns = [[plain(value) for value in rows.columns[name][:most].to_pylist()] for name in names]
    return list(zip(*columns, strict=True))
