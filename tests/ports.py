"""Ports of 127.0.0.1 that nobody else takes between being chosen and being listened at."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

FIRST, COUNT = 20_000, 10_000
"""Below those that the system hands out by itself (Linux: from 32768, macOS: from 49152): no other server that takes
any port, and no connection that goes out, can have one of these."""

_held: list[int] = []


def free_port() -> int:
    """A port that is free now, and that no other process of the tests is given while this one lives."""
    folder = Path(tempfile.gettempdir()) / f"test-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for port in random.sample(range(FIRST, FIRST + COUNT), COUNT):
        mark = os.open(folder / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            os.close(mark)
            continue
        _held.append(mark)  # until this process ends
        return port
    raise AssertionError("no port is free")
