"""What went wrong at a server, in the contract's words: what was wanted, what is, what to do.

A server's own text is data: it is cut, and whoever shows it makes it safe.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from backends.contract import (
    BackendError,
    Conflict,
    Invalid,
    NotFound,
    Refused,
    Unauthorized,
    Unreachable,
    Unsupported,
)
from backends.remote import failure
from backends.remote.doubt import AGAIN, NotDone, TurnedAway

_MOST: Final = 600


_KINDS: Final[dict[str, type[BackendError]]] = {
    "RESOURCE_DOES_NOT_EXIST": NotFound,
    "NOT_FOUND": NotFound,
    "RESOURCE_ALREADY_EXISTS": Conflict,
    "ALREADY_EXISTS": Conflict,
    "RESOURCE_CONFLICT": Conflict,
    "ABORTED": Conflict,
    "INVALID_PARAMETER_VALUE": Invalid,
    "BAD_REQUEST": Invalid,
    "MALFORMED_REQUEST": Invalid,
    "INVALID_STATE": Refused,
    "INVALID_STATE_TRANSITION": Refused,
    "QUOTA_EXCEEDED": Refused,
    "RESOURCE_LIMIT_EXCEEDED": Refused,
    "PERMISSION_DENIED": Unauthorized,
    "UNAUTHENTICATED": Unauthorized,
    "CUSTOMER_UNAUTHORIZED": Unauthorized,
    "NOT_IMPLEMENTED": Unsupported,
    "ENDPOINT_NOT_FOUND": Unsupported,
    "FEATURE_DISABLED": Unsupported,
    "RESOURCE_EXHAUSTED": NotDone,
    "REQUEST_LIMIT_EXCEEDED": NotDone,
    "TEMPORARILY_UNAVAILABLE": Unreachable,
    "SERVICE_UNDER_MAINTENANCE": Unreachable,
    "WORKSPACE_TEMPORARILY_UNAVAILABLE": Unreachable,
    "DEADLINE_EXCEEDED": Unreachable,
}
_BY_STATUS: Final[dict[int, type[BackendError]]] = {
    401: Unauthorized, 403: Unauthorized, 404: NotFound, 409: Conflict, 429: NotDone, 501: Unsupported,
}  # fmt: skip
"""What an error is whose code is none of MLflow's: gateways and hosted services have their own."""

_TOO_LONG: Final = re.compile(r"value too long for type character varying\((\d+)\)")


class Stale(Unauthorized):
    """Who we said we are has ended, and may have been renewed where it is kept."""


def of_answer(status: int, headers: Any, body: bytes, where: str, asked: str) -> BackendError:
    """The error that an answer other than 2xx is."""
    text = body[:20_000].decode("utf-8", "replace")
    if 300 <= status < 400:
        return _moved(headers.get("location", ""), where)
    said = _json(body)
    if said is not None and isinstance(said.get("error_code"), str):
        return _told(status, said, headers, where, asked)
    if "Invalid Host header" in text:
        return TurnedAway(
            f"mlflow at {where} does not know itself by this name (host check); ask its admin to start it with "
            "--allowed-hosts, or use its IP address, or a tunnel: ssh -L 5000:127.0.0.1:5000 HOST"
        )
    if status == 400 and "https" in text.lower() and where.startswith("http://"):
        return TurnedAway(f"{where} speaks TLS only; name the context's address with mlflow+https:// instead")
    if status == 401:
        return Unauthorized(
            f"mlflow at {where} does not accept who we are (401); see that the context's token or password is right"
        )
    if status == 407:
        return Unauthorized(
            f"the proxy on the way to {where} wants a login (407); name it in HTTPS_PROXY, or go round it with NO_PROXY"
        )
    if status == 403:
        return _forbidden(headers, text, where, asked)
    if status == 503 and "workspace" in text.lower():
        return Invalid(
            f"mlflow at {where} has no workspaces; take the option workspace out of the context", "options.workspace"
        )
    if status in (404, 405):
        return Unsupported(
            f"{where} answers {status} to {asked}: it is no MLflow server, an older one, or its address needs a path "
            "(such as /mlflow); see the address in the context"
        )
    if status == 413:
        return Invalid(
            f"{where} takes nothing as large as this (413): {asked}; nothing was changed. Ask its admin to raise the "
            "limit of the proxy before it"
        )
    if status == 429:
        return NotDone(f"mlflow at {where} is asked too often (429){AGAIN}", retry_at=failure.retry_at(headers))
    if status == 408 or status >= 500:
        return Unreachable(
            f"mlflow at {where} is in trouble ({status}){_quoted(text)}{AGAIN}", retry_at=failure.retry_at(headers)
        )
    return BackendError(
        f"mlflow at {where} answered {status} to {asked}{_quoted(text)}; see the address in the context, or the "
        "server's log"
    )


