"""The versions that a monitor meets: the one that scores, and those that are named by rows that were scored before."""

from __future__ import annotations

from backends.contract import Backend
from backends.entities import Monitor
from console.monitoring.feeds.champion import Champion, load_champion, read_champion


class Versions:
    """Of one monitor; each is read once, and a model is loaded only to score."""

    def __init__(self, backend: Backend, monitor: Monitor, champion: Champion | None = None) -> None:
        """champion: an already loaded version, which scores."""
        self._backend = backend
        self._monitor = monitor
        self._scoring = champion
        self._known = {champion.version.version: champion} if champion is not None else {}

    @property
    def scoring_version(self) -> str:
        """The version that scores what has no score: the loaded one, else the one that the alias names."""
        if self._scoring is not None:
            return self._scoring.version.version
        found: str = self._backend.need("registry").version(self._monitor.model, f"@{self._monitor.alias}").version
        return found

    def reference(self, version: str) -> Champion:
        """A version with its profile; its model may not be loaded."""
        if version not in self._known:
            self._known[version] = read_champion(self._backend, self._monitor, version=version)
        return self._known[version]

    def scoring(self, version: str) -> Champion:
        """A version with its model loaded."""
        found = self.reference(version)
        if found.model is None:
            found = self._known[version] = load_champion(self._backend, self._monitor, version=version)
        return found
