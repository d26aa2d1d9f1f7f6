"""What every part of the adapter works with: the registry, what is remembered beside it, the journal."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Any, Final, NamedTuple

from backends.contract import Backend, Journal, Mutation
from backends.entities import ModelVersion
from backends.oci.distribution import Distribution
from backends.oci.trouble import Moved
from backends.remote.state import State

POLL_S: Final = 5.0
"""How often a watched list may be asked for anew."""
_OWNERS: Final = 100_000
_COMPARES: Final = "if-match"
_LEARNED_MS: Final = 90 * 86_400_000


class Files(NamedTuple):
    """Where the files of a version lie."""

    repository: str
    digest: str
    """Of its manifest."""


class Room:
    """One open registry."""

    def __init__(self, registry: Distribution, sidecar: Backend, state: State) -> None:
        self.registry = registry
        self.state = state
        self.journal: Journal = sidecar.need("journal")
        self.prefix = registry.address.prefix
        self._sidecar = sidecar
        self._changes = 0
        self._ticks = 0
        self._tick_at = time.monotonic() + POLL_S
        self._lock = threading.Lock()
        self._owners: OrderedDict[str, Files] = OrderedDict()

    def changed(self) -> object:
        """Costs no request: it differs when we changed something, when the sidecar did, and when it is time to look."""
        away = self.registry.breaker.trouble()
        if away is not None:
            raise away
        if self.registry.breaker.open:
            self.registry.ping()  # it is time to try: one cheap question, and all is well or waits longer
            self._ticks += 1
        now = time.monotonic()
        if now >= self._tick_at:
            self._ticks += 1
            self._tick_at = now + POLL_S
        return (self._changes, self._ticks, self._sidecar.changed())

    @property
    def changes(self) -> int:
        """How often we changed something."""
        return self._changes

    def touch(self) -> None:
        """Something was changed by us."""
        self._changes += 1

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

    # ------------------------------------------------------------ what the server can

    @property
    def comparing(self) -> bool:
        """Whether the server was seen to look at If-Match."""
        return self.state.knows(_COMPARES, _LEARNED_MS)

    def compares(self, repository: str, tag: str, raw: bytes) -> bool:
        """Put a manifest where it is wanted anyhow, if the tag were at a digest that nothing has: a server that looks
        at If-Match refuses, and that is kept. Whether it did."""
        try:
            self.registry.put(repository, tag, raw, only_at=f"sha256:{'0' * 64}")
        except Moved:
            self.state.learn(_COMPARES)
            return True
        return False

    # ------------------------------------------------------------ whose files lie where

    def note_owner(self, version: ModelVersion, files: Files) -> None:
        """Whoever has read a version may ask for its files by its run, or by the owner that its file names."""
        source = version.source.removeprefix("runs:/").partition("/")[0] if version.source.startswith("runs:/") else ""
        with self._lock:
            for owner in {version.run, version.file.owner, version.logged_model, source} - {""}:
                self._owners[owner] = files
                self._owners.move_to_end(owner)
            while len(self._owners) > _OWNERS:
                self._owners.popitem(last=False)

    def files_of(self, owner: str) -> Files | None:
        with self._lock:
            return self._owners.get(owner)
