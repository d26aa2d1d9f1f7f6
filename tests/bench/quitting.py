"""From the key that quits to the end of the process: tuiperf.py lets the screen settle before it starts that clock."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import statistics
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

LONGEST_S = 20.0


def quit_ms(workspace: Path, times: int = 5) -> float:
    """Median wall milliseconds."""
    return statistics.median(_once(workspace) for _ in range(times))


def _once(workspace: Path) -> float:
    with tempfile.TemporaryDirectory() as cache:
        child, screen = pty.fork()
        if child == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", LC_ALL="C.UTF-8", XDG_CACHE_HOME=cache)
            command = [sys.executable, "-m", "console.launch", "--workspace", str(workspace), "runs"]
            os.execv(command[0], command)
        try:
            _read(screen, b"1 of ", LONGEST_S)
            _read(screen, None, 1.0)
            began = time.perf_counter()
            os.write(screen, b"q")
            while time.perf_counter() < began + LONGEST_S:
                _read(screen, None, 0.001)
                if os.waitpid(child, os.WNOHANG)[0]:
                    return (time.perf_counter() - began) * 1e3
            raise SystemExit(f"the console did not end within {LONGEST_S:.0f} s of the key")
        finally:
            os.close(screen)


def _read(screen: int, wanted: bytes | None, seconds: float) -> None:
    """What the program writes, until something is in it or for so long."""
    end, seen = time.perf_counter() + seconds, b""
    while (left := end - time.perf_counter()) > 0:
        if select.select([screen], [], [], left)[0]:
            try:
                seen += os.read(screen, 65536)
            except OSError:  # its side is closed
                return
        if wanted is not None and wanted in seen:
            return
    if wanted is not None:
        raise SystemExit(f"{wanted!r} was not on the screen within {seconds:.0f} s")
