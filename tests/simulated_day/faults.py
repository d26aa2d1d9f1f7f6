"""What goes wrong on the day: processes are killed, the disk is full. And what the processes used meanwhile."""

from __future__ import annotations

import random
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil

from backends.contract import BackendError
from backends.local.agent_presence import living_agent
from backends.local.process_identity import ProcessIdentity, is_alive, send_signal
from console.agent import agent_status, ensure_agent


class Faults:
    """A thread of its own, out of a seed. `hold` keeps it from killing."""

    def __init__(self, workspace: Path, seed: int, *, kills: int, full: int, seconds: float, disk: Path | None) -> None:
        self._workspace = workspace
        self._chance = random.Random(seed)
        self._disk = disk
        self._times = sorted(
            [(self._chance.uniform(1.0, seconds), "kill") for _ in range(kills)]
            + [(self._chance.uniform(0.2, 0.8) * seconds, "full") for _ in range(full if disk is not None else 0)]
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ending = threading.Event()
        self.done: dict[str, int] = {"agent": 0, "scorer": 0, "both": 0, "full disk": 0}
        self.cpu: dict[str, float] = {"agent": 0.0, "scorers": 0.0}
        self._used: dict[tuple[str, int], float] = {}

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()
        self.look()

    def _run(self) -> None:
        began = time.monotonic()
        for at, what in self._times:
            while time.monotonic() - began < at:
                self.look()
                time.sleep(0.1)
            if what == "full":
                self._fill(self._chance.uniform(1.5, 3.0))
            else:
                self._kill(self._chance.choice(["agent", "scorer", "both"]), self._chance.uniform(0.0, 1.5))
        while not self._ending.is_set():
            self.look()
            self._ending.wait(0.2)

    def end(self) -> None:
        self._ending.set()
        self.join()

    # ------------------------------------------------------------ what is done

    def _kill(self, what: str, pause: float) -> None:
        self.look()
        agent = living_agent(self._workspace) if what in ("agent", "both") else None
        killed = ([agent.process] if agent is not None else []) + (self._scorers() if what != "agent" else [])
        for identity in killed:
            send_signal(identity, signal.SIGKILL)
        self.done[what] += 1
        time.sleep(pause)
        while any(map(is_alive, killed)):  # for some 60 ms on a loaded machine: nobody is needed in place of who lives
            time.sleep(0.01)
        self.revive()

    def revive(self) -> None:
        """On a full disk it may not come up: then once there is room."""
        with suppress(BackendError, OSError):
            ensure_agent(self._workspace)

    def _fill(self, seconds: float) -> None:
        assert self._disk is not None
        filler = self._disk / "filler"
        until = time.monotonic() + seconds
        with filler.open("ab", buffering=0) as file:
            while time.monotonic() < until:  # what is freed meanwhile is taken, too
                with suppress(OSError):
                    while file.write(b"0" * 65_536):
                        pass
                with suppress(OSError):
                    while file.write(b"0" * 512):
                        pass
                self.look()
                time.sleep(0.1)
        filler.unlink()
        self.done["full disk"] += 1
        self.revive()

    # ------------------------------------------------------------ what is used

    def _scorers(self) -> list[ProcessIdentity]:
        found = []
        for place in (self._workspace / "monitors").glob("*/scorer.json"):
            with suppress(FileNotFoundError, msgspec.DecodeError):
                identity = msgspec.json.decode(place.read_bytes(), type=ProcessIdentity)
                if is_alive(identity):
                    found.append(identity)
        return found

    def look(self) -> None:
        """Note down what the living have used."""
        pids = [("scorers", identity.pid) for identity in self._scorers()]
        agent = agent_status(self._workspace).pid
        if agent is not None:
            pids.append(("agent", agent))
        for what, pid in pids:
            with suppress(psutil.Error):
                times = psutil.Process(pid).cpu_times()
                self._used[what, pid] = times.user + times.system
        self.cpu = {what: sum(used for (kind, _), used in self._used.items() if kind == what) for what in self.cpu}
