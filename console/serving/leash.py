"""`python leash.py COMMAND…`: the command, for as long as whoever started it lives.

It leads a process group of its own. Once its standard input ends, which is when the server ends in whatever way, the
group is asked to end, and killed after a moment. Imports nothing of ours: there is one for each model process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from typing import Final

GRACE_S: Final = 5.0


def main(command: list[str]) -> int:
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, _step_over)
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"{command[0]}: {error.strerror or error}", file=sys.stderr, flush=True)
        return 127
    threading.Thread(target=_watch, args=(child,), daemon=True).start()
    code = child.wait()
    os.killpg(0, signal.SIGTERM)  # what it started and left
    return code if code >= 0 else 128 - code


def _watch(child: subprocess.Popen[bytes]) -> None:
    """End the group once nobody holds the other end of our input."""
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_S)
    os.killpg(0, signal.SIGKILL)  # whatever is left of it, and we


def _step_over(_number: int, _frame: object) -> None:
    """A signal to the group is meant for the command: we go when it has gone. A handler, because what is ignored would
    be ignored by the command too."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
