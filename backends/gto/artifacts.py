"""Files of runs from the sidecar, and files that lie in git: of versions that others registered, here or elsewhere.

A file of git is fetched once, by the commit that holds it, into `git-files` of the sidecar's directory.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from backends.contract import ArtifactStore, Invalid, Mutation, NotFound, Refused, Unsupported
from backends.entities import Artifact
from backends.gto.files import in_commit, under
from backends.gto.repository import Repository
from backends.gto.versions import OWNER, VersionRecord

_POINTER: Final = 1_000
"""Bytes of a file that may be a pointer to one kept elsewhere."""


class GtoArtifacts:
    """`ArtifactStore`. `kept` gives the records of a run's versions with the commits in which they lie."""

    def __init__(
        self,
        beside: ArtifactStore,
        repository: Repository,
        home: Path,
        kept: Callable[[str], tuple[tuple[str, VersionRecord], ...]],
    ) -> None:
        self._beside = beside
        self._repository = repository
        self._files = home / "git-files"
        self._kept = kept
        self.put = beside.put

    # ------------------------------------------------------------ reading

    def list(self, run: str, *, prefix: str = "") -> tuple[Artifact, ...]:
        if run.startswith(OWNER):
            return self._of_commit(run, prefix)
        try:
            return self._beside.list(run, prefix=prefix)
        except NotFound:
            found = self._elsewhere(run)
            if not found:
                raise
            return tuple(each for each in found.values() if each.path.startswith(prefix))

    def children(self, run: str, path: str = "") -> tuple[Artifact, ...]:
        if not run.startswith(OWNER):
            try:
                return self._beside.children(run, path)
            except NotFound:
                if not self._elsewhere(run):
                    raise
        prefix = f"{path.strip('/')}/" if path.strip("/") else ""
        files: list[Artifact] = []
        folders: dict[str, Artifact] = {}
        for found in self.list(run, prefix=prefix):
            name, slash, _ = found.path[len(prefix) :].partition("/")
            if slash:
                folders.setdefault(name, Artifact(run=run, path=prefix + name, bytes=0, sha256="", folder=True))
            else:
                files.append(found)
        return (*folders.values(), *files)

    def open(self, run: str, path: str, *, fetched: Callable[[int], object] | None = None) -> Path:
        if run.startswith(OWNER):
            return self._fetch(_commit(run), path, "")
        try:
            return self._beside.open(run, path, fetched=fetched)
        except NotFound:
            for commit, record in self._kept(run):
                if path in record.files:
                    sha256 = record.file.sha256 if path == record.file.path else ""
                    return self._fetch(commit, record.files[path], sha256)
                if path == record.file.path:
                    raise NotFound(
                        f"{path} of run {run[:8]} is too large for git, and lies where the run was: on the machine of "
                        f"{record.created_by or 'whoever registered it'} ({record.file.bytes:,} bytes, sha256 "
                        f"{record.file.sha256[:12]}). Use that machine, or raise max_file in its context and register "
                        "the run anew."
                    ) from None
            raise

    def verify(self, run: str, path: str, sha256: str = "") -> bool:
        if not run.startswith(OWNER):
            try:
                return self._beside.verify(run, path, sha256)
            except NotFound:
                if not any(path in record.files for _, record in self._kept(run)):
                    raise
                known = [record.file.sha256 for _, record in self._kept(run) if path == record.file.path]
                sha256 = sha256 or next(iter(known), "")
        if not sha256:
            raise Unsupported(f"git knows {path} by another hash than sha256, and none is given to compare with")
        with self.open(run, path).open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == sha256

    # ------------------------------------------------------------ changing

    def remove(self, run: str, path: str, mutation: Mutation) -> None:
        if run.startswith(OWNER):
            raise Refused(f"{path} lies in a commit of git, of which nothing is removed; nothing was changed.")
        self._beside.remove(run, path, mutation)

    # ------------------------------------------------------------ files of git

    def _of_commit(self, owner: str, prefix: str) -> tuple[Artifact, ...]:
        commit, folder = _commit(owner), prefix.rpartition("/")[0]
        found = in_commit(self._repository, commit, prefix) | under(self._repository, commit, folder)
        return tuple(
            Artifact(run=owner, path=path, bytes=size, sha256="")
            for path, size in sorted(found.items())
            if path.startswith(prefix)
        )

    def _elsewhere(self, run: str) -> Mapping[str, Artifact]:
        """What of a run that is not here lies in git."""
        found: dict[str, Artifact] = {}
        for _, record in self._kept(run):
            for path in sorted(record.files):
                known = path == record.file.path
                size, sha256 = (record.file.bytes, record.file.sha256) if known else (0, "")
                found[path] = Artifact(run=run, path=path, bytes=size, sha256=sha256)
        return found

    def _fetch(self, commit: str, path: str, sha256: str) -> Path:
        """The file, here. Invalid where it has another sha256 than the one on record."""
        self._repository.open()
        git = self._repository.git
        sizes = in_commit(self._repository, commit, path)
        if path not in sizes:
            pointer = self._repository.files([f"{commit}:{path}.dvc"])[f"{commit}:{path}.dvc"]
            if pointer is not None:
                raise NotFound(
                    f"{path} of commit {commit[:12]} is kept by DVC, not by git, which has only {path}.dvc. "
                    "Fetch it with dvc, and import it as an artifact of a run."
                )
            raise NotFound(f"commit {commit[:12]} of {git.where} has no file {path[:200]}")
        place = self._files / hashlib.sha256(f"{commit}:{path}".encode("utf-8", "surrogateescape")).hexdigest()
        place = place.with_name(f"{place.name}-{Path(path).name[-80:]}")
        if not place.is_file() or place.stat().st_size != sizes[path]:
            self._files.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = place.with_name(f"{place.name}.{os.getpid()}")
            try:
                git.save(f"{commit}:{path}", draft)
                draft.chmod(0o400)
                draft.replace(place)
            finally:
                draft.unlink(missing_ok=True)
        if sizes[path] < _POINTER and place.read_bytes().startswith(b"version https://git-lfs.github.com/spec/"):
            raise NotFound(
                f"{path} of commit {commit[:12]} is kept by Git LFS, not by git itself. Fetch it with git lfs, "
                "and import it as an artifact of a run."
            )
        if sha256:
            with place.open("rb") as content:
                there = hashlib.file_digest(content, "sha256").hexdigest()
            if there != sha256:
                raise Invalid(
                    f"{path} of commit {commit[:12]} has the sha256 {there[:12]}, and {sha256[:12]} was "
                    "registered: the commit was made by hand, or its record was. It is not used.",
                    "sha256",
                )
        return place


def _commit(owner: str) -> str:
    commit = owner.removeprefix(OWNER)
    if not commit.isascii() or not commit.isalnum() or not 7 <= len(commit) <= 64:
        raise NotFound(f"{owner[:80]!r} is no commit")
    return commit
