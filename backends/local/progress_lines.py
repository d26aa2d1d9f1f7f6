"""What a command may say on its progress descriptor: one JSON object a line."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import msgspec

from backends.entities import DatasetInput

LONGEST = 1024 * 1024
"""Bytes of one line; a longer one is malformed, and is not kept while it comes in."""

Plain = str | int | float | bool | None


class Report(msgspec.Struct, frozen=True):
    """One line, understood. Keys that are not known are passed over."""

    metrics: dict[str, float] = {}
    step: int = 0
    progress: float | None = None
    stage: str = ""
    rate: str = ""
    eta_s: float | None = None
    params: dict[str, Plain] = {}
    tags: dict[str, Plain] = {}
    """None removes a tag."""
    artifact: str = ""
    """Path under the run's artifacts/."""
    input: DatasetInput | None = None
    fail: str = ""
    """Why the command is about to fail, in one line."""
    at: int | None = None
    """When it was measured; without it, when the line came in."""

    @property
    def tells_progress(self) -> bool:
        return self.progress is not None or bool(self.stage)


_DECODER = msgspec.json.Decoder(Report)


def parse_report(line: bytes) -> Report:
    """One line as a report; ValueError says what is wrong with it.

    NaN and Infinity, which JSON does not know but Python writes, are understood.
    """
    try:
        report = _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        if b"NaN" not in line and b"Infinity" not in line:
            raise ValueError(str(wrong)) from None
        try:
            report = msgspec.convert(json.loads(line), Report)
        except (msgspec.ValidationError, RecursionError) as still_wrong:
            raise ValueError(str(still_wrong)) from None
    said = report.metrics or report.params or report.tags or report.artifact or report.input or report.fail
    if not said and not report.tells_progress:
        raise ValueError(
            "it says nothing that is known: metrics, progress, stage, params, tags, artifact, input or fail"
        )
    return report


class LineSplitter:
    """Cuts a stream into lines without ever holding more than one line's limit."""

    def __init__(self) -> None:
        self._open = bytearray()
        self._overlong = False

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        """The lines that this piece completes; None stands for one that was too long."""
        *complete, rest = data.split(b"\n")
        for piece in complete:
            yield from self._complete(piece)
        self._hold(rest)

    def end(self) -> Iterator[bytes | None]:
        """The last line, where no newline ends it."""
        if self._open or self._overlong:
            yield from self._complete(b"")

    def _complete(self, piece: bytes) -> Iterator[bytes | None]:
        self._hold(piece)
        line = bytes(self._open).strip()
        overlong = self._overlong
        self._open.clear()
        self._overlong = False
        if overlong:
            yield None
        elif line:
            yield line

    def _hold(self, piece: bytes) -> None:
        if self._overlong or len(self._open) + len(piece) > LONGEST:
            self._overlong = True
            self._open.clear()
        else:
            self._open += piece


def spooled(line: bytes) -> bytes:
    """A valid line as the spool keeps it: the time it came in, a blank, the line."""
    return b"%d %s\n" % (time.time_ns() // 1_000_000, line)


def from_spool(line: bytes) -> tuple[int, Report]:
    """(when it was said in milliseconds, what was said)."""
    came, _, said = line.partition(b" ")
    report = parse_report(said)
    return (int(came) if report.at is None else report.at), report
