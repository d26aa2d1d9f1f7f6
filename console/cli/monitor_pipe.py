"""`producer | mlops-console monitor ingest NAME -`: rows from a pipe, handed over as they come."""

from __future__ import annotations

import errno
import os
import select
import sys
import time
from collections.abc import Callable

from backends.contract import Backend, BackendError, Invalid, Unreachable
from backends.entities import Monitor
from console.cli.agent_needed import wake_agent
from console.cli.follow import ProgressLine
from console.cli.output import narrate
from console.cli.verb import Invocation
from console.monitoring.feeds.growing import last_end
from console.monitoring.feeds.handing import hand_over, waiting_files
from console.wording import plural, thousands

ROWS, SECONDS = 100_000, 5.0
"""What is handed over at once: so many rows, or what came within so long."""
BYTES = 8 << 20
AGAIN_S = 0.5


def pipe(invocation: Invocation, name: str, *, labels: bool, source: int | None = None) -> int:
    """Hand over JSON lines, or a CSV with a header, until the pipe ends; then wait until all is counted. The rows.

    What was handed over is on disk: ctrl-c, or the end of the machine, loses none of it and counts none twice.
    """
    monitor = invocation.need("monitors").get(name)
    wake_agent(invocation)
    handle = sys.stdin.fileno() if source is None else source
    feed = _Feed(invocation.backend, monitor, labels, lambda: wake_agent(invocation))
    with ProgressLine() as line:
        try:
            while True:
                ready, _, _ = select.select([handle], [], [], 0.5)
                block = os.read(handle, 1 << 20) if ready else None
                if block == b"":
                    feed.flush(final=True)
                    break
                if block:
                    feed.take(block)
                feed.flush()
                line.update(fraction=None, stage=f"{thousands(feed.rows)} rows handed over")
        except KeyboardInterrupt:
            feed.flush(ended=True)
            narrate(f"{plural(feed.rows, 'row')} handed over; the agent counts them")
            raise
        if not feed.rows:
            raise Invalid("no row came by the pipe: wanted are JSON lines, or a CSV with a header", "file")
        _wait(invocation, monitor, line)
    return feed.rows


class _Feed:
    """What came and is not handed over yet."""

    def __init__(self, backend: Backend, monitor: Monitor, labels: bool, wake: Callable[[], None]) -> None:
        """wake: told of each piece that was handed over."""
        self.rows = 0
        self._backend = backend
        self._monitor = monitor
        self._labels = labels
        self._wake = wake
        self._data = bytearray()
        self._since = time.monotonic()
        self._header: bytes | None = None
        self._kind = ""

    def take(self, block: bytes) -> None:
        if not self._data:
            self._since = time.monotonic()
        self._data += block

    def flush(self, *, final: bool = False, ended: bool = False) -> None:
        """Hand over whole lines where they are many or old. final: the pipe ended, so that its last line is whole;
        ended: all whole lines at once."""
        if not self._begin():
            return
        due = final or ended or time.monotonic() - self._since >= SECONDS or len(self._data) >= BYTES
        if not due and self._data.count(b"\n") < ROWS:
            return
        while self._data:
            end = (
                len(self._data)
                if final and len(self._data) <= BYTES
                else last_end(bytes(self._data[:BYTES]), self._kind)
            )
            if not end and len(self._data) >= BYTES:
                raise Invalid(
                    f"a line of more than {BYTES >> 20} MB came by the pipe: is it JSON lines or CSV?", "file"
                )
            if not end:
                break
            lines = bytes(self._data[:end])
            whole = self._header + lines if self._header is not None else lines
            self._hand_over(whole)
            self.rows += lines.count(b"\n") + (not lines.endswith(b"\n"))
            del self._data[:end]
            if not final:
                break
        self._since = time.monotonic()

    def _hand_over(self, data: bytes) -> None:
        """On disk when this returns. While the disk is full, or too much waits, the producer waits as well."""
        told = False
        while True:
            try:
                hand_over(self._backend, self._monitor.name, data, suffix=f".{self._kind}", labels=self._labels)
                break
            except Unreachable as error:
                why = str(error)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                why = f"no space left for {self._monitor.name}: rows from the pipe wait until there is some"
            if not told:
                narrate(why)
                told = True
            time.sleep(AGAIN_S)
        try:
            self._wake()
        except (BackendError, OSError) as error:  # it is on disk, and counted by the next agent
            narrate(f"handed over, and not counted yet: {error}")

    def _begin(self) -> bool:
        """Whether it is known what comes: by the first line."""
        if self._kind:
            return bool(self._data)
        start = bytes(self._data[:4096]).lstrip(b"\xef\xbb\xbf \r\n\t")
        if not start:
            return False
        if start.startswith(b"{"):
            self._kind = "jsonl"
            return True
        if start.startswith(b"["):
            raise Invalid("a JSON list came by the pipe: wanted is one object a line, e.g. by jq -c '.[]'", "file")
        if b"\n" not in self._data:
            return False
        self._kind = "csv"
        at = self._data.index(b"\n") + 1
        self._header = bytes(self._data[:at])
        del self._data[:at]
        return bool(self._data)


def _wait(invocation: Invocation, monitor: Monitor, line: ProgressLine) -> None:
    """Until the agent has counted what was handed over."""
    while left := waiting_files(invocation.backend, monitor.name):
        if invocation.need("monitors").get(monitor.name).paused:
            narrate(f"{monitor.name} is paused: {plural(len(left), 'file')} of rows wait until it is resumed")
            return
        line.update(fraction=None, stage=f"{plural(len(left), 'file')} of rows to count")
        time.sleep(0.2)
