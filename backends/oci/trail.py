"""What other consoles of a registry read of our moves, and we of theirs.

Each move is a small artifact about the version that the alias came to (or left), by the protocol's `subject`. A server
that keeps lists of those is asked for them; for another one, the list is an index under the tag `sha256-…`, as the
protocol says. Two consoles that write such an index at once may lose one entry of it: each reads back what it wrote,
and its own moves are in its sidecar as well.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from typing import Final

import msgspec

from backends.contract import BackendError, NotFound
from backends.entities import AliasMove
from backends.oci import manifest, names
from backends.oci.manifest import Descriptor, Manifest
from backends.oci.room import Room
from backends.oci.shelf import Shelf
from backends.oci.writing import move_manifest
from backends.remote.alias_history import known_moves, tell_owed
from backends.together import together

_MOVES: Final = 50
"""Moves that are kept about one version; older ones are in the journal of whoever made them."""
_LOOKED_AT: Final = 50
"""Newest versions that a server is asked about; of lists under tags all are read, up to `_LISTS`."""
_LISTS: Final = 200
_TRIES: Final = 3
_ASKED_S: Final = 20.0
_NO_LISTS: Final = "keeps no referrers"
_FORGET_MS: Final = 86_400_000


class Trail:
    """The moves of all models of one registry, as they can be known."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._lately: dict[str, tuple[float, int, list[AliasMove]]] = {}

    # ------------------------------------------------------------ telling

    def tell(self, model: str) -> None:
        """Leave our moves with the versions that they are about."""
        tell_owed(self._room.state, model, self._leave)

    def _leave(self, move: AliasMove) -> None:
        version = move.version or move.previous
        assert version is not None  # noqa: S101 a move has one end at least
        repository = f"{self._room.prefix}{move.model}"
        held = self._room.registry.read(repository, version, keep=False)
        said = held.manifest or Manifest()
        kind = said.media_type or (names.INDEX if said.manifests else names.MANIFEST)
        subject = Descriptor(media_type=kind, digest=held.digest, size=len(held.raw))
        raw = move_manifest(self._room, repository, move, subject)
        digest, kept = self._room.registry.put(repository, manifest.digest_of(raw), raw)
        if not kept:
            found = manifest.read(raw) or Manifest()
            entry = Descriptor(
                media_type=names.MANIFEST,
                digest=digest,
                size=len(raw),
                artifact_type=names.MOVE_TYPE,
                annotations=found.annotations,
            )
            self._list(repository, held.digest, entry)
        self._lately.pop(move.model, None)

    def _list(self, repository: str, subject: str, entry: Descriptor) -> None:
        """Into the index of what is about a version; what others put there stays."""
        tag = subject.replace(":", "-")
        for _ in range(_TRIES):
            at, there = self._index(repository, tag)
            if any(each.digest == entry.digest for each in there):
                return
            moves = [each for each in there if each.artifact_type == names.MOVE_TYPE]
            old = {each.digest for each in moves[: len(moves) + 1 - _MOVES]} if len(moves) >= _MOVES else set()
            kept = (*(each for each in there if each.digest not in old), entry)
            raw = manifest.write(Manifest(media_type=names.INDEX, manifests=kept))
            self._room.registry.put(repository, tag, raw, only_at=at, only_new=not at)

    def _index(self, repository: str, tag: str) -> tuple[str, tuple[Descriptor, ...]]:
        try:
            held = self._room.registry.read(repository, tag, keep=False)
        except NotFound:
            return "", ()
        return held.digest, (held.manifest or Manifest()).manifests

    # ------------------------------------------------------------ reading

    def moves(self, model: str, shelf: Shelf | None, alias: str = "") -> list[AliasMove]:
        """Newest first: our own, those that others left, those that we noticed and nobody explains."""
        return known_moves(self._room.state, model, self._told(model, shelf) if shelf is not None else (), alias)

    def _told(self, model: str, shelf: Shelf) -> list[AliasMove]:
        at, changes, told = self._lately.get(model, (0.0, -1, []))
        if changes == self._room.changes and time.monotonic() - at < _ASKED_S:
            return told
        try:
            entries = self._entries(f"{self._room.prefix}{model}", shelf)
        except BackendError:
            return []  # what this console knows itself is better than nothing
        found = [move for each in entries if (move := self._move(f"{self._room.prefix}{model}", each)) is not None]
        self._lately[model] = (time.monotonic(), self._room.changes, found)
        return found

    def _entries(self, repository: str, shelf: Shelf) -> Iterable[Descriptor]:
        listed = sorted(tag for tag in shelf.beside if len(tag) == len("sha256-") + 64)[:_LISTS]
        lists = together([partial(self._index, repository, tag) for tag in listed])
        found = {each.digest: each for _, entries in lists for each in entries if each.artifact_type == names.MOVE_TYPE}
        if not self._room.state.knows(_NO_LISTS, _FORGET_MS):
            for digest in self._subjects(repository, shelf):
                try:
                    for each in self._room.registry.referrers(repository, digest, names.MOVE_TYPE):
                        found.setdefault(each.digest, each)
                except NotFound:
                    self._room.state.learn(_NO_LISTS)
                    break
        return found.values()

    def _subjects(self, repository: str, shelf: Shelf) -> list[str]:
        """Digests of the versions that hold an alias, and of the newest."""
        held = dict.fromkeys([*shelf.aliases.values(), *shelf.versions[:_LOOKED_AT]])

        def one(tag: str) -> str:
            try:
                return shelf.digests.get(tag) or self._room.registry.digest(repository, tag)
            except NotFound:
                return ""

        return [each for each in together([partial(one, tag) for tag in held]) if each]

    def _move(self, repository: str, entry: Descriptor) -> AliasMove | None:
        said = entry.annotations.get(names.MOVE)
        try:
            if said is None:  # a list may come without the annotations
                held = self._room.registry.read(repository, entry.digest)
                said = (held.manifest or Manifest()).annotations.get(names.MOVE, "")
            return msgspec.json.decode(said, type=AliasMove)
        except (msgspec.DecodeError, UnicodeDecodeError, BackendError):
            return None
