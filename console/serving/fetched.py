"""What a worker needs to load a version, fetched from where the context keeps it: the server asks the store, workers
only read files."""

from __future__ import annotations

from typing import Final

import msgspec

from backends.contract import Backend, Invalid, NotFound, Refused
from backends.entities import Column, ModelVersion, Record
from backends.mlmodel import with_package
from console.serving.spec import Target

META: Final = "model/meta.json"
_MOST: Final = 16_000_000


class VersionFile(Record, frozen=True, kw_only=True):
    """A version's model file on this machine, and what its rows and answers mean."""

    model: str
    version: str
    path: str
    sha256: str
    """As it was recorded at registration; empty where nobody recorded one."""
    features: tuple[Column, ...]
    task: str = ""
    """`binary`, `multiclass`, `classification` or `regression`; empty where only the estimator knows."""
    target: str = ""
    score: str = "prediction"
    """`probability`, `decision` or `prediction`."""
    classes: tuple[str | int | float | bool, ...] = ()
    positive: str | int | float | bool | None = None
    run: str = ""

    @property
    def ref(self) -> str:
        return f"{self.model} v{self.version}"


class _Meta(msgspec.Struct, frozen=True):
    """The part of `model/meta.json` that serving needs."""

    task: str
    target: str
    features: tuple[Column, ...]
    score: str = "probability"
    classes: tuple[str | int | float | bool, ...] = ()
    positive: str | int | float | bool | None = None


def held_version(backend: Backend, model: str, target: Target) -> str:
    """The version that a target means now. NotFound where the alias or the version is not there."""
    version: ModelVersion = backend.need("registry").version(
        model, f"@{target.alias}" if target.alias else target.version
    )
    return version.version


def fetch_version(backend: Backend, model: str, version: str) -> VersionFile:
    """The version's file, here. Refused where it is of a kind that is not loaded; nothing of it is executed."""
    found: ModelVersion = with_package(backend, backend.need("registry").version(model, version))
    file = found.file
    name = f"{model} v{version}"
    if not file.path:
        raise NotFound(f"{name} has no model file on record; register it again from a run that left one.")
    if file.format != "skops":
        kind = file.format or "of an unknown kind"
        raise Refused(
            f"{name}: its model file is {kind}, and loading such a file runs code; only skops files are served. "
            "Train it here, or log it with serialization_format='skops'."
        )
    if file.untrusted:
        raise Refused(f"{name} holds types that are not on the console's list: {', '.join(file.untrusted[:5])}.")
    artifacts = backend.need("artifacts")
    owner = file.owner or found.run
    path = artifacts.open(owner, file.path)
    try:
        said = artifacts.open(found.run, META).read_bytes() if found.run else b""
    except NotFound:
        said = b""
    if not said:
        return _foreign(found, str(path))
    try:
        meta = msgspec.json.decode(said[:_MOST], type=_Meta)
    except msgspec.DecodeError as error:
        raise Invalid(f"{META} of {name} cannot be read: {error}; train the version again.", "meta") from error
    return VersionFile(
        model=model, version=version, path=str(path), sha256=file.sha256, features=meta.features, task=meta.task,
        target=meta.target, score=meta.score, classes=meta.classes, positive=meta.positive, run=found.run,
    )  # fmt: skip


def _foreign(version: ModelVersion, path: str) -> VersionFile:
    """A model that somebody else logged: its signature says what it takes."""
    inputs = version.signature.inputs
    if not inputs or any(column.note.startswith("tensor") for column in inputs):
        raise Refused(
            f"{version.model} v{version.version} has no signature of named columns, so nobody can tell what to send; "
            "log it with a signature or an input_example."
        )
    return VersionFile(
        model=version.model, version=version.version, path=path, sha256=version.file.sha256, features=inputs,
        target=next((column.name for column in version.signature.outputs), ""), run=version.run,
    )  # fmt: skip
