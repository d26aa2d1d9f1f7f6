"""What a store of files promises: lists and folders agree, and what is opened is what was listed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from backends.checks.finding import Unseen, Wrong, listed, shown
from backends.checks.listing import some, unknown
from backends.checks.listings import RUNS
from backends.checks.look import Look
from backends.checks.promise import promise
from backends.checks.records import check_record
from backends.contract import BackendError, Invalid, NotFound, Refused
from backends.entities import Artifact

_TRIED: Final = 6
_FOLDERS: Final = 8
_OPENED: Final = 1_000_000
"""Bytes of a file that is opened, at most."""


def _top(look: Look) -> tuple[str, tuple[Artifact, ...]]:
    """A run that left files, with what lies directly in it."""

    def ask() -> tuple[str, tuple[Artifact, ...]]:
        store = look.the("artifacts")
        if look.whole.runs is None:
            raise Unseen("without runs there is no telling whose files there are")
        tried = [run for run in some(look, RUNS) if run.status.ended][:_TRIED] or some(look, RUNS)[:_TRIED]
        for run in tried:
            found: tuple[Artifact, ...] = store.children(run.id)
            if found:
                return run.id, found
        raise Unseen(f"none of {len(tried)} runs left a file")

    return look.once("files", ask)


@promise("artifacts", "a folder shows its folders, then its files, each by name")
def folders(look: Look) -> str:
    run, found = _top(look)
    for each in found:
        check_record(each, Artifact, each.path)
        if "/" in each.path or each.path.startswith(".."):
            raise Wrong("paths within the run, without the run", shown(each.path))
    order = [(not each.folder, each.path) for each in found]
    if order != sorted(order):
        raise Wrong("folders before files, each by name", listed([each.path for each in found], 8))
    if (nothing := look.the("artifacts").children(run, unknown())) != ():
        raise Wrong("nothing in a folder that is not there", f"{len(nothing)} files")
    return f"{len(found)} in {run[:12]}"


@promise("artifacts", "the list of all files is what the folders hold, by path")
def all_files(look: Look) -> str:
    run, found = _top(look)
    inner = [each.path for each in found if each.folder]
    if len(inner) > _FOLDERS:
        raise Unseen(f"run {run[:12]} has many folders")
    store = look.the("artifacts")
    if not inner:
        paths = [each.path for each in store.list(run)]
        if paths != sorted(each.path for each in found):
            raise Wrong(f"files {listed(sorted(each.path for each in found))}", listed(paths))
        return f"{len(paths)} files"
    prefix = f"{inner[0]}/"
    paths = [each.path for each in store.list(run, prefix=prefix)]
    if paths != sorted(paths) or not all(path.startswith(prefix) for path in paths):
        raise Wrong(f"files under {prefix}, by path", listed(paths))
    direct = {each.path for each in store.children(run, inner[0]) if not each.folder}
    if direct - set(paths):
        raise Wrong(f"{listed(sorted(direct - set(paths)))} in the list too", listed(paths))
    return f"{len(paths)} files under {shown(prefix, 40)}"


@promise("artifacts", "a file that is opened has the size and the sha256 that the list says")
def opened(look: Look) -> str:
    run, found = _top(look)
    store = look.the("artifacts")
    files = [each for each in found if not each.folder]
    for folder in [each.path for each in found if each.folder][:3]:
        files += [each for each in store.children(run, folder) if not each.folder]
    small = [each for each in files if each.bytes <= _OPENED]
    if not small:
        raise Unseen(f"run {run[:12]} has no small file")
    file = min(small, key=lambda each: each.bytes or _OPENED)
    path = store.open(run, file.path)
    if not isinstance(path, Path) or not path.is_file():
        raise Wrong("the path of a local file", shown(str(path)))
    content = path.read_bytes()
    if file.bytes and len(content) != file.bytes:
        raise Wrong(f"{file.bytes} bytes of {file.path}", f"{len(content)}")
    digest = hashlib.sha256(content).hexdigest()
    if file.sha256 and digest != file.sha256:
        raise Wrong(f"sha256 {file.sha256[:12]}… of {file.path}", f"{digest[:12]}…")
    return f"{shown(file.path, 40)}, {len(content)} bytes"


@promise("artifacts", "a file that is not there is NotFound, and no path leads out of the run")
def outside(look: Look) -> str:
    run, _ = _top(look)
    store = look.the("artifacts")
    try:
        store.open(run, unknown())
    except NotFound:
        pass
    else:
        raise Wrong("NotFound for a file that is not there", "a file")
    for path in ("../../../../../../etc/passwd", "/etc/passwd"):
        try:
            store.open(run, path)
        except (NotFound, Invalid, Refused):
            continue
        except BackendError as error:
            raise Wrong(f"NotFound or Invalid for {path}", f"{type(error).__name__}: {error}") from error
        raise Wrong(f"NotFound or Invalid for {path}", "a file")
    return ""
