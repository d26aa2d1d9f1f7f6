"""Processes that serve versions which the console does not load itself: one for each version, shared by all workers.

The server starts them, waits until they answer, starts them again on the same port when they die, and ends them once
their version is served no more. They never outlive it: each is on a leash.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

import msgspec

from backends.contract import Refused
from console.serving import leash
from console.serving.fetched import VersionFile
from console.serving.isolated_rule import Isolation

HOST: Final = "127.0.0.1"
PASSED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "MLOPS_CONSOLE_DEPLOYMENT")
"""Of the environment; what else the command needs is named by its rule, so that no token goes there unasked."""
LOOK_S: Final = 0.1
LONGEST_PAUSE_S: Final = 30.0
END_S: Final = 8.0
LINE: Final = 400
STEADY_S: Final = 60.0
TOUCH_S: Final = 3600.0
"""So often the files are marked as in use, so that nobody clears them away."""


class ModelProcess:
    """One version's process, and what it said last."""

    def __init__(self, file: VersionFile, isolation: Isolation, say: Callable[[str], None]) -> None:
        self.file = file
        self.isolation = isolation
        self.port = _free_port()
        self.trouble = ""
        """Why it does not answer; empty while it does."""
        self._say = say
        self._last: deque[str] = deque(maxlen=8)
        self._popen: subprocess.Popen[bytes] | None = None
        self._ending = False
        self._deaths = 0
        self._watching: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def start(self) -> None:
        """Started, and it answers. Refused with what it said where it ends, or takes too long."""
        self._spawn()
        try:
            await self._answering()
        except BaseException:
            await self.end()
            raise
        self._watching = asyncio.create_task(self._watch())

    def _spawn(self) -> None:
        rule, file = self.isolation.rule, self.file
        words = rule.words(
            path=self.isolation.folder, host=HOST, port=str(self.port), model=file.model, version=file.version
        )
        given = {name: os.environ[name] for name in (*PASSED_ON, *rule.env) if name in os.environ}
        if Path(words[0]).is_absolute():  # what the command starts by name is of its own environment
            given["PATH"] = os.pathsep.join(filter(None, (str(Path(words[0]).parent), given.get("PATH", ""))))
        self._popen = subprocess.Popen(
            [sys.executable, "-I", leash.__file__, *words],
            cwd=self.isolation.folder,
            env=given,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        threading.Thread(target=self._listen, args=(self._popen,), daemon=True, name="model process").start()

    def _listen(self, popen: subprocess.Popen[bytes]) -> None:
        """What it says goes to our log, whatever it is."""
        assert popen.stdout is not None  # noqa: S101 it is a pipe
        with popen.stdout as out:
            while line := out.readline(65_536):
                text = line.decode("utf-8", "replace").strip()[:LINE]
                if text:
                    self._last.append(text)
                    self._say(f"v{self.file.version} | {text}")

    async def _answering(self) -> None:
        began, rule = time.monotonic(), self.isolation.rule
        while not await asyncio.to_thread(_healthy, self.port, rule.health):
            assert self._popen is not None  # noqa: S101 it was spawned
            if _has_ended(self._popen):
                raise Refused(f"{self.file.ref}: the command that serves it {await self._ended()}")
            if time.monotonic() - began > rule.start_seconds:
                raise Refused(
                    f"{self.file.ref}: the command that serves it does not answer {rule.health} after "
                    f"{rule.start_seconds:g} s{self._words()}"
                )
            await asyncio.sleep(LOOK_S)
        self._say(f"v{self.file.version} answers at {self.url} after {time.monotonic() - began:.1f} s")

    async def _watch(self) -> None:
        """Start it again whenever it dies, on the port that the workers know."""
        while True:
            began = time.monotonic()
            popen = self._popen
            assert popen is not None  # noqa: S101 it was spawned
            touched = began
            while not _has_ended(popen):
                await asyncio.sleep(LOOK_S)
                if time.monotonic() - touched > TOUCH_S:
                    touched = time.monotonic()
                    os.utime(Path(self.isolation.folder).parent)
            if self._ending:
                return
            why = await self._ended()
            self._deaths = self._deaths + 1 if time.monotonic() - began < STEADY_S else 1
            pause = min(0.5 * 2 ** (self._deaths - 1), LONGEST_PAUSE_S)
            self.trouble = f"the command that serves it {why}; started again in {pause:g} s"
            self._say(f"v{self.file.version}: {self.trouble}")
            await asyncio.sleep(pause)
            self._spawn()
            try:
                await self._answering()
            except Refused as error:
                self.trouble = str(error)
                self._say(str(error))
                await asyncio.to_thread(self._kill)
            else:
                self.trouble = ""

    async def _ended(self) -> str:
        """How it ended, once nothing of its group is left."""
        await asyncio.to_thread(self._kill)
        assert self._popen is not None  # noqa: S101 it was spawned
        code = self._popen.returncode
        return f"ended with {code}{self._words()}"

    def _words(self) -> str:
        return f": {' / '.join(list(self._last)[-3:])}" if self._last else ""

    async def end(self) -> None:
        """Asked to end, and killed after a moment."""
        self._ending = True
        if self._watching is not None:
            self._watching.cancel()
        popen = self._popen
        if popen is None:
            return
        if popen.stdin is not None:
            popen.stdin.close()
        until = time.monotonic() + END_S
        while not _has_ended(popen) and time.monotonic() < until:
            await asyncio.sleep(0.02)
        await asyncio.to_thread(self._kill)

    def _kill(self) -> None:
        """The whole group: also what a leash that was itself killed left. Before it is reaped no other group can have
        its number."""
        popen = self._popen
        if popen is None or popen.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()
        if popen.stdin is not None:
            popen.stdin.close()


class ModelProcesses:
    """Of one server."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._running: dict[str, ModelProcess] = {}

    async def started(self, file: VersionFile) -> VersionFile:
        """The version, with where its process answers; as it is where it needs none."""
        if file.isolation is None:
            return file
        process = self._running.get(file.version)
        if process is None:
            process = ModelProcess(file, file.isolation, self._say)
            await process.start()
            self._running[file.version] = process
        return msgspec.structs.replace(file, isolation=msgspec.structs.replace(file.isolation, url=process.url))

    def trouble(self, version: str) -> str:
        """Why a version's process does not answer; empty where it does, or where there is none."""
        process = self._running.get(version)
        return process.trouble if process is not None else ""

    async def keep(self, versions: Collection[str]) -> None:
        """End those of all others."""
        gone = [self._running.pop(version) for version in list(self._running) if version not in versions]
        await asyncio.gather(*(process.end() for process in gone))


def _has_ended(popen: subprocess.Popen[bytes]) -> bool:
    """Without reaping it, so that its group keeps its number."""
    if popen.returncode is not None:
        return True
    if not hasattr(os, "waitid"):
        return popen.poll() is not None
    return os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _healthy(port: int, path: str) -> bool:
    connection = HTTPConnection(HOST, port, timeout=2.0)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
