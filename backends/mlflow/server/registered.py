"""Models and versions as clients name them, and what holds for both."""

from __future__ import annotations

from backends.contract import NotFound
from backends.entities import Model, ModelVersion
from backends.mlflow import names
from backends.mlflow.server.answers import Failure, invalid
from backends.mlflow.server.room import Room
from backends.query import And, Compare, Key, Node


def model(room: Room, name: str) -> Model:
    if not name:
        raise invalid("Registered model name cannot be empty.")
    try:
        found: Model = room.backend.need("registry").get(name)
    except NotFound:
        raise Failure("RESOURCE_DOES_NOT_EXIST", f"Registered Model with name={name} not found") from None
    return found


def version(room: Room, name: str, number: str) -> ModelVersion:
    try:
        found: ModelVersion = room.backend.need("registry").version(name, number)
    except NotFound:
        raise Failure("RESOURCE_DOES_NOT_EXIST", f"Model Version (name={name}, version={number}) not found") from None
    return found


def check_tags(room: Room, tags: dict[str, str]) -> None:
    for key, value in tags.items():
        room.check_key("Tag", key)
        room.check_value("Tag", key, value, room.limits.registry_tag)


def kind_of(where: Node | None) -> tuple[str, Node | None]:
    """Prompts are asked for by a tag; what does not ask for them means models."""
    prompt = Key("tag", names.IS_PROMPT)
    nodes = where.nodes if isinstance(where, And) else () if where is None else (where,)
    asks = [each for each in nodes if isinstance(each, Compare) and each.key == prompt]
    rest = tuple(each for each in nodes if each not in asks)
    wanted = any(str(each.value).lower() == "true" and each.op == "=" for each in asks)
    return "prompt" if wanted else "model", rest[0] if len(rest) == 1 else And(rest) if rest else None
