"""Amounts of memory as people write them."""

from __future__ import annotations

import re
from typing import Final

from backends.contract import Invalid

_UNITS: Final = {
    "": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30,
    "TIB": 2**40,
}  # fmt: skip
_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def parse_size(text: str | int, field: str = "memory") -> int:
    """Bytes of `4 GB`, `512 MB`, `2 GiB`, or a plain number of bytes."""
    found = _SIZE.fullmatch(str(text))
    if found is None or found[2].upper() not in _UNITS:
        raise Invalid(f'{field}: {str(text)[:40]!r} is no amount of memory; write it as "4 GB" or "512 MB".', field)
    return int(float(found[1]) * _UNITS[found[2].upper()])
