"""One scorer process for every monitor that watches a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import msgspec

from backends.contract import Backend, all_pages
from backends.local.command_process import die_with_parent
from backends.local.process_identity import ProcessIdentity, identify, send_signal
from backends.local.run_folder import write_whole
from console.agent.retry import Backoff
from console.monitoring.feeds.sources import is_fed

STEADY_S = 60.0
"""A scorer that ran this long may be restarted at once."""
END_S = 5.0


@dataclass
class Scorer:
    """One monitor's process, or the wait for its next start."""

    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    backoff: Backoff = field(default_factory=Backoff)


class Scorers:
    """Starts, restarts and ends scorers so that they are what the monitors say."""

    def __init__(self, backend: Backend, workspace: Path, say: Callable[[str], None]) -> None:
        self._backend = backend
        self._workspace = workspace
        self._say = say
        self._scorers: dict[str, Scorer] = {}

    @property
    def waiting(self) -> bool:
        """Whether one is to be started again."""
        return any(scorer.process is None for scorer in self._scorers.values())

    def step(self) -> None:
        fed = self._fed()
        for name, scorer in list(self._scorers.items()):
            if name not in fed:
                self._end([name])
            elif not fed[name] and (scorer.process is None or scorer.process.poll() is not None):
                # It waited for more for a while, and ended by itself.
                if scorer.process is not None and scorer.process.returncode:
                    self._say(
                        f"monitor {name}: its scorer ended with {scorer.process.returncode}; nothing waits for it"
                    )
                del self._scorers[name]
        for name in [name for name in fed if fed[name]]:
            self._keep(name, self._scorers.setdefault(name, Scorer()))

    def _fed(self) -> dict[str, bool]:
        """Whether something arrives at each monitor that is not paused."""
        monitors = self._backend.monitors
        if monitors is None:
            return {}
        return {
            monitor.name: is_fed(self._backend, monitor)
            for monitor in all_pages(lambda at: monitors.page(at=at, limit=500))
            if not monitor.paused
        }

    def _keep(self, name: str, scorer: Scorer) -> None:
        if scorer.process is not None:
            code = scorer.process.poll()
            if code is None:
                return
            scorer.process = None
            steady = time.monotonic() - scorer.started_at > STEADY_S
            if steady:
                scorer.backoff.succeeded()
            if code != 0 or not steady:  # else it had nothing to do, and has something again
                pause = scorer.backoff.failed()
                self._say(f"monitor {name}: its scorer ended with {code}; started again in {pause:.0f} s")
        if scorer.backoff.due:
            scorer.process = self._spawn(name)
            scorer.started_at = time.monotonic()
            self._say(f"monitor {name}: scorer {scorer.process.pid} started")

    def _spawn(self, name: str) -> subprocess.Popen[bytes]:
        folder = self._workspace / "monitors" / quote(name, safe="")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._end_earlier(folder / "scorer.json")
        file = os.open(folder / "scorer.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "console.monitoring.scorer",
                    "--workspace",
                    str(self._workspace),
                    "--monitor",
                    name,
                ],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
        finally:
            os.close(file)
        identity = identify(process.pid)
        if identity is not None:
            write_whole(folder / "scorer.json", msgspec.json.encode(identity))
        return process

    def _end_earlier(self, place: Path) -> None:
        """Where the system cannot end a scorer with its agent, the next agent does."""
        try:
            identity = msgspec.json.decode(place.read_bytes(), type=ProcessIdentity)
        except (FileNotFoundError, msgspec.DecodeError):
            return
        send_signal(identity, signal.SIGKILL)

    def end_all(self) -> None:
        self._end(list(self._scorers))

    def _end(self, names: list[str]) -> None:
        processes = [scorer.process for name in names if (scorer := self._scorers.pop(name)).process is not None]
        living = [process for process in processes if process is not None]
        for process in living:
            process.terminate()
        until = time.monotonic() + END_S
        for process in living:
            try:
                process.wait(max(until - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for name in names:
            self._say(f"monitor {name}: scorer ended")
