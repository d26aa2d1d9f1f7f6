"""The agent's own course: take what the workspace wants done, do it, wait for a sign of more."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from backends.contract import Backend
from backends.local.agent_presence import AgentPresence, hang_bell, presence_path, write_presence
from backends.local.process_identity import own_identity
from backends.local.run_queue import LAUNCH
from backends.local.settle import now
from backends.local.slots import Slots, write_slots
from console.agent.alarms import Alarms
from console.agent.control import own_version
from console.agent.deployments import Deployments
from console.agent.jobs import Jobs
from console.agent.launches import Launches, follow_up
from console.agent.metric_windows import MetricWindows
from console.agent.monitor_retention import MonitorRetention
from console.agent.protocol import Protocol
from console.agent.recovery import reconcile_runs, take_over_requests
from console.agent.registrations import Registrations
from console.agent.retention import Retention
from console.agent.retry import Backoff
from console.agent.scorers import Scorers
from console.agent.triggers import Triggers

POLL_S = 0.5
"""How often the store is asked whether anything changed; a few microseconds each."""
RECONCILE_S = 60.0


@dataclass
class Part:
    """One of the things that the agent does, with its own patience when it fails."""

    name: str
    step: Callable[[], None]
    backoff: Backoff = field(default_factory=lambda: Backoff(longest=30.0))


class Agent:
    """One per workspace; whoever makes it holds the workspace's agent.lock."""

    def __init__(self, backend: Backend, workspace: Path, slots: Slots, say: Callable[[str], None]) -> None:
        self._backend = backend
        self._workspace = workspace
        self._say = say
        self._slots = slots
        me = f"agent {os.getpid()}"
        self._launches = Launches(backend, workspace, me, slots, say)
        self._jobs = Jobs(backend, workspace, me, say, lambda there, ended: follow_up(there, ended, say))
        self._registrations = Registrations(backend, me, say)
        self._scorers = Scorers(backend, workspace, say)
        self._deployments = Deployments(backend, workspace, say)
        self._triggers = Triggers(backend, say)
        self._protocol = Protocol(backend, workspace, say)
        self._alarms = Alarms(backend, workspace, say)
        self._metrics = MetricWindows(backend, workspace, say)
        self._monitor_retention = MonitorRetention(backend, workspace, say)
        self._presence = AgentPresence(process=own_identity(), since=now(), version=own_version(), slots=slots.runs)
        self._said: AgentPresence | None = None
        self._seen: object = None
        self._parts = [
            Part("take-over", self._take_over),
            Part("reconciliation", self._reconcile),
            Part("launches", self._launch),
            Part("jobs", self._jobs.step),
            Part("registrations", self._registrations.step),
            Part("scorers", self._scorers.step),
            Part("deployments", self._deployments.step),
            Part("triggers", self._trigger),
            Part("agent.json", self._announce),
            Part("protocol server", self._protocol.step),
            Part("alarms", self._alarms.step),
            Part("metrics", self._metrics.step),
            Part("retention", Retention(backend, workspace, say).step),
            Part("monitor retention", self._monitor_retention.step),
        ]
        self._look_at = 0.0
        self._reconcile_at = 0.0
        self._taken_over = False
        self._ending = ""
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)
        self._bell = hang_bell(workspace)

    def run(self) -> None:
        """Until SIGTERM or SIGINT, or until the workspace is gone. Supervisors are left to their runs."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)  # the wake-up descriptor carries the number
        write_slots(self._workspace, self._slots)
        self._announce()
        woken = True
        while not self._ending:
            if woken or self._due():
                self._round()
            woken = self._sleep()
        self._monitor_retention.end()
        self._scorers.end_all()
        self._launches.end()
        self._jobs.end()
        self._protocol.stop()
        presence_path(self._workspace).unlink(missing_ok=True)
        self._say(
            f"agent {os.getpid()} ends: {self._ending}; {self._launches.running + self._jobs.following} runs"
            f"{f' and {self._deployments.serving} servers' if self._deployments.serving else ''} go on"
        )

    def _due(self) -> bool:
        if time.monotonic() >= self._look_at:
            return True
        try:
            return self._backend.changed() != self._seen
        except Exception:  # the round meets it again and says so
            return self._parts[0].backoff.due

    def _round(self) -> None:
        """Every part by itself: one that fails waits, the others go on."""
        for part in self._parts:
            if not part.backoff.due:
                continue
            try:
                part.step()
            except Exception as error:
                pause = part.backoff.failed()
                self._say(f"{part.name}: {type(error).__name__}: {error}; tried again in {pause:.0f} s")
            else:
                part.backoff.succeeded()
        if not (self._workspace / "agent.lock").exists():
            self._ending = "its workspace is gone"
        self._look_at = time.monotonic() + self._patience()

    def _patience(self) -> float:
        """Seconds until something has to be done though nothing changed."""
        waits = [max(part.backoff.due_at - time.monotonic(), POLL_S) for part in self._parts if part.backoff.failures]
        waits.append(self._reconcile_at - time.monotonic())
        if self._launches.patience is not None:
            waits.append(self._launches.patience)
        if self._deployments.patience is not None:
            waits.append(self._deployments.patience)
        if self._triggers.patience is not None:
            waits.append(self._triggers.patience)
        if self._alarms.patience is not None:
            waits.append(self._alarms.patience)
        if self._metrics.patience is not None:
            waits.append(self._metrics.patience)
        if self._registrations.waiting or self._scorers.waiting:
            waits.append(1.0)
        return min(waits)

    def _take_over(self) -> None:
        self._seen = self._backend.changed()
        if not self._taken_over:
            take_over_requests(self._backend, self._launches, self._say)
            self._taken_over = True

    def _reconcile(self) -> None:
        if self._taken_over and time.monotonic() >= self._reconcile_at:
            self._reconcile_at = time.monotonic() + RECONCILE_S
            reconcile_runs(self._backend, self._workspace, self._launches, self._say)

    def _launch(self) -> None:
        if self._taken_over:
            self._launches.step()

    def _trigger(self) -> None:
        if self._taken_over:
            self._triggers.step()

    def _announce(self) -> None:
        """agent.json, when it would say something new."""
        import msgspec

        queued = len(self._backend.need("requests").list(states=("waiting",), kind=LAUNCH, limit=10_000))
        told = msgspec.structs.replace(
            self._presence, runs=self._launches.running + self._jobs.following, queued=queued
        )
        if told != self._said:
            write_presence(self._workspace, told)
            self._said = told

    def _sleep(self) -> bool:
        """True when a child ended, a signal came, or somebody rang."""
        heard = [self._wake_reader] if self._bell is None else [self._wake_reader, self._bell]
        ready, _, _ = select.select(heard, [], [], POLL_S)
        if self._bell in ready:
            os.read(self._bell, 65_536)
        if self._wake_reader in ready:
            for number in os.read(self._wake_reader, 4096):
                if number in (signal.SIGTERM, signal.SIGINT):
                    self._ending = signal.Signals(number).name
        return bool(ready)
