"""Reading a file's bytes in order: counted for progress, unpacked (gzip, zstd) within limits, brought to UTF-8, checked
for what no text holds."""

from __future__ import annotations

import codecs
import errno
import gzip
import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from backends.contract import BackendError, Invalid, NotFound, Refused

BLOCK = 4 << 20
"""Bytes read at once. Larger costs memory, smaller costs calls."""
GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
PACKED = (".gz", ".gzip", ".zst", ".zstd")
SUFFIXES = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".txt": "csv",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
FORMATS = ("csv", "tsv", "jsonl", "parquet")
UTF8 = "utf-8"

MOST_BYTES = 200 << 30
"""Bytes that one import reads at most, unpacked or fetched, where the person names no other limit."""
RATIO = 250
RATIO_FROM = 256 << 20
"""Past this many unpacked bytes, more than `RATIO` of them for each packed one is taken for a zip bomb: tables of text
stay under 100."""


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


def named_format(name: str) -> str:
    """The format that a file's name says, or nothing."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return SUFFIXES.get(suffixes[-1], "") if suffixes else ""


def file_format(path: Path, asked: str | None) -> str:
    """`csv`, `tsv`, `jsonl` or `parquet`: as asked, else by the name, else by the first bytes."""
    if asked:
        if asked not in FORMATS:
            raise Invalid(f"format {asked!r} is not known; use one of {', '.join(FORMATS)}.", "format")
        return asked
    named = named_format(path.name)
    if named:
        return named
    with ByteStream(path, text=False) as stream:
        head = stream.read(4096)
    if head[:4] == b"PAR1":
        return "parquet"
    if head.removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"{":
        return "jsonl"
    raise Invalid(
        f"{path.name}: the name does not say what kind of file this is; give the format: {', '.join(FORMATS)}.",
        "format",
    )


def check_encoding(name: str) -> str:
    """The codec's own name. Invalid where Python has no such text encoding."""
    try:
        found = codecs.lookup(name)
        "a".encode(found.name).decode(found.name)
    except (LookupError, UnicodeError, AttributeError, TypeError):
        raise Invalid(
            f"encoding {name!r} is not known; give one such as utf-8, windows-1252, latin-1, utf-16, shift_jis.",
            "encoding",
        ) from None
    return found.name


def packing(path: Path) -> str:
    """`gzip`, `zstd` or nothing, by the first bytes."""
    with path.open("rb") as file:
        head = file.read(4)
    if head[:2] == GZIP_MAGIC:
        return "gzip"
    return "zstd" if head == ZSTD_MAGIC else ""


