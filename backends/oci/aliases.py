"""The moves of aliases: tags that are put on the manifest of a version.

A server that looks at If-Match moves a tag only from the digest where we saw it. Others do not compare: there a move is
read, compare, put, read back, and two consoles of different machines that put within the same milliseconds may both
think that they won until the next look, which finds the alias at one of them and notes the other's move.
"""

from __future__ import annotations

from collections.abc import Callable

from backends.contract import Conflict, NotFound, Unreachable
from backends.entities import AliasMove, Model
from backends.oci.room import Room
from backends.oci.shelf import Shelf
from backends.oci.trail import Trail
from backends.oci.trouble import Moved
from backends.oci.writing import take_tag
from backends.remote.alias_steps import AliasSteps
from backends.remote.state import now


class OciAliases(AliasSteps):
    """The moves of all models of one registry. `look` gives a model's repository as it is now, `as_model` what it says
    of the model."""

    def __init__(self, room: Room, *, look: Callable[[str], Shelf], as_model: Callable[[str, Shelf], Model]) -> None:
        super().__init__(room)
        self._here = room
        self._look = look
        self._as_model = as_model
        self._trail = Trail(room)

    def moves(self, model: str, alias: str = "") -> list[AliasMove]:
        try:
            shelf = self._look(model)
        except Unreachable:
            shelf = None  # what this console knows itself is here
        return self._trail.moves(model, shelf, alias)

    def notice(self, model: Model) -> None:
        super().notice(model)
        if self._here.state.owed(model.name):
            self._tell(model.name)  # of a move whose console ended before it could tell, or could not reach the server

    def _fresh(self, model: str) -> Model:
        return self._as_model(model, self._look(model))

    def _number(self, model: str, version: str) -> str:
        shelf = self._look(model)
        if version not in shelf.versions:
            raise NotFound(
                f"model {model} has no version {version[:40]}; its newest is {shelf.latest or 'none'}. Nothing was "
                "changed."
            )
        return version

    def _tell(self, model: str) -> None:
        self._trail.tell(model)

    def _forget(self, model: str) -> None:  # noqa: ARG002
        self._here.touch()

    def _point(self, model: str, alias: str, version: str | None, expected: str | None) -> None:
        registry, repository = self._here.registry, f"{self._here.prefix}{model}"
        at = self._at(repository, alias)
        if expected is not None and at != registry.digest(repository, expected, keep=False):
            raise Conflict(
                f"alias {alias} of {model} changed under you: it is not at v{expected} any more, because somebody else "
                "moved it at the same moment; nothing was changed. Look again and repeat."
            )
        try:
            if version is None:
                take_tag(self._here, repository, alias, f"taken from v{expected}", now(), only_at=at)
            else:
                held = registry.read(repository, version, keep=False)
                registry.put(repository, alias, held.raw, only_at=at, only_new=not at)
        except Moved:
            if version is not None and self._at(repository, alias) == registry.digest(repository, version, keep=False):
                return  # our own try, of which the answer was lost
            raise Conflict(
                f"alias {alias} of {model} changed under you: somebody else moved it at the same moment, and the "
                "registry says so; nothing was changed. Look again and repeat."
            ) from None
        finally:
            self._here.touch()

    def _at(self, repository: str, alias: str) -> str:
        """The digest that the alias's tag names; empty where there is none."""
        try:
            return self._here.registry.digest(repository, alias, keep=False)
        except NotFound:
            return ""
