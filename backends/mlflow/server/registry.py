"""Registered models and aliases over the protocol."""

from __future__ import annotations

from typing import Any, Final

from backends.contract import START, Conflict
from backends.entities import Model, ModelVersion
from backends.mlflow import names
from backends.mlflow.server import encode, registered, versions
from backends.mlflow.server.answers import Failure, invalid
from backends.mlflow.server.asked import Asked
from backends.mlflow.server.filters import query, read_filter, read_order
from backends.mlflow.server.room import Room
from backends.query import MODEL_FIELDS

STAGES: Final = ("None", "Staging", "Production", "Archived")
_TRIES: Final = 8


def _answer(room: Room, found: Model) -> dict[str, Any]:
    return {"registered_model": encode.model(room, found, newest_by_stage(room, found))}


def newest_by_stage(room: Room, found: Model, stages: tuple[str, ...] = ()) -> list[ModelVersion]:
    """The newest version of each stage, among the newest hundred."""
    if not found.versions:
        return []
    kept: dict[str, ModelVersion] = {}
    for each in room.backend.need("registry").versions(found.name, limit=100).items:
        stage = each.tags.get(names.STAGE, STAGES[0])
        if not stages or stage in stages:
            kept.setdefault(stage, each)
    return list(kept.values())


def create(room: Room, asked: Asked) -> dict[str, Any]:
    name = asked.text("name")
    if not name or "/" in name or ":" in name:
        raise invalid(f"Invalid name: '{name}'. Registered model name must be a non-empty UTF-8 string without / and :")
    tags = asked.pairs("tags")
    registered.check_tags(room, tags)
    kind = "prompt" if tags.get(names.IS_PROMPT, "").lower() == "true" else "model"
    try:
        made = room.backend.need("registry").create(
            name, room.mutation(), note=asked.text("description"), tags=tags, kind=kind
        )
    except Conflict as error:
        raise Failure("RESOURCE_ALREADY_EXISTS", f"Registered Model (name={name}) already exists.") from error
    return _answer(room, made)


def get(room: Room, asked: Asked) -> dict[str, Any]:
    return _answer(room, registered.model(room, asked.text("name")))


def update(room: Room, asked: Asked) -> dict[str, Any]:
    found = registered.model(room, asked.text("name"))
    note = asked.given("description")
    if note is not None:
        room.backend.need("registry").set_note(found.name, "", note, room.mutation())
    return _answer(room, registered.model(room, found.name))


def rename(room: Room, asked: Asked) -> dict[str, Any]:
    found, name = registered.model(room, asked.text("name")), asked.text("new_name")
    if not name or "/" in name or ":" in name:
        raise invalid(f"Invalid new name: '{name}'. Registered model name must be a non-empty string without / and :")
    try:
        after = room.backend.need("registry").rename(found.name, name, room.mutation())
    except Conflict as error:
        raise Failure("RESOURCE_ALREADY_EXISTS", f"Registered Model (name={name}) already exists.") from error
    return _answer(room, after)


def delete(room: Room, asked: Asked) -> dict[str, Any]:
    room.backend.need("registry").delete(registered.model(room, asked.text("name")).name, room.mutation())
    return {}


def search(room: Room, asked: Asked) -> dict[str, Any]:
    limit = asked.limit("max_results", 100, 1_000)
    where = read_filter(asked.text("filter"), MODEL_FIELDS)
    kind, where = registered.kind_of(where)
    page = room.backend.need("registry").page(
        query(where, read_order(asked.texts("order_by"), MODEL_FIELDS)),
        at=asked.text("page_token") or START,
        limit=limit,
        kind=kind,
    )
    return {
        "registered_models": [encode.model(room, each, newest_by_stage(room, each)) for each in page.items],
        "next_page_token": page.next or "",
    }


def latest_versions(room: Room, asked: Asked) -> dict[str, Any]:
    found = registered.model(room, asked.text("name"))
    stages = tuple(versions.stage_of(each) for each in asked.texts("stages"))
    return {"model_versions": [encode.version(room, each) for each in newest_by_stage(room, found, stages)]}


def set_tag(room: Room, asked: Asked) -> dict[str, Any]:
    found = registered.model(room, asked.text("name"))
    tags = {asked.text("key", default=None): asked.given("value") or ""}
    registered.check_tags(room, tags)
    room.backend.need("registry").set_tags(found.name, "", dict(tags), room.mutation())
    return {}


def delete_tag(room: Room, asked: Asked) -> dict[str, Any]:
    found, key = registered.model(room, asked.text("name")), asked.text("key", default=None)
    if key in found.tags:
        room.backend.need("registry").set_tags(found.name, "", {key: None}, room.mutation())
    return {}


# ---------------------------------------------------------------- aliases


def set_alias(room: Room, asked: Asked) -> dict[str, Any]:
    """The last write wins here, as clients expect; the journal and the history keep what it won over."""
    found, alias = registered.model(room, asked.text("name")), asked.text("alias", default=None)
    lowered = alias.lower()
    if lowered == "latest" or (lowered[:1] == "v" and lowered[1:].isdigit()) or len(alias) > 255:
        raise invalid(f"Invalid alias '{alias[:80]}': 'latest', 'v1' and the like are reserved, 255 characters at most")
    wanted = registered.version(room, found.name, asked.text("version", default=None))
    registry = room.backend.need("registry")
    for _ in range(_TRIES):
        held = registry.get(found.name).aliases.get(alias)
        if held == wanted.version:
            return {}
        try:
            registry.set_alias(found.name, alias, wanted.version, expected=held, mutation=room.mutation())
        except Conflict:
            continue
        return {}
    raise Failure("RESOURCE_CONFLICT", f"alias {alias} of {found.name} is being moved by others; nothing was changed")


def delete_alias(room: Room, asked: Asked) -> dict[str, Any]:
    found, alias = registered.model(room, asked.text("name")), asked.text("alias", default=None)
    registry = room.backend.need("registry")
    for _ in range(_TRIES):
        held = registry.get(found.name).aliases.get(alias)
        if held is None:
            return {}
        try:
            registry.set_alias(found.name, alias, None, expected=held, mutation=room.mutation())
        except Conflict:
            continue
        return {}
    raise Failure("RESOURCE_CONFLICT", f"alias {alias} of {found.name} is being moved by others; nothing was changed")


def get_by_alias(room: Room, asked: Asked) -> dict[str, Any]:
    found, alias = registered.model(room, asked.text("name")), asked.text("alias", default=None)
    held = found.aliases.get(alias)
    if held is None:
        raise invalid(f"Registered model alias {alias} not found.")
    return {"model_version": encode.version(room, registered.version(room, found.name, held))}


ROUTES: Final = {
    ("POST", "registered-models/create"): create,
    ("GET", "registered-models/get"): get,
    ("PATCH", "registered-models/update"): update,
    ("POST", "registered-models/update"): update,
    ("POST", "registered-models/rename"): rename,
    ("DELETE", "registered-models/delete"): delete,
    ("GET", "registered-models/search"): search,
    ("GET", "registered-models/get-latest-versions"): latest_versions,
    ("POST", "registered-models/get-latest-versions"): latest_versions,
    ("POST", "registered-models/set-tag"): set_tag,
    ("DELETE", "registered-models/delete-tag"): delete_tag,
    ("POST", "registered-models/alias"): set_alias,
    ("DELETE", "registered-models/alias"): delete_alias,
    ("GET", "registered-models/alias"): get_by_alias,
    **versions.ROUTES,
}
