"""What was handed over in small pieces, counted at once: a request of ten rows costs its windows as much as one of ten
thousand.

The pieces are those that came one after the other, all rows or all labels. Each stays where it lies until all are
counted, so that a crash loses and repeats none; one that alone would be refused is left to be counted alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from backends.contract import Backend
from backends.entities import Monitor
from console.monitoring.feeds.chunk import Chunk, Piece, content_of
from console.monitoring.feeds.handing import handed_over
from console.monitoring.feeds.rows import VERSION

SMALL = 256 << 10
"""Bytes: what is larger is worth its own way."""
PIECES = 500
"""At once."""


def is_labels(path: Path) -> bool:
    return ".labels." in path.name


def _is_small(path: Path) -> bool:
    return path.name.endswith(".jsonl") and path.stat().st_size <= SMALL


def runs_of(paths: Sequence[Path], *, rows: bool = True) -> list[list[Path]]:
    """The paths in their order, in runs of what may be counted at once; anything else is a run by itself. rows: whether
    rows may, and not only labels."""
    found: list[list[Path]] = []
    for (small, _), run in groupby(paths, key=lambda path: (_is_small(path), is_labels(path))):
        each = list(run)
        size = PIECES if small and (rows or is_labels(each[0])) else 1
        found += [each[at : at + size] for at in range(0, len(each), size)]
    return found


def rows_first(paths: Sequence[Path], label_column: str) -> list[Path]:
    """Rows before labels, so that neither part the other into small runs: the same is counted, because labels wait for
    their rows. As they came where rows may have labels of their own, of which the last to come holds, or cannot be
    told to have none."""
    mark = f'"{label_column}"'.encode()
    rows = [path for path in paths if not is_labels(path)]
    if not all(_is_small(path) and mark not in path.read_bytes() for path in rows):
        return list(paths)
    return [*rows, *(path for path in paths if is_labels(path))]


def together(
    backend: Backend, monitor: Monitor, paths: Sequence[Path], features: Collection[str]
) -> tuple[Chunk | None, list[Path], list[Path]]:
    """(the first pieces as one chunk, those among them that were counted before, those that come after).

    It ends before one that cannot be counted with others, so that nothing overtakes it; None where it would be of one.
    features: the model's columns.
    """
    pieces: list[Piece] = []
    before: list[Path] = []
    rest: list[Path] = []
    labels = is_labels(paths[0])
    for number, path in enumerate(paths):
        chunk = handed_over(path)
        if backend.need("monitors").batches(monitor.name, among=(chunk.digest,)):
            before.append(path)
            continue
        rows = _plain_rows(path.read_bytes(), monitor, features, labels=labels)
        if not rows:
            rest = list(paths[number:])
            break
        pieces.append(Piece(path=chunk.path, digest=chunk.digest, at=chunk.at, rows=rows))
    if len(pieces) < 2:
        return None, before, [path for path in paths if path not in before]
    paths = [Path(piece.path) for piece in pieces]
    chunk = Chunk(
        path=pieces[0].path,
        name=f"{paths[0].name} and {len(pieces) - 1} more",
        digest=hashlib.sha256("\n".join(piece.digest for piece in pieces).encode()).hexdigest(),
        content=content_of(paths),
        at=pieces[0].at,
        salvage=True,
        labels=labels,
        pieces=tuple(pieces),
    )
    return chunk, before, rest


def _plain_rows(data: bytes, monitor: Monitor, features: Collection[str], *, labels: bool) -> int:
    """How many rows it has, where it needs nothing that others of its kind do not; else 0."""
    keys: set[str] = set()
    rows = 0
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    try:
        for line in data.splitlines():
            if line.strip():
                keys |= decode(line).keys()
                rows += 1
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0
    needed = {monitor.id_column, monitor.label_column} if labels else {monitor.id_column, monitor.time_column} - {""}
    if not needed <= keys or (not labels and (VERSION in keys or keys.isdisjoint(features))):
        return 0
    return rows
