"""AWS Signature Version 4: a request's method, path, query, headers and body, vouched for by a secret key.

Source: AWS General Reference, "Create a signed AWS API request". Checked against the vectors that AWS publishes and
against botocore in `tests/unit/test_sigv4.py`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote_to_bytes

import msgspec

if TYPE_CHECKING:
    from datetime import datetime

ALGORITHM: Final = "AWS4-HMAC-SHA256"
_KEPT: Final = "-_.~"
_PIECE: Final = 1024 * 1024


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Whose signature it is. The secret is in no `repr`."""

    access_key: str
    secret_key: str
    token: str = ""
    """Of a session: temporary credentials come with one."""
    expires: float | None = None
    """Seconds since the epoch, where they end."""

    def __repr__(self) -> str:
        return f"Credentials({self.access_key[:4]}…)"


def signed(
    method: str,
    path: str,
    query: str,
    headers: Iterable[tuple[str, str]],
    body_hash: str,
    *,
    credentials: Credentials,
    region: str,
    service: str,
    at: datetime,
) -> dict[str, str]:
    """The headers to add: `x-amz-date`, `x-amz-security-token` with a session, `authorization`.

    `path` and `query` are as they go over the wire; all of `headers` are signed, `host` must be among them.
    `body_hash` is the SHA-256 of the body in hex. `at` is in UTC.
    """
    stamp = at.strftime("%Y%m%dT%H%M%SZ")
    added = {"x-amz-date": stamp}
    if credentials.token:
        added["x-amz-security-token"] = credentials.token
    asked, names = canonical(method, path, query, [*headers, *added.items()], body_hash, s3=service == "s3")
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = "\n".join((ALGORITHM, stamp, scope, hashlib.sha256(asked.encode()).hexdigest()))
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    who = f"Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return added | {"authorization": f"{ALGORITHM} {who}"}


def canonical(
    method: str, path: str, query: str, headers: Iterable[tuple[str, str]], body_hash: str, *, s3: bool = False
) -> tuple[str, str]:
    """(the request as both sides write it down before hashing, the names of the signed headers)."""
    gathered: dict[str, list[str]] = {}
    for name, value in headers:
        gathered.setdefault(name.strip().lower(), []).append(" ".join(value.split()))
    names = ";".join(sorted(gathered))
    lines = [f"{name}:{','.join(gathered[name])}" for name in sorted(gathered)]
    asked = (method, canonical_path(path, s3=s3), canonical_query(query), *lines, "", names, body_hash)
    return "\n".join(asked), names


def canonical_path(path: str, *, s3: bool = False) -> str:
    """Dots and doubled slashes resolved, and encoded once more than on the wire; for S3 as on the wire."""
    if s3:
        return quote(unquote_to_bytes(path or "/"), safe="/" + _KEPT)
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            kept = kept[:-1]
        elif part not in ("", "."):
            kept.append(part)
    end = "/" if kept and path.endswith(("/", "/.", "/..")) else ""
    return quote("/" + "/".join(kept) + end, safe="/" + _KEPT)


def canonical_query(query: str) -> str:
    """Sorted by encoded name, then value; a `+` is a plus, for a space is `%20`."""
    pairs = (part.partition("=") for part in query.split("&") if part)
    return "&".join(f"{name}={value}" for name, value in sorted((_encoded(n), _encoded(v)) for n, _, v in pairs))


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text), safe=_KEPT)


def body_hash(body: Any) -> str:
    """SHA-256 of bytes or of a file from where it stands, in hex; the file stands there again afterwards."""
    if body is None:
        return hashlib.sha256(b"").hexdigest()
    if isinstance(body, bytes):
        return hashlib.sha256(body).hexdigest()
    start, found = body.tell(), hashlib.sha256()
    while piece := body.read(_PIECE):
        found.update(piece)
    body.seek(start)
    return found.hexdigest()
