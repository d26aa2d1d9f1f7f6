"""Files of runs and versions, listed, looked at and saved."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from backends.contract import BackendError, NotFound
from backends.entities import Artifact, Progress
from console.cli.follow import ProgressLine
from console.cli.output import Col, narrate, print_lines, print_table
from console.cli.verb import Invocation
from console.wording import plural, size

if TYPE_CHECKING:
    from console.training.preview import Preview

SHOWN: Final = 1_000_000
"""Bytes of a text that are printed."""
ROWS: Final = 50

ARTIFACT_COLUMNS: list[Col[Artifact]] = [
    Col("path", lambda item: item.path + ("/" if item.folder else ""), widest=80),
    Col("size", lambda item: "" if item.folder else size(item.bytes), right=True),
    Col("sha256", lambda item: item.sha256[:12]),
]


def save(invocation: Invocation, owner: str, path: str, target: Path) -> None:
    """Copy a file or folder to the target, with a progress line on a terminal."""
    from console.training.download import download

    with ProgressLine() as line:
        files, total = download(invocation.backend, owner, path, target, line.follow)
    invocation.show(
        {"file": str(target.absolute()), "files": files, "bytes": total},
        lambda: narrate(f"{target}: {plural(files, 'file')}, {size(total)}"),
    )


def show_file(invocation: Invocation, owner: str, path: str) -> None:
    """What is in a file, as far as it can be printed."""
    from console.training.preview import Kind, found_file, look_at

    found = found_file(invocation.backend, owner, path)
    if found is None:
        raise NotFound(f"{owner[:40]} has no file {path[:200]}; run artifacts lists those it has.")
    came = 0
    with ProgressLine() as line:

        def fetched(more: int) -> None:
            nonlocal came
            came += more
            share = min(1.0, came / found.bytes) if found.bytes else None
            line.follow(Progress(at=int(time.time() * 1_000), fraction=share, stage=size(found.bytes)))

        seen = look_at(invocation.backend, found, fetched)
    if seen.kind is Kind.TABLE and _show_table(invocation, seen):
        return
    if seen.kind in (Kind.TABLE, Kind.TEXT):
        _show_text(invocation, seen)
        return
    document = {"path": seen.name, "kind": seen.kind, "bytes": seen.bytes, "sha256": found.sha256}
    narrate("  ".join([size(seen.bytes), *seen.facts]))
    invocation.show({**document, "facts": seen.facts, "lines": seen.lines}, lambda: print_lines("\n".join(seen.lines)))


def _show_table(invocation: Invocation, seen: Preview) -> bool:
    """The first rows; False where it is no table after all, which is told."""
    from console.data.table_file import TableReader

    reader = TableReader(seen.path, seen.name)
    try:
        page = reader.page(0, ROWS)
    except BackendError as error:
        if seen.facts == ("Parquet",):
            raise
        narrate(error)
        return False
    finally:
        reader.close()
    columns = [
        Col(f"{column.name}", lambda row, at=at: row[at], right=column.type.numeric)  # type: ignore[misc]
        for at, column in enumerate(page.columns)
    ]
    said = f"{plural(page.total, 'row')}" if page.whole else f"over {plural(page.total, 'row')}"
    narrate(f"{' '.join(seen.facts)}, {size(seen.bytes)}: {said}, {plural(len(columns), 'column')}")
    invocation.show(
        {"path": seen.name, "kind": seen.kind, "bytes": seen.bytes, "columns": page.columns, "rows": page.rows,
         "total": page.total, "whole": page.whole},
        lambda: print_table(page.rows, columns, empty="it has no rows"),
    )  # fmt: skip
    if page.total > len(page.rows):
        narrate(f"the first {len(page.rows)}; run download copies the file")
    return True


def _show_text(invocation: Invocation, seen: Preview) -> None:
    from console.training.preview import read_text

    chunk = read_text(Path(seen.path), 0, SHOWN)
    if seen.trouble:
        narrate(seen.trouble)
    invocation.show(
        {"path": seen.name, "kind": "text", "bytes": seen.bytes, "text": chunk.text, "whole": chunk.ended},
        lambda: print_lines(chunk.text.removesuffix("\n")),
    )
    if not chunk.ended:
        narrate(f"the first {size(chunk.end)} of {size(seen.bytes)}; run download copies the file")
