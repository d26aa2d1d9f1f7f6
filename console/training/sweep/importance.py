"""Which parameters of a sweep mattered, worked out in a process of its own: optuna and a forest take a second."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from console.offload import run_offloaded
from console.speaker import speak
from console.training.sweep.begin import SweepState


def importance_offloaded(state: SweepState, cancel: Callable[[], bool] | None = None) -> dict[str, float]:
    """As `asking.importance`; with `cancel` as `run_offloaded`."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "sweep.json"  # a thousand trials are too long for a command line
        file.write_bytes(msgspec.json.encode(state))
        found: dict[str, float] = run_offloaded("console.training.sweep.importance", [str(file)], cancel=cancel)
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


if __name__ == "__main__":
    from console.training.sweep.asking import importance

    told = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=SweepState)
    raise SystemExit(speak(lambda _: importance(told.plan, told.primary, told.trials)))
