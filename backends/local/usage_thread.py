"""The third thread of a supervisor: what the machine does and what the run's processes take, as metrics of the run.

A thread of its own, because a driver that hangs must hang neither the pipes nor the store. What it finds goes the way
of what the run says: into the spool, and from there into the store.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import msgspec

from backends import system_metrics as names
from backends.entities import LaunchSpec
from backends.local.command_process import CommandProcess
from backends.local.gpu_usage import GpuUsage
from backends.local.progress_spool import SpoolWriter
from backends.local.run_folder import Ended, RunFolder
from backends.local.tree_usage import TreeUsage

SHORTEST_S: Final = 1.0
"""No two samples are nearer: their step is the second they were taken in."""
FIRST_S: Final = 2.0
"""The pause of a young run; one of eight minutes is at 2 s still, then the pauses grow with it."""
LONGEST_S: Final = 30.0
SHARE: Final = 1 / 240
"""Of the time that a run has taken so far: how long the next pause is."""
WAITING: Final = 64 * 1024
"""Bytes that wait for a full disk; a sample is not what the room left should go to."""


def pause_after(elapsed: float, asked: float | None) -> float:
    """Seconds until the next sample of a run that has taken so long."""
    if asked is not None:
        return max(asked, SHORTEST_S)
    return min(max(elapsed * SHARE, FIRST_S), LONGEST_S)


class UsageThread(threading.Thread):
    """Samples until `finish`. A spec that asks for no samples makes it do nothing."""

    def __init__(
        self,
        command: CommandProcess,
        folder: RunFolder,
        spec: LaunchSpec,
        spool: SpoolWriter,
        note: Callable[[str], None],
        ago: float = 0.0,
    ) -> None:
        """The command was started `ago` seconds before."""
        super().__init__(name="usage", daemon=True)
        self._command = command
        self._wanted = spec.sample_s != 0 and not spec.control
        self._asked = spec.sample_s
        self._disk = str(folder.path)
        self._spool = spool
        self._note = note
        self._last = threading.Event()
        self._began = time.monotonic() - ago
        self._before = (time.monotonic(), command.usage().cpu_s)
        """When the tree was looked at last, and its CPU time then."""
        self._network = (0, 0)
        self._peak = 0

    def start(self) -> None:
        """The command has been started."""
        if self._wanted:
            super().start()

    def run(self) -> None:
        try:
            self._sample_until_the_end()
        except Exception as error:  # the run is worth more than knowing what it takes
            self._note(f"what the run takes is not watched any more: {type(error).__name__}: {error}")

    def _sample_until_the_end(self) -> None:
        import psutil

        gpus = GpuUsage(self._note)
        psutil.cpu_percent()  # what it gives is since the call before
        network = psutil.net_io_counters()
        if network is not None:
            self._network = (network.bytes_recv, network.bytes_sent)
        pause = SHORTEST_S  # a short run shall have one too
        while not self._last.wait(pause):
            tree = self._command.usage()
            self._say(self._machine() | self._tree(tree) | gpus.sample(tree.processes))
            pause = pause_after(time.monotonic() - self._began, self._asked)
        gpus.close()

    def _machine(self) -> dict[str, float]:
        """MLflow's own, each rounded as MLflow rounds it."""
        import psutil

        memory, disk, network = psutil.virtual_memory(), psutil.disk_usage(self._disk), psutil.net_io_counters()
        found = {
            names.CPU: psutil.cpu_percent(),
            names.MEMORY_MB: memory.used / 1e6,
            names.MEMORY_PERCENT: memory.used / memory.total * 100,
            names.DISK_PERCENT: disk.percent,
            names.DISK_MB: disk.used / 1e6,
            names.DISK_FREE_MB: disk.free / 1e6,
        }
        if network is not None:  # None on a machine without any
            found[names.RECEIVED_MB] = (network.bytes_recv - self._network[0]) / 1e6
            found[names.SENT_MB] = (network.bytes_sent - self._network[1]) / 1e6
        return {name: round(value, 1) for name, value in found.items()}

    def _tree(self, tree: TreeUsage) -> dict[str, float]:
        now = time.monotonic()
        at, cpu = self._before
        self._before = (now, tree.cpu_s)
        self._peak = max(self._peak, tree.memory)
        return {
            names.RUN_CPU: round(max(0.0, tree.cpu_s - cpu) / max(now - at, 0.001) * 100, 1),
            names.RUN_CPU_S: round(tree.cpu_s, 2),
            names.RUN_MEMORY_MB: round(tree.memory / 1e6, 1),
            names.RUN_PEAK_MB: round(self._peak / 1e6, 1),
            names.RUN_PROCESSES: float(len(tree.processes)),
        }

    def _say(self, metrics: dict[str, float]) -> None:
        if self._spool.pending > WAITING:
            return
        self._spool.add(msgspec.json.encode({"metrics": metrics, "step": int(time.monotonic() - self._began)}))
        self._spool.flush()

    def finish(self, ended: Ended | None) -> None:
        """After the command's end: what it took in all. A driver that hangs is not waited for."""
        if not self._wanted:
            return
        self._last.set()
        if self.ident is not None:
            self.join(2.0)
        if ended is None:
            return
        cpu = max(self._command.usage().cpu_s, ended.cpu_s)
        peak = max(self._peak, ended.max_rss)
        self._say({names.RUN_CPU_S: round(cpu, 2), names.RUN_PEAK_MB: round(peak / 1e6, 1)})
