"""What a worker says while it works: JSON lines on the descriptor that its supervisor gave it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any

PROGRESS_FD = "MLOPS_PROGRESS_FD"


class Channel:
    """The progress descriptor; without one (a worker started by hand) the lines go to stdout.

    While a supervisor is gone the pipe keeps what is said, and the worker waits where it is full.
    """

    def __init__(self) -> None:
        self._fd = int(os.environ.get(PROGRESS_FD, "1"))
        self._began = time.monotonic()

    def say(self, **line: Any) -> None:
        data = (json.dumps(line, default=str) + "\n").encode()
        while data:
            data = data[os.write(self._fd, data) :]

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        if values:
            self.say(metrics=dict(values), step=step)

    def progress(self, fraction: float, stage: str, rate: str = "") -> None:
        spent = time.monotonic() - self._began
        eta = spent * (1 - fraction) / fraction if fraction > 0.02 else None
        self.say(progress=round(fraction, 4), stage=stage, rate=rate, eta_s=eta if eta is None else round(eta, 1))

    def note(self, text: str) -> None:
        """A line in the run's log."""
        print(text, flush=True)
