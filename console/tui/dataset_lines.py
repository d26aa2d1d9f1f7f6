"""Everything about a dataset, a version of it, or one of its columns, as lines."""

from __future__ import annotations

from collections.abc import Sequence

from backends.entities import Column as DataColumn
from backends.entities import Dataset, DatasetVersion, Run
from console.data.checks.standing import Standing
from console.data.profile import ColumnProfile
from console.safe import safe_text
from console.tui import ink, state
from console.tui.check_lines import standing_lines
from console.tui.dataset_columns import percent, shown
from console.tui.describing import field
from console.tui.lines import Line, wrapped
from console.wording import by_whom, local_time, number, plural, size, thousands

BLANK = Line([("", "")])
BARS = 24


def head(text: str) -> Line:
    return Line([(f" {text}", "head")])


def dataset_lines(dataset: Dataset, width: int) -> list[Line]:
    name = safe_text(dataset.name, max(8, width - 20))
    lines = [
        Line([(f" {name}", "head"), (f"  {plural(dataset.versions, 'version')}", "dim")]),
        field("latest", f"@{safe_text(dataset.latest, 20)}  {plural(dataset.rows, 'row')}"),
        field("changed", local_time(dataset.updated_at)),
        field("made", by_whom(local_time(dataset.created_at), safe_text(dataset.created_by, 40))),
    ]
    if dataset.note:
        lines += [BLANK, *wrapped(safe_text(dataset.note, 2000), width, indent=" ")]
    lines += [field(key, safe_text(value, 200)) for key, value in sorted(dataset.tags.items())]
    return [*lines, BLANK, Line([(" enter: its versions · v: rows of the latest", "dim")])]


def version_lines(
    version: DatasetVersion, users: Sequence[Run], width: int, standing: Standing | None = None
) -> list[Line]:
    """A version: what it holds, where it came from, what was made from it."""
    lines = [
        Line([(f" {safe_text(version.ref, max(8, width - 4))}", "head")]),
        field(
            "holds", f"{plural(version.rows, 'row')} × {plural(len(version.columns), 'column')}, {size(version.bytes)}"
        ),
        field("digest", safe_text(version.digest[:32], 40)),
        field("from", safe_text(version.source, max(10, width - 18))),
        field("made", by_whom(local_time(version.created_at), safe_text(version.created_by, 40))),
    ]
    if version.parent:
        lines.append(field("made from", safe_text(version.parent, 60)))
    if version.note:
        lines += [BLANK, *wrapped(safe_text(version.note, 2000), width, indent=" ")]
    lines += [BLANK, *standing_lines(standing, width), BLANK, head("used by")]
    if not users:
        lines.append(Line([("   no run yet: press t to train on it", "dim")]))
    for run in users:
        name = ink.fit(safe_text(run.name or run.id, 24), 24)
        lines.append(Line([(f"   {safe_text(run.id, 4)[:4]}  ", "dim"), (name + " ", ""), state.span(run.status)]))
    lines += [BLANK, head("columns")]
    for column in version.columns[:200]:
        missing = f"{percent(column.nulls / version.rows)} missing" if column.nulls and version.rows else ""
        lines.append(field(column.name, [(ink.fit(str(column.type), 10), "dim"), (missing, "warn")], width=24))
    if len(version.columns) > 200:
        lines.append(Line([(f"   and {len(version.columns) - 200} more", "dim")]))
    return lines


def column_lines(
    version: DatasetVersion, column: DataColumn, profile: ColumnProfile | None, width: int, *, waiting: bool
) -> list[Line]:
    """A column: how many are missing, how its values are spread, which are the most frequent."""
    name = safe_text(column.name, max(8, width - 20))
    unit = f", in {safe_text(column.unit, 24)}" if column.unit else ""
    lines = [Line([(f" {name}", "head"), (f"  {column.type}{unit}", "dim")])]
    if column.note:
        lines += wrapped(safe_text(column.note, 2000), width, indent=" ")
    if profile is None:
        words = "counting its values …" if waiting else "its values were not counted"
        return [*lines, Line([(f" {words}", "dim")])]
    share = profile.missing / version.rows if version.rows else 0.0
    lines.append(field("missing", f"{thousands(profile.missing)}  {percent(share)}"))
    if profile.infinite:
        lines.append(field("infinite", thousands(profile.infinite)))
    lines.append(field("distinct", ("" if profile.exact else "≈ ") + thousands(profile.distinct)))
    if profile.mean is not None:
        spread = f" ± {number(profile.std)}" if profile.std is not None else ""
        lines.append(field("mean", f"{shown(profile.mean, column.type)}{spread if column.type.numeric else ''}"))
    if profile.shortest is not None:
        average = f", {number(profile.mean_length)} on average" if profile.shortest != profile.longest else ""
        lines.append(field("length", f"{profile.shortest} to {profile.longest} characters{average}"))
    if profile.uncertainty:
        lines += wrapped(f"estimated: {profile.uncertainty}", width, "warn", indent=" ")
    if profile.quantiles:
        marks = [("least", profile.minimum), *((_quantile(q), v) for q, v in profile.quantiles.items())]
        lines += [BLANK, head("quantiles")]
        lines += [field(title, shown(value, column.type)) for title, value in [*marks, ("most", profile.maximum)]]
    if profile.counts and len(profile.counts) > 1:
        lines += [BLANK, head("histogram"), *_bars(profile, column, width)]
    if profile.top and profile.top[0][1] == 1:
        lines += [BLANK, head("values, each there once" if profile.exact else "values, each seen once")]
        lines += [Line([(f"   {safe_text(text, 40)}", "")]) for text, _ in profile.top]
    elif profile.top:
        lines += [BLANK, head("most frequent")]
        for text, count in profile.top:
            part = percent(count / version.rows) if version.rows else ""
            value = ink.fit(safe_text(text, 28), 28)
            lines.append(Line([(f"   {value} ", ""), (f"{thousands(count):>12}  {part:>7}", "dim")]))
    if profile.samples:
        lines += [BLANK, head("some of its values"), *(Line([(f"   {safe_text(t, 60)}", "")]) for t in profile.samples)]
    return lines


def _quantile(text: str) -> str:
    share = float(text)
    return "median" if share == 0.5 else f"{share * 100:g} %"


def _bars(profile: ColumnProfile, column: DataColumn, width: int) -> list[Line]:
    most = max(profile.counts) or 1
    cells = max(8, min(BARS, width - 30))
    lines = []
    for low, count in zip(profile.edges, profile.counts, strict=False):
        full = round(count / most * cells)
        bar = "█" * (full or (1 if count else 0))
        lines.append(
            Line(
                [
                    (f" {shown(low, column.type):>14} ", "dim"),
                    (ink.fit(bar, cells), "accent"),
                    (f" {thousands(count)}", "dim"),
                ]
            )
        )
    return lines
