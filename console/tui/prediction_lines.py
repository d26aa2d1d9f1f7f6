"""Kept predictions as lines: when, by which version, what came out, what went in."""

from __future__ import annotations

from collections.abc import Sequence

from console.safe import safe_text
from console.serving.deployment.predictions import Prediction, agreement
from console.tui import ink
from console.tui.lines import Line
from console.wording import local_time, number, percent, plural

_SHOWN = 24
"""Cells of one value of a row."""


def prediction_lines(found: Sequence[Prediction], width: int) -> list[Line]:
    """One a line, newest first; above them how a shadow agrees, where one was asked."""
    lines: list[Line] = []
    told = agreement(found)
    if told is not None:
        apart = f", scores {number(told.apart, 3)} apart on average" if told.apart is not None else ""
        said = f" of {plural(told.rows, 'row')} a shadow answered too, {percent(told.same)} got the same answer{apart}"
        lines += [Line([(said, "warn" if told.same < 1 else "")]), Line([("", "")])]
    titles = [("time", 20), ("version", 8), ("answer", 12), ("score", 9)]
    if told is not None:
        titles += [("shadow", 12), ("score", 9)]
    lines.append(Line([(" " + "".join(ink.fit(title, cells) for title, cells in titles) + "row", "dim")]))
    for each in found:
        cells = [local_time(each.at), f"v{each.version}", _value(each.value), _value(each.score)]
        if told is not None:
            cells += [_value(each.shadow), _value(each.shadow_score)]
        text = "".join(ink.fit(safe_text(cell, size), size) for cell, (_, size) in zip(cells, titles, strict=True))
        row = "  ".join(f"{name} {_value(value)}" for name, value in each.row.items())
        differs = each.shadow is not None and each.shadow != each.value
        used = sum(size for _, size in titles) + 2
        lines.append(Line([(f" {text}", "warn" if differs else ""), (safe_text(row, max(20, width - used)), "dim")]))
    return lines


def _value(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return number(value, 4)
    if isinstance(value, list):
        return " ".join(number(each, 2) for each in value if isinstance(each, int | float))
    return str(safe_text(value, _SHOWN))
