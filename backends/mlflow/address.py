"""Where a server is and how it is to be asked, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from backends.contract import Invalid
from backends.server_address import plain_address

ANSWER_S: Final = 30.0
"""How long one whole answer may take, the slow bytes of it included."""


def checked_address(url: str) -> str:
    """`mlflow+https://host/path` → `https://host/path`; credentials in it are refused."""
    return plain_address(
        url, "mlflow", what="the address", like="a server's address is like mlflow+https://mlflow.example.org"
    )


def patience_of(options: Mapping[str, str]) -> float:
    said = options.get("timeout", "")
    try:
        found = float(said) if said else ANSWER_S
    except ValueError:
        found = 0.0
    if not 0 < found <= 3_600:
        raise Invalid(f"option timeout is a number of seconds up to 3600, and {said[:40]!r} is none", "options.timeout")
    return found


def check_workspace(options: Mapping[str, str]) -> None:
    name = options.get("workspace", "")
    if not (name.isascii() and name.isprintable()):
        raise Invalid(f"option workspace is a name in plain letters, and {name[:40]!r} is none", "options.workspace")
