"""One thread that notices change.

It compares the backend's cheap token a few times a second, and asks for more only when it differs.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from textual.message import Message

from backends.contract import Backend, BackendError, Unreachable
from backends.entities import Alert, RunStatus
from backends.query import Compare, Key, Query
from console.monitoring.alarms.severity import alert_word

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.config import Session

INTERVAL = 0.5
DOZING = 30.0
"""Seconds between two looks at a server while nobody has pressed a key for long."""
AGENT_EVERY = 3.0
LONGEST_WAIT = 30.0


@dataclass(frozen=True)
class Facts:
    """What the header says."""

    agent: bool | None = None
    """None: this context has no agent of ours."""
    running: int | None = None
    queued: int | None = None
    firing: int | None = None
    warning: int | None = None
    alarms: tuple[Alert, ...] = ()
    """Open alerts that nobody took and nobody muted."""


@dataclass(frozen=True)
class Trouble:
    """The backend does not answer."""

    since: float
    """Monotonic seconds of the last good answer."""
    text: str
    retry_at: float
    """Monotonic seconds."""


class Noticed(Message):
    """Something changed, or whether the backend answers did."""

    bubble = False

    def __init__(self, session: Session, facts: Facts, trouble: Trouble | None, changed: bool) -> None:
        super().__init__()
        self.session = session
        self.facts = facts
        self.trouble = trouble
        self.changed = changed


class Watch(threading.Thread):
    """Watches one session until told to stop. Posts only when there is something to say."""

    def __init__(self, session: Session, post: Callable[[Noticed], object], token: object = None) -> None:
        super().__init__(name=f"watch {session.context.name}", daemon=True)
        self.session = session
        self._post = post
        self._token = token
        """What the backend said before anything was read; None when nobody asked."""
        self._halt = threading.Event()
        self._wake = threading.Event()
        self._idle = False
        self._dozing = False

    def stop(self) -> None:
        self._halt.set()
        self._wake.set()

    def ask_now(self) -> None:
        """Do not wait for the end of a back-off."""
        self._wake.set()

    def rest(self, idle: bool) -> None:
        """Look less often while the person looks elsewhere."""
        self._idle = idle

    def doze(self, dozing: bool) -> None:
        """Look seldom at a server while nobody seems to be there; at once when somebody is."""
        if self._dozing != dozing:
            self._dozing = dozing
            if not dozing:
                self._wake.set()

    @property
    def pause(self) -> float:
        if self._dozing and self.session.backend.features.page_limit:
            return DOZING
        return INTERVAL * (6 if self._idle else 1)

    def run(self) -> None:
        token: object = None
        facts = Facts()
        trouble: Trouble | None = None
        good = time.monotonic()
        agent_at = 0.0
        agent: bool | None = None
        failures = 0
        pause = 0.0
        while True:
            self._wake.wait(pause)
            self._wake.clear()
            if self._halt.is_set():
                return
            pause = self.pause
            at = time.monotonic()
            try:
                fresh = self.session.backend.changed()
                unread = fresh != token
                # The first look finds the counts unread, yet nothing that the pane has not asked for by itself.
                changed = unread and not (token is None and fresh == self._token)
                if unread:
                    seen = read_facts(self.session.backend)
                    token = fresh
                else:
                    seen = facts
                if at - agent_at >= AGENT_EVERY:
                    agent, agent_at = agent_runs(self.session), at
            except Exception as error:
                failures += 1
                wait = _wait(error, failures)
                trouble = Trouble(_since(error, good, at), str(error) or type(error).__name__, at + wait)
                pause = wait
                self._post(Noticed(self.session, facts, trouble, changed=False))
                continue
            good = at
            seen = replace(seen, agent=agent)
            if changed or seen != facts or trouble is not None:
                recovered = trouble is not None
                facts, trouble, failures = seen, None, 0
                self._post(Noticed(self.session, facts, None, changed=changed or recovered))


def _since(error: Exception, good: float, at: float) -> float:
    """Monotonic seconds of the last good answer: the backend may know of one before this console was opened."""
    if isinstance(error, Unreachable) and error.since is not None:
        return at - max(0.0, time.time() - error.since / 1000)
    return good


def _wait(error: Exception, failures: int) -> float:
    """Seconds until the next try: what the server asked for, else doubling; jitter keeps consoles out of step."""
    if isinstance(error, Unreachable) and error.retry_at is not None:
        asked = error.retry_at / 1000 - time.time()
        if 0 < asked <= 300:
            return asked
    return float(min(LONGEST_WAIT, 2.0 ** min(failures, 6)) * random.uniform(0.75, 1.25))  # noqa: S311


def read_facts(backend: Backend) -> Facts:
    """A few cheap counts."""
    running = queued = firing = warning = None
    alarms: tuple[Alert, ...] = ()
    if backend.runs is not None and backend.features.count:
        running = backend.runs.count(_status(RunStatus.RUNNING), limit=100).value
        queued = backend.runs.count(_status(RunStatus.QUEUED), limit=100).value
    if backend.monitors is not None:
        found = [(alert_word(alert), alert) for alert in backend.monitors.alerts(open_only=True)]
        alarms = tuple(alert for word, alert in found if word in ("firing", "warn"))
        words = [word for word, _ in found]
        firing, warning = words.count("firing"), words.count("warn")
    return Facts(None, running, queued, firing, warning, alarms)


def _status(status: RunStatus) -> Query:
    return Query(where=Compare(Key("attribute", "status"), "=", str(status)))


def agent_runs(session: Session) -> bool | None:
    """Whether the workspace's agent is there; None where there is no workspace."""
    if session.workspace is None or session.backend.launcher is None:
        return None
    from console.agent import agent_status

    try:
        return bool(agent_status(session.workspace).running)
    except (BackendError, OSError):
        return False
