"""A text in the person's own editor."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from backends.contract import Refused

if TYPE_CHECKING:
    from console.tui.here import Here


def in_editor(here: Here, text: str, name: str, instead: str) -> str:
    """The text as the editor ($VISUAL, $EDITOR) left it, in a file of that name; the screen is its own meanwhile.

    instead: what does the same without an editor. Raises Refused where none is named, or where it ends badly.
    """
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""
    if not editor:
        raise Refused(f"no editor is named: set EDITOR and start anew, or: {instead}")
    with tempfile.TemporaryDirectory(prefix="mlops-console-") as folder:
        path = Path(folder) / name
        path.write_text(text, encoding="utf-8")
        try:
            with here.app.suspend():
                subprocess.run([*shlex.split(editor), str(path)], check=True)
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            raise Refused(f"the editor {editor} did not end well ({error}); nothing was kept") from error
        return path.read_text(encoding="utf-8", errors="replace")
