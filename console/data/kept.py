"""Profiles that were made before: a file for each content, beside the objects. Light to import.

A profile is derived: it is no finding, is in no journal, and a missing or unreadable one is made again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from backends.contract import DatasetStore
from backends.entities import DatasetVersion, Progress
from console.data.profile import VersionProfile, profile_version

FOLDER = "profiles"
FORM = 2
"""Of the file; another one is made anew."""


def kept_profile(home: Path | None, version: DatasetVersion) -> VersionProfile | None:
    """The profile of this content if it was made before."""
    if home is None:
        return None
    try:
        found = msgspec.json.decode(_path(home, version).read_bytes(), type=VersionProfile)
    except (OSError, msgspec.MsgspecError):
        return None
    if tuple((c.name, c.type) for c in found.columns) != tuple((c.name, c.type) for c in version.columns):
        return None
    return msgspec.structs.replace(found, ref=version.ref)


def profile_kept(
    datasets: DatasetStore, home: Path | None, ref: str, *, progress: Callable[[Progress], None] | None = None
) -> VersionProfile:
    """The profile of a version: the one that was made before, or a new one, which is kept."""
    version = datasets.version(ref)
    found = kept_profile(home, version)
    if found is not None:
        return found
    made = profile_version(datasets, version.ref, progress=progress)
    if home is not None:
        with contextlib.suppress(OSError):  # a full disk or one that is read only: it is made again the next time
            _keep(_path(home, version), msgspec.json.encode(made))
    return made


def forget_profile(home: Path, digest: str) -> None:
    """Its content is no longer there."""
    with contextlib.suppress(FileNotFoundError):
        _at(home, digest).unlink()


def _path(home: Path, version: DatasetVersion) -> Path:
    return _at(home, version.digest)


def _at(home: Path, digest: str) -> Path:
    return home / FOLDER / f"{os.path.basename(digest)}.{FORM}.json"  # noqa: PTH119  a digest is no path


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)
