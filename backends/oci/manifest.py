"""Manifests as they go over the wire, read with limits: what a registry holds was written by anybody."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from backends.oci import names

LARGEST: Final = 4 * 1024 * 1024
"""Bytes of a manifest; registries take no larger ones either."""
_MOST_LAYERS: Final = 10_000


class Descriptor(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Some bytes in a registry: which they are, and how many."""

    media_type: str
    digest: str
    size: int
    annotations: dict[str, str] = {}
    artifact_type: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An image manifest, or an index where `manifests` is filled in."""

    schema_version: int = 0
    media_type: str = ""
    artifact_type: str = ""
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    annotations: dict[str, str] = {}


def digest_of(raw: bytes) -> str:
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def read(raw: bytes) -> Manifest | None:
    """None for what is no manifest that we can hold: the tag is there all the same."""
    try:
        found = msgspec.json.decode(raw, type=_Loose, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if found.schemaVersion != 2 or len(found.layers or ()) > _MOST_LAYERS:
        return None
    return Manifest(
        schema_version=2,
        media_type=found.mediaType or "",
        artifact_type=found.artifactType or "",
        config=_descriptor(found.config),
        layers=_descriptors(found.layers),
        manifests=_descriptors(found.manifests),
        subject=_descriptor(found.subject),
        annotations=_texts(found.annotations),
    )


def write(manifest: Manifest) -> bytes:
    """The same bytes for the same manifest."""
    return msgspec.json.encode(
        msgspec.structs.replace(manifest, schema_version=2, media_type=manifest.media_type or names.MANIFEST),
        order="deterministic",
    )


def empty() -> tuple[Descriptor, bytes]:
    """The config of an artifact that is its annotations alone."""
    raw = b"{}"
    return Descriptor(media_type=names.EMPTY, digest=digest_of(raw), size=len(raw)), raw


class _Loose(msgspec.Struct):
    schemaVersion: int = 0  # noqa: N815 as it is spelled there
    mediaType: str | None = ""  # noqa: N815
    artifactType: str | None = ""  # noqa: N815
    config: Any = None
    layers: list[Any] | None = None
    manifests: list[Any] | None = None
    subject: Any = None
    annotations: Any = None


def _descriptors(found: list[Any] | None) -> tuple[Descriptor, ...]:
    return tuple(each for raw in found or () if (each := _descriptor(raw)) is not None)


def _descriptor(raw: Any) -> Descriptor | None:
    if not isinstance(raw, dict):
        return None
    digest, size = raw.get("digest"), raw.get("size")
    if not isinstance(digest, str) or not names.DIGEST.fullmatch(digest):
        return None
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 50:
        return None
    return Descriptor(
        media_type=str(raw.get("mediaType") or ""),
        digest=digest,
        size=size,
        annotations=_texts(raw.get("annotations")),
        artifact_type=str(raw.get("artifactType") or ""),
    )


def _texts(raw: Any) -> dict[str, str]:
    return {key: value for key, value in raw.items() if isinstance(value, str)} if isinstance(raw, dict) else {}
