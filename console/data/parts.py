"""The files that a path, a folder, a pattern or a partitioned tree stands for, in the order in which they are read.

The order is that of their paths below the named folder, compared part by part and character by character (`b/1.csv`
after `a/2.csv`, `10.csv` before `2.csv`): the same files give the same rows in the same order, so the same version.
What is hidden, or begins with `_` as markers of Spark and Hive do, is no data file. Folders named `key=value` between
the named folder and a file are columns of that file.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from backends.contract import Invalid, NotFound, Refused
from console.data.stream import FORMATS, file_format, named_format, plain_os_error, require_file

MOST_FILES = 100_000
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
WILD = "*?["


@dataclass(frozen=True)
class Mark:
    """By what one sees that a file is still the one that it was."""

    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> Mark:
        found = path.stat()
        return cls(found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class Part:
    """One file of an import."""

    path: Path
    label: str
    """What it is called in messages: its path below the named folder."""
    kind: str
    """Its format."""
    mark: Mark
    """As it was when it was found."""
    keys: tuple[tuple[str, str | None], ...] = ()
    """Columns that the folders around it say."""

    def require_unchanged(self) -> None:
        """Invalid where the file is no longer the one that was found."""
        try:
            now: Mark | None = Mark.of(self.path)
        except FileNotFoundError:
            now = None
        if now != self.mark:
            what = "vanished" if now is None else "changed"
            size = f" ({self.mark.size:,} bytes, then {now.size:,})" if now and now.size != self.mark.size else ""
            raise Invalid(
                f"{self.label} {what} while it was read{size}; nothing was kept. Import it again once nobody writes "
                "to it.",
                "path",
            )


@dataclass(frozen=True)
class Found:
    parts: tuple[Part, ...]
    base: Path
    """The folder below which labels and `key=value` folders count."""
    passed_over: tuple[str, ...] = ()
    """Names of files beside the data that are none."""


def is_pattern(target: str) -> bool:
    """Whether it stands for several files by wildcards. A file that is really called so is that file."""
    return any(letter in target for letter in WILD) and not os.path.lexists(target)


def find_parts(target: str, *, format: str = "", follow_links: bool = False) -> Found:  # noqa: A002
    """The files of `target`: a file, a folder with all below it, or a pattern (`**` crosses folders).

    NotFound, Refused or Invalid say what is not there, may not be read, or does not fit together.
    """
    if format and format not in FORMATS:
        raise Invalid(f"format {format!r} is not known; use one of {', '.join(FORMATS)}.", "format")
    path = Path(target).expanduser()
    if is_pattern(str(path)):
        return _several(
            Path(_fixed(str(path))), list(_matches(str(path), follow_links)), target, format, follow_links, named=True
        )
    if path.is_dir():
        return _several(path, list(_below(path, follow_links)), target, format, follow_links, named=False)
    return Found((one_part(path, format),), path.parent)


def one_part(path: Path, format: str = "", base: Path | None = None) -> Part:  # noqa: A002
    """A file by itself; with a `base` its folders below that may be columns."""
    require_file(path)
    below = path.relative_to(base) if base else Path(path.name)
    return Part(path, str(below), file_format(path, format), Mark.of(path), folder_keys(below))


def data_files(folder: Path, format: str = "", *, follow_links: bool = False) -> Iterator[Path]:  # noqa: A002
    """What is called like data below a folder, in reading order, whatever it turns out to be."""
    found = (
        path
        for path in _below(folder, follow_links)
        if not any(_hidden(part) for part in path.relative_to(folder).parts)
        and (kind := _data_format(path.name))
        and (not format or kind == format)
    )
    yield from sorted(found, key=lambda path: path.relative_to(folder).parts)


def check_link(path: Path, folder: Path, *, follow_links: bool = False) -> None:
    """Refused where the path leads out of the folder and that is not asked for."""
    if path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()):
        _check_link(path, folder, folder.resolve(), follow_links)


def _fixed(pattern: str) -> str:
    """The part of a pattern before its first wildcard, up to a whole folder."""
    parts: list[str] = []
    for part in Path(pattern).parts:
        if any(letter in part for letter in WILD):
            break
        parts.append(part)
    return str(Path(*parts)) if parts else "."


def _matches(pattern: str, follow_links: bool) -> Iterator[Path]:
    for name in glob.iglob(pattern, recursive=True):  # noqa: PTH207  (a pattern may begin anywhere)
        path = Path(name)
        if path.is_dir():
            if "**" not in pattern:  # which walks into it anyway
                yield from _below(path, follow_links)
        else:
            yield path


def _below(folder: Path, follow_links: bool) -> Iterator[Path]:
    """Every file below, and links to folders, which are followed only if asked."""

    def unreadable(error: OSError) -> None:
        raise plain_os_error(error, folder)

    walked: set[Path] = set()
    for at, folders, files in os.walk(folder, onerror=unreadable, followlinks=follow_links):
        here = Path(at)
        if follow_links:
            real = here.resolve()
            if real in walked:  # a link in a circle
                folders[:] = []
                continue
            walked.add(real)
        folders[:] = sorted(name for name in folders if not _hidden(name))
        yield from (here / name for name in folders if not follow_links and (here / name).is_symlink())
        yield from (here / name for name in files)


def _hidden(name: str) -> bool:
    return name.startswith((".", "_")) and "=" not in name


def _several(base: Path, paths: list[Path], target: str, asked: str, follow_links: bool, *, named: bool) -> Found:
    root = base.resolve()
    kept: list[Path] = []
    passed: list[str] = []
    for path in paths:
        if any(_hidden(part) for part in path.relative_to(base).parts):
            continue
        if path.is_symlink() or not path.resolve().is_relative_to(root):
            _check_link(path, base, root, follow_links)
            if path.is_dir():
                continue  # within the folder: what is in it is found where it is
        if (asked and named) or ((found := _data_format(path.name)) and (not asked or found == asked)):
            kept.append(path)
        else:
            passed.append(str(path.relative_to(base)))
    if len(kept) > MOST_FILES:
        raise Refused(f"{target} stands for {len(kept):,} files, and {MOST_FILES:,} is the most; import it in pieces.")
    if not kept:
        raise _none(target, base, passed, asked)
    kept.sort(key=lambda path: (path.relative_to(base).parts, path.is_symlink()))
    parts = [one_part(path, asked, base) for path in _once(kept)]
    _agree(parts, target)
    return Found(tuple(parts), base, tuple(sorted(passed)))


def _data_format(name: str) -> str:
    """The format of a file among others: a `.txt` there is more often a README than a table."""
    return "" if ".txt" in Path(name.lower()).suffixes else named_format(name)


def _check_link(path: Path, base: Path, root: Path, follow_links: bool) -> None:
    """A link may lead anywhere, so one that leads out of the folder is followed only if asked."""
    aim = path.resolve()
    if not aim.exists():
        raise NotFound(f"{path.relative_to(base)} is a link to {aim}, which is not there; mend or remove it.")
    if not follow_links and not aim.is_relative_to(root):
        raise Refused(
            f"{path.relative_to(base)} leads out of {base}, to {aim}; it was not followed and nothing was kept. "
            "Remove the link, or say that it is meant: --follow-links"
        )


def _once(paths: list[Path]) -> list[Path]:
    """Without links to files that are among them."""
    real = {path.resolve() for path in paths if not path.is_symlink()}
    links: set[Path] = set()
    once: list[Path] = []
    for path in paths:
        if path.is_symlink():
            aim = path.resolve()
            if aim in real or aim in links:
                continue
            links.add(aim)
        once.append(path)
    return once


def _none(target: str, base: Path, passed: list[str], asked: str) -> Exception:
    if not base.exists():
        return NotFound(f"there is no folder {base}; check the path (relative paths start at {Path.cwd()}).")
    others = f"; there are other files, such as {sorted(passed)[0]}" if passed else ""
    wanted = asked or "CSV, TSV, JSONL or Parquet"
    if is_pattern(target):
        return NotFound(f"no {wanted} file matches {target}{others}. Put the pattern in quotes, and check it.")
    return Invalid(
        f"{target} is a folder without a {wanted} file{others}. Name another folder, or one file with --format.", "path"
    )


def _agree(parts: list[Part], target: str) -> None:
    """Invalid unless all parts are of one format and their folders say the same columns."""
    kinds = Counter(part.kind for part in parts)
    if len(kinds) > 1:
        said = ", ".join(f"{kind} ({count}, such as {_first(parts, kind)})" for kind, count in kinds.items())
        raise Invalid(f"{target} holds files of several formats: {said}. Name the one you mean: --format", "format")
    wanted = [key for key, _ in parts[0].keys]
    if len(set(wanted)) < len(wanted):
        raise Invalid(f"{parts[0].label}: a key=value folder appears twice in this path; rename one.", "path")
    for part in parts:
        keys = [key for key, _ in part.keys]
        if keys != wanted:
            raise Invalid(
                f"{target} is not one partitioned tree: {parts[0].label} has {_said(wanted)}, and {part.label} has "
                f"{_said(keys)}. Move the one that is out of place.",
                "path",
            )


def _first(parts: list[Part], kind: str) -> str:
    return next(part.label for part in parts if part.kind == kind)


def _said(keys: list[str]) -> str:
    return f"folders of {', '.join(keys)}" if keys else "no key=value folder"


def folder_keys(below: Path) -> tuple[tuple[str, str | None], ...]:
    """The columns that the folders of a path say: `year=2013/a.csv` → year 2013."""
    found: list[tuple[str, str | None]] = []
    for part in below.parts[:-1]:
        key, equals, value = part.partition("=")
        if key and equals:
            found.append((unquote(key), None if value == HIVE_NULL else unquote(value)))
    return tuple(found)
