"""What other consoles of a server read of our moves, and we of theirs: each is a tag of the version it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from backends.entities import AliasMove
from backends.mlflow import decode, names
from backends.mlflow.client_room import Room
from backends.remote.alias_history import known_moves, tell_owed

_MOVES: Final = 20
"""Moves that a version keeps as tags; older ones are in the journal of whoever made them."""
_TAG: Final = 5_000


class Trail:
    """The moves of all models of one server, as they can be known.

    `change` asks for a change, `told` gives a model's versions as the server tells them.
    """

    def __init__(
        self, room: Room, *, change: Callable[..., dict[str, Any]], told: Callable[[str], Iterable[dict[str, Any]]]
    ) -> None:
        self._room = room
        self._change = change
        self._told = told

    def tell(self, model: str) -> None:
        """Leave our moves as tags of the versions that they are about."""
        tell_owed(self._room.state, model, self._leave_trail)

    def _leave_trail(self, move: AliasMove) -> None:
        version = move.version or move.previous
        assert version is not None  # noqa: S101 a move has one end at least
        key = f"{names.MOVE}{move.alias}.{move.at}"
        said = msgspec.json.encode(msgspec.structs.replace(move, entry="")).decode()
        body = {"name": move.model, "version": version}
        if len(said) <= _TAG:
            self._change("POST", "model-versions/set-tag", {**body, "key": key, "value": said}, repeatable=True)
        raw = self._room.transport.get("model-versions/get", {**body}, keep=False)["model_version"]
        old = sorted(each for each in decode.pairs(raw.get("tags", ())) if each.startswith(names.MOVE))
        for each in sorted(old, key=lambda name: decode.integer(name.rpartition(".")[2]) or 0)[:-_MOVES]:
            self._change("DELETE", "model-versions/delete-tag", {**body, "key": each}, repeatable=True)

    def moves(self, model: str, alias: str = "", among: Iterable[dict[str, Any]] | None = None) -> list[AliasMove]:
        """Newest first: our own, those that others left as tags, those that we noticed and nobody explains."""
        told: list[AliasMove] = []
        for raw in self._told(model) if among is None else among:
            for key, text in decode.pairs(raw.get("tags", ())).items():
                move = decode.json_tag(text, AliasMove) if key.startswith(names.MOVE) else None
                if move is not None:
                    told.append(move)
        return known_moves(self._room.state, model, told, alias)
