"""Registered models, their versions, and the moves of their aliases."""

from __future__ import annotations

from backends.entities.data import Column, DatasetInput
from backends.entities.record import Millis, Record


class Signature(Record, frozen=True, kw_only=True):
    """What a model takes and gives."""

    inputs: tuple[Column, ...] = ()
    outputs: tuple[Column, ...] = ()


class Package(Record, frozen=True, kw_only=True):
    """How whoever logged a model packed it, as its MLmodel file says."""

    flavors: tuple[str, ...] = ()
    """`sklearn`, `python_function`, …: by which it can be loaded."""
    loader: str = ""
    """Module that loads it as a plain function."""
    mlflow: str = ""
    """Version of MLflow that wrote it."""
    python: str = ""
    bytes: int = 0
    """Of the model, as it says itself."""
    requirements: tuple[str, ...] = ()
    """Packages that it needs, as pip is told."""


class ModelFile(Record, frozen=True, kw_only=True):
    """The serialised model of a version, and what is known of its safety."""

    sha256: str = ""
    bytes: int = 0
    format: str = ""
    """`skops`, `pickle`, `onnx`, …"""
    path: str = ""
    """Artifact path within the run."""
    untrusted: tuple[str, ...] = ()
    """Types in the file that the console's allow-list does not hold."""
    inspected: bool = False
    """Somebody looked for such types; else that `untrusted` is empty says nothing."""
    libraries: dict[str, str] = {}
    owner: str = ""
    """Id of the logged model that keeps the file, where it is not the version's run."""


class Model(Record, frozen=True, kw_only=True):
    """A registered model: a name under which versions and aliases live."""

    name: str
    created_at: Millis
    created_by: str = ""
    updated_at: Millis = 0
    versions: int = 0
    latest: str = ""
    aliases: dict[str, str] = {}
    """alias → version."""
    note: str = ""
    tags: dict[str, str] = {}
    kind: str = "model"
    """`model`, or `prompt`: some registries keep prompts under the same names."""


class ModelVersion(Record, frozen=True, kw_only=True):
    """One registered result of a run."""

    model: str
    version: str
    created_at: Millis
    created_by: str = ""
    run: str = ""
    file: ModelFile = ModelFile()
    signature: Signature = Signature()
    metrics: dict[str, float] = {}
    params: dict[str, str] = {}
    inputs: tuple[DatasetInput, ...] = ()
    aliases: tuple[str, ...] = ()
    note: str = ""
    tags: dict[str, str] = {}
    source: str = ""
    """URI of its files, as whoever registered it gave it."""
    logged_model: str = ""
    """Id of the logged model it was registered from."""
    package: Package | None = None
    """Filled in by `backends.mlmodel.with_package` alone."""

    @property
    def ref(self) -> str:
        return f"{self.model}@{self.version}"


class AliasMove(Record, frozen=True, kw_only=True):
    """One change of an alias, as the history keeps it. `version` None means the alias was taken away."""

    model: str
    alias: str
    version: str | None
    previous: str | None
    at: Millis
    actor: str
    reason: str = ""
    action: str = "promote"
    entry: str = ""
    """Id of the journal entry."""
    along: tuple[str, ...] = ()
    """Other aliases of the model that moved in the same change: with the same `at` and `entry`, all or none."""


class AliasChange(Record, frozen=True, kw_only=True):
    """Where an alias is to go, from where it was seen. None: it names no version."""

    alias: str
    version: str | None
    expected: str | None
