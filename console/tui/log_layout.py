"""How lines of a log become rows of the screen: cut or wrapped, toned by their level, hits marked."""

from __future__ import annotations

from collections.abc import Sequence

from console.safe import cell_length, safe_lines
from console.training.log.levels import Level, Levels
from console.tui.ink import Span

CONTEXT = 60
"""Lines above the screen that tell what its first ones belong to."""

TONES = {Level.DEBUG: "dim", Level.WARNING: "warn", Level.ERROR: "bad", Level.CRITICAL: "bad"}


def shown(line: str) -> str:
    """The line as a terminal may have it."""
    found = safe_lines(line)
    return found[0] if found else ""


def rows_of(line: str, width: int, *, wrapping: bool, left: int) -> list[str]:
    """The rows that a line takes: one where it is cut, at least one always."""
    width = max(1, width)
    if not wrapping:
        text = shown(line[: 4 * (width + left) + 1024] if "\x1b" not in line and "\r" not in line else line)
        return [text[left:]]
    text = shown(line)
    if text.isascii() or cell_length(text) == len(text):
        return [text[at : at + width] for at in range(0, max(1, len(text)), width)]
    return _by_cells(text, width)


def _by_cells(text: str, width: int) -> list[str]:
    rows, row, used = [], "", 0
    for character in text:
        cells = cell_length(character)
        if used + cells > width:
            rows.append(row)
            row, used = "", 0
        row += character
        used += cells
    return [*rows, row]


def tones_of(lines: Sequence[str], broken: Sequence[bool], first: int, count: int) -> list[str]:
    """The tone of each of `count` lines from `first` on."""
    levels, level = Levels(), None
    tones: list[str] = []
    for at in range(max(0, first - CONTEXT), min(len(lines), first + count)):
        if not broken[at]:
            level = levels.told(lines[at]).level
        if at >= first:
            tones.append(TONES.get(level, "") if level is not None else "")
    return tones


def marked(row: str, tone: str, needle: str) -> list[Span]:
    """The row with what was looked for marked in it."""
    if not needle:
        return [(row, tone)]
    spans: list[Span] = []
    folded, at = row.casefold(), 0
    if len(folded) != len(row):  # folding changed the length (ß): positions would be wrong
        return [(row, tone)]
    while (found := folded.find(needle, at)) >= 0:
        spans += [(row[at:found], tone), (row[found : found + len(needle)], "badge")]
        at = found + len(needle)
    return [*spans, (row[at:], tone)]
