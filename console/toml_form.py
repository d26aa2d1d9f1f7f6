"""Reading what a person wrote in TOML into a record: every fault is told with its file, its line and the nearest valid
key."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from backends.contract import Invalid, NotFound, Refused

T = TypeVar("T")

LARGEST = 1 << 20
"""Bytes of such a file."""


def read_toml(path: Path, what: str) -> str:
    """The text of a file that holds a `what`."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise Invalid(f"{path} is larger than {LARGEST >> 20} MB, which no {what} is; check the path.", "path")
        return content.decode("utf-8")
    except FileNotFoundError:
        raise NotFound(f"there is no {what} {path}; check the path.") from None
    except IsADirectoryError:
        raise Invalid(f"{path} is a folder; name the {what} in it.", "path") from None
    except PermissionError:
        raise Refused(f"no permission to read {path}; `chmod u+r` it, then try again.") from None
    except UnicodeDecodeError as error:
        raise Invalid(f"{path}: byte {error.start} is not UTF-8; a {what} is TOML in UTF-8.", "path") from None


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """The tables of a TOML text; `source` is how messages call it."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        found = re.search(r" \(at line (\d+), column (\d+)\)$", message)
        where = f"{source}:{found[1]}:{found[2]}" if found else source
        raise Invalid(f"{where}: not valid TOML: {message[: found.start()] if found else message}.", "toml") from None


class Places:
    """Where in a TOML text each key stands. A path is its keys, and for arrays of tables the number from 0."""

    def __init__(self, source: str, text: str) -> None:
        self.source = source
        self._lines: dict[tuple[str | int, ...], int] = {}
        here: tuple[str | int, ...] = ()
        counts: dict[str, int] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if each := re.match(r"\s*\[\[\s*([^\[\]]+?)\s*\]\]", line):
                name = re.sub(r"[\s\"']", "", each[1])
                counts[name] = counts.get(name, -1) + 1
                here = (name, counts[name])
                self._lines.setdefault((name,), number)
                self._lines[here] = number
            elif table := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
                keys = re.sub(r"[\s\"']", "", table[1]).split(".")
                here = (*((keys[0], counts[keys[0]]) if keys[0] in counts else (keys[0],)), *keys[1:])
                self._lines.setdefault(here, number)
            elif key := re.match(r"\s*([A-Za-z0-9_.\"' -]+?)\s*=", line):
                self._lines.setdefault((*here, *re.sub(r"[\s\"']", "", key[1]).split(".")), number)

    def of(self, *path: str | int) -> str:
        """`file:line` of the key, or of the nearest table around it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._lines:
                return f"{self.source}:{self._lines[path[:length]]}"
        return self.source


def did_you_mean(word: str, valid: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or a full stop where nothing is near."""
    folded = {choice.casefold(): choice for choice in reversed(list(valid))}
    near = difflib.get_close_matches(word.casefold(), folded, 1, 0.6)
    return f"; did you mean {folded[near[0]]!r}?" if near else "."


def check_keys(table: Mapping[str, Any], record: type[msgspec.Struct], what: str, places: Places, *path: Any) -> None:
    """Invalid where the table has a key that the record has not."""
    valid = list(record.__struct_encode_fields__)
    tag = record.__struct_config__.tag_field
    valid = [tag, *valid] if tag else valid
    for key in table:
        if key not in valid:
            raise Invalid(
                f"{places.of(*path, key)}: {key!r} is not a key of {what}{did_you_mean(key, valid)} "
                f"Valid: {', '.join(valid)}.",
                key,
            )


def convert(table: Any, record: type[T], what: str, places: Places, *path: Any) -> T:
    """The record; Invalid tells which key holds what it cannot."""
    try:
        return msgspec.convert(table, record)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        key = re.sub(r"\[.*?\]", "", where.strip("`")).strip(".")
        keys = tuple(part for part in key.split(".") if part)
        if missing := re.search(r"missing required field `(.*)`", message):
            message = f"has no {missing[1]}, which it needs; add {missing[1]} = …"
        elif choice := re.match(r"Invalid enum value '(.*)'$", message):
            message = f"{choice[1]!r} is not known{_choices(record, keys, choice[1])}"
        else:
            message = message[0].lower() + message[1:]
        named = f"{key}: " if key else ""
        raise Invalid(f"{places.of(*path, *keys)}: {what}: {named}{message.rstrip('.')}.", key) from None


def _choices(record: Any, keys: tuple[str, ...], word: str) -> str:
    for field in msgspec.structs.fields(record):
        if keys and field.encode_name == keys[0]:
            valid = [str(each) for each in _literals(field.type)]
            return f"{did_you_mean(word, valid)} Valid: {', '.join(valid)}"
    return ""


def _literals(kind: Any) -> list[Any]:
    from enum import Enum
    from typing import Literal, get_args, get_origin

    if get_origin(kind) is Literal:
        return list(get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [each.value for each in kind]
    return [each for inner in get_args(kind) for each in _literals(inner)]
