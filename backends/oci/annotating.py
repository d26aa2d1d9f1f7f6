"""Notes and tags of models and versions: kept beside them, for what was registered stays what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from backends.contract import Mutation
from backends.oci.reading import Reading
from backends.oci.shelf import About, Beside
from backends.oci.trouble import Moved
from backends.oci.writing import put_about
from backends.remote.state import now

_TRIES: Final = 8
"""Where others write at the same moment."""


class Annotating(Reading):
    """`ModelRegistry` over the distribution protocol, as far as notes and tags go."""

    def _done(self, model: str) -> None:
        self._room.touch()
        self._models.pop(model, None)

    def set_note(self, model: str, version: str, note: str, mutation: Mutation) -> None:
        """Beside the version: what was registered stays what it is, to the last byte."""
        if self._room.state.made_before("model.note", mutation) is not None:
            return
        before = self.version(model, version).note if version else self._get(model).note
        if before != note:

            def changed(about: About) -> About:
                if not version:
                    return msgspec.structs.replace(about, note=note)
                beside = msgspec.structs.replace(about.versions.get(version, Beside()), note=note)
                return msgspec.structs.replace(about, versions={**about.versions, version: beside})

            self._change_about(model, changed)
            target = f"{model}@{version}" if version else model
            self._room.record("model.note", target, mutation, before={"note": before}, after={"note": note})
        self._room.state.note("model.note", mutation)

    def set_tags(self, model: str, version: str, tags: dict[str, str | None], mutation: Mutation) -> None:
        if self._room.state.made_before("model.tag", mutation) is not None:
            return
        known = self.version(model, version).tags if version else self._get(model).tags
        changed = {key: value for key, value in tags.items() if known.get(key) != value}
        if changed:
            registered = known

            def with_tags(about: About) -> About:
                if not version:
                    return msgspec.structs.replace(about, tags=_merged(about.tags, changed))
                beside = about.versions.get(version, Beside())
                kept = _merged(registered if beside.tags is None else beside.tags, changed)
                return msgspec.structs.replace(
                    about, versions={**about.versions, version: msgspec.structs.replace(beside, tags=kept)}
                )

            self._change_about(model, with_tags)
            before = {key: known.get(key) for key in changed}
            target = f"{model}@{version}" if version else model
            self._room.record("model.tag", target, mutation, before={"tags": before}, after={"tags": changed})
        self._room.state.note("model.tag", mutation)

    def _change_about(self, model: str, change: Callable[[About], About]) -> None:
        """Read, change, put; once more where a server that compares says that somebody was faster."""
        repository = self._repository(model)
        with self._room.state.alone():
            for left in reversed(range(_TRIES)):
                shelf = self._fresh(model)
                about = msgspec.structs.replace(change(shelf.about or About()), updated_at=now())
                try:
                    put_about(self._room, repository, about, at=shelf.about_digest)
                    break
                except Moved:
                    if not left:
                        raise
        self._done(model)


def _merged(known: dict[str, str], changed: dict[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in {**known, **changed}.items() if value is not None}
