"""What every store of the client works with: the transport, what is remembered, the journal, who changes something."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any, Final

from backends.contract import Backend, Invalid, Journal, Mutation, Unsupported
from backends.mlflow.transport import ServerInfo, Transport
from backends.remote.state import State

POLL_S: Final = 5.0
"""How often a watched list may be asked for anew."""


class Room:
    """One open server."""

    def __init__(self, transport: Transport, sidecar: Backend, state: State) -> None:
        self.transport = transport
        self.state = state
        self.journal: Journal = sidecar.need("journal")
        self._sidecar = sidecar
        self._changes = 0
        self._probing = threading.Lock()
        self.changed_runs: deque[tuple[int, str]] = deque(maxlen=200)
        """(the number of the change, the run's id) of what this console changed lately."""
        self._ticks = 0
        self._tick_at = time.monotonic() + POLL_S

    def changed(self) -> object:
        """Costs no request: it differs when we changed something, when the sidecar did, and when it is time to look."""
        away = self.transport.trouble()
        if away is not None:
            raise away
        if self.transport.in_trouble:
            self.transport.ping()  # it is time to try: one cheap question, and all is well or waits longer
            self._ticks += 1
        now = time.monotonic()
        if now >= self._tick_at:
            self._ticks += 1
            # A server that takes long is asked less often.
            self._tick_at = now + max(POLL_S, 10 * self.transport.seconds)
        return (self._changes, self._ticks, self._sidecar.changed())

    @property
    def server(self) -> ServerInfo:
        """What the server is; asked once, by one."""
        with self._probing:
            return self.transport.server

    @property
    def changes(self) -> int:
        """How often we changed something."""
        return self._changes

    def can(self, what: str) -> None:
        """Unsupported where this kind of server has it not, before anything is asked."""
        flavour = self.transport.flavour
        if why := flavour.lacks.get(what):
            raise Unsupported(f"{what}: {why}. Nothing was changed.")

    def touch(self) -> None:
        """Something was changed by us."""
        self._changes += 1

    def change(self, method: str, path: str, body: dict[str, Any], *, repeatable: bool = False) -> dict[str, Any]:
        found = self.transport.change(method, path, body, repeatable=repeatable)
        self.touch()
        if path.startswith("runs/"):
            self.changed_runs.append((self._changes, str(body.get("run_id", ""))))
        return found

    def record(
        self,
        action: str,
        target: str,
        mutation: Mutation,
        *,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
    ) -> str:
        """Write down what was done; the entry's id."""
        return self.journal.record(action, target, mutation, before=before, after=after).id


def check_name(what: str, name: str, field: str = "name") -> None:
    if not name.strip():
        raise Invalid(f"a {what} needs a name, and it is empty; nothing was changed.", field)
    check_unicode(name, field)


def check_unicode(text: str, field: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Invalid(f"text must be valid Unicode, and {text[:40]!a} is not; nothing was changed.", field) from None


def check_value(what: str, key: str, value: str, most: int, field: str) -> None:
    """MLflow cuts longer ones without a word; we say so."""
    check_unicode(key + value, field)
    if len(value) > most:
        raise Invalid(
            f"{what} {key[:80]} has {len(value):,} characters, and an MLflow server keeps {most:,}; nothing was "
            "changed. Keep it as an artifact.",
            f"{field}.{key}",
        )
