"""Files over the protocol: where they lie, what there is, and their way in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

from backends.contract import NotFound
from backends.entities import Artifact
from backends.mlflow.server import encode
from backends.mlflow.server.answers import Failure, invalid
from backends.mlflow.server.asked import Asked
from backends.mlflow.server.room import Room

SCHEME: Final = "mlflow-artifacts:/"


class Place(NamedTuple):
    """A file or folder of a run or of a logged model."""

    owner: str
    path: str


def place_of(room: Room, path: str) -> Place:
    """`<experiment>/<run>/artifacts/<path>`, or `<experiment>/models/<model>/artifacts/<path>`."""
    check_path(path)
    parts = [part for part in path.split("/") if part]
    if len(parts) >= 4 and parts[1] == "models" and parts[3] == "artifacts":
        return Place(room.backend.need("logged_models").get(parts[2]).id, "/".join(parts[4:]))
    if len(parts) >= 3 and parts[2] == "artifacts":
        return Place(room.run(parts[1]).id, "/".join(parts[3:]))
    raise invalid(f"Invalid path: {path[:200]}: <experiment>/<run>/artifacts/… is wanted")


def check_path(path: str) -> None:
    """No way out of an owner's folder, however it is spelled."""
    from urllib.parse import unquote

    spelled = path
    for _ in range(4):
        if (
            "\\" in spelled
            or "\0" in spelled
            or spelled.startswith("/")
            or any(part in ("..", ".") for part in spelled.split("/"))
        ):
            raise invalid(f"Invalid path: {path[:200]}")
        further = unquote(spelled)
        if further == spelled:
            return
        spelled = further
    raise invalid(f"Invalid path: {path[:200]}")


def place_of_uri(room: Room, uri: str) -> Place | None:
    """Of a source as versions name it; None for a place that is not ours."""
    if uri.startswith("runs:/"):
        run, _, path = uri.removeprefix("runs:/").partition("/")
        check_path(path)
        return Place(room.run(run).id, path.strip("/"))
    if uri.startswith("models:/m-"):
        model, _, path = uri.removeprefix("models:/").partition("/")
        check_path(path)
        return Place(room.backend.need("logged_models").get(model).id, path.strip("/"))
    if uri.startswith(SCHEME):
        return place_of(room, uri.removeprefix(SCHEME).strip("/"))
    return None


def uri_of(room: Room, place: Place) -> str:
    if place.owner.startswith("m-"):
        root = encode.model_uri(room, room.backend.need("logged_models").get(place.owner))
    else:
        root = encode.artifact_uri(room, room.run(place.owner))
    return f"{root}/{place.path}" if place.path else root


# ---------------------------------------------------------------- lists


def list_(room: Room, asked: Asked) -> dict[str, Any]:
    run = room.run(asked.text("run_id", "run_uuid", default=None))
    path = asked.text("path").strip("/")
    check_path(path)
    files = [encode.file(found) for found in _children(room, Place(run.id, path))]
    return {"root_uri": encode.artifact_uri(room, run), "files": files}


def list_of_model(room: Room, asked: Asked) -> dict[str, Any]:
    model = room.backend.need("logged_models").get(asked.text("model_id", default=None))
    path = asked.text("artifact_directory_path").strip("/")
    check_path(path)
    files = [encode.file(found) for found in _children(room, Place(model.id, path))]
    return {"root_uri": encode.model_uri(room, model), "files": files}


def list_below(room: Room, path: str) -> dict[str, Any]:
    """Names within a folder of the artifact store."""
    place = place_of(room, path)
    strip = f"{place.path}/" if place.path else ""
    return {"files": [encode.file(found, strip) for found in _children(room, place)]}


def _children(room: Room, place: Place) -> tuple[Artifact, ...]:
    found: tuple[Artifact, ...] = room.backend.need("artifacts").children(place.owner, place.path)
    return found


# ---------------------------------------------------------------- in and out


def open_(room: Room, path: str) -> Path:
    return open_place(room, place_of(room, path))


def open_of_run(room: Room, asked: Asked) -> Path:
    run = room.run(asked.text("run_id", "run_uuid", default=None))
    path = asked.text("path", default=None)
    check_path(path)
    return open_place(room, Place(run.id, path))


def open_place(room: Room, place: Place) -> Path:
    try:
        found: Path = room.backend.need("artifacts").open(place.owner, place.path)
    except NotFound as error:
        raise Failure("RESOURCE_DOES_NOT_EXIST", f"No such artifact: '{place.path}'") from error
    return found


def put(room: Room, path: str, file: Path) -> None:
    place = place_of(room, path)
    if not place.path:
        raise invalid("Invalid path: a file's name is wanted after artifacts/")
    room.backend.need("artifacts").put(place.owner, place.path, file)


def remove(room: Room, path: str) -> None:
    place = place_of(room, path)
    store = room.backend.need("artifacts")
    if place.path:
        try:
            store.remove(place.owner, place.path, room.mutation())
        except NotFound as error:
            raise Failure("RESOURCE_DOES_NOT_EXIST", f"No such artifact: '{place.path}'") from error
        return
    for found in store.children(place.owner):
        store.remove(place.owner, found.path, room.mutation())


ROUTES: Final = {("GET", "artifacts/list"): list_}
