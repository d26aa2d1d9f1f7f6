"""Files for jobs whose machines do not see ours: each goes over once, under the digest of its content."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Final, NamedTuple

from backends.contract import Invalid
from backends.slurm.login_node import LoginNode

SKIPPED: Final = frozenset({".git", "__pycache__", ".venv", ".mypy_cache", ".pytest_cache", ".ruff_cache", "mlruns"})
"""Folders that no job needs: history and what is made anew."""
SLOWEST: Final = 500_000
"""Bytes a second below which a transfer is given up."""


class Parcel(NamedTuple):
    """One file or folder, to be laid into a job's folder under a name."""

    name: str
    path: Path
    digest: str
    size: int

    @property
    def kind(self) -> str:
        return "tree" if self.path.is_dir() else "file"


class Packer:
    """Knows the digests of what it has seen for as long as nothing in it was touched."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[object, str, int]] = {}

    def pack(self, parts: Mapping[str, str], seen: dict[str, Parcel]) -> list[Parcel]:
        """Name → path, of one job; `seen` holds by path what was looked at for others in the same moment. Invalid where
        one is not there, or its name cannot be laid down."""
        found = []
        for name, path in parts.items():
            if path not in seen:
                seen[path] = self._parcel(Path(path))
            found.append(seen[path]._replace(name=_checked(name)))
        return found

    def _parcel(self, path: Path) -> Parcel:
        try:
            path.stat()
            looks = tuple((name, state.st_size, state.st_mtime_ns, state.st_mode) for name, _, state in _files(path))
            known = self._known.get(path)
            if known is None or known[0] != looks:
                known = self._known[path] = (looks, _digest(path), sum(size for _, size, _, _ in looks))
        except OSError as error:
            raise Invalid(f"{error.filename or path} cannot be sent along: {error.strerror}", "files") from error
        return Parcel("", path, known[1], known[2])


def _checked(name: str) -> str:
    if not name or name.startswith("/") or ".." in name.split("/") or any(ord(letter) < 32 for letter in name):
        raise Invalid(f"{name!r} cannot be laid into a job's folder: a relative name is wanted", "files")
    return name


def _files(path: Path) -> Iterator[tuple[str, Path, os.stat_result]]:
    """(name within, file, its state), in one order everywhere. A link to a file is that file."""
    if not path.is_dir():
        yield "", path, path.stat()
        return
    for place, folders, names in os.walk(path):
        folders[:] = sorted(each for each in folders if each not in SKIPPED)
        for name in sorted(names):
            file = Path(place, name)
            try:
                state = file.stat()
            except FileNotFoundError:  # a link that leads nowhere
                continue
            if stat.S_ISREG(state.st_mode):
                yield file.relative_to(path).as_posix(), file, state


def _digest(path: Path) -> str:
    whole = hashlib.sha256()
    for within, file, state in _files(path):
        with file.open("rb") as content:
            inner = hashlib.file_digest(content, "sha256").hexdigest()
        whole.update(f"{within}\0{bool(state.st_mode & stat.S_IXUSR)}\0{inner}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def send(node: LoginNode, parcels: Iterable[Parcel]) -> int:
    """Bring over what is not there; how many bytes went. Whole or not at all: a name appears when it is complete."""
    wanted = {each.digest: each for each in parcels}
    if not wanted:
        return 0
    there = node.run(
        'cd "$B" 2>/dev/null || exit 0\n'
        'while read -r sum; do [ -e "parts/$sum" ] && { echo "$sum"; touch -c "parts/$sum"; }; done; exit 0',
        "".join(f"{digest}\n" for digest in wanted).encode(),
    )
    absent = [each for digest, each in wanted.items() if digest not in set(there.out.decode().split())]
    for each in absent:
        answer = node.run(
            'umask 077; mkdir -p "$B/parts" && cd "$B/parts" || exit 1\n'
            f"new=.{each.digest}.$$\n"
            "trap 'rm -rf \"$new\"' EXIT\n"
            'mkdir "$new" && tar -xf - -C "$new" || exit 1\n'
            # Touched: what nobody took for long is removed, and these came with the times that they have here.
            f'touch "$new/content"; [ -e {each.digest} ] || mv "$new/content" {each.digest}',
            lambda out, each=each: _write_tar(each, out),  # type: ignore[misc]
            timeout=60 + each.size / SLOWEST,
        )
        if answer.code:
            raise Invalid(f"{each.path} could not be laid down at {node.address.place}: {answer.said}", "files")
    return sum(each.size for each in absent)


def _write_tar(parcel: Parcel, out: IO[bytes]) -> None:
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        if parcel.kind == "tree":
            head = tarfile.TarInfo("content")
            head.type, head.mode = tarfile.DIRTYPE, 0o700
            archive.addfile(head)
        for within, file, state in _files(parcel.path):
            info = tarfile.TarInfo(f"content/{within}" if within else "content")
            info.size, info.mode, info.mtime = (
                state.st_size,
                0o700 if state.st_mode & stat.S_IXUSR else 0o600,
                int(state.st_mtime),
            )
            with file.open("rb") as content:
                archive.addfile(info, content)


def texts_tar(files: Mapping[str, str]) -> bytes:
    """Small texts as an archive, each readable by its owner alone."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, text in files.items():
            data = text.encode("utf-8", "surrogateescape")
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o600
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()
