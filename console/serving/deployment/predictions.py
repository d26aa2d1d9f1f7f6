"""The newest lines of a deployment's prediction log, and how far its shadow answers otherwise."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from backends.entities import Record
from console.serving.deployment.place import folder_of

TAIL: Final = 1 << 20
"""Bytes that are read from the end of a segment."""
SEGMENTS: Final = 16
"""The newest that are looked at: each worker writes its own."""
_OWN: Final = "prediction."


class Prediction(Record, frozen=True, kw_only=True):
    """One row that was asked and answered."""

    id: str
    at: int
    """Milliseconds since 1970, UTC."""
    version: str
    value: Any = None
    score: Any = None
    """A number, or of more than two classes a list."""
    shadow: Any = None
    """What the shadow said; None where it was not asked, or did not answer."""
    shadow_score: Any = None
    shadow_version: str = ""
    row: dict[str, Any] = msgspec.field(default_factory=dict)
    """What was asked, column by column; those that are redacted are not there."""


class Agreement(Record, frozen=True, kw_only=True):
    """How a version and its shadow answered the same rows."""

    rows: int
    same: float
    """Share of equal values, 0 to 1; of numbers those within a thousandth of each other."""
    apart: float | None = None
    """Mean absolute difference of the scores, or of the values where those are numbers; None where neither is."""


def latest(home: Path, name: str, limit: int) -> tuple[Prediction, ...]:
    """The newest first, those of segments that are still being written too. Empty where none are kept."""
    folder = folder_of(home, name) / "log"
    shadows = {line[f"{_OWN}id"]: line for line in _lines(folder / "shadow", 2 * limit)}
    return tuple(_prediction(line, shadows.get(line[f"{_OWN}id"])) for line in _lines(folder, limit))


def agreement(found: Sequence[Prediction]) -> Agreement | None:
    """Of the rows that a shadow answered too; None where there are none."""
    both = [each for each in found if each.shadow is not None]
    if not both:
        return None
    apart = [gap for each in both if (gap := _apart(each)) is not None]
    same = sum(_same(each.value, each.shadow) for each in both)
    return Agreement(rows=len(both), same=same / len(both), apart=sum(apart) / len(apart) if apart else None)


def _apart(found: Prediction) -> float | None:
    for one, other in ((found.score, found.shadow_score), (found.value, found.shadow)):
        if isinstance(one, int | float) and isinstance(other, int | float):
            return abs(float(one) - float(other))
    return None


def _same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-3 * max(abs(one), abs(other))
    return one == other


def _prediction(line: Mapping[str, Any], shadow: Mapping[str, Any] | None) -> Prediction:
    other = shadow or {}
    return Prediction(
        id=str(line[f"{_OWN}id"]),
        at=int(line.get(f"{_OWN}time", 0)),
        version=str(line.get(f"{_OWN}version", "")),
        value=line.get(f"{_OWN}value"),
        score=_score(line),
        shadow=other.get(f"{_OWN}value"),
        shadow_score=_score(other),
        shadow_version=str(other.get(f"{_OWN}version", "")),
        row={key: value for key, value in line.items() if not key.startswith(_OWN)},
    )


def _score(line: Mapping[str, Any]) -> Any:
    return line.get(f"{_OWN}score", line.get(f"{_OWN}scores"))


def _lines(folder: Path, limit: int) -> list[Mapping[str, Any]]:
    """The newest lines of a folder of segments."""
    found: list[Mapping[str, Any]] = []
    for path in _newest(folder.glob("*.jsonl*")):
        found += _tail(path, limit)
    found.sort(key=lambda line: int(line.get(f"{_OWN}time", 0)), reverse=True)
    return found[:limit]


def _newest(paths: Iterable[Path]) -> list[Path]:
    dated = []
    for path in paths:
        try:
            dated.append((path.stat().st_mtime, path))
        except FileNotFoundError:  # finished and renamed, or removed as too old
            continue
    return [path for _, path in sorted(dated, reverse=True)[:SEGMENTS]]


def _tail(path: Path, limit: int) -> list[Mapping[str, Any]]:
    try:
        with path.open("rb") as file:
            start = max(0, file.seek(0, os.SEEK_END) - TAIL)
            file.seek(start)
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return []
    whole = lines[1 if start else 0 : -1]  # the first may be a piece, the last is one or empty
    found: list[Mapping[str, Any]] = []
    for line in whole[-limit:]:
        try:
            read = msgspec.json.decode(line)
        except msgspec.DecodeError:  # a torn line of a full disk
            continue
        if isinstance(read, dict) and f"{_OWN}id" in read:
            found.append(read)
    return found
