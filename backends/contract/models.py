"""Where models are registered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from backends.contract.mutation import Mutation
from backends.contract.paging import START, Page
from backends.entities import AliasChange, AliasMove, DatasetInput, Model, ModelFile, ModelVersion, Signature

if TYPE_CHECKING:
    from backends.query import Query


class ModelRegistry(Protocol):
    """Registered models, versions and aliases."""

    def page(
        self, query: Query | None = None, *, at: str = START, limit: int = 100, kind: str = "model"
    ) -> Page[Model]:
        """By name without an order. `kind` is `model`, `prompt`, or empty for both."""
        ...

    def get(self, name: str) -> Model: ...

    def versions(self, name: str, *, at: str = START, limit: int = 100) -> Page[ModelVersion]:
        """Newest first."""
        ...

    def version(self, model: str, version: str) -> ModelVersion:
        """By version, or by alias with `@alias` as the version."""
        ...

    def holders(self, models: Sequence[Model], alias: str) -> dict[str, ModelVersion]:
        """By model's name the version that holds the alias, for a list of models. A server may be asked for some of
        them at a time: whoever is missing comes with a later look."""
        ...

    def search(
        self, query: Query | None = None, *, at: str = START, limit: int = 100, kind: str = "model"
    ) -> Page[ModelVersion]:
        """Versions of any model, by `VERSION_FIELDS`; without an order the newest first."""
        ...

    def create(
        self,
        model: str,
        mutation: Mutation,
        *,
        note: str = "",
        tags: dict[str, str] | None = None,
        kind: str = "model",
    ) -> Model:
        """A name without versions. Conflict where it is taken."""
        ...

    def rename(self, model: str, name: str, mutation: Mutation) -> Model:
        """With all its versions and aliases. Conflict where the new name is taken."""
        ...

    def delete(self, model: str, mutation: Mutation) -> None:
        """For good, with versions and aliases; the journal and the history keep what was."""
        ...

    def delete_version(self, model: str, version: str, mutation: Mutation) -> None:
        """For good, and its aliases with it; its number is not used again."""
        ...

    def register(
        self,
        model: str,
        *,
        run: str,
        file: ModelFile,
        signature: Signature,
        mutation: Mutation,
        metrics: dict[str, float] | None = None,
        params: dict[str, str] | None = None,
        inputs: Sequence[DatasetInput] = (),
        tags: dict[str, str] | None = None,
        note: str = "",
        source: str = "",
        logged_model: str = "",
    ) -> ModelVersion:
        """The next version of a model; the model is made if it is not there."""
        ...

    def set_alias(
        self, model: str, alias: str, version: str | None, *, expected: str | None, mutation: Mutation
    ) -> AliasMove:
        """Point the alias at a version (None takes it away) if it points at `expected` now (None: at nothing), else
        Conflict that says who moved it and when. Setting it where it is already is a Conflict too, except by the same
        idempotency key."""
        ...

    def set_aliases(self, model: str, changes: Sequence[AliasChange], *, mutation: Mutation) -> tuple[AliasMove, ...]:
        """Several aliases of a model as one change: each as `set_alias`, all or none, under one journal entry that
        names the first as its alias and all under `aliases`. The moves come in the order of the changes.

        Where a server moves one alias at a time and falls silent or refuses in between, what moved is put back; what
        could not be is finished or put back at the next look, and the journal says which.
        """
        ...

    def history(self, model: str, *, alias: str = "", limit: int = 1000) -> tuple[AliasMove, ...]:
        """Newest first."""
        ...

    def set_note(self, model: str, version: str, note: str, mutation: Mutation) -> None:
        """Of a version, or of the model itself where version is empty."""
        ...

    def set_tags(self, model: str, version: str, tags: dict[str, str | None], mutation: Mutation) -> None: ...