def plain_os_error(error: OSError, path: Path | str) -> BackendError:
    """The sentence for what the operating system refused."""
    named = path.name if isinstance(path, Path) else path
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Refused(
            f"the disk is full: no room to keep {named}. Free some space, then import again; nothing was kept."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return Refused(
            f"no permission to read or write {error.filename or path}: {error.strerror}. Nothing was kept. "
            "Check the owner and the mode, or name another place."
        )
    return Invalid(f"{path}: {error.strerror or error}. Nothing was kept.", "path")


class TextFault(Invalid):
    """A byte that no text of this encoding holds. `offset` counts bytes of the stream as it is given on (UTF-8)."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message, "path")
        self.offset = offset


class ByteStream(io.RawIOBase):
    """A file's unpacked bytes for Arrow to pull, as UTF-8 where another encoding is named.

    Invariants: `read(n)` never gives more than n bytes; a NUL byte never gets through when `text` is true; `quotes`
    counts the double quotes that did; `offset` is how many bytes were given on.
    """

    def __init__(
        self,
        path: Path,
        *,
        text: bool,
        advanced: Callable[[int], None] | None = None,
        label: str = "",
        encoding: str = UTF8,
        most: int = MOST_BYTES,
    ) -> None:
        super().__init__()
        self.path = path
        self.label = label or path.name
        self.text = text
        self.offset = 0
        self.quotes = 0
        self._unpacked = 0
        self._most = most
        self._advanced = advanced
        self._raw: BinaryIO = path.open("rb")
        self._packing = packing(path)
        self._source: Any = self._raw
        if self._packing == "gzip":
            self._source = gzip.GzipFile(fileobj=self._raw)
        elif self._packing == "zstd":
            import pyarrow as pa  # Python's own has it from 3.14 on

            self._source = pa.CompressedInputStream(pa.PythonFile(self._raw, mode="r"), "zstd")
        self._decoder = None if encoding == UTF8 else codecs.getincrementaldecoder(encoding)()
        self._encoding = encoding
        self._waiting = b""
        self._fault: TextFault | None = None
        self._ended = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._decoded(size) if self._decoder else self._unpack(size)
        if self.text and data:
            nul = data.find(b"\0")
            if nul >= 0:
                raise TextFault(self._nul_message(data), self.offset + nul)
            self.quotes += data.count(b'"')
        self.offset += len(data)
        if self._advanced is not None:
            self._advanced(self._raw.tell())
        return data

    def _unpack(self, size: int) -> bytes:
        try:
            data: bytes = self._source.read(size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise self._damaged(error) from error
        except OSError as error:
            if self._packing != "zstd" or error.errno is not None:
                raise
            raise self._damaged(error) from error
        self._unpacked += len(data)
        if self._unpacked > self._most:
            raise Refused(
                f"{self.label} has more than {self._most:,} bytes{' unpacked' * bool(self._packing)}, which is the "
                "limit. Nothing was kept. If it is meant to be that large, raise the limit: --most"
            )
        if self._packing and self._unpacked > RATIO_FROM and self._unpacked > RATIO * self._raw.tell():
            raise Refused(
                f"{self.label} unpacks to more than {RATIO} times its size ({self._raw.tell():,} bytes gave "
                f"{self._unpacked:,} so far): it looks like a zip bomb. Nothing was kept. "
                "If it is what you expect, unpack it yourself and import the result."
            )
        return data

    def _damaged(self, error: Exception) -> Invalid:
        return Invalid(
            f"{self.label}: the {self._packing} data is damaged or cut short ({error}); fetch the file again.", "path"
        )

    def _decoded(self, size: int) -> bytes:
        assert self._decoder is not None  # noqa: S101  (asked by `read`)
        while not self._ended and (size < 0 or len(self._waiting) < size):
            data = self._unpack(BLOCK)
            self._ended = not data
            held = len(self._decoder.getstate()[0])
            try:
                self._waiting += self._decoder.decode(data, final=not data).encode(UTF8, "replace")
            except UnicodeDecodeError as error:
                self._ended = True
                good = codecs.decode(error.object[: error.start], self._encoding, "ignore").encode(UTF8, "replace")
                self._waiting += good
                at = self._unpacked - len(data) - held + error.start
                self._fault = TextFault(
                    f"byte {at} (0x{error.object[error.start]:02x}) is not {self._encoding}. Name the file's true "
                    "encoding with --encoding, or mend the byte.",
                    self.offset + len(self._waiting),
                )
        if not self._waiting and self._fault is not None and self.text:
            raise self._fault
        cut = len(self._waiting) if size < 0 else size
        given, self._waiting = self._waiting[:cut], self._waiting[cut:]
        return given

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._source.close()
            self._raw.close()
        super().close()

    def _nul_message(self, data: bytes) -> str:
        if self.offset == 0 and data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return (
                "it is UTF-16, wanted UTF-8: give --encoding utf-16, or convert it: iconv -f UTF-16 -t UTF-8 IN > OUT"
            )
        return (
            f"a NUL byte at byte {self.offset + data.find(0)}: this is not a text file, or it is damaged. "
            "Export it again as UTF-8 text, or remove the NUL bytes: tr -d '\\000' < IN > OUT"
        )
