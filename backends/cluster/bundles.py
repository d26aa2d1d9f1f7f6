"""Files and folders as zip archives that are named by their content: what is there already is not sent again.

A part is cut into bundles of at most `LARGEST` bytes, a file that is larger into pieces (`NAME#mlops#OFFSET`), which
`jobside.lay_bundle` puts together. The same content has the same names on every machine.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Final, NamedTuple

from backends.contract import Invalid, Refused

LARGEST: Final = 64 * 1024 * 1024
SAMPLE: Final = 65_536
"""Bytes by which it is judged whether a file is worth compressing."""
MOST: Final = 2 * 1024 * 1024 * 1024
"""Bytes of all parts of a run: a cluster's head keeps them in memory."""
SKIPPED: Final = frozenset(
    {
        ".git", ".hg", ".venv", "venv", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache",
        ".ipynb_checkpoints", "mlruns",
    }
)  # fmt: skip


class Piece(NamedTuple):
    """A stretch of a file."""

    name: str
    """In the job's folder."""
    path: str
    offset: int
    size: int
    whole: bool
    digest: str
    mode: int


class Bundle(NamedTuple):
    name: str
    """`mlops` and the sha256 of what is in it."""
    pieces: tuple[Piece, ...]

    def write(self, out: IO[bytes]) -> None:
        """The zip archive: one folder of the bundle's name, its files within."""
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for piece in self.pieces:
                name = piece.name if piece.whole else f"{piece.name}#mlops#{piece.offset}"
                info = zipfile.ZipInfo(f"{self.name}/{name}", date_time=(2020, 1, 1, 0, 0, 0))
                info.external_attr = (0o100000 | piece.mode) << 16
                with open(piece.path, "rb") as file:
                    file.seek(piece.offset)
                    sample = file.read(SAMPLE)
                    dense = len(zlib.compress(sample, 1)) > 0.95 * len(sample)
                    info.compress_type = zipfile.ZIP_STORED if dense else zipfile.ZIP_DEFLATED
                    file.seek(piece.offset)
                    target = archive.open(info, "w")
                    left = piece.size
                    with target:
                        while left and (data := file.read(min(left, 1 << 20))):
                            target.write(data)
                            left -= len(data)


class Packer:
    """Remembers the digests of files by path, size and time, so that a sweep's folder is read once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int, int], tuple[str, ...]] = {}

    def bundles(self, parts: Mapping[str, str]) -> list[Bundle]:
        """All bundles of the parts (name in the job's folder → local path). Refused where they are too large."""
        pieces = [piece for name, path in sorted(parts.items()) for piece in self._pieces(name, Path(path))]
        size = sum(piece.size for piece in pieces)
        if size > MOST:
            raise Refused(
                f"its files take {size / 1e9:.1f} GB, and at most {MOST / 1e9:.1f} GB are sent to a cluster: keep what "
                "it does not need out of its folder (a .gitignore counts), or give large data by a shared path"
            )
        found: list[Bundle] = []
        held: list[Piece] = []
        taken = 0
        for piece in pieces:
            if held and (taken + piece.size > LARGEST or _part(held[-1].name) != _part(piece.name)):
                found.append(_bundle(held))
                held, taken = [], 0
            held.append(piece)
            taken += piece.size
        if held:
            found.append(_bundle(held))
        return found

    def _pieces(self, name: str, path: Path) -> Iterator[Piece]:
        if path.is_file():
            yield from self._of_file(name, path)
            return
        if not path.is_dir():
            raise Invalid(f"there is no {path} any more, which the run needs", "files")
        for each in _files(path):
            yield from self._of_file(f"{name}/{each}", path / each)

    def _of_file(self, name: str, path: Path) -> Iterator[Piece]:
        state = path.stat()
        key = (str(path), state.st_size, state.st_mtime_ns, state.st_ino)
        digests = self._known.get(key)
        if digests is None:
            digests = self._known[key] = _digests(path)
        for number, digest in enumerate(digests):
            offset = number * LARGEST
            yield Piece(
                name, str(path), offset, min(LARGEST, state.st_size - offset), len(digests) == 1, digest,
                0o755 if state.st_mode & 0o100 else 0o644,
            )  # fmt: skip


def _part(name: str) -> str:
    """Code and data change apart from each other, so they are sent apart."""
    return name.partition("/")[0]


def _bundle(pieces: list[Piece]) -> Bundle:
    told = "\n".join(f"{each.name}\0{each.offset}\0{each.mode:o}\0{each.digest}" for each in pieces)
    return Bundle("mlops" + hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:40], tuple(pieces))


def _digests(path: Path) -> tuple[str, ...]:
    """sha256 of each stretch of `LARGEST` bytes; of an empty file, of nothing."""
    found: list[str] = []
    with path.open("rb") as file:
        while True:
            digest, left = hashlib.sha256(), LARGEST
            while left and (data := file.read(min(left, 1 << 20))):
                digest.update(data)
                left -= len(data)
            if left == LARGEST and found:
                break
            found.append(digest.hexdigest())
            if left:
                break
    return tuple(found)


def _files(folder: Path) -> list[str]:
    """Paths below the folder, in order: what git does not ignore where it is a repository's, else all but caches."""
    listed = _by_git(folder)
    if listed is None:
        listed = []
        for place, folders, names in os.walk(folder):
            folders[:] = sorted(each for each in folders if each not in SKIPPED)
            listed += [os.path.relpath(os.path.join(place, each), folder) for each in names]  # noqa: PTH118
    kept = [each for each in listed if not each.endswith(".pyc") and (folder / each).is_file()]
    return sorted(kept)


def _by_git(folder: Path) -> list[str] | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    return [os.fsdecode(each) for each in done.stdout.split(b"\0") if each]
