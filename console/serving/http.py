"""Requests and answers: the body within its limits, one shape of error, headers that every answer carries."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import quote

import msgspec

from console.serving.refusal import Refusal
from console.serving.split import Picked

JSON: Final = "application/json"
TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]+")


class Response(msgspec.Struct):
    """An answer, before it is sent."""

    status: int
    body: bytes
    content_type: str = JSON
    version: str = "-"
    rows: int = 0
    score: float | None = None
    """Of its first row."""
    picked: Picked | None = None
    """By which target, where a key decided."""
    headers: dict[str, str] = {}


class Request(msgspec.Struct):
    """A request that has come as a whole."""

    method: str
    path: str
    headers: dict[bytes, bytes]
    """By name in lower case; of several of a name the last."""
    ident: str
    body: bytes = b""
    """Empty where it is longer than what is taken."""
    length: int = 0
    """Bytes of the body that came, or were announced."""
    keep: bool = True
    """The connection stays open after the answer."""


Answered = Response | Awaitable[Response]


class Handler(Protocol):
    """What answers requests."""

    draining: bool
    """Every answer is the last one of its connection."""

    def admits(self, path: str, headers: dict[bytes, bytes]) -> bool:
        """Whether the body is worth keeping, told by what comes before it."""
        ...

    def handle(self, request: Request) -> Answered:
        """Never raises; at once where it takes no time."""
        ...

    def lost(self) -> None:
        """A caller went away in the midst of a request."""
        ...


def json_response(document: object, status: int = 200) -> Response:
    return Response(status, msgspec.json.encode(document))


def refused(error: Refusal) -> Response:
    """`message` says what is wrong, `field` where, `error_code` as MLflow's servers name it, `error` as Open
    Inference clients read it."""
    code = _CODES.get(error.status, "BAD_REQUEST" if error.status < 500 else "INTERNAL_ERROR")
    document = {"error_code": code, "message": str(error), "error": str(error)}
    if error.field:
        document["field"] = error.field
    return Response(error.status, msgspec.json.encode(document), headers=error.headers)


_CODES: Final = {
    401: "UNAUTHENTICATED",
    404: "RESOURCE_DOES_NOT_EXIST",
    503: "TEMPORARILY_UNAVAILABLE",
}


def body_of(request: Request, most: int) -> bytes:
    """The body. Refusal where it is packed, or has more than `most` bytes."""
    if request.headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise Refusal(415, "Content-Encoding is not taken; send the body plain", "Content-Encoding")
    if request.length > most:
        raise Refusal(
            413,
            f"the body has {request.length} bytes, at most {most} are taken; send the rows in parts",
            "body",
            headers={"connection": "close"},
        )
    return request.body


def request_id(headers: dict[bytes, bytes]) -> str:
    """The caller's own, if it is a plain one; else a new one."""
    given = headers.get(b"x-request-id", b"")
    return given.decode("ascii") if _ID.fullmatch(given) else os.urandom(12).hex()


def written(response: Response, request: Request, *, closing: bool) -> bytes:
    """The answer as it goes over the wire."""
    head = [
        f"HTTP/1.1 {response.status} {_REASONS.get(response.status, '')}\r\ncontent-type: {response.content_type}\r\n"
        f"content-length: {len(response.body)}\r\nx-request-id: {request.ident}\r\n"
    ]
    if response.version != "-":
        head.append(f"x-model-version: {quote(response.version, safe=' +:/@')}\r\n")
    for name, value in response.headers.items():
        head.append(f"{name}: {_CONTROL.sub(' ', value)}\r\n")
    if closing and "connection" not in response.headers:
        head.append("connection: close\r\n")
    head.append("\r\n")
    text = "".join(head).encode("latin-1", "replace")
    return text if request.method == "HEAD" else text + response.body
