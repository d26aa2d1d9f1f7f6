"""Experiments over the protocol."""

from __future__ import annotations

from typing import Any, Final

from backends.contract import Conflict, all_pages
from backends.entities import Experiment
from backends.mlflow import names
from backends.mlflow.server import encode
from backends.mlflow.server.answers import Failure, invalid
from backends.mlflow.server.asked import Asked
from backends.mlflow.server.room import DEFAULT, DEFAULT_ID, Room
from backends.query import Fields, Key, Query, lookup_of_attributes, matches, parse, parse_order

_FIELDS: Final = Fields(
    noun="experiment",
    attributes={"name": "text", "created": "time", "updated": "time"},
    scopes=("tag",),
    aliases={"creation_time": "created", "last_update_time": "updated"},
)


def create(room: Room, asked: Asked) -> dict[str, Any]:
    name = asked.text("name", default=None)
    if not name.strip():
        raise invalid("Invalid experiment name: it is empty")
    if len(name) > 500:
        raise invalid(f"Experiment name has {len(name)} characters, at most 500 are taken")
    tags = asked.pairs("tags")
    note = tags.pop(names.NOTE, "")
    try:
        made = room.backend.need("experiments").create(_ours(name), room.mutation(), tags=tags)
    except Conflict as error:
        raise Failure("RESOURCE_ALREADY_EXISTS", f"Experiment(name={name}) already exists: {error}") from error
    if note:
        room.backend.need("experiments").set_note(made.name, note, room.mutation())
    room.forget_experiments()
    return {"experiment_id": room.id_of(made.name)}


def get(room: Room, asked: Asked) -> dict[str, Any]:
    return {"experiment": encode.experiment(room, room.experiment(asked.text("experiment_id", default=None)))}


def get_by_name(room: Room, asked: Asked) -> dict[str, Any]:
    name = asked.text("experiment_name", default=None)
    for deleted in (False, True):
        for found in _all(room, deleted):
            if found.name == _ours(name):
                return {"experiment": encode.experiment(room, found)}
    if _ours(name) == DEFAULT:
        return {"experiment": encode.experiment(room, room.experiment(DEFAULT_ID))}
    raise Failure("RESOURCE_DOES_NOT_EXIST", f"Could not find experiment with name '{name}'")


def search(room: Room, asked: Asked) -> dict[str, Any]:
    limit = asked.limit("max_results", 1_000, 50_000)
    where = parse(text, _FIELDS).where if (text := asked.text("filter")).strip() else None
    order = [each for words in asked.texts("order_by") for each in parse_order(words, _FIELDS)]
    view = asked.text("view_type", default="ACTIVE_ONLY")
    found = [
        each
        for deleted in (False, True)
        if view in ("ALL", "DELETED_ONLY" if deleted else "ACTIVE_ONLY")
        for each in _all(room, deleted)
    ]
    found = [each for each in found if matches(where, _lookup(each))]
    found.sort(key=lambda each: (-(each.updated_at or each.created_at), each.id))
    for by in reversed(order):
        found.sort(key=lambda each: _rank(each, by.key), reverse=by.descending)
    start = _offset(asked.text("page_token"))
    items = [encode.experiment(room, each) for each in found[start : start + limit]]
    return {"experiments": items, "next_page_token": str(start + limit) if start + limit < len(found) else ""}


def update(room: Room, asked: Asked) -> dict[str, Any]:
    found = room.experiment(asked.text("experiment_id", default=None))
    name = asked.text("new_name")
    if not name:
        raise invalid("Missing value for required parameter 'new_name'")
    try:
        room.backend.need("experiments").rename(found.name, name, room.mutation())
    except Conflict as error:
        raise Failure("RESOURCE_ALREADY_EXISTS", str(error)) from error
    room.forget_experiments()
    return {}


def delete(room: Room, asked: Asked) -> dict[str, Any]:
    found = room.experiment(asked.text("experiment_id", default=None))
    if found.deleted_at is not None:
        raise Failure(
            "RESOURCE_DOES_NOT_EXIST", f"No Experiment with id={room.id_of(found.name)} exists: it is deleted"
        )
    # MLflow's own server takes runs that nobody ended along.
    room.backend.need("experiments").delete(found.name, room.mutation(), unended=True)
    room.forget_experiments()
    return {}


