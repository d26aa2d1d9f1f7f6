"""Rows as shown, into a file: raw values, never the ones made safe for the screen."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from backends.contract import Invalid
from console.wording import thousands

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from console.tui.pane import Pane


def export_rows(pane: Pane, target: str) -> str:
    """Write the pane's rows and say where. An existing file is not touched."""
    name, columns, rows = pane.exported()
    if not columns:
        raise Invalid(f"{name}: this pane has no rows to export")
    path = Path(target).expanduser()
    kind = path.suffix.lower()
    if kind not in (".csv", ".json", ".jsonl"):
        raise Invalid(f"{path}: the name must end in .csv, .json or .jsonl", "file")
    if path.exists():
        raise Invalid(f"{path}: is there already; choose another name", "file")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        count = _write(part, kind, columns, rows)
        os.link(part, path)  # fails where somebody made the file meanwhile
    except FileExistsError as error:
        raise Invalid(f"{path}: is there already; choose another name", "file") from error
    finally:
        part.unlink(missing_ok=True)
    return f"{thousands(count)} rows in {path}"


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
