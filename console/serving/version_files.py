"""A version's model files as a folder for other programs."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from backends.contract import Backend, Invalid, NotFound, Refused
from backends.entities import ModelVersion
from backends.mlmodel import place_of


def export_version(backend: Backend, version: ModelVersion, folder: Path) -> tuple[str, ...]:
    """Copy the folder that holds the version's model file, whole or not at all; gives the names of its files.

    Refused where there is something of that name, or the model file is not the one that was registered; NotFound where
    its files are not kept.
    """
    place = place_of(version)
    if place is None:
        raise NotFound(f"{version.ref} has no files on record; register it again from a run that left a model.")
    if folder.exists():
        raise Refused(f"{folder} exists already; nothing was written. Choose another name.")
    if not folder.parent.is_dir():
        raise Invalid(f"there is no folder {folder.parent}; make it first.", "folder")
    artifacts = backend.need("artifacts")
    prefix = f"{place.folder}/" if place.folder else ""
    files = artifacts.list(place.owner, prefix=prefix)
    if not files:
        raise NotFound(f"{version.ref}: its files are not kept any more.")
    file = version.file
    if file.path and file.sha256 and not artifacts.verify(place.owner, file.path, file.sha256):
        raise Refused(
            f"{file.path} of {version.ref} is not the file that was registered (sha256 {file.sha256[:12]}…); nothing "
            "was written. Restore it, or train again."
        )
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        root = unfinished.resolve()
        names = []
        for each in files:
            name = each.path.removeprefix(prefix)
            target = (root / name).resolve()
            if not target.is_relative_to(root):  # a path from a server cannot leave its folder
                raise Refused(f"{each.path} of {version.ref} points outside of its folder; nothing was written.")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(artifacts.open(place.owner, each.path), target)
            names.append(name)
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return tuple(names)
