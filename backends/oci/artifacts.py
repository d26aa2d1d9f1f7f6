"""The files of versions: those of this machine's runs as the sidecar keeps them, the others out of the registry."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from backends.contract import ArtifactStore, Mutation, NotFound, Unsupported
from backends.entities import Artifact
from backends.oci.blobs import download
from backends.oci.layers import LayerFile, files_in, whole_layers
from backends.oci.manifest import Descriptor, Manifest
from backends.oci.room import Files, Room
from backends.oci.unpack import unpack

_BLOBS: Final = "blobs"
_ABANDONED_S: Final = 86_400.0


class OciArtifacts:
    """`ArtifactStore` of a sidecar, with the files of versions that others registered.

    What is fetched stays in the sidecar's directory under its digest.
    """

    def __init__(self, room: Room, beside: ArtifactStore, folder: Path) -> None:
        self._room = room
        self._beside = beside
        self._folder = folder
        self._fetching = threading.Lock()

    def list(self, run: str, *, prefix: str = "") -> tuple[Artifact, ...]:
        try:
            found = self._beside.list(run, prefix=prefix)
        except NotFound:
            if self._room.files_of(run) is None:
                raise
            found = ()
        if found or self._room.files_of(run) is None:
            return found
        return tuple(each for each in self._held(run) if each.path.startswith(prefix))

    def children(self, run: str, path: str = "") -> tuple[Artifact, ...]:
        try:
            found = self._beside.children(run, path)
        except NotFound:
            if self._room.files_of(run) is None:
                raise
            found = ()
        if found or self._room.files_of(run) is None:
            return found
        prefix = f"{path}/" if path else ""
        files: list[Artifact] = []
        folders: dict[str, Artifact] = {}
        for each in self._held(run):
            if not each.path.startswith(prefix):
                continue
            name, slash, _ = each.path[len(prefix) :].partition("/")
            if slash:
                folders.setdefault(name, Artifact(run=run, path=prefix + name, bytes=0, sha256="", folder=True))
            else:
                files.append(each)
        return (*folders.values(), *files)

    def put(self, run: str, path: str, file: Path) -> Artifact:
        return self._beside.put(run, path, file)

    def open(self, run: str, path: str, *, fetched: Callable[[int], object] | None = None) -> Path:
        try:
            return self._beside.open(run, path, fetched=fetched)
        except NotFound:
            files = self._room.files_of(run)
            if files is None:
                raise
        return self._fetched(files, path, fetched)

    def verify(self, run: str, path: str, sha256: str = "") -> bool:
        try:
            return self._beside.verify(run, path, sha256)
        except NotFound:
            files = self._room.files_of(run)
            if files is None:
                raise
        place = self._fetched(files, path, None)
        wanted = sha256 or next((each.sha256 for each in files_in(self._manifest(files)) if each.path == path), "")
        if not wanted:
            raise Unsupported(f"nobody recorded the sha256 of {path[:200]}, so that it cannot be compared")
        with place.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == wanted

    def remove(self, run: str, path: str, mutation: Mutation) -> None:
        self._beside.remove(run, path, mutation)

    # ------------------------------------------------------------ out of the registry

    def _manifest(self, files: Files) -> Manifest:
        return self._room.registry.read(files.repository, files.digest).manifest or Manifest()

    def _held(self, owner: str) -> tuple[Artifact, ...]:
        """Every file of the version. What lies in archives of others' is fetched to see."""
        files = self._room.files_of(owner)
        if files is None:
            return ()
        found = self._manifest(files)
        listed = {
            each.path: Artifact(run=owner, path=each.path, bytes=each.bytes, sha256=each.sha256)
            for each in files_in(found)
        }
        for layer in whole_layers(found):
            folder = self._unpacked(files, layer, None)
            for each in sorted(folder.rglob("*")):
                if each.is_file():
                    path = each.relative_to(folder).as_posix()
                    listed.setdefault(path, Artifact(run=owner, path=path, bytes=each.stat().st_size, sha256=""))
        return tuple(listed[path] for path in sorted(listed))

    def _fetched(self, files: Files, path: str, fetched: Callable[[int], object] | None) -> Path:
        found = self._manifest(files)
        named = next((each for each in files_in(found) if each.path == path), None)
        if named is not None:
            return self._file(files, named, fetched)
        for layer in whole_layers(found):
            place = self._unpacked(files, layer, fetched) / path
            if place.is_file():
                return place
        raise NotFound(f"version {files.digest[:19]}… of {files.repository} has no file {path[:200]}.")

    def _file(self, files: Files, named: LayerFile, fetched: Callable[[int], object] | None) -> Path:
        if named.plain:
            return self._blob(files, named.layer, fetched)
        place = self._unpacked(files, named.layer, fetched) / named.path
        if not place.is_file():
            raise NotFound(
                f"the layer {named.layer.digest[:19]}… of {files.repository} should hold {named.path[:200]}, and does "
                "not: whoever pushed it described it wrong. Register the version again."
            )
        return place

    def _blob(self, files: Files, layer: Descriptor, fetched: Callable[[int], object] | None) -> Path:
        place = self._folder / _BLOBS / layer.digest.removeprefix("sha256:")
        with self._fetching:
            if not place.is_file():
                place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                _sweep(place.parent)
                download(self._room.registry, files.repository, layer, place, fetched=fetched)
        return place

    def _unpacked(self, files: Files, layer: Descriptor, fetched: Callable[[int], object] | None) -> Path:
        folder = self._folder / "unpacked" / layer.digest.removeprefix("sha256:")
        if not folder.is_dir():
            archive = self._blob(files, layer, fetched)
            with self._fetching:
                if not folder.is_dir():
                    unpack(archive, folder, named=f"layer {layer.digest[:19]}… of {files.repository}")
            archive.unlink(missing_ok=True)
        return folder


def _sweep(folder: Path) -> None:
    """What a process that was killed in the middle of a download left."""
    old = time.time() - _ABANDONED_S
    for each in folder.glob(".*"):
        try:
            if each.stat().st_mtime < old:
                each.unlink()
        except OSError:
            pass  # somebody else was faster
