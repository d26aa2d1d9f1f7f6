"""Who may come in: a token, a Host that is this machine, no page of a browser's."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Final

from backends.mlflow.server.answers import Failure
from backends.mlflow.server.room import Caller

OPEN: Final = ("/health", "/version")
"""What answers without a token: it says nothing of the store."""
_HERE: Final = ("127.0.0.1", "localhost", "[::1]")


def check_host(headers: Mapping[str, str]) -> None:
    """A page in a browser that was led to this port by a name of its own must not get in."""
    host = headers.get("host", "")
    name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    if name.lower() not in _HERE:
        raise Failure(
            "PERMISSION_DENIED",
            f"this server is asked for as {host[:100]!r}, and answers only to 127.0.0.1 and localhost",
        )


def check_origin(method: str, headers: Mapping[str, str]) -> None:
    if method not in ("GET", "HEAD") and "origin" in headers:
        raise Failure("PERMISSION_DENIED", "this server takes no changes from pages in a browser (Origin header)")


def caller_of(headers: Mapping[str, str], who: Callable[[str], Caller | None]) -> Caller:
    """The caller that the token stands for."""
    token = _token(headers.get("authorization", ""))
    found = who(token) if token else None
    if found is None:
        raise Failure(
            "UNAUTHENTICATED",
            'a token is wanted, and this is none of ours. Run: eval "$(mlops-console env)", or start the script with '
            "mlops-console run start -- …",
        )
    return found


def _token(header: str) -> str:
    scheme, _, rest = header.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode("utf-8").partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
