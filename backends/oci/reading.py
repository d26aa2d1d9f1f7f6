"""The registry of models that an OCI registry is: what is asked of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final

import msgspec

from backends.contract import START, BackendError, NotFound, Page, Unreachable, Unsupported
from backends.entities import AliasMove, Model, ModelVersion
from backends.listing import cut
from backends.oci import kitfile, names
from backends.oci.address import named_models
from backends.oci.aliases import OciAliases
from backends.oci.distribution import refuses_lists
from backends.oci.manifest import Manifest
from backends.oci.room import Files, Room
from backends.oci.shelf import Beside, Shelf, look
from backends.query import And, Compare, Key, Query, select
from backends.together import Same, together

_MODELS: Final = 1_000
"""Models that are looked at for a list with a filter or an order."""
_NEWEST: Final = 50
"""Versions of each model that a search looks at."""
_ASKED_S: Final = 20.0
"""A model of a list, and what the tag of a version names, are asked for anew after so long."""


class Reading:
    """The half of `ModelRegistry` that changes nothing."""

    def __init__(self, room: Room, options: dict[str, str]) -> None:
        self._room = room
        self._named = named_models(options)
        self._same = Same()
        self._models: dict[str, tuple[float, int, Model]] = {}
        self._digests: dict[tuple[str, str], tuple[float, int, str]] = {}
        self.aliases = OciAliases(room, look=self._fresh, as_model=self._model)

    # ------------------------------------------------------------ reading

    def page(
        self, query: Query | None = None, *, at: str = START, limit: int = 100, kind: str = "model"
    ) -> Page[Model]:
        named, note = self._names()
        if query is None or (query.where is None and not query.order):
            page = cut(named, at, limit, name=str)
            found = self._each(page.items, kind)
            total = page.total if len(found) == len(page.items) else None
            return Page(items=found, next=page.next, previous=page.previous, first=page.first, total=total, note=note)
        found = self._each(named[:_MODELS], kind)
        if len(named) > _MODELS:
            note = f"among the first {_MODELS} of {len(named)} repositories"
        page_of = cut(select(query, found), at, limit, name=lambda model: model.name)
        return msgspec.structs.replace(page_of, note=note)

    def _each(self, named: Sequence[str], kind: str) -> tuple[Model, ...]:
        """The models of these names; emptied repositories, and what is of another kind, left out."""
        found = together([partial(self._lately, name) for name in named])
        return tuple(model for model in found if model is not None and kind in ("", model.kind))

    def _names(self) -> tuple[list[str], str]:
        """Names of models in order, and what is to be said of the list."""
        if self._named:
            return sorted(self._named), ""
        prefix = self._room.prefix
        try:
            every = self._room.registry.repositories()
        except BackendError as error:
            if not refuses_lists(error):
                raise
            raise Unsupported(
                f"the registry at {self._room.registry.where} lists no repositories ({error}). Name the models in the "
                'context: options = { models = "churn, fraud" }'
            ) from error
        return sorted(each.removeprefix(prefix) for each in every if each.startswith(prefix) and each != prefix), ""

    def _lately(self, name: str) -> Model | None:
        at, changes, told = self._models.get(name, (0.0, -1, None))
        if told is not None and changes == self._room.changes and time.monotonic() - at < _ASKED_S:
            return told
        try:
            found = self._get(name)
        except NotFound:
            return None
        self._models[name] = (time.monotonic(), self._room.changes, found)
        return found

    def get(self, name: str) -> Model:
        return self._get(name)

    def _get(self, name: str) -> Model:
        changes = self._room.changes
        shelf = self._shelf(name)
        found = self._model(name, shelf)
        if shelf.fresh and changes == self._room.changes:
            self.aliases.notice(found)
        return found

    def _repository(self, name: str) -> str:
        if not names.REPOSITORY.fullmatch(name):
            raise NotFound(
                f"there is no model {name[:80]!r}: a registry's names are of lower-case letters, digits and . _ - /."
            )
        return f"{self._room.prefix}{name}"

    def _shelf(self, name: str) -> Shelf:
        repository = self._repository(name)
        return self._same.ask((name, self._room.changes), lambda: self._looked(name, repository))

    def _looked(self, name: str, repository: str) -> Shelf:
        try:
            try:
                return self._fresh(name)
            except Unreachable:
                return look(self._room.registry, repository)
        except NotFound:
            raise NotFound(f"there is no model {name}{self._near(name)}") from None

    def _fresh(self, name: str) -> Shelf:
        """As it is now. NotFound where there is no such model."""
        try:
            return look(self._room.registry, self._repository(name), keep=False)
        except NotFound:
            raise NotFound(f"there is no model {name[:80]}.") from None

    def _near(self, name: str) -> str:
        from backends.query_keys import nearest

        try:
            known = [each for each in self._names()[0] if len(each) <= 60 and each != name]
        except BackendError:
            return "."
        close = nearest(name[:60], known)
        return f"; did you mean {close}?" if close else "; there is no model yet." if not known else "."

    def _model(self, name: str, shelf: Shelf) -> Model:
        about = shelf.about
        return Model(
            name=name,
            created_at=about.created_at if about else 0,
            created_by=about.created_by if about else "",
            updated_at=about.updated_at if about else 0,
            versions=len(shelf.versions),
            latest=shelf.latest,
            aliases=shelf.aliases,
            note=about.note if about else "",
            tags=about.tags if about else {},
            kind=about.kind if about else "model",
        )

    def history(self, model: str, *, alias: str = "", limit: int = 1000) -> tuple[AliasMove, ...]:
        self._get(model)
        return tuple(self.aliases.moves(model, alias)[:limit])

    def versions(self, name: str, *, at: str = START, limit: int = 100) -> Page[ModelVersion]:
        shelf = self._shelf(name)
        page = cut(shelf.versions, at, limit, name=str)
        return Page(
            items=self._read(name, shelf, page.items),
            next=page.next,
            previous=page.previous,
            first=page.first,
            total=page.total,
        )

    def _read(self, name: str, shelf: Shelf, tags: Iterable[str]) -> tuple[ModelVersion, ...]:
        """The versions of these tags; one that went meanwhile is left out."""

        def one(tag: str) -> ModelVersion | None:
            try:
                return self._at(name, shelf, tag)
            except NotFound:
                return None

        return tuple(each for each in together([partial(one, tag) for tag in tags]) if each is not None)

    def _at(self, name: str, shelf: Shelf, tag: str, *, anew: bool = False) -> ModelVersion:
        repository = self._repository(name)
        digest = shelf.digests.get(tag) or self._digest(repository, tag, anew=anew)
        held = self._room.registry.read(repository, digest)
        said = held.manifest or Manifest()
        config = self._room.registry.content(repository, said.config) if said.config is not None else b""
        found = kitfile.version_of(name, tag, held.digest, said, kitfile.read(config))
        self._room.note_owner(found, Files(repository, held.digest))
        beside = shelf.about.versions.get(tag, Beside()) if shelf.about else Beside()
        return msgspec.structs.replace(
            found,
            aliases=tuple(alias for alias, version in shelf.aliases.items() if version == tag),
            note=found.note if beside.note is None else beside.note,
            tags=found.tags if beside.tags is None else beside.tags,
        )

    def _digest(self, repository: str, tag: str, *, anew: bool) -> str:
        """What the tag of a version names: it is not meant to move, and in a list is asked for now and then."""
        at, changes, digest = self._digests.get((repository, tag), (0.0, -1, ""))
        if anew or not digest or changes != self._room.changes or time.monotonic() - at > _ASKED_S:
            digest = self._room.registry.digest(repository, tag)
            self._digests[repository, tag] = (time.monotonic(), self._room.changes, digest)
        return digest

    def version(self, model: str, version: str) -> ModelVersion:
        shelf = self._shelf(model)
        tag = version
        if version.startswith("@"):
            if version[1:] not in shelf.aliases:
                listed = ", ".join(shelf.aliases) or "none"
                raise NotFound(f"model {model} has no alias {version[1:]}; it has {listed}.")
            tag = shelf.aliases[version[1:]]
        if tag not in shelf.versions:
            raise NotFound(f"model {model} has no version {version}; its newest is {shelf.latest or 'none'}.")
        try:
            return self._at(model, shelf, tag, anew=True)
        except NotFound:
            raise NotFound(f"version {tag} of model {model} went while it was asked for; look again.") from None

    def holders(self, models: Sequence[Model], alias: str) -> dict[str, ModelVersion]:
        def one(model: Model) -> ModelVersion | None:
            try:
                return self.version(model.name, model.aliases[alias])
            except NotFound:
                return None

        held = [model for model in models if alias in model.aliases]
        found = together([partial(one, model) for model in held])
        return {version.model: version for version in found if version is not None}

    def search(
        self, query: Query | None = None, *, at: str = START, limit: int = 100, kind: str = "model"
    ) -> Page[ModelVersion]:
        named, note = _narrowed(query), ""
        if named is None:
            every, note = self._names()
            named = tuple(every[:_MODELS])
        models = self._each(named, kind)
        found: list[ModelVersion] = []
        for model in models:
            try:
                shelf = self._shelf(model.name)
            except NotFound:
                continue
            found += self._read(model.name, shelf, shelf.versions[:_NEWEST])
            if len(shelf.versions) > _NEWEST:
                note = f"among the newest {_NEWEST} versions of each model"
        # Newest first; of one time in the order of the numbers.
        found.sort(key=lambda version: -version.created_at)
        page = cut(select(query, found), at, limit, name=lambda version: version.ref)
        return msgspec.structs.replace(page, note=note)


def _narrowed(query: Query | None) -> tuple[str, ...] | None:
    """The one model that a query can match, where it says so."""
    where = None if query is None else query.where
    for each in where.nodes if isinstance(where, And) else (where,):
        if isinstance(each, Compare) and each.op == "=" and each.key == Key("attribute", "model"):
            return (str(each.value),)
    return None
