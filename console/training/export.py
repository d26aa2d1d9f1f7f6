"""A run as a folder for other programs and other machines: its record, its log, its artifacts."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import msgspec

from backends.contract import Backend, Invalid, Refused
from backends.entities import Artifact, Run

RECORD = "run.json"
LOG = "out.log"
ARTIFACTS = "artifacts"
LOG_STEP = 1 << 20


def export_run(backend: Backend, run: str, folder: Path) -> tuple[str, ...]:
    """Copy a run into `folder`, which appears when it is whole, or not at all; gives the names of its files."""
    found: Run = backend.need("runs").get(run)
    if folder.exists():
        raise Refused(f"{folder} exists already; nothing was written. Choose another name.")
    if not folder.parent.is_dir():
        raise Invalid(f"there is no folder {folder.parent}; make it first.", "folder")
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        (unfinished / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
        written = [RECORD, *_log(backend, found.id, unfinished), *_artifacts(backend, found.id, unfinished)]
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return tuple(written)


def _log(backend: Backend, run: str, folder: Path) -> list[str]:
    """Kept as the bytes say: what is not UTF-8 was replaced by the launcher that read it."""
    if backend.launcher is None:
        return []
    position = 0
    with (folder / LOG).open("w", encoding="utf-8", newline="") as out:
        while True:
            chunk = backend.launcher.log(run, start=position, limit=LOG_STEP)
            out.write(chunk.text)
            if chunk.end >= chunk.size or chunk.end == position:
                return [LOG]
            position = chunk.end


def _artifacts(backend: Backend, run: str, folder: Path) -> list[str]:
    if backend.artifacts is None:
        return []
    files: tuple[Artifact, ...] = backend.artifacts.list(run)
    root = (folder / ARTIFACTS).resolve()
    for file in files:
        target = (root / file.path).resolve()
        if not target.is_relative_to(root):  # a path from a server cannot leave its folder
            raise Refused(f"artifact {file.path} of run {run[:8]} points outside of its run; nothing was written.")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(backend.artifacts.open(run, file.path), target)
    return [f"{ARTIFACTS}/{file.path}" for file in files]
