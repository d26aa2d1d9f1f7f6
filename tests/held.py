"""Data work that stands still where a test wants it, until it is stopped: no machine is too fast or too slow then."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

TRIPWIRE = """
import sys, time
if "console.data.worker" in sys.orig_argv:
    from console.speaker import Speaker
    say = Speaker.progress
    def said(self, progress):
        held = progress.stage.startswith({stage!r})
        if held:
            self._told = 0.0  # however soon it comes after the one before
        say(self, progress)
        while held:
            time.sleep(60)
    Speaker.progress = said
"""


def hold_at(stage: str, folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Data work that comes to a stage of this name says so and goes no further; the file that does it."""
    made = folder / "site" / "sitecustomize.py"
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_text(TRIPWIRE.format(stage=stage))
    patch.setenv("PYTHONPATH", os.pathsep.join([str(made.parent), os.environ.get("PYTHONPATH", "")]))
    return made
