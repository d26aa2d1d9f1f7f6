"""The columns of datasets, of their versions, and of what a version's columns hold."""

from __future__ import annotations

from collections.abc import Mapping

from backends.entities import Column as DataColumn
from backends.entities import ColumnType, Dataset, DatasetVersion
from console.data.checks.standing import Standing
from console.data.profile import ColumnProfile
from console.tui import state
from console.tui.check_lines import standing_words
from console.tui.columns import Column, Tone
from console.tui.run_columns import short_actor
from console.tui.sparkline import sparkline
from console.wording import NOTHING, age, local_time, number, size, thousands

SPARK = 16


def dataset_columns() -> tuple[Column[Dataset], ...]:
    return (
        Column("name", "name", lambda d: d.name, 16, grow=3, most=48, sort="name"),
        Column("latest", "latest", lambda d: f"@{d.latest}" if d.latest else NOTHING, 6, right=True),
        Column("versions", "versions", lambda d: d.versions, 8, right=True, priority=2, order=lambda d: d.versions),
        Column("rows", "rows", lambda d: thousands(d.rows), 12, right=True, priority=1, order=lambda d: d.rows),
        Column(
            "updated", "changed", lambda d: age(d.updated_at), 7, right=True, priority=2, order=lambda d: d.updated_at
        ),
        Column("user", "by", lambda d: short_actor(d.created_by), 8, priority=4, grow=1, most=16),
        Column("note", "note", lambda d: d.note, 12, priority=5, grow=4, most=60),
    )


def version_columns(standings: Mapping[str, Standing] | None = None) -> tuple[Column[DatasetVersion], ...]:
    """`standings` says by `name@version` how it stands with its checks; the column is left out where none does."""
    known = standings or {}

    def checks(version: DatasetVersion) -> str:
        standing = known.get(version.ref)
        return state.span(standing.word, standing_words(standing))[0] if standing and standing.word else NOTHING

    def tone(version: DatasetVersion) -> Tone:
        standing = known.get(version.ref)
        return {"fail": "bad", "warn": "warn", "not run": "dim"}.get(standing.word if standing else "", "")  # type: ignore[return-value]

    shown = any(standing.word for standing in known.values())
    return (
        Column("version", "version", lambda v: f"@{v.version}", 8, order=_numeric),
        Column("rows", "rows", lambda v: thousands(v.rows), 12, right=True, order=lambda v: v.rows),
        Column(
            "columns", "columns", lambda v: len(v.columns), 7, right=True, priority=2, order=lambda v: len(v.columns)
        ),
        Column("bytes", "size", lambda v: size(v.bytes), 8, right=True, priority=3, order=lambda v: v.bytes),
        *((Column("checks", "checks", checks, 9, priority=1, tone=tone),) if shown else ()),
        Column("digest", "digest", lambda v: v.digest[:8], 8, priority=2),
        Column("created", "age", lambda v: age(v.created_at), 5, right=True, priority=2, order=lambda v: v.created_at),
        Column("source", "from", lambda v: v.source, 14, priority=4, grow=3, most=60),
        Column("user", "by", lambda v: short_actor(v.created_by), 8, priority=5, grow=1, most=16),
        Column("note", "note", lambda v: v.note, 12, priority=6, grow=3, most=60),
    )


def _numeric(version: DatasetVersion) -> object:
    return int(version.version) if version.version.isdecimal() else version.version


def column_columns(version: DatasetVersion, profiles: Mapping[str, ColumnProfile]) -> tuple[Column[DataColumn], ...]:
    """Name, type, missing; and where the values were counted: distinct, least, middle, most, and their shape."""
    known = version.columns

    def share(column: DataColumn) -> float | None:
        found = profiles.get(column.name)
        missing = found.missing if found else column.nulls
        return None if missing is None else missing / version.rows if version.rows else 0.0

    def missing(column: DataColumn) -> str:
        found = share(column)
        return NOTHING if found is None else percent(found)

    def value(name: str, column: DataColumn) -> str:
        found = profiles.get(column.name)
        if found is None:
            return NOTHING
        if name == "median":
            return shown(found.quantiles.get("0.5"), column.type)
        return shown(getattr(found, name), column.type)

    def distinct(column: DataColumn) -> str:
        found = profiles.get(column.name)
        if found is None:
            return NOTHING
        return ("" if found.exact else "≈") + thousands(found.distinct)

    def shape(column: DataColumn) -> str:
        found = profiles.get(column.name)
        if found is None:
            return ""
        if found.counts:
            return sparkline(found.counts, SPARK, low=0)
        return ", ".join(text for text, _ in found.top[:4])

    return (
        Column("name", "column", lambda c: c.name, 16, grow=2, most=36),
        Column("type", "type", lambda c: c.type, 8, priority=1),
        *([Column("unit", "unit", lambda c: c.unit, 6, priority=4, most=12)] if any(c.unit for c in known) else []),
        Column("missing", "missing", missing, 8, right=True, order=share, tone=lambda c: "warn" if share(c) else ""),
        Column("distinct", "distinct", distinct, 11, right=True, priority=3),
        Column("minimum", "least", lambda c: value("minimum", c), 10, right=True, priority=5),
        Column("median", "median", lambda c: value("median", c), 10, right=True, priority=4),
        Column("maximum", "most", lambda c: value("maximum", c), 10, right=True, priority=5),
        Column("shape", "values", shape, SPARK, priority=2, grow=1, most=40),
        *([Column("note", "means", lambda c: c.note, 12, priority=6, grow=2)] if any(c.note for c in known) else []),
    )


def percent(share: float) -> str:
    """A share as `0 %`, `0.3 %`, `12 %`; never 0 where there is something."""
    if share == 0:
        return "0 %"
    return "<0.1 %" if share < 0.001 else f"{share * 100:.1f} %" if share < 0.1 else f"{share * 100:.0f} %"


def shown(value: float | None, kind: ColumnType) -> str:
    """A number of a profile as its column means it: times are milliseconds."""
    if value is None:
        return NOTHING
    if kind is ColumnType.DATE:
        return local_time(round(value))[:10]
    if kind is ColumnType.DATETIME:
        return local_time(round(value))[:16]
    return number(value)
