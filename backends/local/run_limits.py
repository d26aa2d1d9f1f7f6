"""What a run may take: time, and memory of all its processes together."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from backends.entities import LaunchSpec

if TYPE_CHECKING:
    from backends.local.command_process import CommandProcess

SAMPLE_S: Final = 0.5
"""How often memory is looked at: a process that takes a gigabyte in less can be over by that much."""


class LimitWatch:
    """Looks whether the calling supervisor's command is over one of its limits."""

    def __init__(self, spec: LaunchSpec) -> None:
        self._spec = spec
        self._until: float | None = None
        self._sample_at = 0.0
        self._command: CommandProcess | None = None
        self.over = ""
        """Which limit it is over, in words; empty while it is over none."""

    def begin(self, command: CommandProcess, ago: float = 0.0) -> None:
        """The command was started, `ago` seconds before."""
        self._command = command
        if self._spec.max_seconds > 0:
            self._until = time.monotonic() + self._spec.max_seconds - ago

    @property
    def patience(self) -> float | None:
        """Seconds until it has to be looked at again; None for never."""
        if self.over:
            return None
        now = time.monotonic()
        waits = []
        if self._until is not None:
            waits.append(max(self._until - now, 0.0) + 0.01)
        if self._spec.max_memory > 0:
            waits.append(max(self._sample_at - now, 0.0) + 0.01)
        return min(waits, default=None)

    def exceeded(self) -> bool:
        """Whether it is over a limit; then `over` says which."""
        now = time.monotonic()
        if not self.over and self._until is not None and now >= self._until:
            self.over = f"over its {_period(self._spec.max_seconds)}"
        if not self.over and self._command is not None and self._spec.max_memory > 0 and now >= self._sample_at:
            self._sample_at = now + SAMPLE_S
            taken = self._command.usage().memory
            if taken > self._spec.max_memory:
                self.over = f"over its {_size(self._spec.max_memory)} of memory: it took {_size(taken)}"
        return bool(self.over)


def _period(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:g} second{'' if seconds == 1 else 's'}"
    minutes = round(seconds / 60, 2)
    return f"{minutes:g} minute{'' if minutes == 1 else 's'}"


def _size(taken: int) -> str:
    return f"{taken / 1_000_000:,.0f} MB"
