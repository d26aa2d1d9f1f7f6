"""What went wrong at a registry, in the contract's words: what was wanted, what is, what to do.

A server's own text is data: it is cut, and whoever shows it makes it safe.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from backends.contract import BackendError, Conflict, Invalid, NotFound, Refused, Unauthorized, Unreachable, Unsupported
from backends.remote import failure
from backends.remote.doubt import AGAIN, NotDone, TurnedAway

_MOST: Final = 300


class Moved(Conflict):
    """412: the tag is not at the digest that was named."""


def of_answer(status: int, headers: Any, body: bytes, where: str, asked: str) -> BackendError:
    """The error that an answer other than 2xx is."""
    code, said = _said(body)
    told = f": {said}" if said else ""
    if 300 <= status < 400:
        return TurnedAway(
            f"{where} sends on to {_place(headers.get('location', ''))}; a token is not taken there unasked. Name that "
            "address in the context if it is the right one"
        )
    if status == 401:
        return Unauthorized(
            f"the registry at {where} does not accept who we are (401); see the context's username and where its "
            "token is (token_env, token_file or token_command)"
        )
    if status == 403 or code == "DENIED":
        return Unauthorized(
            f"the registry at {where} forbids it (403): {asked}{told}; ask its admin for the right to it, or use "
            "another account"
        )
    if status == 404:
        return NotFound(f"the registry at {where} has no such thing: {asked}{told}")
    if status == 405 or code == "UNSUPPORTED":
        return Unsupported(f"the registry at {where} does not offer it: {asked}{told}")
    if status == 412:
        return Moved(f"the registry at {where} has it elsewhere by now: {asked}")
    if status == 413:
        return Invalid(
            f"{where} takes nothing as large as this (413): {asked}; nothing was changed. Ask its admin to raise the "
            "limit of the proxy before it"
        )
    if status == 429 or code == "TOOMANYREQUESTS":
        return NotDone(
            f"the registry at {where} is asked too often (429){told}{AGAIN}", retry_at=failure.retry_at(headers)
        )
    if status == 408 or status >= 500:
        return Unreachable(
            f"the registry at {where} is in trouble ({status}){told}{AGAIN}", retry_at=failure.retry_at(headers)
        )
    if status == 409:
        return Conflict(f"the registry at {where} refuses it as it stands{told}; look again, and repeat: {asked}")
    if code in ("DIGEST_INVALID", "SIZE_INVALID", "MANIFEST_INVALID", "MANIFEST_BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID"):
        return Refused(f"the registry at {where} does not take what was sent ({code}){told}; nothing was changed")
    if status == 400 and "https" in body[:2_000].decode("utf-8", "replace").lower() and where.startswith("http://"):
        return TurnedAway(f"{where} speaks TLS only; name the context's address with oci+https:// instead")
    return BackendError(
        f"the registry at {where} answered {status} to {asked}{told}; see the address in the context, or the "
        "server's log"
    )


def no_registry(body: bytes, where: str, asked: str) -> Unreachable:
    """A 200 that is not what was asked for."""
    return failure.web_page(body, where, asked) or Unreachable(
        f"the registry at {where} gave half an answer, or another than a registry's, to {asked}{AGAIN}"
    )


def of_failure(error: Exception, where: str) -> Unreachable:
    """The error that a request without an answer is."""
    return failure.of_failure(error, where, who="the registry", word="oci")


def _said(body: bytes) -> tuple[str, str]:
    """(code, words) of the protocol's `{"errors": [{"code": …, "message": …}]}`; the words of plain text else."""
    try:
        found = msgspec.json.decode(body)
        first = found["errors"][0]
        return str(first.get("code", ""))[:60], " ".join(str(first.get("message", "")).split())[:_MOST]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError, AttributeError):
        line = " ".join(body[:2_000].decode("utf-8", "replace").split())
        return "", "" if line.startswith(("<", "{")) else line[:160]


def _place(location: str) -> str:
    try:
        parts = urlsplit(location[:200] if location.isprintable() else "")
    except ValueError:  # half a bracket
        return "nowhere"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" if host else parts.path or "nowhere"
