"""A version as a ModelKit tells it: the Kitfile as JSON, with our record among the model's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from backends.entities import DatasetInput, Millis, ModelFile, ModelVersion, Signature
from backends.oci import names
from backends.oci.layers import LayerFile, files_in, whole_layers
from backends.oci.manifest import Manifest

OWNER: Final = "oci-"
"""Begins the id of the owner of a version's files, where no run is known: the manifest's digest follows."""
_MOST: Final = 200
"""Parameters and annotations of somebody else's that are shown."""
_FORMATS: Final = {"skops": "skops", "onnx": "onnx", "pkl": "pickle", "pickle": "pickle", "joblib": "pickle"}


class Registered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a console registered, beside the files."""

    run: str = ""
    created_at: Millis = 0
    created_by: str = ""
    file: ModelFile = ModelFile()
    signature: Signature = Signature()
    metrics: dict[str, float | str] = {}
    """NaN and infinities as words: JSON has no others."""
    params: dict[str, str] = {}
    inputs: tuple[DatasetInput, ...] = ()
    tags: dict[str, str] = {}
    note: str = ""
    source: str = ""
    logged_model: str = ""
    key: str = ""
    """Of the change that made it: asked again, it is found by this."""


def write(model: str, version: str, record: Registered, files: tuple[LayerFile, ...]) -> bytes:
    """The config of a version. `files` are its layers, the model's own file first."""
    kept = [{"path": each.path, "digest": each.layer.digest, "diffId": each.layer.digest} for each in files]
    found: dict[str, Any] = {
        "manifestVersion": "1.0.0",
        "package": {"name": model, "version": version, "authors": [record.created_by]}
        | ({"description": record.note} if record.note else {}),
        "model": {"name": model, "version": version, "parameters": {names.RECORD: msgspec.to_builtins(record)}}
        | (kept[0] if kept else {})
        | ({"format": record.file.format} if record.file.format else {})
        | ({"parts": [{"name": each["path"], **each} for each in kept[1:]]} if kept[1:] else {}),
    }
    return msgspec.json.encode(found, order="deterministic")


def read(config: bytes) -> dict[str, Any]:
    """A Kitfile, or the config of another artifact; empty where it is no JSON object."""
    try:
        found = msgspec.json.decode(config)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def record_in(kit: Mapping[str, Any]) -> Registered | None:
    """What a console registered, or None where it was somebody else."""
    raw = _dict(_dict(kit, "model"), "parameters").get(names.RECORD)
    if not isinstance(raw, dict):
        return None
    try:
        return msgspec.convert(raw, type=Registered)
    except msgspec.ValidationError:
        return None


def version_of(model: str, tag: str, digest: str, found: Manifest, kit: Mapping[str, Any]) -> ModelVersion:
    """The version that a manifest and its config tell of, without the aliases."""
    ours = record_in(kit)
    if ours is None:
        return _foreign(model, tag, digest, found, kit)
    return ModelVersion(
        model=model,
        version=tag,
        created_at=ours.created_at,
        created_by=ours.created_by,
        run=ours.run,
        file=ours.file,
        signature=ours.signature,
        metrics={key: value for key, raw in ours.metrics.items() if (value := _number(raw)) is not None},
        params=ours.params,
        inputs=ours.inputs,
        note=ours.note,
        tags=ours.tags,
        source=ours.source,
        logged_model=ours.logged_model,
    )


def _foreign(model: str, tag: str, digest: str, found: Manifest, kit: Mapping[str, Any]) -> ModelVersion:
    """What `kit push` or `oras push` left: as much as it says."""
    package, about = _dict(kit, "package"), _dict(kit, "model")
    said = {
        "artifact": found.artifact_type or (found.config.media_type if found.config else "") or found.media_type,
        "framework": about.get("framework"),
        "license": about.get("license") or package.get("license"),
        "package": package.get("name"),
        "package.version": package.get("version") or about.get("version"),
    }
    tags = {key: value[:1_000] for key, value in said.items() if isinstance(value, str) and value}
    known = (names.CREATED, names.TITLE)
    for key, value in list(found.annotations.items())[:_MOST]:
        if key not in known:
            tags[key[:200]] = value[:1_000]
    parameters = about.get("parameters")
    params = {
        str(key)[:200]: value if isinstance(value, str) else msgspec.json.encode(value).decode()[:1_000]
        for key, value in list(parameters.items() if isinstance(parameters, dict) else ())[:_MOST]
        if isinstance(value, str | int | float | bool)
    }
    authors = package.get("authors")
    by = ", ".join(str(each) for each in authors[:5]) if isinstance(authors, list) else ""
    note = package.get("description") or about.get("description")
    created = found.annotations.get(names.CREATED) or kit.get("created")
    file, source = _file(digest, found, about)
    return ModelVersion(
        model=model,
        version=tag,
        created_at=_millis(created),
        created_by=by or str(kit.get("author") or "")[:200],
        file=file,
        params=params,
        note=note if isinstance(note, str) else "",
        tags=tags,
        source=source,
    )


def _file(digest: str, found: Manifest, about: Mapping[str, Any]) -> tuple[ModelFile, str]:
    """(the file, where the files lie): a Kitfile names a file or a folder; of others the endings tell."""
    owner = f"{OWNER}{digest.removeprefix('sha256:')}"
    path = about.get("path")
    path = path.removeprefix("./").strip("/") if isinstance(path, str) else ""
    listed = files_in(found)
    if not path:
        best = next((each for each in listed if _format(each.path)), listed[0] if listed else None)
        if best is None:
            return ModelFile(), f"runs:/{owner}" if whole_layers(found) else ""
        return _named(best, owner), ""
    known = next((each for each in listed if each.path == path), None)
    if known is not None:
        return _named(known, owner), ""
    if not _format(path):  # a folder, as far as its name tells
        return ModelFile(), f"runs:/{owner}/{path}" if path != "." else f"runs:/{owner}"
    size = next((each.size for each in found.layers if names.KIT_LAYER.match(each.media_type)), 0)
    return ModelFile(bytes=size, format=_format(path), path=path, owner=owner), ""


def _named(file: LayerFile, owner: str) -> ModelFile:
    return ModelFile(
        sha256=file.sha256, bytes=file.bytes, format=_format(file.path) or "other", path=file.path, owner=owner
    )


def _format(path: str) -> str:
    return _FORMATS.get(path.rpartition(".")[2].lower(), "") if "." in path.rpartition("/")[2] else ""


def spelled(metrics: Mapping[str, float]) -> dict[str, float | str]:
    """As JSON can say them."""
    return {key: value if abs(value) < float("inf") else str(value) for key, value in metrics.items()}


def _number(raw: float | str) -> float | None:
    try:
        return float(raw)
    except ValueError:
        return None


def _millis(said: object) -> Millis:
    if not isinstance(said, str):
        return 0
    try:
        found = datetime.fromisoformat(said)
        return max(0, int(found.replace(tzinfo=found.tzinfo or UTC).timestamp() * 1000))
    except (ValueError, OverflowError, OSError):
        return 0


def _dict(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = found.get(key)
    return value if isinstance(value, dict) else {}
