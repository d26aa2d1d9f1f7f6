"""The registry of models that an OCI registry is: models, versions and aliases are made, moved and taken away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from backends.alias_changes import check_changes
from backends.contract import ArtifactStore, Conflict, Mutation, NotFound, Refused
from backends.entities import (
    AliasChange,
    AliasMove,
    DatasetInput,
    Model,
    ModelFile,
    ModelVersion,
    Signature,
)
from backends.oci import kitfile, manifest, names
from backends.oci.address import check_alias, check_model
from backends.oci.annotating import Annotating
from backends.oci.copying import copy_repository
from backends.oci.kitfile import Registered
from backends.oci.layers import LayerFile
from backends.oci.packing import Bytes, Tarred
from backends.oci.room import Room
from backends.oci.shelf import About, Shelf
from backends.oci.trouble import Moved
from backends.oci.upload import upload
from backends.oci.writing import put_about, version_manifest
from backends.remote.state import now

_TRIES: Final = 8
"""Numbers that are tried where others register at the same moment."""
_LOOKED_FOR: Final = 20
"""Newest versions among which one is looked for that an earlier try made."""


class OciRegistry(Annotating):
    """`ModelRegistry` over the distribution protocol."""

    def __init__(self, room: Room, artifacts: ArtifactStore, options: dict[str, str]) -> None:
        super().__init__(room, options)
        self._artifacts = artifacts

    # ------------------------------------------------------------ models

    def create(
        self,
        model: str,
        mutation: Mutation,
        *,
        note: str = "",
        tags: dict[str, str] | None = None,
        kind: str = "model",
    ) -> Model:
        repository = check_model(self._room.prefix, model)
        if self._room.state.made_before("model.create", mutation) is None:
            with self._room.state.alone():
                if self._known(model) is not None:
                    raise Conflict(f"model {model} is there already; nothing was changed. Use it, or another name.")
                at = now()
                about = About(
                    kind=kind, created_at=at, created_by=mutation.actor, updated_at=at, note=note, tags=dict(tags or {})
                )
                put_about(self._room, repository, about, probing=not self._room.comparing)
            self._done(model)
            after = {"model": model} | ({"kind": kind} if kind != "model" else {})
            self._room.record("model.create", model, mutation, after=after)
            self._room.state.note("model.create", mutation)
        return self._get(model)

    def _known(self, model: str) -> Shelf | None:
        """The repository as it is now; None where there is no such model."""
        try:
            return self._fresh(model)
        except NotFound:
            return None

    def rename(self, model: str, name: str, mutation: Mutation) -> Model:
        """A registry has no such thing: everything is put under the new name, then taken away under the old one."""
        to = check_model(self._room.prefix, name)
        if self._room.state.made_before("model.rename", mutation) is None:
            with self._room.state.alone():
                shelf = self._fresh(model)
                if name != model:
                    copy_repository(self._room.registry, self._repository(model), to, name)
                    self._delete_all(model, shelf)
                    self._room.state.renamed(model, name)
            self._done(model)
            self._room.record("model.rename", model, mutation, before={"name": model}, after={"name": name})
            self._room.state.note("model.rename", mutation)
        return self._get(name)

    def delete(self, model: str, mutation: Mutation) -> None:
        if self._room.state.made_before("model.delete", mutation) is not None:
            return
        with self._room.state.alone():
            shelf = self._fresh(model)
            self._delete_all(model, shelf)
        for alias, version in shelf.aliases.items():
            self._room.state.add_move(_taken(model, alias, version, mutation))
        self._room.state.forget(model)
        self._done(model)
        before = {"versions": len(shelf.versions), "latest": shelf.latest, "aliases": shelf.aliases}
        self._room.record("model.delete", model, mutation, before=before)
        self._room.state.note("model.delete", mutation)

    def _delete_all(self, model: str, shelf: Shelf) -> None:
        """What the tags name, by digest; first the versions, so that what is left still tells what it was."""
        registry, repository = self._room.registry, self._repository(model)
        about = [names.ABOUT_TAG] if shelf.about is not None else []
        for tag in (*shelf.versions, *shelf.aliases, *sorted(shelf.beside), *shelf.gone, *about):
            try:
                registry.delete(repository, registry.digest(repository, tag, keep=False))
            except NotFound:
                pass  # it went with another tag

    def delete_version(self, model: str, version: str, mutation: Mutation) -> None:
        if self._room.state.made_before("model.delete_version", mutation) is not None:
            return
        repository = self._repository(model)
        with self._room.state.alone():
            found = self.version(model, version)
            shelf = self._fresh(model)
            digest = self._room.registry.digest(repository, found.version, keep=False)
            self._alone_at(model, shelf, found.version, digest)
            number = names.number(found.version) or 0
            about = shelf.about or About()
            if number > about.last or found.version in about.versions:
                # Before the version goes: its number is not given again, whatever happens in between.
                beside = {tag: each for tag, each in about.versions.items() if tag != found.version}
                about = msgspec.structs.replace(about, last=max(about.last, number), versions=beside, updated_at=now())
                put_about(self._room, repository, about, at=shelf.about_digest)
            self._room.registry.delete(repository, digest)
        for alias in found.aliases:
            self._room.state.add_move(_taken(model, alias, found.version, mutation))
        self._room.state.gone(model, found.version)
        self._done(model)
        before = {"run": found.run, "sha256": found.file.sha256, "aliases": found.aliases}
        self._room.record("model.delete_version", found.ref, mutation, before=before)
        self._room.state.note("model.delete_version", mutation)

    def _alone_at(self, model: str, shelf: Shelf, version: str, digest: str) -> None:
        """Refused where another version has the same digest: a registry deletes by digest, and both would go."""
        for tag in shelf.versions:
            if tag != version and self._digest(self._repository(model), tag, anew=False) == digest:
                raise Refused(
                    f"versions {version} and {tag} of {model} are the same to the last byte, and a registry deletes by "
                    "content: both would go; nothing was changed. Take the tag away at the registry itself."
                )

    # ------------------------------------------------------------ versions

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
        repository = check_model(self._room.prefix, model)
        made = self._room.state.made_before("model.register", mutation)
        if made is not None:
            name, _, number = made.rpartition("@")
            return self.version(name, number)
        record = Registered(
            run=run,
            created_at=now(),
            created_by=mutation.actor,
            file=file,
            signature=signature,
            metrics=kitfile.spelled(metrics or {}),
            params=params or {},
            inputs=tuple(inputs),
            tags=tags or {},
            note=note,
            source=source,
            logged_model=logged_model,
            key=mutation.key,
        )
        packed = self._packed(file.owner or logged_model or run, file.path)
        for each in packed:
            upload(self._room.registry, repository, each)
        with self._room.state.alone():
            number = self._by_key(model, mutation.key) or self._put(
                model, repository, record, tuple(each.file for each in packed)
            )
        self._done(model)
        if run:
            self._room.state.became(run, model, number)
        self._room.state.note("model.register", mutation, f"{model}@{number}")
        after = {"model": model, "version": number, "run": run, "sha256": file.sha256}
        self._room.record("model.register", f"{model}@{number}", mutation, after=after)
        return self.version(model, number)

    def _packed(self, owner: str, path: str) -> list[Tarred]:
        """The file of the model first, then what lies in its folder; none where this machine has not the files."""
        folder = path.rpartition("/")[0]
        if not owner:
            return []
        try:
            listed = [each.path for each in self._artifacts.list(owner, prefix=f"{folder}/" if folder else "")]
        except NotFound:
            return []
        if path and not folder and not owner.startswith("m-"):
            listed = [each for each in listed if each == path]
        if path and path not in listed:
            return []
        return [
            Tarred(each, self._artifacts.open(owner, each), names.PART_LAYER if number else names.MODEL_LAYER)
            for number, each in enumerate(sorted(listed, key=lambda each: (each != path, each)))
        ]

    def _put(self, model: str, repository: str, record: Registered, files: tuple[LayerFile, ...]) -> str:
        """Under the next number. Where somebody else takes that at the same moment, under the one after it."""
        shelf = self._known(model)
        about = shelf.about if shelf is not None else None
        if shelf is None:
            about = About(created_at=record.created_at, created_by=record.created_by, updated_at=record.created_at)
            put_about(self._room, repository, about, probing=not self._room.comparing)
        last = max([about.last if about else 0, *(names.number(tag) or 0 for tag in (shelf.versions if shelf else ()))])
        for number in map(str, range(last + 1, last + 1 + _TRIES)):
            config = Bytes(kitfile.write(model, number, record, files), names.KITFILE)
            upload(self._room.registry, repository, config)
            layers = tuple(each.layer for each in files)
            raw = version_manifest(number, model, record.created_at, config.layer, layers)
            if self._first_at(repository, number, raw):
                return number
        raise Conflict(
            f"others register versions of {model} at this moment, and took every number that was tried; nothing was "
            "registered. Repeat."
        )

    def _first_at(self, repository: str, number: str, raw: bytes) -> bool:
        """Whether the tag was free, and is ours now."""
        registry = self._room.registry
        try:
            registry.digest(repository, number, keep=False)
            return False
        except NotFound:
            pass
        try:
            digest, _ = registry.put(repository, number, raw, only_new=True)
        except Moved:
            return registry.digest(repository, number, keep=False) == manifest.digest_of(raw)
        return registry.digest(repository, number, keep=False) == digest

    def _by_key(self, model: str, key: str) -> str | None:
        """The version that an earlier try with this key made, before it could be written down."""
        shelf = self._known(model) if key else None
        if shelf is None:
            return None
        repository = self._repository(model)
        for tag in shelf.versions[:_LOOKED_FOR]:
            try:
                said = self._room.registry.read(repository, self._digest(repository, tag, anew=False)).manifest
                config = self._room.registry.content(repository, said.config) if said and said.config else b""
            except NotFound:
                continue
            record = kitfile.record_in(kitfile.read(config))
            if record is not None and record.key == key:
                return tag
        return None

    # ------------------------------------------------------------ aliases

    def set_alias(
        self, model: str, alias: str, version: str | None, *, expected: str | None, mutation: Mutation
    ) -> AliasMove:
        change = AliasChange(alias=alias, version=version, expected=expected)
        return self.set_aliases(model, (change,), mutation=mutation)[0]

    def set_aliases(self, model: str, changes: Sequence[AliasChange], *, mutation: Mutation) -> tuple[AliasMove, ...]:
        for change in check_changes(changes):
            check_alias(change.alias)
        self._repository(model)
        return self.aliases.move(model, changes, mutation)


def _taken(model: str, alias: str, version: str, mutation: Mutation) -> AliasMove:
    return AliasMove(
        model=model,
        alias=alias,
        version=None,
        previous=version,
        at=now(),
        actor=mutation.actor,
        reason=mutation.reason,
        action="delete",
    )
