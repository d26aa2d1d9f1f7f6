"""A folder that is watched: each new file in it becomes a version of a dataset, or is appended to the latest one.

A file is taken once two looks at it, some seconds apart, found the same inode, size and time, so that one that is still
being written is left alone; one that is renamed into the folder is whole and is taken the same way. Which contents were
taken is written down before the next step (`console.data.taken`): a restart takes nothing twice and misses nothing.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from backends.contract import Backend, BackendError, Invalid, Mutation, NotFound, all_pages
from backends.entities import DatasetVersion, Progress
from console.data.offloaded import import_offloaded
from console.data.origin import Origin
from console.data.parts import Mark, check_link, data_files, folder_keys
from console.data.stream import require_file
from console.data.taken import Taken, TakenLog
from console.offload import Cancelled

LOOK_S = 2.0
"""Between two looks: a file that did not change for so long is whole."""
PAUSE_S = 30.0
"""Before a file is tried again that could not be taken for a reason outside it; doubled up to LONGEST_PAUSE_S."""
LONGEST_PAUSE_S = 600.0


@dataclass
class _Seen:
    """A file as the looks so far found it."""

    mark: Mark
    since: float
    tries: int = 0
    not_before: float = 0.0


@dataclass
class FolderWatch:
    """One watch under way; `log` is held by it alone."""

    backend: Backend
    folder: Path
    dataset: str
    log: TakenLog
    mutation: Mutation
    append: bool = False
    reading: Origin = field(default_factory=Origin)
    """How the files are read; its place is not used."""
    every: float = LOOK_S
    on_progress: Callable[[Progress], None] | None = None
    cancel: Callable[[], bool] | None = None
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise NotFound(f"there is no folder {self.folder}; make it, or check the path.")
        self._mend()

    def _mend(self) -> None:
        """Agree with the store: what a process began and did not live to write down, and versions that are gone."""
        versions = {version.ref: version for version in self._versions()}
        gone: set[str] = set()
        for taken in list(self.log.by_content.values()):
            if taken.state == "begun":
                made = self._made_by(taken, versions)
                if made is None:
                    gone.add(taken.sha256)
                else:
                    self.log.add(_outcome(taken, made))
            elif taken.state == "taken" and (
                taken.version not in versions or versions[taken.version].digest != taken.digest
            ):
                gone.add(taken.sha256)
        self.log.forget(gone)

    def forget_failures(self) -> None:
        """Try what failed once more."""
        self.log.forget({sha256 for sha256, taken in self.log.by_content.items() if taken.state == "failed"})

    def _versions(self) -> Iterator[DatasetVersion]:
        datasets = self.backend.need("datasets")
        try:
            yield from all_pages(lambda at: datasets.versions(self.dataset, at=at, limit=500))
        except NotFound:
            return

    def _made_by(self, begun: Taken, versions: dict[str, DatasetVersion]) -> DatasetVersion | None:
        source = str((self.folder / begun.file).absolute())
        found = [
            version
            for version in versions.values()
            if version.source == source and version.created_at >= begun.at and version.parent == begun.onto
        ]
        return min(found, key=lambda version: version.created_at, default=None)

    def look(self) -> Iterator[Taken]:
        """Take what is whole and new, in the order of paths, and say of each file what became of it."""
        there: set[str] = set()
        for path in data_files(self.folder, self.reading.format, follow_links=self.reading.follow_links):
            label = str(path.relative_to(self.folder))
            there.add(label)
            try:
                mark = Mark.of(path)
            except OSError:
                continue  # gone since it was listed, or a link to nothing: no file yet
            if self._settled(label, mark) and mark.size:
                yield from self._take(path, label, mark)
        self._seen = {label: seen for label, seen in self._seen.items() if label in there}

    @property
    def waiting(self) -> bool:
        """Whether a file was seen that may be taken by a later look."""
        return any(seen.not_before <= time.monotonic() + self.every for seen in self._seen.values() if seen.mark.size)

    def _settled(self, label: str, mark: Mark) -> bool:
        known = self.log.by_file.get(label)
        if known is not None and known.mark == _numbers(mark):
            self._seen.pop(label, None)
            return False
        seen, now = self._seen.get(label), time.monotonic()
        if seen is None or seen.mark != mark:
            self._seen[label] = _Seen(mark, now)
            return False
        return now - seen.since >= self.every and now >= seen.not_before

    def _take(self, path: Path, label: str, mark: Mark) -> Iterator[Taken]:
        begun = Taken(at=_now(), file=label, state="begun", mark=_numbers(mark), onto=self._onto())
        try:
            check_link(path, self.folder, follow_links=self.reading.follow_links)
            require_file(path)
            begun = msgspec.structs.replace(begun, sha256=_content(path, label))
            if Mark.of(path) != mark:
                return  # somebody writes to it: two more looks
            before = self.log.by_content.get(begun.sha256)
            if before is not None and before.state in ("taken", "failed"):
                again = msgspec.structs.replace(before, at=_now(), file=label, mark=begun.mark, state="known")
                self.log.add(again)
                yield again
                return
            self.log.add(begun)
            done = import_offloaded(
                self.backend,
                self._origin(path, mark),
                self.dataset,
                self.mutation,
                onto=begun.onto,
                on_progress=self.on_progress,
                cancel=self.cancel,
            )
        except Cancelled:
            self.log.forget({begun.sha256})
            raise
        except (BackendError, OSError) as error:
            failed = self._failed(begun, path, mark, error)
            if failed is not None:
                yield failed
            return
        taken = _outcome(begun, done.version)
        self.log.add(taken)
        self._seen.pop(label, None)
        yield taken

    def _onto(self) -> str:
        if not self.append:
            return ""
        try:
            found = self.backend.need("datasets").get(self.dataset)
        except NotFound:
            return ""
        return f"{self.dataset}@{found.latest}"

    def _origin(self, path: Path, mark: Mark) -> Origin:
        return msgspec.structs.replace(
            self.reading, target=str(path.absolute()), base=str(self.folder.absolute()), mark=_numbers(mark)
        )

    def _failed(self, begun: Taken, path: Path, mark: Mark, error: BackendError | OSError) -> Taken | None:
        """A file whose content will not do is not tried again; all else is, after a while."""
        self.log.forget({begun.sha256})
        try:
            changed = Mark.of(path) != mark
        except OSError:
            changed = True
        if changed:
            self._seen.pop(begun.file, None)
            return None
        if isinstance(error, Invalid) and begun.sha256:
            failed = msgspec.structs.replace(begun, at=_now(), state="failed", reason=str(error))
            self.log.add(failed)
            return failed
        seen = self._seen[begun.file]
        seen.not_before = time.monotonic() + min(PAUSE_S * 2**seen.tries, LONGEST_PAUSE_S)
        seen.tries += 1
        return msgspec.structs.replace(begun, at=_now(), state="waiting", reason=str(error))


def _outcome(begun: Taken, version: DatasetVersion) -> Taken:
    return msgspec.structs.replace(
        begun, at=_now(), state="taken", version=version.ref, digest=version.digest, rows=version.rows
    )


def _numbers(mark: Mark) -> tuple[int, int, int]:
    return (mark.inode, mark.size, mark.modified_ns)


def _now() -> int:
    return int(time.time() * 1000)


def _content(path: Path, label: str) -> str:
    """The sha256 of what the file gives: its bytes, and what its folders say where they say anything."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256")
    keys = folder_keys(Path(label))
    if keys:
        found.update(b"\0" + msgspec.json.encode(keys))
    return found.hexdigest()
