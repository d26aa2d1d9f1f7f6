"""Media types, annotations and tags: what this adapter writes, and what of others' it reads.

A version is an OCI image manifest in the layout of a KitOps ModelKit: a config that is the Kitfile as JSON, and layers
that are tar archives with paths relative to the folder they are unpacked in.
"""

from __future__ import annotations

import re
from typing import Final

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
DOCKER: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
EMPTY: Final = "application/vnd.oci.empty.v1+json"
ACCEPTED: Final = ", ".join((MANIFEST, INDEX, DOCKER, DOCKER_LIST))

KITFILE: Final = "application/vnd.kitops.modelkit.config.v1+json"
MODEL_LAYER: Final = "application/vnd.kitops.modelkit.model.v1.tar"
PART_LAYER: Final = "application/vnd.kitops.modelkit.modelpart.v1.tar"
KIT_LAYER: Final = re.compile(r"application/vnd\.kitops\.modelkit\.(\w+)\.v1\.tar(?:\+(\w+))?")

ABOUT_TYPE: Final = "application/vnd.mlops-console.about.v1+json"
MOVE_TYPE: Final = "application/vnd.mlops-console.move.v1+json"
GONE_TYPE: Final = "application/vnd.mlops-console.gone.v1+json"

CREATED: Final = "org.opencontainers.image.created"
VERSION: Final = "org.opencontainers.image.version"
TITLE: Final = "org.opencontainers.image.title"
OURS: Final = "io.mlops-console."
OUR_VERSION: Final = f"{OURS}version"
PATH: Final = f"{OURS}path"
SHA256: Final = f"{OURS}sha256"
BYTES: Final = f"{OURS}bytes"
MOVE: Final = f"{OURS}move"
RECORD: Final = "mlops-console"
"""In the Kitfile's `model.parameters`: what a version is beyond its files."""

ABOUT_TAG: Final = f"{RECORD}.about"
"""The tag of what is kept of the model itself: notes, tags, the last number that was given."""

TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
REPOSITORY: Final = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
BESIDE: Final = re.compile(r"sha256-[0-9a-f]{64}(?:\.[A-Za-z0-9]+)?")
"""Tags that are about another manifest: the fallback for servers without referrers, signatures, attestations."""
NUMBERED: Final = re.compile(r"[vV]?\d{1,18}(?:\.\d+){0,4}(?:[._-][A-Za-z0-9._-]*)?")
"""Tags that name a version by their looks: `3`, `v1.2.0`, `2024.10-rc1`."""


def number(tag: str) -> int | None:
    """The number of a version that a console gave, or None."""
    return int(tag) if tag.isascii() and tag.isdigit() and len(tag) < 19 and tag[0] != "0" else None


def newest_first(tags: list[str]) -> list[str]:
    """Versions in order: by the numbers in their names, a release before its candidates."""
    return sorted(tags, key=_rank, reverse=True)


def _rank(tag: str) -> tuple[object, ...]:
    found = NUMBERED.fullmatch(tag)
    if found is None:
        return (0, (), 0, tag)
    plain = tag.lstrip("vV")
    head = re.match(r"\d+(?:\.\d+)*", plain)
    assert head is not None  # noqa: S101 it matched above
    rest = plain[head.end() :]
    return (1, tuple(int(each) for each in head[0].split(".")), not rest, rest)
