"""A repository under another name, which no registry does by itself."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from backends.contract import Conflict, NotFound
from backends.oci import names
from backends.oci.blobs import download
from backends.oci.distribution import Distribution
from backends.oci.manifest import Descriptor, Manifest
from backends.oci.upload import has, mount, upload


def copy_repository(registry: Distribution, source: str, target: str, name: str) -> None:
    """Every tag and what it names, blobs taken over where the server can. Conflict where something else is there; what
    an earlier try left goes on."""
    tags = registry.tags(source, keep=False)
    digests = {tag: registry.digest(source, tag, keep=False) for tag in tags}
    try:
        there = registry.tags(target, keep=False)
    except NotFound:
        there = []
    if any(tag not in digests or registry.digest(target, tag, keep=False) != digests[tag] for tag in there):
        raise Conflict(f"model {name} is there already; nothing was changed. Take another name.")
    done: set[str] = set()
    # Lists of what is about a version come last: a registry wants what they name to be there.
    for tag in sorted(tags, key=lambda tag: names.BESIDE.fullmatch(tag) is not None):
        _copy(registry, source, target, tag, digests[tag], done)


def _copy(registry: Distribution, source: str, target: str, tag: str, digest: str, done: set[str]) -> None:
    held = registry.read(source, digest)
    said = held.manifest or Manifest()
    for each in said.manifests:
        if each.digest not in done:
            try:
                _copy(registry, source, target, each.digest, each.digest, done)
            except NotFound:
                continue  # a list may name what is not there any more
    for blob in (*((said.config,) if said.config else ()), *said.layers):
        if blob.digest not in done:
            _take_over(registry, source, target, blob)
            done.add(blob.digest)
    registry.put(target, tag, held.raw)
    done.add(digest)


def _take_over(registry: Distribution, source: str, target: str, blob: Descriptor) -> None:
    if has(registry, target, blob.digest) or mount(registry, target, blob.digest, source):
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "blob"
        download(registry, source, blob, file)
        upload(registry, target, _File(file, blob))


class _File:
    """A blob that lies here."""

    def __init__(self, file: Path, layer: Descriptor) -> None:
        self._file = file
        self.layer = layer

    def pieces(self, begin: int, end: int) -> Iterator[bytes]:
        with self._file.open("rb") as file:
            file.seek(begin)
            while begin < end and (piece := file.read(min(256 * 1024, end - begin))):
                begin += len(piece)
                yield piece
