"""Runs over the protocol: made, logged to, ended, found."""

from __future__ import annotations

import random
from typing import Any, Final

from backends.contract import START
from backends.entities import DatasetInput, ModelOutput, Run, RunStatus, Source
from backends.mlflow import names
from backends.mlflow.server import encode, logging
from backends.mlflow.server.answers import Failure, invalid
from backends.mlflow.server.asked import Asked
from backends.mlflow.server.filters import among, both, either_way, query, read_filter, read_order
from backends.mlflow.server.room import Room
from backends.query import RUN_FIELDS, Key, Order

_MOODS: Final = (
    "able",
    "brave",
    "calm",
    "clever",
    "eager",
    "fair",
    "gentle",
    "happy",
    "keen",
    "lucid",
    "merry",
    "proud",
)
_BEASTS: Final = (
    "badger",
    "crane",
    "falcon",
    "heron",
    "lynx",
    "marten",
    "newt",
    "otter",
    "raven",
    "stoat",
    "tern",
    "wren",
)


def create(room: Room, asked: Asked) -> dict[str, Any]:
    experiment = room.experiment(asked.text("experiment_id", default="0"))
    if experiment.deleted_at is not None:
        raise invalid(
            f"The experiment {room.id_of(experiment.name)} must be in the 'active' state. Current state is deleted."
        )
    tags = asked.pairs("tags")
    logging.check_tags(room, tags)
    name = asked.text("run_name") or tags.get(names.RUN_NAME, "") or made_up_name()
    if asked.text("run_name") and tags.get(names.RUN_NAME, name) != name:
        raise invalid(f"Both 'run_name' argument and '{names.RUN_NAME}' tag are specified, but with different values")
    note, parent = tags.pop(names.NOTE, ""), tags.pop(names.PARENT, "")
    tags.pop(names.RUN_NAME, None)
    runs = room.backend.need("runs")
    user = asked.text("user_id")
    if user:
        tags.setdefault(names.USER, user)
    made: Run = runs.create(
        name=name,
        experiment=experiment.name,
        mutation=room.mutation(),
        tags=tags,
        source=source_of(tags),
        parent=parent,
        engine=tags.get(names.ENGINE, names.CLIENT),
    )
    if note:
        runs.set_note(made.id, note, room.mutation())
    if tags.get(names.STATUS) != RunStatus.QUEUED.value:
        runs.start(made.id, at=asked.integer("start_time", made.created_at))
    return {"run": whole(room, room.run(made.id))}


def made_up_name() -> str:
    chance = random.SystemRandom()
    return f"{chance.choice(_MOODS)}-{chance.choice(_BEASTS)}-{chance.randrange(1_000)}"


def source_of(tags: dict[str, str]) -> Source:
    return Source(
        entry=tags.get(names.SOURCE_NAME, ""),
        commit=tags.get(names.COMMIT, ""),
        branch=tags.get(names.BRANCH, ""),
        repo=tags.get(names.REPO, ""),
    )


def whole(room: Room, found: Run) -> dict[str, Any]:
    """A run with the steps and times of its metrics, and what came out of it."""
    latest = room.backend.need("runs").latest(found.id)
    logged = room.backend.logged_models
    return encode.run(room, found, latest, () if logged is None else logged.outputs(found.id))


def get(room: Room, asked: Asked) -> dict[str, Any]:
    return {"run": whole(room, room.run(asked.text("run_id", "run_uuid", default=None)))}


def update(room: Room, asked: Asked) -> dict[str, Any]:
    found = room.living_run(asked.text("run_id", "run_uuid", default=None))
    runs = room.backend.need("runs")
    name = asked.text("run_name")
    if name:
        runs.rename(found.id, name, room.mutation())
    said = asked.text("status")
    if said:
        if said not in names.FROM_MLFLOW:
            raise invalid(f"Invalid status {said}: it is one of {', '.join(names.FROM_MLFLOW)}")
        _move(room, found, names.FROM_MLFLOW[said], asked)
    return {"run_info": encode.run_info(room, room.run(found.id))}


def _move(room: Room, found: Run, said: RunStatus, asked: Asked) -> None:
    """What a client says of a run's state. The end of a supervised one is its exit code's to tell."""
    runs = room.backend.need("runs")
    ours = found.tags.get(names.STATUS, "")
    if said is RunStatus.QUEUED:
        return
    if said is RunStatus.RUNNING:
        if ours == RunStatus.STOPPING.value and not found.status.ended:
            runs.mark_stopping(found.id)
        elif found.status is RunStatus.QUEUED:
            runs.start(found.id, at=_number(found.tags.get(names.STARTED, "")))
        elif found.status.ended:
            runs.reopen(found.id)
        return
    if room.supervised(found.id):
        return
    if ours == RunStatus.LOST.value:
        said = RunStatus.LOST
    if found.status.ended and found.status is not said:
        runs.reopen(found.id)
    at = asked.integer("end_time", 0)
    runs.end(
        found.id,
        said,
        exit_code=_number(found.tags.get(names.EXIT_CODE, "")),
        reason=found.tags.get(names.REASON, ""),
        at=at or None,
    )


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def delete(room: Room, asked: Asked) -> dict[str, Any]:
    found = room.run(asked.text("run_id", "run_uuid", default=None))
    if room.supervised(found.id):
        raise invalid(f"Run {found.id} is at work under a supervisor; stop it first")
    # MLflow's own server deletes a run whatever its state: most of them nobody ever ended.
    room.backend.need("runs").delete(found.id, room.mutation(), unended=True)
    return {}