def _forbidden(headers: Any, text: str, where: str, asked: str) -> BackendError:
    if "AirTunes" in headers.get("server", "") or "AirPlay" in text:
        return TurnedAway(
            f"{where} is answered by macOS AirPlay, not by MLflow; start MLflow on a port other than 5000, or turn "
            "AirPlay Receiver off"
        )
    return Unauthorized(
        f"mlflow at {where} forbids it (403): {asked}; ask its admin for the right to it, or use another account"
    )


def _told(status: int, said: dict[str, Any], headers: Any, where: str, asked: str) -> BackendError:
    code, message = str(said["error_code"])[:80], str(said.get("message", ""))[:_MOST]
    kind = _KINDS.get(code) or _BY_STATUS.get(status)
    if "UNIQUE constraint" in message or "duplicate key" in message:  # a store's own words, with its SQL
        return Conflict(f"mlflow at {where} has it under that name already; look again, or take another name")
    if (refused := _of_its_database(message, where)) is not None:
        return refused
    if kind is NotDone:
        return NotDone(
            f"mlflow at {where} is asked too often ({code}): {message}{AGAIN}", retry_at=failure.retry_at(headers)
        )
    if kind is Unreachable or (kind is None and status >= 500):
        return Unreachable(
            f"mlflow at {where} cannot just now ({code}): {message}{AGAIN}", retry_at=failure.retry_at(headers)
        )
    if kind is Unauthorized:
        return Unauthorized(f"mlflow at {where} forbids it: {message or asked}; see the context's login and its rights")
    if kind is Unsupported:
        return Unsupported(f"mlflow at {where} does not offer it: {message or asked}")
    return (kind or BackendError)(message or f"mlflow at {where} answered {code} to {asked}")


def _of_its_database(message: str, where: str) -> Invalid | None:
    """What the database behind it would not keep, without its words: they hold the whole statement."""
    if "cannot contain NUL" in message:
        return Invalid(f"mlflow at {where} keeps its rows in PostgreSQL, which takes no NUL character; leave it out")
    if found := _TOO_LONG.search(message):
        return Invalid(
            f"the database of mlflow at {where} keeps {found[1]} characters there, and this text has more; nothing was "
            "changed. Shorten it"
        )
    return None


def no_json(body: bytes, where: str, asked: str) -> Unreachable:
    """A 200 that is not what was asked for."""
    return failure.web_page(body, where, asked) or Unreachable(
        f"mlflow at {where} gave half an answer to {asked} (no whole JSON){AGAIN}"
    )


def odd_shape(where: str, asked: str, missing: str) -> BackendError:
    """Whole JSON, but not the protocol's."""
    return BackendError(
        f"{where} answers {asked} with JSON that is not MLflow's (no {missing}); see that the context's address is "
        "that of an MLflow server"
    )


def _moved(location: str, where: str) -> TurnedAway:
    try:
        parts = urlsplit(location.split("?")[0].split("#")[0][:200] if location.isprintable() else "")
    except ValueError:  # half a bracket
        parts = urlsplit("")
    if where.startswith("http://") and parts.scheme == "https" and _host(parts.netloc) == _host(urlsplit(where).netloc):
        return TurnedAway(
            f"{where} sends on to https; following would lose the token on the way. Name the context's address with "
            "mlflow+https:// instead"
        )
    to = f"{parts.scheme}://{_host(parts.netloc)}{parts.path}" if parts.netloc else parts.path or "nowhere"
    return TurnedAway(
        f"{where} sends on to {to}, and a token is not taken there unasked; name that address in the context if it is "
        "the right one, or log in to the proxy that stands before it"
    )


def _host(netloc: str) -> str:
    """Without a user, a password or a port."""
    return netloc.rpartition("@")[2].partition(":")[0]


def of_failure(error: Exception, where: str) -> Unreachable:
    """The error that a request without an answer is."""
    return failure.of_failure(error, where, who="mlflow", word="mlflow")


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    return f": {line[:160]}" if line and not line.startswith(("<", "{")) else ""
