"""The real program in a real pty, with pyte for its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path

import pyte

ROOT = Path(__file__).resolve().parents[2]


class Terminal:
    """Starts `mlops-console ARGS`, keeps every byte it wrote, and the screen that they make."""

    def __init__(self, *args: str, size: tuple[int, int] = (100, 30), env: dict[str, str] | None = None) -> None:
        columns, rows = size
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.written = b""
        self._rest = b""
        self.started = time.monotonic()
        self.first: float | None = None
        """Seconds to the first byte."""
        self.code: int | None = None
        settings = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8", **(env or {})}
        settings.pop("LC_ALL", None)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execve(sys.executable, [sys.executable, "-m", "console.launch", *args], settings)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.code is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        os.close(self.fd)

    def read(self, seconds: float = 0.05) -> int:
        """Take in what it writes for so long; how many bytes."""
        end, count = time.monotonic() + seconds, 0
        while (left := end - time.monotonic()) > 0:
            ready, _, _ = select.select([self.fd], [], [], left)
            if not ready:
                break
            try:
                data = os.read(self.fd, 65_536)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            if self.first is None:
                self.first = time.monotonic() - self.started
            count += len(data)
            self.written += data
            # Private-mode queries such as CSI > 1 u are more than pyte reads; it would print their ends. The beginning
            # of one may come without its end.
            whole = self._rest + data
            cut = next((len(begun) for begun in (b"\x1b[", b"\x1b") if whole.endswith(begun)), 0)
            self._rest = whole[len(whole) - cut :]
            self._stream.feed(whole[: len(whole) - cut].replace(b"\x1b[>", b"\x1b[?"))
        return count

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def wait(self, text: str, seconds: float = 60) -> str:
        """The screen, once it says so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read()
            if text in self.text:
                return self.text
        raise AssertionError(f"{text!r} never came:\n{self.text}")

    def wait_for(self, written: bytes, seconds: float = 60) -> None:
        """Until it has written these bytes."""
        end = time.monotonic() + seconds
        while written not in self.written:
            assert time.monotonic() < end, f"{written!r} never came: {self.written!r}"
            self.read()

    def rest(self, quiet: float = 0.6, seconds: float = 60) -> None:
        """Until it has written nothing for a while."""
        end = time.monotonic() + seconds
        while self.read(quiet):
            assert time.monotonic() < end, "it never comes to rest"

    def press(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def end(self, seconds: float = 60) -> int:
        """Its exit code, once it has ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
                self.read(0.1)
                return self.code
        raise AssertionError(f"it did not end:\n{self.text}")
