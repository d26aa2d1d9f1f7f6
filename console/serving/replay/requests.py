"""The newest rows of prediction logs, read back. What is being written meanwhile is read up to its last whole line."""

from __future__ import annotations

import heapq
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from backends.contract import Backend, Invalid, NotFound, all_pages
from backends.entities import Millis
from console.serving.deployment.place import folder_of
from console.serving.segments import ENDING, WRITING

OWN: Final = "prediction."
_OURS: Final = frozenset(f"{OWN}{each}" for each in ("id", "time", "version", "value", "score", "scores"))
BLOCK: Final = 1 << 18
LONGEST: Final = 16 << 20
"""Bytes of a line; longer ones are no rows that a server would have taken."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One logged row."""

    ident: str
    at: Millis
    deployment: str
    version: str
    value: str | float | None
    score: float | tuple[float, ...] | None
    columns: dict[str, Any]
    """As they stand in the log: float, str or None where nobody wrote into it by hand."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    requests: tuple[Request, ...]
    """The oldest first."""
    unreadable: int
    """Lines among them that are no row."""


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """One folder of segments."""

    deployment: str
    folder: Path
    redact: frozenset[str] = frozenset()


def logs_of(backend: Backend, model: str) -> tuple[Log, ...]:
    """Of every deployment of the model that keeps one. NotFound says why there is none."""
    store = backend.need("deployments")
    if backend.home is None:
        raise NotFound(f"context {backend.name} has no directory here, so it keeps no prediction log.")
    serving = [each for each in all_pages(lambda at: store.page(at=at)) if each.model == model]
    kept = [each for each in serving if each.log and each.sample]
    if not kept:
        what = "keeps its predictions" if serving else "serves it"
        raise NotFound(
            f"{model}: no deployment {what}, so there are no requests to replay. mlops-console deploy start {model} "
            "keeps them; --log DIR reads the log of another server."
        )
    return tuple(
        Log(deployment=each.name, folder=folder_of(backend.home, each.name) / "log", redact=frozenset(each.redact))
        for each in kept
    )


def newest(logs: Sequence[Log], most: int) -> Found:
    """The `most` newest rows over all segments, by the time of their answer."""
    segments: list[tuple[float, Log, Path]] = []
    for log in logs:
        for path in (*log.folder.glob(f"*{ENDING}"), *log.folder.glob(f"*{ENDING}{WRITING}")):
            changed = _changed_at(path)
            if changed is not None:
                segments.append((changed, log, path))
    segments.sort(key=lambda each: -each[0])
    kept: list[tuple[Millis, int, Request]] = []
    unreadable = count = 0
    for changed, log, path in segments:
        # No row of a segment is newer than its last change.
        if len(kept) == most and changed * 1000 < kept[0][0]:
            break
        for line in itertools.islice(_last_lines(path), most):
            request = read_line(line, log.deployment, log.redact)
            if request is None:
                unreadable += 1
            else:
                count += 1
                entry = (request.at, count, request)
                if len(kept) < most:
                    heapq.heappush(kept, entry)
                elif request.at > kept[0][0]:
                    heapq.heapreplace(kept, entry)
    ordered = sorted(kept, key=lambda each: (each[0], -each[1]))
    return Found(requests=tuple(request for _, _, request in ordered), unreadable=unreadable)


def read_line(line: bytes, deployment: str = "", redact: frozenset[str] = frozenset()) -> Request | None:
    """A row, or None where the line is none. What is redacted today is not read from older lines either."""
    if len(line) > LONGEST:
        return None
    try:
        said = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if type(said) is not dict:
        return None
    score = said.get(f"{OWN}score", said.get(f"{OWN}scores"))
    try:
        return Request(
            ident=msgspec.convert(said[f"{OWN}id"], str),
            at=msgspec.convert(said[f"{OWN}time"], int),
            deployment=deployment,
            version=msgspec.convert(said[f"{OWN}version"], str),
            value=msgspec.convert(said.get(f"{OWN}value"), str | float | None),
            score=msgspec.convert(score, float | tuple[float, ...] | None),
            columns={name: value for name, value in said.items() if name not in _OURS and name not in redact},
        )
    except (KeyError, msgspec.ValidationError):
        return None


def _changed_at(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None  # finished or forgotten in this moment


def _last_lines(path: Path) -> Iterator[bytes]:
    """Whole lines, the last first. A segment that was finished meanwhile is read under its new name; one that was
    forgotten has none."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        try:
            file = path.with_name(path.name.removesuffix(WRITING)).open("rb")
        except FileNotFoundError:
            return
    with file:
        at = file.seek(0, os.SEEK_END)
        rest = b""  # what was read and has no line feed before it yet
        piece = True  # what follows the last line feed is no line
        while at > 0:
            start = max(0, at - max(BLOCK, len(rest)))
            file.seek(start)
            rest, *lines = (file.read(at - start) + rest).split(b"\n")
            at = start
            if piece and lines:
                lines.pop()
                piece = False
            yield from reversed(lines)
            rest = rest[: LONGEST + 1]  # of a line that is too long nothing more is wanted
        if rest and not piece:
            yield rest


def logs_in(folder: str) -> tuple[Log, ...]:
    """A folder that somebody names."""
    path = Path(folder)
    if not path.is_dir():
        raise Invalid(f"there is no folder {folder}; name one that holds *{ENDING} of a prediction log.", "log")
    return (Log(deployment=path.name, folder=path),)
