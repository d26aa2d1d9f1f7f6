"""The moves of aliases on an MLflow server, which compares nothing and keeps no history."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from backends.entities import AliasMove, Model
from backends.mlflow import decode
from backends.mlflow.alias_trail import Trail
from backends.mlflow.client_room import Room
from backends.mlflow.transport import Kept
from backends.remote.alias_steps import AliasSteps


class MlflowAliases(AliasSteps):
    """The moves of all models of one server.

    `change` asks for a change, `told` gives a model's versions as the server tells them, `forget` lets go of what is
    kept of them, `version` gives the number of a version that is there.
    """

    def __init__(
        self,
        room: Room,
        *,
        change: Callable[..., dict[str, Any]],
        told: Callable[[str], Iterable[dict[str, Any]]],
        forget: Callable[[str], None],
        version: Callable[[str, str], str],
    ) -> None:
        super().__init__(room)
        self._transport = room.transport
        self._change = change
        self._let_go = forget
        self._version = version
        self._trail = Trail(room, change=change, told=told)

    def moves(self, model: str, alias: str = "", among: Iterable[dict[str, Any]] | None = None) -> list[AliasMove]:
        return self._trail.moves(model, alias, among)

    def notice_answer(self, model: Model, answer: object, changes: int) -> None:
        """`notice`, where the answer that told of the model is of now."""
        if isinstance(answer, Kept) or changes != self._room.changes:
            return  # an old answer, or one asked for before we changed something, tells nothing of today
        self.notice(model)

    def _point(self, model: str, alias: str, version: str | None, expected: str | None) -> None:  # noqa: ARG002
        if version is None:
            self._change("DELETE", "registered-models/alias", {"name": model, "alias": alias}, repeatable=True)
        else:
            body = {"name": model, "alias": alias, "version": version}
            self._change("POST", "registered-models/alias", body, repeatable=True)

    def _fresh(self, model: str) -> Model:
        answer = self._transport.get("registered-models/get", {"name": model}, keep=False)
        return decode.model(answer["registered_model"])

    def _number(self, model: str, version: str) -> str:
        return self._version(model, version)

    def _tell(self, model: str) -> None:
        self._trail.tell(model)

    def _forget(self, model: str) -> None:
        self._let_go(model)
