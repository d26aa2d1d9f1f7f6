"""Manifests of ours: versions, what is kept of a model, moves of aliases, and tags that name nothing any more."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from backends.entities import AliasMove, Millis
from backends.oci import manifest, names
from backends.oci.manifest import Descriptor, Manifest
from backends.oci.packing import Bytes
from backends.oci.room import Room
from backends.oci.shelf import About
from backends.oci.upload import upload


def version_manifest(number: str, model: str, at: Millis, config: Descriptor, layers: tuple[Descriptor, ...]) -> bytes:
    return manifest.write(
        Manifest(
            config=config,
            layers=layers,
            annotations={
                names.CREATED: when(at),
                names.VERSION: number,
                names.TITLE: model,
                names.OUR_VERSION: number,
            },
        )
    )


def put_about(room: Room, repository: str, about: About, *, at: str = "", probing: bool = False) -> str:
    """What is kept of a model, in the place of what has digest `at`; its digest. `Moved` where somebody was faster and
    the server looks at If-Match; whether it does is learned by `probing`, which names a digest that nothing has."""
    config = Bytes(msgspec.json.encode(about, order="deterministic"), names.ABOUT_TYPE)
    upload(room.registry, repository, config)
    layer = _empty(room, repository)
    raw = manifest.write(Manifest(artifact_type=names.ABOUT_TYPE, config=config.layer, layers=(layer,)))
    if probing and room.compares(repository, names.ABOUT_TAG, raw):
        at = ""
    return room.registry.put(repository, names.ABOUT_TAG, raw, only_at=at)[0]


def move_manifest(room: Room, repository: str, move: AliasMove, subject: Descriptor) -> bytes:
    """A move as an artifact of its own about the version: the version's digest stays what it is."""
    layer = _empty(room, repository)
    said = msgspec.json.encode(msgspec.structs.replace(move, entry=""), order="deterministic").decode()
    return manifest.write(
        Manifest(
            artifact_type=names.MOVE_TYPE,
            config=layer,
            layers=(layer,),
            subject=subject,
            annotations={names.CREATED: when(move.at), names.MOVE: said},
        )
    )


def take_tag(room: Room, repository: str, tag: str, why: str, at: Millis, *, only_at: str) -> None:
    """Take a tag away, and nothing else. Servers differ in what deleting by a tag does, some delete all that has its
    digest: so the tag is first put on something that nobody needs, and that is deleted by its digest. Where nothing can
    be deleted it stays there, which `shelf` reads as no tag."""
    from backends.contract import Unsupported

    layer = _empty(room, repository)
    gone = Manifest(
        artifact_type=names.GONE_TYPE,
        config=layer,
        layers=(layer,),
        annotations={names.CREATED: when(at), f"{names.OURS}gone": f"{tag} {at} {why}"[:500]},
    )
    digest, _ = room.registry.put(repository, tag, manifest.write(gone), only_at=only_at)
    try:
        room.registry.delete(repository, digest)
    except Unsupported:
        pass  # the server deletes nothing: what lies under the tag now says that it is gone


def _empty(room: Room, repository: str) -> Descriptor:
    """The config of an artifact that is its annotations alone."""
    _, raw = manifest.empty()
    blob = Bytes(raw, names.EMPTY)
    upload(room.registry, repository, blob)
    return blob.layer


def when(at: Millis) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
