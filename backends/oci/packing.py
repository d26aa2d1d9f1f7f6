"""A file as a layer: alone in a tar archive, made as it is read, with the same bytes each time.

An archive of one file each lets a registry keep what several versions share once, and its path is the one that
`kit unpack` writes to.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from backends.contract import Conflict
from backends.oci import names
from backends.oci.layers import LayerFile
from backends.oci.manifest import Descriptor

_PIECE: Final = 256 * 1024
_BLOCK: Final = 512


class Bytes:
    """Something small that is to be a blob."""

    def __init__(self, raw: bytes, media_type: str) -> None:
        self._raw = raw
        self.layer = Descriptor(
            media_type=media_type, digest=f"sha256:{hashlib.sha256(raw).hexdigest()}", size=len(raw)
        )

    def pieces(self, begin: int, end: int) -> Iterator[bytes]:
        yield self._raw[begin:end]


class Tarred:
    """A file that is to be a blob, as an archive of it alone. Reading it once tells its digest; it must not change."""

    def __init__(self, path: str, file: Path, media_type: str) -> None:
        self.path = path
        self._file = file
        self._size = file.stat().st_size
        self._head = _headers(path, self._size)
        self._tail = b"\0" * (-self._size % _BLOCK + 2 * _BLOCK)
        whole, content = hashlib.sha256(self._head), hashlib.sha256()
        read = 0
        for piece in self._content(0, self._size):
            whole.update(piece)
            content.update(piece)
            read += len(piece)
        if read != self._size:
            raise Conflict(f"{path} changes while it is read; nothing was changed. Repeat when it is whole.")
        whole.update(self._tail)
        self.sha256 = content.hexdigest()
        self.layer = Descriptor(
            media_type=media_type,
            digest=f"sha256:{whole.hexdigest()}",
            size=len(self._head) + self._size + len(self._tail),
            annotations={
                names.PATH: path,
                names.SHA256: self.sha256,
                names.BYTES: str(self._size),
                names.TITLE: f"{path}.tar",
            },
        )

    @property
    def file(self) -> LayerFile:
        return LayerFile(self.path, self._size, self.sha256, self.layer)

    def pieces(self, begin: int, end: int) -> Iterator[bytes]:
        """The bytes of the archive from one place to another."""
        first, last = len(self._head), len(self._head) + self._size
        if begin < first:
            yield self._head[begin:end]
        if begin < last and end > first:
            yield from self._content(max(0, begin - first), min(self._size, end - first))
        if end > last:
            yield self._tail[max(0, begin - last) : end - last]

    def _content(self, begin: int, end: int) -> Iterator[bytes]:
        with self._file.open("rb") as file:
            file.seek(begin)
            while begin < end and (piece := file.read(min(_PIECE, end - begin))):
                begin += len(piece)
                yield piece


def _headers(path: str, size: int) -> bytes:
    """Of the folders above the file, without which `kit unpack` has no place for it, and of the file."""
    parts = path.split("/")
    found = b""
    for depth in range(1, len(parts)):
        folder = tarfile.TarInfo("/".join(parts[:depth]))
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        found += folder.tobuf(tarfile.PAX_FORMAT)
    file = tarfile.TarInfo(path)
    file.size, file.mode = size, 0o644
    return found + file.tobuf(tarfile.PAX_FORMAT)
