"""Files of a run, a logged model or a version, copied to where a person wants them: all or nothing, over nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from backends.contract import Backend, Invalid, NotFound, Refused
from backends.entities import Artifact, ModelVersion, Progress
from backends.mlmodel import Place, place_of
from console.wording import plural, size

MOST_FILES = 20_000
_STEP = 1 << 20

Say = Callable[[Progress], None]


def download(backend: Backend, owner: str, path: str, target: Path, say: Say | None = None) -> tuple[int, int]:
    """Copy a file, or a folder with all that is in it (all files where the path is empty), to `target`; how many files
    and bytes that were.

    Raises Refused where something is there already, where there is no room, or where a path leads out of its folder;
    Invalid where there is no folder to write to; NotFound where there is no such file.
    """
    target = target.expanduser()
    if target.exists() or target.is_symlink():
        raise Refused(f"{target} is there already; nothing was written. Name another place.")
    if not target.parent.is_dir():
        raise Invalid(f"there is no folder {target.parent}; make it first.", "folder")
    files, alone = _found(backend, owner, path)
    total = sum(each.bytes for each in files)
    room = shutil.disk_usage(target.parent).free
    if total > room:
        raise Refused(f"{size(total)} do not fit in {target.parent}, which has {size(room)}; nothing was written.")
    copy = _Copy(backend, len(files), total, say)
    if alone:
        draft = target.with_name(f".{target.name[:100]}.{os.getpid()}.part")
        try:
            copy.file(files[0], draft)
            os.link(draft, target)  # fails where somebody made the file meanwhile
        except FileExistsError:
            raise Refused(f"{target} is there already; nothing was written. Name another place.") from None
        finally:
            draft.unlink(missing_ok=True)
        return 1, total
    unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name[:100]}-", dir=target.parent))
    try:
        for each in files:
            inside = _inside(unfinished, each.path[len(path) + 1 if path else 0 :])
            inside.parent.mkdir(parents=True, exist_ok=True)
            copy.file(each, inside)
        unfinished.chmod(0o755)
        if target.exists() or target.is_symlink():
            raise Refused(f"{target} was made by somebody else meanwhile; nothing was written. Name another place.")
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return len(files), total


def home_of(version: ModelVersion) -> Place:
    """Where the files of a version lie; Refused where nobody here keeps them."""
    place = place_of(version)
    if place is None:
        where = f"its source is {version.source}" if version.source else "it was registered without any"
        raise Refused(f"{version.model} v{version.version}: its files are not in this context ({where}).")
    return place


def _found(backend: Backend, owner: str, path: str) -> tuple[tuple[Artifact, ...], bool]:
    """The files that are meant, and whether it is one file and no folder."""
    store = backend.need("artifacts")
    if path:
        beside = store.children(owner, path.rpartition("/")[0])
        one = next((each for each in beside if each.path == path and not each.folder), None)
        if one is not None:
            return (one,), True
    files: tuple[Artifact, ...] = store.list(owner, prefix=f"{path}/" if path else "")
    if not files:
        raise NotFound(f"{owner} has no file or folder {path[:200] or 'at all'}; nothing was written.")
    if len(files) > MOST_FILES:
        raise Refused(
            f"{path or 'it'} has {plural(len(files), 'file')}, more than {MOST_FILES:,}; take a folder of it."
        )
    return files, False


def _inside(root: Path, path: str) -> Path:
    """Where a file goes, if that is within the root: a path from a server cannot leave it."""
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in path or "\0" in path:
        raise Refused(f"the path {path[:200]!r} leads out of its folder; nothing was written.")
    return root.joinpath(*parts)


class _Copy:
    """Copies one file after another and says how far it is."""

    def __init__(self, backend: Backend, files: int, total: int, say: Say | None) -> None:
        self._store = backend.need("artifacts")
        self._files, self._total, self._say = files, total, say
        self._done, self._at = 0, 0

    def file(self, found: Artifact, to: Path) -> None:
        self._at += 1
        # What comes from elsewhere is fetched and then copied here: the fetching is what takes time.
        kept = self._store.open(found.run, found.path, fetched=self._tell)
        with kept.open("rb") as read, to.open("xb") as written:
            shutil.copyfileobj(read, written, _STEP)
        self._done += found.bytes
        self._tell(0)

    def _tell(self, more: int) -> None:
        if self._say is not None:
            share = min(1.0, (self._done + more) / self._total) if self._total else None
            stage = f"file {self._at} of {self._files}" if self._files > 1 else size(self._total)
            self._say(Progress(at=int(time.time() * 1_000), fraction=share, stage=stage))
