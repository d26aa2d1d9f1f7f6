"""Where datasets, definitions and reports are kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from backends.contract.mutation import Mutation
from backends.contract.paging import START, Page
from backends.entities import Column, Dataset, DatasetVersion, Definition, Report

if TYPE_CHECKING:
    from backends.query import Query


class DatasetStore(Protocol):
    """Content-addressed dataset versions, stored as Parquet."""

    def page(self, query: Query | None = None, *, at: str = START, limit: int = 100) -> Page[Dataset]: ...

    def get(self, name: str) -> Dataset: ...

    def versions(self, name: str, *, at: str = START, limit: int = 100) -> Page[DatasetVersion]:
        """Newest first."""
        ...

    def version(self, ref: str) -> DatasetVersion:
        """By `name@version`, by `name` (the latest), or by a digest or its unique beginning (8 characters or more)."""
        ...

    def path(self, ref: str) -> Path:
        """A local Parquet file with this content; read only."""
        ...

    def add(
        self,
        name: str,
        file: Path,
        *,
        digest: str,
        rows: int,
        columns: Sequence[Column],
        source: str,
        mutation: Mutation,
        parent: str = "",
        note: str = "",
        inputs: Sequence[str] = (),
        made_by: str = "",
    ) -> tuple[DatasetVersion, bool]:
        """Keep a finished Parquet file as the next version, moving it in. An existing version with this digest is
        returned with False instead, and the file is removed."""
        ...

    def set_column(
        self, name: str, column: str, mutation: Mutation, *, note: str | None = None, unit: str | None = None
    ) -> None:
        """What a column of this dataset means and is measured in, for all its versions; None leaves it as it is."""
        ...

    def set_note(self, ref: str, note: str, mutation: Mutation) -> None:
        """Of a version (`name@version`), or of the dataset itself (`name`)."""
        ...

    def delete(self, ref: str, mutation: Mutation) -> int:
        """The dataset with all its versions (`name`), or one version (`name@version`), whose number is not used again.

        Gives the bytes of stored files that nothing names any more; a clean-up of the store gives them back.
        """
        ...


class DefinitionStore(Protocol):
    """Named texts with all their versions: checks, transforms, feature sets. Versions count from 1."""

    def page(self, kind: str, *, at: str = START, limit: int = 100) -> Page[Definition]:
        """The latest version of each name, by name."""
        ...

    def versions(self, kind: str, name: str, *, at: str = START, limit: int = 100) -> Page[Definition]:
        """Newest first."""
        ...

    def get(self, kind: str, ref: str) -> Definition:
        """By `name@version`, or by `name` (the latest)."""
        ...

    def put(
        self, kind: str, name: str, text: str, mutation: Mutation, *, state: str = "", note: str = ""
    ) -> tuple[Definition, bool]:
        """Keep it as the next version. The latest version, if it has this text and state, is returned with False."""
        ...

    def delete(self, kind: str, name: str, mutation: Mutation) -> None:
        """The name with all its versions; what was made by them keeps their names."""
        ...


class ReportStore(Protocol):
    """What examinations found, each kept as it was."""

    def add(self, report: Report) -> Report:
        """Keep it under a new id."""
        ...

    def latest(self, kind: str, subject: str) -> Report | None: ...

    def page(self, kind: str = "", subject: str = "", *, at: str = START, limit: int = 100) -> Page[Report]:
        """Newest first; of any kind or subject where none is named."""
        ...
