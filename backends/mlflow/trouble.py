"""What went wrong at a server, in the contract's words: what was wanted, what is, what to do.

A server's own text is data: it is cut, and whoever shows it makes it safe.
"""

from __future__ import annotations

import time
from typing import Any, Final

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

_MOST: Final = 600
_KINDS: Final[dict[str, type[BackendError]]] = {
    "RESOURCE_DOES_NOT_EXIST": NotFound,
    "NOT_FOUND": NotFound,
    "RESOURCE_ALREADY_EXISTS": Conflict,
    "RESOURCE_CONFLICT": Conflict,
    "ABORTED": Conflict,
    "INVALID_PARAMETER_VALUE": Invalid,
    "BAD_REQUEST": Invalid,
    "INVALID_STATE": Refused,
    "PERMISSION_DENIED": Unauthorized,
    "UNAUTHENTICATED": Unauthorized,
    "CUSTOMER_UNAUTHORIZED": Unauthorized,
    "NOT_IMPLEMENTED": Unsupported,
    "ENDPOINT_NOT_FOUND": Unsupported,
    "FEATURE_DISABLED": Unsupported,
    "RESOURCE_EXHAUSTED": Unreachable,
    "REQUEST_LIMIT_EXCEEDED": Unreachable,
    "TEMPORARILY_UNAVAILABLE": Unreachable,
}


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
        return Unreachable(
            f"mlflow at {where} does not know itself by this name (host check); ask its admin to start it with "
            "--allowed-hosts, or use its IP address, or a tunnel: ssh -L 5000:127.0.0.1:5000 HOST"
        )
    if status == 401:
        return Unauthorized(
            f"mlflow at {where} does not accept who we are (401); see that the context's token or password is right"
        )
    if status == 403:
        if "AirTunes" in headers.get("server", "") or "AirPlay" in text:
            return Unreachable(
                f"{where} is answered by macOS AirPlay, not by MLflow; start MLflow on a port other than 5000, or turn "
                "AirPlay Receiver off"
            )
        return Unauthorized(
            f"mlflow at {where} forbids it (403): {asked}; ask its admin for the right to it, or use another account"
        )
    if status == 503 and "workspace" in text.lower():
        return Invalid(
            f"mlflow at {where} has no workspaces; take the option workspace out of the context", "options.workspace"
        )
    if status in (404, 405):
        return Unsupported(
            f"{where} answers {status} to {asked}: it is no MLflow server, an older one, or its address needs a path "
            "(such as /mlflow); see the address in the context"
        )
    if status in (429, 502, 503, 504) or status >= 500:
        return Unreachable(
            f"mlflow at {where} is in trouble ({status}){_quoted(text)}; try again later", retry_at=_after(headers)
        )
    return BackendError(f"mlflow at {where} answered {status} to {asked}{_quoted(text)}")


def _told(status: int, said: dict[str, Any], headers: Any, where: str, asked: str) -> BackendError:
    code, message = str(said["error_code"]), str(said.get("message", ""))[:_MOST]
    kind = _KINDS.get(code)
    if "UNIQUE constraint" in message or "duplicate key" in message:  # a store's own words, with its SQL
        return Conflict(f"mlflow at {where} has it under that name already")
    if kind is Unreachable or (kind is None and status >= 500):
        return Unreachable(f"mlflow at {where} cannot just now ({code}): {message}", retry_at=_after(headers))
    if kind is Unauthorized:
        return Unauthorized(f"mlflow at {where} forbids it: {message or asked}; see the context's login and its rights")
    if kind is Unsupported:
        return Unsupported(f"mlflow at {where} does not offer it: {message or asked}")
    return (kind or BackendError)(message or f"mlflow at {where} answered {code} to {asked}")


def no_json(body: bytes, where: str, asked: str) -> BackendError:
    """A 200 that is not what was asked for."""
    text = body[:2_000].decode("utf-8", "replace").lstrip().lower()
    if text.startswith(("<!doctype", "<html")):
        return Unreachable(
            f"{where} answers {asked} with a web page: a login page or a proxy is in between, or the address is "
            "that of something else; see the address in the context"
        )
    return Unreachable(f"mlflow at {where} gave half an answer to {asked} (no whole JSON); try again")


def _moved(location: str, where: str) -> BackendError:
    to = location.split("?")[0][:200]
    if where.startswith("http://") and location.startswith("https://"):
        return Unreachable(
            f"{where} sends on to https; following would lose the token on the way. Name the context's address with "
            f"mlflow+https:// instead"
        )
    return Unreachable(f"{where} sends on to {to}; name that address in the context, if it is the right one")


def of_failure(error: Exception, where: str) -> Unreachable:
    """The error that a request without an answer is. The cause is left out: it holds the request and its headers."""
    words = f"{type(error).__name__} {error}".lower()
    if "certificate" in words or "ssl" in words or "tls" in words:
        return Unreachable(
            f"{where} shows a certificate that this machine does not trust; give its authority with the option "
            "ca_file=/path/to/ca.pem, and do not turn the check off"
        )
    if "name or service" in words or "nodename" in words or "getaddrinfo" in words or "name resolution" in words:
        return Unreachable(
            f"there is no machine of the name in {where}; see the address in the context, or the network"
        )
    if "refused" in words:
        return Unreachable(f"nothing listens at {where}: the server is down, or the port is another")
    if "timeout" in words or "timed out" in words:
        return Unreachable(f"mlflow at {where} does not answer in time")
    if "disconnected" in words or "reset" in words or "closed" in words or "incomplete" in words:
        return Unreachable(f"the connection to mlflow at {where} broke off")
    return Unreachable(f"mlflow at {where} cannot be reached ({type(error).__name__})")


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    return f": {line[:160]}" if line and not line.startswith("<") else ""


def _after(headers: Any) -> int | None:
    """When Retry-After says, in milliseconds; at most five minutes away."""
    said = headers.get("retry-after", "")
    return int(time.time() * 1000) + min(int(said), 300) * 1000 if said.isdigit() else None
