"""What a worker needs to load a version, fetched from where the context keeps it: the server asks the store, workers
only read files."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from backends.contract import Backend, NotFound, Refused
from backends.entities import Column, ModelVersion, Record
from backends.mlmodel import with_package
from console.model_meta import read_meta
from console.serving.isolated_rule import Isolation, ServingRule, place, serving_rule
from console.serving.spec import Target


class OnnxFile(Record, frozen=True, kw_only=True):
    """A version's ONNX file on this machine, which was held against the model itself."""

    path: str
    sha256: str
    required: tuple[str, ...] = ()
    """Columns whose value cannot be missing."""
    classes: tuple[str | int | float | bool, ...] = ()


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
    isolation: Isolation | None = None
    """A process of its own serves it: workers ask that and load nothing."""
    onnx: OnnxFile | None = None
    """None where there is none, or scikit-learn is to answer."""
    not_onnx: str = ""
    """Why there is none, where onnx would be taken."""

    @property
    def ref(self) -> str:
        return f"{self.model} v{self.version}"


def held_version(backend: Backend, model: str, target: Target) -> str:
    """The version that a target means now. NotFound where the alias or the version is not there."""
    version: ModelVersion = backend.need("registry").version(
        model, f"@{target.alias}" if target.alias else target.version
    )
    return version.version


def fetch_version(backend: Backend, model: str, version: str) -> VersionFile:
    """The version's file, here. Refused where it is of a kind that is not loaded, and no rule names a command for it;
    nothing of it is executed."""
    found: ModelVersion = with_package(backend, backend.need("registry").version(model, version))
    file = found.file
    name = f"{model} v{version}"
    if not file.path and not _flavors(found):
        raise NotFound(f"{name} has no model file on record; register it again from a run that left one")
    if why := _not_ours(found):
        rule = serving_rule(model)
        if rule is None:
            raise Refused(
                f"{name}: {why}. Log it as a scikit-learn model with serialization_format='skops', or name the command "
                f"that serves it as [[serving]] in {place()}"
            )
        return _isolated(backend, found, rule)
    artifacts = backend.need("artifacts")
    owner = file.owner or found.run
    path = artifacts.open(owner, file.path)
    if not file.sha256:
        _hold_to_first(backend, found, path)
    try:
        meta = read_meta(backend, found.run, name) if found.run else None
    except NotFound:
        meta = None
    if meta is None:
        return _foreign(found, str(path))
    return VersionFile(
        model=model, version=version, path=str(path), sha256=file.sha256, features=meta.features, task=meta.task,
        target=meta.target, score=meta.score, classes=meta.classes, positive=meta.positive, run=found.run,
    )  # fmt: skip


def _hold_to_first(backend: Backend, version: ModelVersion, path: Path) -> None:
    """Nobody recorded its sha256: it is what it was when it was served first."""
    import hashlib

    from console.serving.pins import hold_to_first

    with path.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    hold_to_first(backend, version, found, int(time.time() * 1000))


def _not_ours(version: ModelVersion) -> str:
    """Why the console does not load the version's file itself; empty where it does."""
    file = version.file
    if not file.path or file.format in ("other", ""):
        flavors = ", ".join(each for each in _flavors(version) if each != "python_function") or "python_function"
        return f"it is a model of flavor {flavors}, and loading that runs code; only skops files are loaded here"
    if file.format != "skops":
        return f"its model file is {file.format}, and loading such a file runs code; only skops files are loaded here"
    if file.untrusted:
        return f"it holds types that are not on the console's list: {', '.join(file.untrusted[:5])}"
    return ""


def _flavors(version: ModelVersion) -> tuple[str, ...]:
    return version.package.flavors if version.package is not None else ()


def _isolated(backend: Backend, version: ModelVersion, rule: ServingRule) -> VersionFile:
    """All of its files, here, for a process that is not ours."""
    from console.serving.model_folder import fetch_folder

    known = _foreign(version, "")
    folder, digest = fetch_folder(backend, version)
    return msgspec.structs.replace(
        known, path=str(folder), sha256=digest, isolation=Isolation(rule=rule, folder=str(folder))
    )


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
