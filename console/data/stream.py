"""Reading a file's bytes in order: counted for progress, decompressed when gzipped, checked for what no text holds."""

from __future__ import annotations

import codecs
import errno
import gzip
import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from backends.contract import BackendError, Invalid, NotFound, Refused

GZIP_MAGIC = b"\x1f\x8b"
SUFFIXES = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".txt": "csv",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
FORMATS = ("csv", "tsv", "jsonl", "parquet")


def require_file(path: Path) -> None:
    """Refuse, in plain words, what cannot be read as a file with content."""
    try:
        if path.is_dir():
            raise Invalid(f"{path} is a folder; name one file in it.", "path")
        if not path.exists():
            raise NotFound(f"there is no file {path}; check the path (relative paths start at {Path.cwd()}).")
        if not path.is_file():
            raise Invalid(f"{path} is a device or a pipe; write it to a file first, then import that.", "path")
        with path.open("rb") as file:
            first = file.read(1)
    except PermissionError as error:
        raise Refused(f"no permission to read {path}; ask its owner, or `chmod u+r` it, then import again.") from error
    except OSError as error:
        raise plain_os_error(error, path) from error
    if not first:
        raise Invalid(f"{path} is empty: there is no header and no row in it.", "path")


def file_format(path: Path, asked: str | None) -> str:
    """`csv`, `tsv`, `jsonl` or `parquet`: as asked, else by the name, else by the first bytes."""
    if asked:
        if asked not in FORMATS:
            raise Invalid(f"format {asked!r} is not known; use one of {', '.join(FORMATS)}.", "format")
        return asked
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in (".gz", ".gzip"):
        suffixes.pop()
    if suffixes and suffixes[-1] in SUFFIXES:
        return SUFFIXES[suffixes[-1]]
    with path.open("rb") as file:
        head = file.read(4)
    if head == b"PAR1":
        return "parquet"
    if head.lstrip()[:1] == b"{":
        return "jsonl"
    raise Invalid(
        f"{path.name}: the name does not say what kind of file this is; give the format: {', '.join(FORMATS)}.",
        "format",
    )


def is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == GZIP_MAGIC


def plain_os_error(error: OSError, path: Path) -> BackendError:
    """The sentence for what the operating system refused."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Refused(
            f"the disk is full: no room to keep {path.name}. Free some space, then import again; nothing was kept."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return Refused(
            f"no permission to read or write {error.filename or path}: {error.strerror}. Nothing was kept. "
            "Check the owner and the mode, or name another place."
        )
    return Invalid(f"{path}: {error.strerror or error}. Nothing was kept.", "path")


class ByteStream(io.RawIOBase):
    """A file's (decompressed) bytes for Arrow to pull.

    Invariants: `read_raw` is how many bytes of the file itself were consumed; a NUL byte never gets through when
    `text` is true; `quotes` counts the double quotes that did.
    """

    def __init__(self, path: Path, *, text: bool, advanced: Callable[[int], None] | None = None) -> None:
        super().__init__()
        self.path = path
        self.text = text
        self.offset = 0
        self.quotes = 0
        self._advanced = advanced
        self._raw: BinaryIO = path.open("rb")
        self._source: BinaryIO = self._raw
        if is_gzip(path):
            self._source = gzip.GzipFile(fileobj=self._raw)  # type: ignore[assignment]

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._source.read(size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise Invalid(
                f"{self.path.name}: the gzip data is damaged or cut short ({error}); fetch the file again.", "path"
            ) from error
        if self.text and data:
            nul = data.find(b"\0")
            if nul >= 0:
                raise Invalid(self._nul_message(self.offset + nul, data), "path")
            self.quotes += data.count(b'"')
        self.offset += len(data)
        if self._advanced is not None:
            self._advanced(self._raw.tell())
        return data

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._source.close()
            self._raw.close()
        super().close()

    def _nul_message(self, at: int, data: bytes) -> str:
        if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return f"{self.path.name} is UTF-16, wanted UTF-8; convert it: iconv -f UTF-16 -t UTF-8 IN > OUT"
        return (
            f"{self.path.name}: a NUL byte at byte {at}: this is not a text file, or it is damaged. "
            "Export it again as UTF-8 text, or remove the NUL bytes: tr -d '\\000' < IN > OUT"
        )


def encoding_error(path: Path) -> Invalid:
    """Where the text stops being UTF-8, and what it might be instead."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    with ByteStream(path, text=False) as stream:
        while True:
            data = stream.read(1 << 20)
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                at = offset - pending + error.start
                byte = error.object[error.start]
                guess = "WINDOWS-1252" if byte >= 0x80 else "another encoding"
                return Invalid(
                    f"{path.name}: byte {at} (0x{byte:02x}) is not UTF-8. If the file came from Excel or Windows, "
                    f"it is likely {guess}; convert it: iconv -f {guess} -t UTF-8 IN > OUT",
                    "path",
                )
            if not data:
                return Invalid(f"{path.name}: its text is not UTF-8.", "path")
            offset += len(data)
