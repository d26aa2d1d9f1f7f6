"""Rows as shown, into a file: raw values, never the ones made safe for the screen."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from backends.contract import Invalid
from console.training.comparison_text import comparison_text
from console.wording import thousands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from console.training.compare import Comparison
    from console.tui.pane import Pane


def export_rows(pane: Pane, target: str) -> str:
    """Write the pane's rows and say where. An existing file is not touched."""
    name, columns, rows = pane.exported()
    if not columns:
        raise Invalid(f"{name}: this pane has no rows to export")
    path = _free(target, (".csv", ".json", ".jsonl"))
    count = _whole(path, lambda part: _write(part, path.suffix.lower(), columns, rows))
    return f"{thousands(count)} rows in {path}"


def export_comparison(found: Comparison, target: str) -> str:
    """Write a comparison and say where. An existing file is not touched."""
    path = _free(target, (".csv", ".json", ".md"))
    text = comparison_text(found, path.suffix.lower()[1:])
    _whole(path, lambda part: part.write_text(text, encoding="utf-8", errors="surrogateescape"))
    return f"{len(found.runs)} runs compared in {path}"


def export_text(target: str, endings: tuple[str, ...], text: Callable[[Path], str]) -> Path:
    """Write what `text` makes for this file, and say where. An existing file is not touched."""
    path = _free(target, endings)
    _whole(path, lambda part: part.write_text(text(path), encoding="utf-8", errors="surrogateescape"))
    return path


def _free(target: str, endings: tuple[str, ...]) -> Path:
    path = Path(target).expanduser()
    if path.suffix.lower() not in endings:
        raise Invalid(f"{path}: the name must end in {', '.join(endings[:-1])} or {endings[-1]}", "file")
    if path.exists():
        raise Invalid(f"{path}: is there already; choose another name", "file")
    return path


def _whole(path: Path, write: Callable[[Path], int]) -> int:
    """The file is there with all that belongs in it, or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        count = write(part)
        os.link(part, path)  # fails where somebody made the file meanwhile
    except FileExistsError as error:
        raise Invalid(f"{path}: is there already; choose another name", "file") from error
    finally:
        part.unlink(missing_ok=True)
    return count


def _write(part: Path, kind: str, columns: Sequence[str], rows: Iterator[Sequence[object]]) -> int:
    count = 0
    with part.open("x", encoding="utf-8", errors="surrogateescape", newline="") as out:
        if kind == ".csv":
            table = csv.writer(out)
            table.writerow(columns)
            for row in rows:
                table.writerow(["" if value is None else value for value in row])
                count += 1
            return count
        lead, between, tail = ("[\n", ",\n", "\n]\n") if kind == ".json" else ("", "\n", "\n")
        out.write(lead)
        for row in rows:
            record = dict(zip(columns, row, strict=True))
            out.write((between if count else "") + json.dumps(record, ensure_ascii=False, default=str))
            count += 1
        out.write(tail)
    return count
