"""Datasets, their versions and the definitions kept beside them."""

from __future__ import annotations

from enum import StrEnum

from backends.entities.record import Millis, Record


class ColumnType(StrEnum):
    """What a column holds, as far as a model cares."""

    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    STRING = "string"
    DATETIME = "datetime"
    DATE = "date"
    OTHER = "other"

    @property
    def numeric(self) -> bool:
        return self in (ColumnType.INT, ColumnType.FLOAT, ColumnType.BOOL)


class Column(Record, frozen=True, kw_only=True):
    """One column of a dataset version or of a model's signature."""

    name: str
    type: ColumnType
    nulls: int | None = None
    """How many values are missing; None where nobody counted."""
    unit: str = ""
    """Of measurement, as people write it: `min`, `km`, `USD`."""
    note: str = ""
    """What it means."""


class Dataset(Record, frozen=True, kw_only=True):
    """A named line of versions."""

    name: str
    created_at: Millis
    created_by: str = ""
    versions: int = 0
    latest: str = ""
    rows: int = 0
    """Rows of the latest version."""
    updated_at: Millis = 0
    note: str = ""
    tags: dict[str, str] = {}


class DatasetVersion(Record, frozen=True, kw_only=True):
    """An immutable content: same content, same digest, same version."""

    dataset: str
    version: str
    digest: str
    """sha256 of the content in canonical form (schema and rows), independent of the file it came from."""
    rows: int
    bytes: int
    """Size of the stored Parquet file."""
    columns: tuple[Column, ...]
    source: str
    """Where it came from, in words: a path, a recipe, a query."""
    created_at: Millis
    created_by: str = ""
    parent: str = ""
    """`name@version` that this was made from, or empty."""
    inputs: tuple[str, ...] = ()
    """Further versions it was made from, such as the other side of a join, each as `name@version`."""
    made_by: str = ""
    """The definition that made it, as `kind:name@version`, or empty: `transform:prepare@3`, `features:trip@2`."""
    object: str = ""
    """sha256 of the stored file in the object store."""
    note: str = ""
    tags: dict[str, str] = {}

    @property
    def ref(self) -> str:
        return f"{self.dataset}@{self.version}"


class DatasetInput(Record, frozen=True, kw_only=True):
    """A dataset version that a run read."""

    dataset: str
    version: str
    """Of what a tracking client logged without a version of ours: its digest."""
    digest: str
    context: str = "training"
    source_type: str = ""
    """`local`, `s3`, `http`, …: how whoever logged it calls the place it came from; empty for our own datasets."""
    source: str = ""
    """Where it came from, as it was logged."""
    schema: str = ""
    """As it was logged; filled in by `RunStore.get` alone."""
    profile: str = ""
    """As it was logged; filled in by `RunStore.get` alone."""


class Definition(Record, frozen=True, kw_only=True):
    """A named text of which every version is kept: a set of checks, a transform, a feature set.

    Same text, same digest, same version. What the text says is the business of the room that reads it.
    """

    kind: str
    """`checks`, `transform`, `features`, …"""
    name: str
    version: str
    digest: str
    """sha256 of the text."""
    text: str
    created_at: Millis
    created_by: str = ""
    note: str = ""
    state: str = ""
    """What was learned from data to carry it out, as JSON: means, edges, categories. Empty where nothing is."""

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def whole(self) -> str:
        """As `DatasetVersion.made_by` names it."""
        return f"{self.kind}:{self.ref}"
