"""What a context's `options` may say to a registry in git."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from backends.contract import Invalid
from backends.gto.names import Numbering

_KNOWN: Final = {
    "bump": "which part of the number counts up: patch (as gto does), minor or major",
    "max_file": "how large a file may be that goes into git, like 10MB; 0 for none",
    "copy": "yes to work on a copy of a repository that lies in a folder, and push to it",
}
_UNITS: Final = {"": 1, "B": 1, "KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}
MAX_FILE: Final = 10_000_000


class Options(NamedTuple):
    numbering: Numbering
    max_file: int
    """Bytes."""
    copy: bool


def read_options(options: Mapping[str, str]) -> Options:
    """Invalid for what is not known."""
    for key in options:
        if key not in _KNOWN:
            listed = "; ".join(f"{name}: {what}" for name, what in _KNOWN.items())
            raise Invalid(f"a registry in git has no option {key[:60]!r}; there are {listed}", "options")
    bump, copy = options.get("bump", "patch"), options.get("copy", "no")
    if bump not in ("patch", "minor", "major"):
        raise Invalid(f"option bump is patch, minor or major, and {bump[:60]!r} is none", "options")
    if copy not in ("yes", "no"):
        raise Invalid(f"option copy is yes or no, and {copy[:60]!r} is neither", "options")
    return Options(Numbering(bump), _bytes(options.get("max_file", "")), copy == "yes")


def _bytes(text: str) -> int:
    if not text:
        return MAX_FILE
    digits = text.strip().rstrip("BbKkMmGg")
    unit = text.strip()[len(digits) :].upper()
    if not digits.strip().isascii() or not digits.strip().isdigit() or unit not in _UNITS:
        raise Invalid(f"option max_file is a size like 10MB, and {text[:60]!r} is none", "options")
    return int(digits) * _UNITS[unit]
