"""What the command of a run says on its progress pipe: checked line by line, then spooled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from backends.local.progress_lines import LineSplitter, from_spool, parse_report
from backends.local.progress_spool import SpoolWriter

NAMED_BAD_LINES = 20
"""So many malformed progress lines are shown in the log, the rest is counted."""


class Said:
    """Takes the pipe's bytes as they come."""

    def __init__(self, spool: SpoolWriter, note: Callable[[str], None]) -> None:
        self._spool = spool
        self._note = note
        self._lines = LineSplitter()
        self.bad_lines = 0
        self.fail = ""
        """Why the command is about to fail, as it said itself."""

    def take(self, data: bytes) -> None:
        self._keep(self._lines.feed(data))

    def end(self) -> None:
        """Nothing more will come."""
        self._keep(self._lines.end())
        if self.bad_lines > NAMED_BAD_LINES:
            self._note(f"{self.bad_lines:,} progress lines were not understood")

    def _keep(self, lines: Iterable[bytes | None]) -> None:
        for line in lines:
            if line is None:
                self._bad_line("longer than 1 MB", b"")
                continue
            try:
                report = parse_report(line)
            except ValueError as wrong:
                self._bad_line(str(wrong), line)
                continue
            self.fail = " ".join(report.fail.split()) or self.fail
            self._spool.add(line)
        self._spool.flush()

    def _bad_line(self, why: str, line: bytes) -> None:
        self.bad_lines += 1
        if self.bad_lines <= NAMED_BAD_LINES:
            shown = line[:200].decode("utf-8", "replace")
            self._note(f"progress line {shown!r} not understood: {why}")


def last_fail(path: Path) -> str:
    """Why the run said last that it is about to fail, from the spool's end; empty when it did not."""
    try:
        lines = path.read_bytes()[-65_536:].split(b"\n")
    except FileNotFoundError:
        return ""
    for line in reversed(lines):
        if b'"fail"' in line:
            try:
                return " ".join(from_spool(line)[1].fail.split())
            except ValueError:
                continue
    return ""
