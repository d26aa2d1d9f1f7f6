"""Logged models over the protocol. Their address holds their id, so that the routes are patterns."""

from __future__ import annotations

from typing import Any, Final

from backends.contract import all_pages
from backends.entities import LoggedModel
from backends.mlflow.server import artifacts, encode
from backends.mlflow.server.answers import Failure, invalid
from backends.mlflow.server.asked import Asked
from backends.mlflow.server.room import Room
from backends.query import Fields, Key, Node, lookup_of_attributes, matches, parse

_FIELDS: Final = Fields(
    noun="logged model",
    attributes={
        "name": "text",
        "id": "text",
        "status": "text",
        "type": "text",
        "run": "text",
        "created": "time",
        "updated": "time",
    },
    scopes=("tag", "param", "metric"),
    aliases={
        "model_id": "id",
        "model_name": "name",
        "model_type": "type",
        "source_run_id": "run",
        "creation_timestamp": "created",
        "creation_time": "created",
        "last_updated_timestamp": "updated",
    },
)


def create(room: Room, asked: Asked) -> dict[str, Any]:
    experiment = room.experiment(asked.text("experiment_id", default="0"))
    made = room.backend.need("logged_models").create(
        name=asked.text("name"),
        experiment=experiment.name,
        mutation=room.mutation(),
        run=asked.text("source_run_id"),
        type=asked.text("model_type"),
        params=asked.pairs("params"),
        tags=asked.pairs("tags"),
    )
    return {"model": encode.logged_model(room, made)}


def _get(room: Room, asked: Asked) -> LoggedModel:
    model = asked.text("model_id", default=None)
    found: LoggedModel = room.backend.need("logged_models").get(model)
    if found.deleted_at is not None:
        raise Failure("RESOURCE_DOES_NOT_EXIST", f"Logged model with ID '{model}' not found: it is deleted")
    return found


def get(room: Room, asked: Asked) -> dict[str, Any]:
    return {"model": encode.logged_model(room, _get(room, asked))}


def finalize(room: Room, asked: Asked) -> dict[str, Any]:
    found, said = _get(room, asked), asked.text("status", default=None)
    if said not in encode.MODEL_STATUS:
        raise invalid(f"Invalid status {said}: it is one of {', '.join(encode.MODEL_STATUS)}")
    after = room.backend.need("logged_models").finish(found.id, encode.MODEL_STATUS[said])
    return {"model": encode.logged_model(room, after)}


def delete(room: Room, asked: Asked) -> dict[str, Any]:
    room.backend.need("logged_models").delete(_get(room, asked).id, room.mutation())
    return {}


def set_tags(room: Room, asked: Asked) -> dict[str, Any]:
    found = _get(room, asked)
    room.backend.need("logged_models").set_tags(found.id, dict(asked.pairs("tags")), room.mutation())
    return {}


def delete_tag(room: Room, asked: Asked) -> dict[str, Any]:
    found, key = _get(room, asked), asked.text("tag_key", default=None)
    if key not in found.tags:
        raise Failure("RESOURCE_DOES_NOT_EXIST", f"No tag with key '{key}' found for model with ID '{found.id}'")
    room.backend.need("logged_models").set_tags(found.id, {key: None}, room.mutation())
    return {}


def log_params(room: Room, asked: Asked) -> dict[str, Any]:
    found = _get(room, asked)
    room.backend.need("logged_models").log_params(found.id, asked.pairs("params"))
    return {}


def search(room: Room, asked: Asked) -> dict[str, Any]:
    """Filtered and ordered here: they are few beside runs."""
    limit = asked.limit("max_results", 100, 1_000)
    chosen = room.names_of(asked.texts("experiment_ids"))
    text = asked.text("filter")
    where = parse(text, _FIELDS).where if text.strip() else None
    if not chosen:
        return {}
    store = room.backend.need("logged_models")
    found = [
        each for each in all_pages(lambda at: store.page(experiments=chosen, at=at, limit=1_000)) if _meant(each, where)
    ]
    for by in reversed(asked.parts("order_by")):
        name, rising = by.text("field_name", default=None), "ascending" not in by or by.flag("ascending")
        known = [each for each in found if _value(each, name) is not None]
        known.sort(key=lambda each: _value(each, name), reverse=not rising)  # type: ignore[arg-type,return-value]
        found = known + [each for each in found if _value(each, name) is None]  # without the field: last either way
    start = _offset(asked.text("page_token"))
    items = [encode.logged_model(room, each) for each in found[start : start + limit]]
    return {"models": items, "next_page_token": str(start + limit) if start + limit < len(found) else ""}


def _offset(token: str) -> int:
    if token and not (token.isascii() and token.isdigit() and len(token) < 12):
        raise invalid("Invalid page token: take the one that the last page gave")
    return int(token or 0)


def _attributes(found: LoggedModel) -> dict[str, str | int]:
    return {
        "name": found.name,
        "id": found.id,
        "status": encode.logged_status(found),
        "type": found.type,
        "run": found.run,
        "created": found.created_at,
        "updated": found.updated_at,
    }


def _meant(found: LoggedModel, where: Node | None) -> bool:
    metrics = {each.key: each.value for each in found.metrics}
    plain = lookup_of_attributes(_attributes(found), found.tags)

    def lookup(key: Key) -> Any:
        if key.scope == "metric":
            return metrics.get(key.name)
        return found.params.get(key.name) if key.scope == "param" else plain(key)

    return matches(where, lookup)


def _value(found: LoggedModel, name: str) -> float | str | None:
    scope, dot, key = name.partition(".")
    if dot and scope == "metrics":
        return next((each.value for each in reversed(found.metrics) if each.key == key), None)
    if dot and scope == "params":
        return found.params.get(key)
    plain = key if dot and scope == "attributes" else name
    return _attributes(found).get(_FIELDS.aliases.get(plain, plain))


ROUTES: Final = {
    ("POST", "logged-models"): create,
    ("GET", "logged-models/{model_id}"): get,
    ("PATCH", "logged-models/{model_id}"): finalize,
    ("DELETE", "logged-models/{model_id}"): delete,
    ("POST", "logged-models/search"): search,
    ("PATCH", "logged-models/{model_id}/tags"): set_tags,
    ("DELETE", "logged-models/{model_id}/tags/{tag_key}"): delete_tag,
    ("POST", "logged-models/{model_id}/params"): log_params,
    ("GET", "logged-models/{model_id}/artifacts/directories"): artifacts.list_of_model,
}
