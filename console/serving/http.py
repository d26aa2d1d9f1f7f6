"""Requests and answers: the body within its limits, one shape of error, headers that every answer carries."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from console.serving.refusal import Refusal
from console.serving.split import Picked

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON: Final = b"application/json"
TEXT: Final = b"text/plain; version=0.0.4; charset=utf-8"
_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_DISCARDED: Final = 16
"""So many times the limit of a body is read and thrown away, that the sender hears why; past that it is cut off."""


class Disconnected(Exception):
    """The caller is gone; nobody waits for an answer."""


class Response(msgspec.Struct):
    """An answer, before it is sent."""

    status: int
    body: bytes
    content_type: bytes = JSON
    version: str = "-"
    rows: int = 0
    score: float | None = None
    """Of its first row."""
    picked: Picked | None = None
    """By which target, where a key decided."""
    headers: dict[str, str] = {}


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


async def read_body(headers: dict[bytes, bytes], receive: Receive, most: int) -> bytes:
    """The whole body. Refusal(413) past `most` bytes, after reading on for a while so that the caller hears it."""
    said = headers.get(b"content-length", b"0")
    announced = int(said) if said.isdigit() else 0
    if b"content-encoding" in headers and headers[b"content-encoding"].lower() != b"identity":
        raise Refusal(415, "Content-Encoding is not taken; send the body plain", "Content-Encoding")
    message = await receive()
    if announced <= most and not message.get("more_body"):
        if message["type"] == "http.disconnect":
            raise Disconnected
        whole: bytes = message.get("body", b"")
        if len(whole) <= most:
            return whole
    parts, length = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        length += len(part)
        if max(length, announced) <= most:
            parts.append(part)
        else:
            parts.clear()
        if not message.get("more_body") or length > most * _DISCARDED:
            break
        message = await receive()
    if max(length, announced) > most:
        raise Refusal(
            413,
            f"the body has {max(length, announced)} bytes, at most {most} are taken; send the rows in parts",
            "body",
            headers={"connection": "close"},
        )
    return b"".join(parts)


def request_id(headers: dict[bytes, bytes]) -> str:
    """The caller's own, if it is a plain one; else a new one."""
    given = headers.get(b"x-request-id", b"")
    return given.decode("ascii") if _ID.fullmatch(given) else os.urandom(12).hex()


async def respond(send: Send, response: Response, ident: str, *, closing: bool) -> None:
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", str(len(response.body)).encode()),
        (b"x-request-id", ident.encode()),
    ]
    if response.version != "-":
        headers.append((b"x-model-version", quote(response.version, safe=" +:/@").encode()))
    headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in response.headers.items()]
    if closing and "connection" not in response.headers:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
