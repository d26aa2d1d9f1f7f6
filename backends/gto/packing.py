"""A version's commit: the branch's own tree, with the model's files, its record, and its entry in artifacts.yaml.

Made by plumbing on an index of its own: no work tree, index or branch of anybody is touched. The commit hangs on its
tag alone.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from backends.contract import ArtifactStore, BackendError, Invalid, Mutation
from backends.entities import ModelFile
from backends.gto.repository import Repository
from backends.gto.versions import INDEX, OWNER, VersionRecord, read_index
from backends.gto.writing import commit

FOLDER: Final = "models"
RECORD: Final = "version.json"
_FILES: Final = 200
_TIMES: Final = 10
"""A version's files together may be so many times as large as one of them."""


class Packed(NamedTuple):
    """A commit that no ref names yet."""

    commit: str
    record: str
    """Path of the record in it."""


def folder_of(model: str) -> str:
    return f"{FOLDER}/{model.replace(':', '/')}"


def pack(
    repository: Repository,
    artifacts: ArtifactStore | None,
    model: str,
    said: VersionRecord,
    mutation: Mutation,
    most: int,
) -> Packed:
    """Write the commit. Files larger than `most` bytes stay where they are: the record says their sha256."""
    git = repository.git
    head = git.run("rev-parse", "--quiet", "--verify", "HEAD^{commit}")
    parent = head.out.decode().strip() if not head.code else ""
    place = folder_of(model)
    here = _files(artifacts, said, most)
    inside = {path: f"{place}/{path}" for path in here}
    blobs = _blobs(repository, {inside[path]: file for path, file in here.items()})
    record = f"{place}/{RECORD}"
    whole = msgspec.structs.replace(said, files=inside)
    blobs[record] = git.line("hash-object", "-w", "--stdin", given=_spaced(whole))
    entry = {"type": "model", "path": inside.get(said.file.path, place)}
    index = _index(repository, parent, model, entry)
    if index is not None:
        blobs[INDEX] = git.line("hash-object", "-w", "--stdin", given=index)
    tree = _tree(repository, parent, place, blobs)
    message = f"Register {model}\n\n{mutation.reason}\n" if mutation.reason else f"Register {model}\n"
    return Packed(commit(git, tree, parent, message.replace("\0", " "), mutation.actor, int(time.time())), record)


def _spaced(record: VersionRecord) -> bytes:
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def _files(artifacts: ArtifactStore | None, said: VersionRecord, most: int) -> dict[str, Path]:
    """Path within the run → file here: the model's, and those that lie beside it."""
    file: ModelFile = said.file
    owner = file.owner or said.run
    if artifacts is None or not most or not file.path or not owner or owner.startswith(OWNER):
        return {}
    folder = file.path.rpartition("/")[0]
    found: dict[str, Path] = {}
    left = most * _TIMES
    try:
        listed = artifacts.list(owner, prefix=f"{folder}/" if folder else file.path)
        for each in sorted(listed, key=lambda each: (each.path != file.path, each.path))[:_FILES]:
            if each.bytes <= most and each.bytes <= left and _fits(each.path):
                found[each.path] = artifacts.open(owner, each.path)
                left -= each.bytes
    except BackendError:
        return {}  # a run that is not here: the version is registered, and its record says which file is meant
    return found


def _fits(path: str) -> bool:
    """Whether git takes it: no part of it is git's own."""
    return not any(part.lower() in (".git", ".gitmodules", "..", ".") or "\n" in part for part in path.split("/"))


def _blobs(repository: Repository, files: Mapping[str, Path]) -> dict[str, str]:
    if not files:
        return {}
    paths = [str(file) for file in files.values()]
    if any("\n" in path for path in paths):
        raise Invalid("the workspace lies in a folder with a line break in its name, which git cannot be told", "path")
    made = repository.git.line(
        "hash-object", "-w", "--no-filters", "--stdin-paths", given="".join(f"{path}\n" for path in paths).encode()
    )
    return dict(zip(files, made.split("\n"), strict=True))


def _tree(repository: Repository, parent: str, place: str, blobs: Mapping[str, str]) -> str:
    git = repository.git
    handle, name = tempfile.mkstemp(prefix="mlops-index-")
    os.close(handle)
    Path(name).unlink()  # git wants no empty file as an index
    own = {"GIT_INDEX_FILE": name}
    try:
        if parent:
            git.ask("read-tree", parent, also=own)
        old = git.ask("ls-files", "-z", "--", f":(literal,top){place}/", also=own).split(b"\0")
        gone = b"".join(b"0 " + b"0" * len(parent) + b"\t" + path + b"\0" for path in old if path)
        new = "".join(f"100644 {oid}\t{path}\0" for path, oid in blobs.items()).encode("utf-8", "surrogateescape")
        git.ask("update-index", "-z", "--index-info", given=gone + new, also=own)
        return git.line("write-tree", also=own)
    finally:
        for left in (name, f"{name}.lock"):
            with contextlib.suppress(FileNotFoundError):
                Path(left).unlink()


def _index(repository: Repository, parent: str, model: str, entry: Mapping[str, Any]) -> bytes | None:
    """artifacts.yaml with the model's entry; what others wrote in it stays as they wrote it. None where a name with a
    folder has no place in it, or where what is there cannot be read."""
    if ":" in model:
        return None
    before = repository.files([f"{parent}:{INDEX}"])[f"{parent}:{INDEX}"] if parent else None
    known = read_index(before) if before else {}
    if before and before.strip() and not known:
        return None
    wanted = {**known, model: {**(known[model] if isinstance(known.get(model), dict) else {}), **entry}}
    line = f"{model}: {msgspec.json.encode(dict(entry)).decode()}\n".encode()
    if model not in known:
        text = (before or b"") + (b"" if not before or before.endswith(b"\n") else b"\n") + line
        if read_index(text) == wanted:
            return text
    import yaml

    dumped: str = yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True)
    return dumped.encode()
