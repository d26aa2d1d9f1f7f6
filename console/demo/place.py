"""Where a demo keeps its own things within its workspace, how far it is, and who is at work on it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from backends.contract import Conflict, Refused
from console.config import data_directory

STOCK = "days"
"""Days that have not come yet."""

ARRIVALS = "arrivals"
"""The folder that the monitor watches."""


class DemoState(msgspec.Struct, frozen=True):
    """How far the making is, as its last step wrote it."""

    stage: str = "not begun"
    ready: bool = False
    error: str = ""


class DemoPlace:
    """The demo's folder in a workspace."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.folder = workspace / "demo"
        self.stock = self.folder / STOCK
        self.arrivals = self.folder / ARRIVALS
        self.training = self.folder / "flights-2013-01-02.csv"
        self.recipes = workspace / "recipes"
        self.log = self.folder / "demo.log"

    def make(self) -> None:
        self.workspace.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.arrivals.mkdir(exist_ok=True)

    @property
    def made(self) -> bool:
        """This workspace was made by a demo."""
        return self.folder.is_dir()

    def state(self) -> DemoState:
        try:
            return msgspec.json.decode((self.folder / "state.json").read_bytes(), type=DemoState)
        except FileNotFoundError:
            return DemoState()

    def say(self, state: DemoState) -> None:
        fresh = self.folder / f"state.json.{os.getpid()}"
        fresh.write_bytes(msgspec.json.encode(state))
        fresh.replace(self.folder / "state.json")

    def days(self) -> list[Path]:
        """The days that have not come yet, in order."""
        return sorted(self.stock.glob("*.csv"))

    # ------------------------------------------------------------ its two processes

    def hold(self, role: str) -> int | None:
        """Be the only one in this role, as long as the returned descriptor is open; None where another is."""
        held = os.open(self.folder / f"{role}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        # `holder` looks by locking for a moment: that must not pass for another in the role.
        for _ in range(10):
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.02)
        else:
            os.close(held)
            return None
        os.ftruncate(held, 0)
        os.pwrite(held, str(os.getpid()).encode(), 0)
        return held

    def holder(self, role: str) -> int | None:
        """The process in this role, or None."""
        try:
            found = os.open(self.folder / f"{role}.lock", os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(found, 32, 0)
            return int(text) if text.isdigit() else None
        finally:
            os.close(found)
        return None

    def start(self, role: str, *args: str) -> None:
        """Start `python -m console.demo.ROLE` in a session of its own; a second one ends by itself."""
        with self.log.open("ab") as log:
            subprocess.Popen(
                [sys.executable, "-m", f"console.demo.{role}", "--workspace", str(self.workspace), *args],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.workspace,
            )

    def stop(self, role: str, patience_s: float = 10.0) -> bool:
        """End the process in this role; whether there was one."""
        pid = self.holder(role)
        if pid is None:
            return False
        deadline = time.monotonic() + patience_s
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        while self.holder(role) == pid:
            if time.monotonic() > deadline:
                raise Conflict(f"demo {role}, process {pid}: it does not end; kill -9 {pid} if it must")
            time.sleep(0.05)
        return True

    def remove(self) -> None:
        """Delete the whole workspace, if it is a demo's."""
        if not self.workspace.exists():
            return
        if not self.made and any(self.workspace.iterdir()):
            raise Refused(f"{self.workspace}: not made by the demo, so it is not deleted; name another --workspace")
        shutil.rmtree(self.workspace)


def default_demo_workspace() -> Path:
    return data_directory() / "demo"
