"""Where a server is and how it is to be asked, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from backends.contract import Invalid

ANSWER_S: Final = 30.0
"""How long one whole answer may take, the slow bytes of it included."""


def checked_address(url: str) -> str:
    """`mlflow+https://host/path` → `https://host/path`; credentials in it are refused."""
    plain = url.removeprefix("mlflow+")
    wrong = Invalid("a server's address is like mlflow+https://mlflow.example.org, and this is none", "url")
    try:
        parts = urlsplit(plain)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise wrong
    except ValueError:  # a port that is no number, half a bracket
        raise wrong from None
    if parts.query or parts.fragment or not plain.isprintable() or " " in plain:
        raise Invalid(
            "the address holds a question mark, a # or a space, which no MLflow server's does; a token in it would be "
            "seen by everybody. Give the address alone, and name the place of the secret (token_env, …)",
            "url",
        )
    if parts.username or parts.password:
        raise Invalid(
            "the address holds a user or a password; name the place of the secret instead (token_env, token_file or "
            "token_command, with username)",
            "url",
        )
    return plain.rstrip("/")


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
