"""A comparison of runs as CSV, JSON or Markdown: raw values, for files and pipes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

import msgspec

from console.safe import safe_text
from console.training.compare import Comparison
from console.wording import number

FORMATS = ("csv", "json", "md")


def comparison_text(found: Comparison, form: str) -> str:
    """The comparison in one of `FORMATS`, with all its rows; what differs first."""
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n"
    return _csv(found) if form == "csv" else _markdown(found)


def _csv(found: Comparison) -> str:
    """A row for each metric, its differences to the baseline, each parameter and fact; a column for each run."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["kind", "key", "differs", "best", *_names(found)])
    for kind, key, differs, best, values in _rows(found):
        names = " ".join(found.runs[at] for at in best)
        table.writerow([kind, key, "yes" if differs else "no", names, *("" if v is None else v for v in values)])
    return out.getvalue()


def _rows(found: Comparison) -> Iterator[tuple[str, str, bool, tuple[int, ...], tuple[object, ...]]]:
    for row in found.metrics:
        yield "metric", row.key, len(set(row.values)) > 1, row.best, row.values
        yield "difference", row.key, any(row.differences), (), row.differences
    for kind, rows in (("parameter", found.params), ("fact", found.facts)):
        for each in rows:
            yield kind, each.key, each.differs, (), each.values


def _markdown(found: Comparison) -> str:
    base = found.names[found.baseline] if found.names else ""
    parts = [f"Baseline: {_cell(base)} `{found.runs[found.baseline][:8]}`\n" if found.runs else ""]
    metrics = []
    for row in found.metrics:
        cells = []
        for at, value in enumerate(row.values):
            shown = f"**{number(value)}**" if at in row.best else number(value)
            off = row.differences[at]
            cells.append(shown + (f" ({off:+.4g})" if off is not None and at != found.baseline else ""))
        metrics.append((row.key, cells))
    parts.append(_table("metric", found, metrics))
    for title, rows in (("parameter", found.params), ("fact", found.facts)):
        different = [(row.key, ["" if v is None else v for v in row.values]) for row in rows if row.differs]
        same = [(f"{row.key} (same)", ["" if v is None else v for v in row.values]) for row in rows if not row.differs]
        parts.append(_table(title, found, [*different, *same]))
    return "\n".join(part for part in parts if part)


def _table(title: str, found: Comparison, rows: list[tuple[str, list[str]]]) -> str:
    if not rows:
        return ""
    lines = ["| " + " | ".join([title, *map(_cell, _names(found))]) + " |", "|---" * (len(found.runs) + 1) + "|"]
    lines += ["| " + " | ".join(map(_cell, [key, *cells])) + " |" for key, cells in rows]
    return "\n".join(lines) + "\n"


def _names(found: Comparison) -> list[str]:
    return [f"{name} {run[:4]}" for name, run in zip(found.names, found.runs, strict=True)]


def _cell(text: str) -> str:
    """What a cell of a table can hold: one line, no bar, no tag."""
    return re.sub(r"([|<`])", r"\\\1", safe_text(text))
