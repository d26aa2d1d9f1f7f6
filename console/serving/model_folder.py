"""All files of a version, on this machine, for a process that loads them itself."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

from backends.contract import Backend, Refused
from backends.entities import ModelVersion
from console.serving.pins import hold_to_first
from console.training.download import download, home_of

KEPT_S: Final = 7 * 86_400.0
"""Folders that no server took for so long are removed when another is fetched."""


def fetch_folder(backend: Backend, version: ModelVersion) -> tuple[Path, str]:
    """(the folder with its MLmodel, the sha256 of all that is in it). Refused where the model file is not the
    registered one, where the files are not those that were served first, or where a path leads out of the folder."""
    if backend.home is None:
        raise Refused(f"{version.model} v{version.version}: context {backend.name} has no place to fetch its files to")
    home = backend.home / "isolated"
    home.mkdir(mode=0o700, exist_ok=True)
    place = home_of(version)
    incoming = Path(tempfile.mkdtemp(prefix="incoming-", dir=home))
    try:
        download(backend, place.owner, place.folder, incoming / "model")
        _verify(version, incoming / "model", place.folder)
        digest = digest_of(incoming / "model")
        hold_to_first(backend, version, digest, int(time.time() * 1000))
        kept = home / digest[:32]
        if kept.is_dir() and digest_of(kept / "model") != digest:
            shutil.rmtree(kept)  # somebody changed it here
        if not kept.is_dir():
            incoming.rename(kept)
        os.utime(kept)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    for each in home.iterdir():
        if time.time() - each.stat().st_mtime > KEPT_S:
            shutil.rmtree(each, ignore_errors=True)
    return kept / "model", digest


def digest_of(folder: Path) -> str:
    """Of the paths and contents of all files in it, whatever their order on the disk."""
    whole = hashlib.sha256()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{path.relative_to(folder).as_posix()}\0{found}\n".encode("utf-8", "surrogatepass"))
    return whole.hexdigest()


def _verify(version: ModelVersion, folder: Path, prefix: str) -> None:
    """The model file is the registered one, where its sha256 was recorded."""
    file = version.file
    if not file.sha256 or not file.path:
        return
    path = folder / file.path.removeprefix(f"{prefix}/" if prefix else "")
    with path.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != file.sha256:
        raise Refused(
            f"{version.model} v{version.version}: {path.name} is not the file that was registered: its sha256 is "
            f"{found[:12]}…, recorded was {file.sha256[:12]}…. It was changed or damaged; not loaded. Restore it."
        )
