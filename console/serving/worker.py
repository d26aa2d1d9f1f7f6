"""`python -m console.serving.worker`: one process that answers. It opens no store: the server says what to load, and
hands it a listening socket and a channel.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import msgspec

from console.serving.answering import Loaded
from console.serving.app import App
from console.serving.channel import Channel, Failed
from console.serving.counters import WorkerStats
from console.serving.engine import load_version
from console.serving.fetched import VersionFile
from console.serving.prediction_log import PredictionLog
from console.serving.protocol import HttpServer
from console.serving.said import say
from console.serving.spec import ServingSpec, Target, read_spec, read_token
from console.serving.split import Chosen, make_split
from console.serving.tally import Tally


class Serve(msgspec.Struct):
    """What to serve from here on: (target, version) each, of versions that are loaded."""

    targets: list[tuple[Target, str]]
    keep: list[str] = []
    """Other versions that stay loaded, for a way back that takes no time."""


class Worker:
    """Loads what it is told to, exchanges the split, and says how it is."""

    def __init__(self, spec: ServingSpec, listener: socket.socket, number: int, tally: Tally) -> None:
        self.spec = spec
        self.loaded: dict[str, Loaded] = {}
        self._why: dict[str, str] = {}
        """By version, why scikit-learn answers for it where ONNX was to."""
        self.swaps = 0
        self._listener = listener
        self._channel = Channel(self._do)
        writer = f"w{number}p{os.getpid()}"
        log = PredictionLog(spec.log, writer, say)
        self.app = App(spec, read_token(spec.token_file), log, self._metrics, tally)
        self._server = HttpServer(self.app, spec.limits)
        self._serving: asyncio.Task[None] | None = None
        self._tuning: asyncio.Task[None] | None = None

    async def run(self, control: socket.socket) -> None:
        """Until told to drain, or the server is gone."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.drain)
        channel = asyncio.create_task(self._channel.run(control))
        await self._channel.closed.wait()
        await channel
        self.drain()
        if self._serving is not None:
            await self._serving
        self.app.log.close()
        self.app.shadows.close()

    def drain(self) -> None:
        """Take no further connections; what is being answered is answered."""
        self.app.draining = True
        self._server.stop()

    async def _metrics(self) -> str:
        return str(await self._channel.ask("metrics", seconds=10))

    # ------------------------------------------------------------ what the server asks

    async def _do(self, verb: str, body: Any) -> Any:
        match verb:
            case "load":
                return await self._load(msgspec.convert(body, VersionFile))
            case "serve":
                return await self._serve(msgspec.convert(body, Serve))
            case "stats":
                return self._stats()
            case "drain":
                return await self._drained()
        raise Failed(f"{verb} is not known")

    async def _load(self, file: VersionFile) -> dict[str, Any]:
        if file.version not in self.loaded:
            spec = self.spec
            self.loaded[file.version], self._why[file.version] = await asyncio.to_thread(
                load_version, file, spec.engine, sticky=spec.sticky_field, ignore_extra=spec.ignore_extra,
                most=spec.limits.rows, lean=True,
            )  # fmt: skip
        loaded = self.loaded[file.version]
        return {
            "version": file.version,
            "at": loaded.at,
            "row_ms": loaded.row_seconds * 1000,
            "engine": loaded.engine,
            "why": self._why[file.version],
        }

    async def _serve(self, asked: Serve) -> None:
        split = make_split([Chosen(target, self.loaded[version]) for target, version in asked.targets])
        self.app.split = split  # the one moment at which anything changes
        self.swaps += 1
        wanted = {version for _, version in asked.targets} | set(asked.keep)
        for version in [version for version in self.loaded if version not in wanted]:
            del self.loaded[version], self._why[version]
        if self._tuning is None or self._tuning.done():
            self._tuning = asyncio.create_task(self._tune())
        if self._serving is None:
            gc.freeze()  # what was imported stays: looking through it would hold up an answer time and again
            gc.set_threshold(20_000, 10, 10)  # answering leaves next to no cycles, and its rows wait for the log
            self._serving = asyncio.create_task(self._server.serve([self._listener]))
            while not self._server.started:
                await asyncio.sleep(0.002)

    async def _tune(self) -> None:
        """What is loaded answers already; it may do so in less time."""
        while untried := [each for each in self.loaded.values() if each.untried]:
            await asyncio.to_thread(untried[0].tune)

    async def _drained(self) -> None:
        self.drain()
        if self._serving is not None:
            await asyncio.wait([self._serving])

    def _stats(self) -> WorkerStats:
        usage = os.times()
        app = self.app
        return WorkerStats(
            pid=os.getpid(), versions=app.counted, logged=app.log.logged, log_dropped=app.log.dropped,
            log_trouble=app.log.trouble, shadow_dropped=app.shadows.dropped, in_flight=app.in_flight,
            connections=len(self._server.connections), rss=_resident(),
            cpu_seconds=usage.user + usage.system, loaded=sorted(self.loaded),
            row_ms={version: each.row_seconds * 1000 for version, each in self.loaded.items()},
            quick=sorted(version for version, each in self.loaded.items() if each.swift), swaps=self.swaps,
        )  # fmt: skip


def _resident() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import psutil

        return int(psutil.Process().memory_info().rss)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m console.serving.worker", description=__doc__)
    parser.add_argument("--spec", type=Path, required=True)
    parser.add_argument("--listen", type=int, required=True, help="descriptor of the listening socket")
    parser.add_argument("--control", type=int, required=True, help="descriptor of the channel")
    parser.add_argument("--tally", type=int, required=True, help="descriptor of what callers are counted in")
    parser.add_argument("--number", type=int, required=True)
    asked = parser.parse_args()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the server drains us
    sys.setswitchinterval(0.001)  # a thread that loads or shadows gives way sooner to the one that answers
    tally = Tally(asked.tally)
    worker = Worker(read_spec(asked.spec), socket.socket(fileno=asked.listen), asked.number, tally)
    asyncio.run(worker.run(socket.socket(fileno=asked.control)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
