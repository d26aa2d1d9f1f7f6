"""The workers of a server: started, asked together, started again when one dies."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from backends.contract import BackendError, Refused
from console.serving.channel import Channel, Failed, Gone, Handler
from console.serving.counters import WorkerStats
from console.serving.fetched import VersionFile
from console.serving.segments import recover
from console.serving.spec import THREADS, ServingSpec, Target

RESTART_S: Final = 0.5
"""Before a worker that died is started again; twice as long each time it dies within a minute."""

Equip = Callable[[], Awaitable[tuple[list[VersionFile], list[tuple[Target, str]]]]]


class _Hand:
    """One worker's process."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: subprocess.Popen[bytes] | None = None
        self.channel: Channel | None = None
        self.running: asyncio.Task[None] | None = None
        self.began = 0.0
        self.deaths = 0
        self.leaving = False
        self.kept = WorkerStats()
        """What those before it in its place had counted."""
        self.last = WorkerStats()


class Crew:
    """All workers of one server."""

    def __init__(
        self,
        spec: ServingSpec,
        spec_path: Path,
        listener: socket.socket,
        tally: int,
        equip: Equip,
        asks: Handler,
        say: Callable[[str], None],
    ) -> None:
        self._spec = spec
        self._spec_path = spec_path
        self._listener = listener
        self._tally = tally
        self._equip = equip
        self._asks = asks
        self._say = say
        self._ending = False
        self._hands = [_Hand(number) for number in range(spec.workers)]
        self._next = spec.workers
        self._watching: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        for hand in self._hands:
            self._spawn(hand)
        self._watching = [asyncio.create_task(self._watch(hand)) for hand in self._hands]

    def _spawn(self, hand: _Hand) -> None:
        ours, theirs = socket.socketpair()
        env = {**os.environ, **dict.fromkeys(THREADS, str(self._spec.threads))}
        with theirs:
            hand.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "console.serving.worker", "--spec", str(self._spec_path)),
                    *("--listen", str(self._listener.fileno()), "--control", str(theirs.fileno())),
                    *("--tally", str(self._tally), "--number", str(hand.number)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,  # our own stdout says when we are ready, and nothing else
                env=env,
                pass_fds=(self._listener.fileno(), theirs.fileno(), self._tally),
            )
        hand.began = time.monotonic()
        hand.channel = Channel(self._asks)
        hand.running = asyncio.create_task(hand.channel.run(ours))

    async def resize(self, count: int) -> None:
        """So many workers. Refused, with as many as before, where a new one cannot serve."""
        fresh = [_Hand(self._next + at) for at in range(count - len(self._hands))]
        files, targets = await self._equip()
        try:
            for hand in fresh:
                self._spawn(hand)
                assert hand.channel is not None  # noqa: S101 it was just made
                for file in files:
                    await hand.channel.ask("load", file, seconds=self._spec.limits.load_seconds)
                await hand.channel.ask("serve", {"targets": targets})
        except (Failed, TimeoutError) as error:
            for hand in fresh:
                if hand.process is not None:
                    hand.process.kill()
                    await asyncio.to_thread(hand.process.wait)
            raise Refused(f"another worker cannot serve: {error or 'it took too long'}") from error
        self._next += len(fresh)
        await self.stats()  # those that leave are heard once more
        surplus, self._hands = self._hands[count:], [*self._hands[:count], *fresh]
        self._watching += [asyncio.create_task(self._watch(hand)) for hand in fresh]
        for hand in surplus:
            hand.leaving = True
        await self._drained(surplus, self._spec.limits.drain_seconds)
        for hand in surplus:
            self._hands[0].kept = _added(self._hands[0].kept, _added(hand.kept, hand.last))
        if fresh or surplus:
            self._say(f"{count} workers serve")

    async def _watch(self, hand: _Hand) -> None:
        """Start it again whenever it dies."""
        while True:
            assert hand.channel is not None and hand.process is not None  # noqa: S101, PT018
            await hand.channel.closed.wait()
            if self._ending or hand.leaving:
                return
            code = await asyncio.to_thread(hand.process.wait)
            hand.deaths = hand.deaths + 1 if time.monotonic() - hand.began < 60 else 1
            pause = min(RESTART_S * 2 ** (hand.deaths - 1), 30.0)
            self._say(f"worker {hand.number} ended with {code}; started again in {pause:g} s")
            hand.kept = _added(hand.kept, hand.last)
            hand.last = WorkerStats()
            if self._spec.log.folder:
                recover(Path(self._spec.log.folder), f"w{hand.number}p{hand.process.pid}")
            await asyncio.sleep(pause)
            self._spawn(hand)
            try:
                files, targets = await self._equip()
                for file in files:
                    await hand.channel.ask("load", file, seconds=self._spec.limits.load_seconds)
                await hand.channel.ask("serve", {"targets": targets})
                self._say(f"worker {hand.number} serves again")
            except (Failed, TimeoutError) as error:
                self._say(f"worker {hand.number} cannot serve: {error or 'it took too long'}")
                hand.process.kill()

    # ------------------------------------------------------------ asked together

    async def load(self, files: list[VersionFile]) -> dict[str, dict[str, Any]]:
        """Every worker loads these; by version what the first one said. Refused with the reason where one cannot."""
        said: dict[str, dict[str, Any]] = {}
        for file in files:
            answers = await self._all("load", file, self._spec.limits.load_seconds)
            for hand, answer in answers:
                if isinstance(answer, Gone):
                    continue  # it is started again with what is served then
                if isinstance(answer, BaseException):
                    raise Refused(str(answer) or f"worker {hand.number} did not load {file.ref} in time") from answer
                said.setdefault(file.version, answer)
            if file.version not in said:
                raise Refused(f"no worker is there to load {file.ref}; the log says why")
        return said

    async def serve(self, targets: list[tuple[Target, str]], keep: list[str]) -> None:
        """Every worker serves these from here on."""
        for hand, answer in await self._all("serve", {"targets": targets, "keep": keep}, 30):
            if isinstance(answer, BaseException) and hand.process is not None:
                # One state everywhere: whoever did not follow is started again, and equipped anew.
                self._say(f"worker {hand.number} did not exchange ({answer}); started again")
                hand.process.kill()

    async def stats(self) -> list[WorkerStats]:
        """Of each worker, with what was counted by those that it stands for."""
        for hand, answer in await self._all("stats", None, 5):
            if not isinstance(answer, BaseException):
                hand.last = msgspec.convert(answer, WorkerStats)
        return [_added(hand.kept, hand.last) for hand in self._hands]

    async def _all(self, verb: str, body: object, seconds: float) -> list[tuple[_Hand, Any]]:
        hands = [hand for hand in self._hands if hand.channel is not None]
        answers = await asyncio.gather(
            *(hand.channel.ask(verb, body, seconds=seconds) for hand in hands if hand.channel is not None),
            return_exceptions=True,
        )
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, (Failed, TimeoutError, BackendError)):
                raise answer
        return list(zip(hands, answers, strict=True))

    # ------------------------------------------------------------ the end

    async def end(self, seconds: float) -> None:
        """Let them finish what they answer, then end them."""
        self._ending = True
        await self._drained(self._hands, seconds)
        for task in self._watching:
            task.cancel()

    async def _drained(self, hands: list[_Hand], seconds: float) -> None:
        for hand in hands:
            if hand.process is not None and hand.process.poll() is None:
                hand.process.send_signal(signal.SIGTERM)
                if hand.channel is not None:
                    hand.channel.hang_up()
        until = time.monotonic() + seconds + 8
        for hand in hands:
            if hand.process is None:
                continue
            try:
                await asyncio.to_thread(hand.process.wait, max(until - time.monotonic(), 0.1) if seconds else 2)
            except subprocess.TimeoutExpired:
                self._say(f"worker {hand.number} did not end in time; killed")
                hand.process.kill()
                await asyncio.to_thread(hand.process.wait)


def _added(kept: WorkerStats, last: WorkerStats) -> WorkerStats:
    from console.serving.counters import summed

    return msgspec.structs.replace(
        last,
        versions=summed([kept, last]),
        logged=kept.logged + last.logged,
        log_dropped=kept.log_dropped + last.log_dropped,
        shadow_dropped=kept.shadow_dropped + last.shadow_dropped,
    )
