"""stdout is data, stderr is narration.

With `--json` a command prints one JSON document; without, aligned columns whose every cell went through `safe_text`.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from console.safe import cell_length, cut, safe_lines, safe_text
from console.wording import NOTHING

T = TypeVar("T")

GAP = 2
"""Cells between two columns."""

_UNSEEN = re.compile(
    "[\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""What JSON allows in a string as it is, and a terminal obeys or hides: written as \\uXXXX, which means the same."""

_ONE_CELL_EACH = re.compile(
    "[ -~\u00a1-\u00ac\u00ae-\u02ff\u2009\u2010-\u2027\u2030-\u205e\u2190-\u22ff\u2500-\u25fc]*"
)
"""What the console itself writes, and most of what people write: its width needs no table."""

_STATE_COLOUR = {
    "finished": "green",
    "ok": "green",
    "pass": "green",
    "done": "green",
    "running": "cyan",
    "queued": "cyan",
    "waiting": "cyan",
    "stopping": "yellow",
    "stopped": "yellow",
    "warn": "yellow",
    "acked": "yellow",
    "failed": "red",
    "lost": "red",
    "fail": "red",
    "firing": "red",
}


class Col(msgspec.Struct, Generic[T], frozen=True):
    """One column of a human-readable list. The later ones fall away first where the terminal is narrow."""

    title: str
    cell: Callable[[T], object]
    right: bool = False
    widest: int = 40
    state: bool = False
    """Holds a state word, coloured on a terminal."""


def json_text(document: object, *, pretty: bool = False) -> str:
    """One JSON document. Times are milliseconds since the epoch, UTC; NaN is null."""
    encoded = msgspec.json.encode(document)
    if pretty:
        encoded = msgspec.json.format(encoded, indent=2)
    return _UNSEEN.sub(_escaped, encoded.decode("utf-8"))


def _escaped(found: re.Match[str]) -> str:
    units = found.group().encode("utf-16-be")  # above U+FFFF two, as JSON wants them
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def print_json(document: object) -> None:
    """The document on stdout; indented where a person reads it."""
    sys.stdout.write(json_text(document, pretty=sys.stdout.isatty()) + "\n")
    sys.stdout.flush()


def print_json_line(document: object) -> None:
    """One line of a `--watch` stream."""
    sys.stdout.write(json_text(document) + "\n")
    sys.stdout.flush()


def print_table(items: Iterable[T], columns: Sequence[Col[T]], *, empty: str = "") -> None:
    """Aligned columns on stdout; on a terminal no wider than it, in a pipe as wide as it needs."""
    rows = [[_cell(column, item) for column in columns] for item in items]
    if not rows:
        if empty:
            narrate(empty)
        return
    # Where rows of data are shown, the titles are names from outside too.
    titles = [safe_text(column.title, column.widest if sys.stdout.isatty() else None) for column in columns]
    widths = [
        max(_width(text) for text in [titles[index], *(row[index] for row in rows)]) for index in range(len(columns))
    ]
    shown = _fitting(widths)
    _print_row(titles, widths, columns, shown, title=True)
    for row in rows:
        _print_row(row, widths, columns, shown)


def print_record(fields: Mapping[str, object]) -> None:
    """`name   value` lines; empty values are left out, long ones go over several lines."""
    kept = {name: value for name, value in fields.items() if value not in (None, "", (), {}, [])}
    width = max((_width(name) for name in kept), default=0)
    for name, value in kept.items():
        lines = safe_lines(value)
        sys.stdout.write(f"{dim(name.ljust(width))}  {lines[0]}\n")
        for line in lines[1:]:
            sys.stdout.write(f"{' ' * width}  {line}\n")


def print_lines(text: object) -> None:
    """Text from outside, such as a log: its line breaks stay, nothing in it is obeyed."""
    for line in safe_lines(text):
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


def narrate(sentence: object) -> None:
    """What a person wants to know and a script does not: on stderr."""
    for line in safe_lines(sentence):
        sys.stderr.write(line + "\n")
    sys.stderr.flush()


def gap() -> None:
    """An empty line between two parts, for the eye; a pipe and a log need none."""
    if sys.stdout.isatty():
        sys.stdout.write("\n")


def coloured(stream: Any = None) -> bool:
    """Whether colour is wanted on this stream (stdout)."""
    target = sys.stdout if stream is None else stream
    return bool(target.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def dim(text: str) -> str:
    return f"\x1b[2m{text}\x1b[0m" if coloured() else text


def state(word: str, text: str | None = None) -> str:
    """A state word in its colour, on a terminal."""
    shown = word if text is None else text
    colour = {"green": 32, "cyan": 36, "yellow": 33, "red": 31}.get(_STATE_COLOUR.get(word, ""))
    return f"\x1b[{colour}m{shown}\x1b[0m" if colour and coloured() else shown


def _width(text: str) -> int:
    return len(text) if _ONE_CELL_EACH.fullmatch(text) else cell_length(text)


def _cell(column: Col[T], item: T) -> str:
    value = column.cell(item)
    if value is None or value == "":
        return NOTHING
    return safe_text(value, column.widest if sys.stdout.isatty() else None)


def _fitting(widths: Sequence[int]) -> int:
    """How many of the columns fit from the left: at least one, and all of them in a pipe."""
    if not sys.stdout.isatty():
        return len(widths)
    room = shutil.get_terminal_size().columns
    used, count = 0, 0
    for width in widths:
        used += width + (GAP if count else 0)
        if used > room and count:
            break
        count += 1
    return count


def _print_row(
    cells: Sequence[str], widths: Sequence[int], columns: Sequence[Col[Any]], shown: int, *, title: bool = False
) -> None:
    parts: list[str] = []
    for index in range(shown):
        text, width = cells[index], widths[index]
        if shown == 1 and sys.stdout.isatty():
            text = cut(text, shutil.get_terminal_size().columns)
        pad = " " * max(0, width - _width(text))
        last = index == shown - 1
        paint = dim if title else state if columns[index].state else str
        painted = paint(text)
        parts.append(pad + painted if columns[index].right else painted + ("" if last else pad))
    sys.stdout.write((" " * GAP).join(parts) + "\n")
