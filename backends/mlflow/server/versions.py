"""Model versions over the protocol."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from backends.contract import START, NotFound
from backends.entities import DatasetInput, ModelFile, ModelVersion, Signature
from backends.mlflow import names
from backends.mlflow.server import encode, registered
from backends.mlflow.server.answers import invalid
from backends.mlflow.server.artifacts import Place, check_path, place_of_uri, uri_of
from backends.mlflow.server.asked import Asked
from backends.mlflow.server.filters import query, read_filter, read_order
from backends.mlflow.server.room import Room
from backends.mlmodel import Described, describe
from backends.query import VERSION_FIELDS
from backends.system_metrics import own

_STAGES: Final = {"none": "None", "staging": "Staging", "production": "Production", "archived": "Archived"}


class _Record(msgspec.Struct, frozen=True):
    """What a console on this server says of a version that it registers."""

    run: str = ""
    file: ModelFile = ModelFile()
    signature: Signature = Signature()
    metrics: dict[str, float | str] = {}
    params: dict[str, str] = {}
    inputs: tuple[DatasetInput, ...] = ()


def stage_of(text: str) -> str:
    found = _STAGES.get(text.lower())
    if found is None:
        raise invalid(f"Invalid Model Version stage: {text}. Value must be one of {', '.join(_STAGES.values())}.")
    return found


def _asked(room: Room, asked: Asked) -> ModelVersion:
    number = asked.text("version", default=None)
    if not (number.isascii() and number.isdigit()):
        raise invalid(f"Invalid model version: '{number[:80]}'. It must be a whole number.")
    return registered.version(room, asked.text("name", default=None), number)


def create(room: Room, asked: Asked) -> dict[str, Any]:
    name, source = registered.model(room, asked.text("name")).name, asked.text("source", default=None)
    tags = asked.pairs("tags")
    registered.check_tags(room, tags)
    source, place = _place(room, source)
    logged = asked.text("model_id") or (place.owner if place is not None and place.owner.startswith("m-") else "")
    run = asked.text("run_id")
    if not run and logged:
        run = room.backend.need("logged_models").get(logged).run
    if not run and place is not None and not place.owner.startswith("m-"):
        run = place.owner
    told = _told(tags.pop(names.VERSION, ""))
    found = told or _described(room, place, run)
    facts = _facts(room, run, logged, told)
    made = room.backend.need("registry").register(
        name,
        run=run,
        file=found.file,
        signature=found.signature,
        mutation=room.mutation(),
        tags={key: value for key, value in tags.items() if key != names.CREATED_BY},
        note=asked.text("description"),
        source=source,
        logged_model=logged,
        **facts,
    )
    return {"model_version": encode.version(room, made)}


def _place(room: Room, source: str) -> tuple[str, Place | None]:
    """A source, made plain, and where its files lie here."""
    if source.startswith("models:/") and not source.startswith("models:/m-"):
        name, _, number = source.removeprefix("models:/").partition("/")
        if "@" in name:
            name, _, alias = name.partition("@")
            number = f"@{alias}"
        source = registered.version(room, name, number).source
    try:
        if source.startswith(("runs:/", "models:/", "mlflow-artifacts:")):
            return source, place_of_uri(room, source)
        check_path(source.partition(":")[2].lstrip("/"))
        return source, None
    except NotFound as error:
        raise invalid(f"Invalid model version source: '{source[:200]}': {error}") from error


def _told(text: str) -> _Record | None:
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=_Record)
    except msgspec.DecodeError as error:
        raise invalid(f"Invalid tag {names.VERSION}: {error}") from error


def _described(room: Room, place: Place | None, run: str) -> Described:
    if place is None or room.backend.artifacts is None:
        return Described()
    return describe(room.backend, place.owner, place.path, run)


def _facts(room: Room, run: str, logged: str, told: _Record | None) -> dict[str, Any]:
    """Metrics, parameters and data: as told, else those of the run and of the logged model."""
    if told is not None:
        measured = {key: float(value) for key, value in told.metrics.items()}
        return {"metrics": measured, "params": told.params, "inputs": told.inputs}
    metrics: dict[str, float] = {}
    params: dict[str, str] = {}
    inputs: tuple[DatasetInput, ...] = ()
    if run:
        try:
            found = room.backend.need("runs").get(run)
            metrics, params, inputs = own(found.metrics), dict(found.params), found.inputs
        except NotFound:
            pass  # MLflow lets a version name a run of another place
    if logged:
        model = room.backend.need("logged_models").get(logged)
        metrics |= {each.key: each.value for each in model.metrics}
        params |= model.params
    plain = tuple(msgspec.structs.replace(each, schema="", profile="") for each in inputs)
    return {"metrics": metrics, "params": params, "inputs": plain}


def get(room: Room, asked: Asked) -> dict[str, Any]:
    return {"model_version": encode.version(room, _asked(room, asked))}


def update(room: Room, asked: Asked) -> dict[str, Any]:
    found, note = _asked(room, asked), asked.given("description")
    if note is not None:
        room.backend.need("registry").set_note(found.model, found.version, note, room.mutation())
    return {"model_version": encode.version(room, registered.version(room, found.model, found.version))}


def delete(room: Room, asked: Asked) -> dict[str, Any]:
    found = _asked(room, asked)
    room.backend.need("registry").delete_version(found.model, found.version, room.mutation())
    return {}


def transition(room: Room, asked: Asked) -> dict[str, Any]:
    found, stage = _asked(room, asked), stage_of(asked.text("stage", default=None))
    registry = room.backend.need("registry")
    if asked.flag("archive_existing_versions"):
        if stage not in ("Staging", "Production"):
            raise invalid(f"archive_existing_versions is for Staging and Production, not for {stage}")
        for each in registry.versions(found.model, limit=10_000).items:
            if each.version != found.version and each.tags.get(names.STAGE) == stage:
                registry.set_tags(found.model, each.version, {names.STAGE: "Archived"}, room.mutation())
    registry.set_tags(found.model, found.version, {names.STAGE: stage}, room.mutation())
    return {"model_version": encode.version(room, registered.version(room, found.model, found.version))}


def download_uri(room: Room, asked: Asked) -> dict[str, Any]:
    found = _asked(room, asked)
    place = place_of_uri(room, found.source) if found.source else None
    if place is None and found.run and found.file.path:
        # Registered by the console: the folder of its model file.
        place = Place(found.file.owner or found.run, found.file.path.rpartition("/")[0])
    return {"artifact_uri": found.source if place is None else uri_of(room, place)}


def search(room: Room, asked: Asked) -> dict[str, Any]:
    limit = asked.limit("max_results", 10_000, 200_000)
    kind, where = registered.kind_of(read_filter(asked.text("filter"), VERSION_FIELDS))
    page = room.backend.need("registry").search(
        query(where, read_order(asked.texts("order_by"), VERSION_FIELDS)),
        at=asked.text("page_token") or START,
        limit=limit,
        kind=kind,
    )
    return {
        "model_versions": [encode.version(room, each) for each in page.items],
        "next_page_token": page.next or "",
    }


def set_tag(room: Room, asked: Asked) -> dict[str, Any]:
    found = _asked(room, asked)
    tags = {asked.text("key", default=None): asked.given("value") or ""}
    registered.check_tags(room, tags)
    room.backend.need("registry").set_tags(found.model, found.version, dict(tags), room.mutation())
    return {}


def delete_tag(room: Room, asked: Asked) -> dict[str, Any]:
    found, key = _asked(room, asked), asked.text("key", default=None)
    if key in found.tags:
        room.backend.need("registry").set_tags(found.model, found.version, {key: None}, room.mutation())
    return {}


ROUTES: Final = {
    ("POST", "model-versions/create"): create,
    ("GET", "model-versions/get"): get,
    ("PATCH", "model-versions/update"): update,
    ("POST", "model-versions/update"): update,
    ("DELETE", "model-versions/delete"): delete,
    ("POST", "model-versions/transition-stage"): transition,
    ("GET", "model-versions/get-download-uri"): download_uri,
    ("GET", "model-versions/search"): search,
    ("POST", "model-versions/set-tag"): set_tag,
    ("DELETE", "model-versions/delete-tag"): delete_tag,
}