def restore(room: Room, asked: Asked) -> dict[str, Any]:
    found = room.run(asked.text("run_id", "run_uuid", default=None))
    room.backend.need("runs").restore(found.id, room.mutation())
    return {}


def set_tag(room: Room, asked: Asked) -> dict[str, Any]:
    found = room.living_run(asked.text("run_id", "run_uuid", default=None))
    logging.set_tags(room, found, {asked.text("key", default=None): asked.given("value") or ""})
    return {}


def delete_tag(room: Room, asked: Asked) -> dict[str, Any]:
    found = room.living_run(asked.text("run_id", default=None))
    key = asked.text("key", default=None)
    runs = room.backend.need("runs")
    if key == names.NOTE and found.note:
        runs.set_note(found.id, "", room.mutation())
    elif key == names.PARENT and found.parent:
        runs.set_parent(found.id, "")
    elif key in found.tags:
        runs.set_tags(found.id, {key: None}, room.mutation())
    else:
        raise Failure("RESOURCE_DOES_NOT_EXIST", f"No tag with name: {key} in run with id {found.id}")
    return {}


def log_inputs(room: Room, asked: Asked) -> dict[str, Any]:
    found = room.living_run(asked.text("run_id", default=None))
    inputs = []
    for each in asked.parts("datasets"):
        tags, dataset = each.pairs("tags"), each.part("dataset")
        digest = dataset.text("digest", default=None)
        inputs.append(
            DatasetInput(
                dataset=dataset.text("name", default=None),
                version=tags.get(names.DATASET_VERSION, digest),
                digest=tags.get(names.DATASET_DIGEST, digest),
                context=tags.get(names.CONTEXT, ""),
                source_type=dataset.text("source_type"),
                source=dataset.text("source"),
                schema=dataset.text("schema"),
                profile=dataset.text("profile"),
            )
        )
    if inputs:
        room.backend.need("runs").add_inputs(found.id, inputs)
    return {}


def log_outputs(room: Room, asked: Asked) -> dict[str, Any]:
    found = room.living_run(asked.text("run_id", default=None))
    outputs = [
        ModelOutput(model=each.text("model_id", default=None), step=each.integer("step", 0))
        for each in asked.parts("models")
    ]
    room.backend.need("logged_models").add_outputs(found.id, outputs)
    return {}


def search(room: Room, asked: Asked) -> dict[str, Any]:
    limit = asked.limit("max_results", 1_000, 50_000)
    chosen = room.names_of(asked.texts("experiment_ids"))
    where = read_filter(asked.text("filter"), RUN_FIELDS)
    order = read_order(asked.texts("order_by"), RUN_FIELDS)
    if not chosen:
        return {}
    view = asked.text("run_view_type", default="ACTIVE_ONLY")
    if view not in ("ACTIVE_ONLY", "DELETED_ONLY", "ALL"):
        raise invalid(f"Invalid run_view_type {view}: it is ACTIVE_ONLY, DELETED_ONLY or ALL")
    if len(chosen) < len(room.backend.need("runs").experiments()) or view != "ACTIVE_ONLY":
        where = both(where, among("experiment", chosen))
    if view == "ALL":
        where = both(where, either_way())
    page = room.backend.need("runs").page(
        query(where, order if _NEWEST.key in {each.key for each in order} else (*order, _NEWEST)),
        at=asked.text("page_token") or START,
        limit=limit,
        deleted=view == "DELETED_ONLY",
    )
    return {"runs": [encode.run(room, each, None) for each in page.items], "next_page_token": page.next or ""}


_NEWEST: Final = Order(Key("attribute", "started"), True)
"""What MLflow orders by in the end, among those that are equal otherwise."""

ROUTES: Final = {
    ("POST", "runs/create"): create,
    ("GET", "runs/get"): get,
    ("POST", "runs/update"): update,
    ("POST", "runs/delete"): delete,
    ("POST", "runs/restore"): restore,
    ("POST", "runs/set-tag"): set_tag,
    ("POST", "runs/delete-tag"): delete_tag,
    ("POST", "runs/log-inputs"): log_inputs,
    ("POST", "runs/outputs"): log_outputs,
    ("POST", "runs/search"): search,
    **logging.ROUTES,
}