def restore(room: Room, asked: Asked) -> dict[str, Any]:
    found = room.experiment(asked.text("experiment_id", default=None))
    if found.deleted_at is None:
        raise Failure("RESOURCE_DOES_NOT_EXIST", f"Experiment {room.id_of(found.name)} is not deleted")
    room.backend.need("experiments").restore(found.name, room.mutation())
    room.forget_experiments()
    return {}


def set_tag(room: Room, asked: Asked) -> dict[str, Any]:
    found = room.experiment(asked.text("experiment_id", default=None))
    key, value = asked.text("key", default=None), asked.given("value") or ""
    room.check_key("Tag", key)
    room.check_value("Tag", key, value, 20_000)
    store = room.backend.need("experiments")
    if key == names.NOTE:
        store.set_note(found.name, value, room.mutation())
    else:
        store.set_tags(found.name, {key: value}, room.mutation())
    return {}


def delete_tag(room: Room, asked: Asked) -> dict[str, Any]:
    found = room.experiment(asked.text("experiment_id", default=None))
    key = asked.text("key", default=None)
    store = room.backend.need("experiments")
    if key == names.NOTE and found.note:
        store.set_note(found.name, "", room.mutation())
    elif key in found.tags:
        store.set_tags(found.name, {key: None}, room.mutation())
    else:
        raise Failure("RESOURCE_DOES_NOT_EXIST", f"No tag with name: {key} in experiment {room.id_of(found.name)}")
    return {}


def search_datasets(room: Room, asked: Asked) -> dict[str, Any]:
    """Which datasets the runs of some experiments read; from the newest runs."""
    chosen = room.names_of(asked.texts("experiment_ids"))
    runs = room.backend.need("runs")
    seen: dict[tuple[str, str, str, str], None] = {}
    for name in chosen:
        where = parse(f"experiment = {_quoted(name)}", _run_fields()).where
        for run in runs.page(Query(where=where), limit=1_000, columns=[]).items:
            for read in run.inputs:
                seen[room.id_of(name), read.dataset, read.digest[:36], read.context] = None
    keys = ("experiment_id", "name", "digest", "context")
    return {"dataset_summaries": [dict(zip(keys, each, strict=True)) for each in list(seen)[:1_000]]}


def _run_fields() -> Fields:
    from backends.query import RUN_FIELDS

    return RUN_FIELDS


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'" if '"' in name else f'"{name}"'


def _ours(name: str) -> str:
    return DEFAULT if name == "Default" else name


def _all(room: Room, deleted: bool) -> list[Experiment]:
    store = room.backend.need("experiments")
    return list(all_pages(lambda at: store.page(at=at, limit=1_000, deleted=deleted)))


def _attributes(found: Experiment) -> dict[str, str | int]:
    name = "Default" if found.name == DEFAULT else found.name
    return {"name": name, "created": found.created_at, "updated": found.updated_at or found.created_at}


def _lookup(found: Experiment) -> Any:
    return lookup_of_attributes(_attributes(found), found.tags)


def _rank(found: Experiment, key: Key) -> tuple[int, Any]:
    value = found.tags.get(key.name) if key.scope == "tag" else _attributes(found).get(key.name)
    return (0, value) if value is not None else (1, "")


def _offset(token: str) -> int:
    if token and not (token.isascii() and token.isdigit() and len(token) < 12):
        raise invalid("Invalid page token: take the one that the last page gave")
    return int(token or 0)


ROUTES: Final = {
    ("POST", "experiments/create"): create,
    ("GET", "experiments/get"): get,
    ("GET", "experiments/get-by-name"): get_by_name,
    ("POST", "experiments/search"): search,
    ("GET", "experiments/search"): search,
    ("GET", "experiments/list"): search,
    ("POST", "experiments/update"): update,
    ("POST", "experiments/delete"): delete,
    ("POST", "experiments/restore"): restore,
    ("POST", "experiments/set-experiment-tag"): set_tag,
    ("POST", "experiments/delete-experiment-tag"): delete_tag,
    ("POST", "experiments/search-datasets"): search_datasets,
}
