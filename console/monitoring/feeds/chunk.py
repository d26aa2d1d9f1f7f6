"""What is counted at once: the rows of a file, or of a stretch of one, under an identity by which they count once."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from backends.contract import NotFound
from backends.entities import Millis, Record

BLOCK = 1 << 20


class LeftOut(Record, frozen=True, kw_only=True):
    """A line of a file that is no row."""

    begin: int
    end: int
    line: int
    """Its number, from 1."""
    reason: str
    own: str
    """sha256 of its bytes, the first 16 digits."""
    before: str
    """sha256 of what is between the line that was left out before it, or the file's beginning, and this one."""


class Progress(Record, frozen=True, kw_only=True):
    """How far a file has been counted."""

    path: str
    device: int
    inode: int
    offset: int
    """Bytes of its content (unpacked, where it is a .gz) that are counted or refused."""
    sha256: str = ""
    """Of the content up to `offset`."""
    head_bytes: int = 0
    head: str = ""
    """sha256 of the first `head_bytes` bytes: another file in its place begins otherwise."""
    tail: str = ""
    """The last bytes before `offset` (hex): where they are no longer there, the file was written anew."""
    header: str = ""
    """First line of a CSV or TSV."""
    modified_ns: int = 0
    size: int = 0
    """Bytes on disk when it was looked at last."""
    refused: bool = False
    """What is before `offset` could not be used; when the file grows it is looked at again."""
    past: bool = False
    """The file holds something else by now. It is remembered because a copy of it may be met later than that."""
    seen_at: Millis = 0
    lines: int = 0
    """Line ends up to `offset`; 0 where they were not counted."""
    timed: bool = False
    """Rows up to `offset` have a time."""
    left_out: tuple[LeftOut, ...] = ()
    """The first of the lines up to `offset` that are no rows, in their order: if they are mended, they are counted."""
    left: int = 0
    """How many there are of them."""
    stretch: str = ""
    """sha256 from the end of the last of `left_out` to `offset`."""


class Piece(Record, frozen=True, kw_only=True):
    """One of several files that are counted at once."""

    path: str
    digest: str
    """By which it counts once, alone or with others."""
    at: Millis
    """When it came."""
    rows: int


class Chunk(Record, frozen=True, kw_only=True):
    """Rows to count, and who they are."""

    path: str
    """Where they can be read, now and after a crash."""
    name: str
    """What a person calls them: a file's name."""
    digest: str
    """sha256 of the content that they end: the same content counts once, by whatever way it comes."""
    content: str
    """sha256 of what there is to be read: `digest`, where that is all of it."""
    also: tuple[str, ...] = ()
    """Other identities of the same rows."""
    supersedes: str = ""
    """The identity of the content up to where these begin: nobody asks for it again once they are counted."""
    at: Millis
    """When they came: the time of rows without a time column."""
    begin: int = 0
    """Where in the file `name` they begin, in bytes."""
    salvage: bool = False
    """Lines that cannot be read are left out and said, because the rest of their file is counted already."""
    labels: bool = False
    """They are ids and labels, whatever else they hold."""
    copied: bool = False
    """All of it is the content of another file up to where that one is counted."""
    spooled: bool = False
    """The file at `path` is a copy of ours: removed once it is counted."""
    progress: Progress | None = None
    """What to remember of the file once they are counted."""
    pieces: tuple[Piece, ...] = ()
    """Where they are several files, in their order: then `path` is the first of them."""
    said: str = ""
    """What is odd about them, to be told with what becomes of them."""
    left_out: int = 0
    """Lines among them that are no rows, and not in the file at `path`."""
    bare: bool = False
    """There are no others."""
    mended: bool = False
    """They stand where lines were left out: of what is beside them all is counted."""
    given: bool = False
    """Handed in by a person, who is told where it fails: nothing is remembered of it then."""

    @property
    def files(self) -> list[Path]:
        """What there is to be read, in its order."""
        return [Path(piece.path) for piece in self.pieces] or [Path(self.path)]

    @property
    def intact(self) -> bool:
        """Whether it still can be read as it was begun."""
        try:
            return content_of(self.files) == self.content
        except FileNotFoundError:
            return False

    def times(self, rows: int) -> list[Millis]:
        """When each of its rows came, where those are all that there are."""
        each = [piece.at for piece in self.pieces for _ in range(piece.rows)]
        return each if len(each) == rows else [self.at] * rows


def whole_file(path: Path, *, labels: bool = False) -> Chunk:
    """A file as one chunk. NotFound where there is none."""
    if not path.is_file():
        raise NotFound(f"there is no batch file {path}")
    digest = sha256_of(path)
    also: tuple[str, ...] = ()
    if path.name.lower().endswith(".gz"):
        try:
            also = (content_sha256(path),)
        except OSError:  # not gzip: reading it will say so
            also = ()
    return Chunk(
        path=str(path.absolute()),
        name=path.name,
        digest=digest,
        content=digest,
        also=also,
        at=int(path.stat().st_mtime * 1000),
        labels=labels,
    )


def sha256_of(path: Path) -> str:
    """Of the file as it lies there."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_of(paths: Sequence[Path]) -> str:
    """sha256 of files one behind the other, as they lie there."""
    if len(paths) == 1:
        return sha256_of(paths[0])
    found = hashlib.sha256()
    for path in paths:
        found.update(path.read_bytes())
    return found.hexdigest()


def content_sha256(path: Path) -> str:
    """Of the content, unpacked where it is packed."""
    found = hashlib.sha256()
    with open_content(path) as file:
        while block := file.read(BLOCK):
            found.update(block)
    return found.hexdigest()


def open_content(path: Path) -> IO[bytes] | gzip.GzipFile:
    """The bytes of a file, unpacked where its name ends in .gz."""
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rb")
    return path.open("rb")
