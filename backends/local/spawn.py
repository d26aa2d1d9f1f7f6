"""How the supervisor of a run is started, by whoever finds that it has none."""

from __future__ import annotations

import os
import subprocess
import sys

from backends.local.process_tree import AGENT_MARK
from backends.local.run_folder import RunFolder


def spawn_supervisor(folder: RunFolder) -> subprocess.Popen[bytes]:
    """Detached, in its own session; what it says beside the run's log goes to supervisor.log."""
    file = os.open(folder.path / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "backends.local.supervisor", str(folder.path)],
            cwd=folder.path,
            env={**os.environ, AGENT_MARK: str(folder.workspace)},  # a keeper's descendant, and none of its run
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    finally:
        os.close(file)
