"""What went wrong at a metrics store, in words: what was wanted, what is, what to do.

A server's own text is data: it is cut, and whoever shows it makes it safe.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from backends.contract import BackendError, Invalid, Refused, Unauthorized, Unreachable, Unsupported
from backends.remote.failure import retry_at

_MOST: Final = 400


def of_answer(status: int, headers: Mapping[str, str], body: bytes, where: str, path: str, query: str) -> BackendError:
    """The error that an answer other than 2xx is. query: the one that was asked, if it was one."""
    text = body[:20_000].decode("utf-8", "replace").strip()
    kind, said = _said(body)
    if status in (401, 403) or "no org id" in text:
        return _unauthorized(status, text, where)
    if status == 400 and "https" in text.lower() and where.startswith("http://"):
        return Unreachable(f"{where} speaks TLS only; name it with prometheus+https:// in the context's metrics")
    if kind == "bad_data" or (status == 400 and said):
        asked = f" The query was: {query}" if query else ""
        return Invalid(f"{where} cannot read a query: {said[:_MOST]}.{asked}", "query")
    if kind in ("execution", "too_many_requests") or status == 422:
        asked = f" The query was: {query}" if query else ""
        return Refused(f"{where} did not work a query out: {(said or text)[:_MOST]}.{asked} Ask for a shorter time.")
    if kind in ("timeout", "canceled") or status in (502, 503, 504):
        return Unreachable(f"{where} did not answer in time ({status}): {(said or text)[:120]}; try again later")
    if status == 429:
        return Unreachable(f"{where} is asked too often (429); it is asked less", retry_at(headers))
    if 300 <= status < 400:
        to = headers.get("location", "")[:120]
        return Unsupported(f"{where} sends elsewhere{f' ({to})' if to else ''}; name that address in the context")
    if status in (404, 405):
        return Unsupported(
            f"{where} answers {status} to {path}: there is no Prometheus API, or its address needs a path "
            "(/prometheus for Mimir, /select/0/prometheus for a VictoriaMetrics cluster)"
        )
    return Unreachable(f"{where} answers {status} to {path}: {(said or text)[:120]}; see its log")


def _unauthorized(status: int, text: str, where: str) -> Unauthorized:
    if "no org id" in text:
        return Unauthorized(f"{where} wants to know for whom it is asked (no org id); set tenant in the metrics table")
    return Unauthorized(
        f"{where} does not accept who we are ({status}); see token_env, token_file or token_command of the context's "
        "metrics table, with username where it wants a password"
    )


def of_failure(error: Exception, where: str) -> Unreachable:
    """The error that a failed exchange is."""
    import httpx

    text = str(error)
    if isinstance(error, httpx.TimeoutException):
        return Unreachable(
            f"{where} did not answer in time; see that it is up and what is between, or give it more with timeout"
        )
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return Unreachable(
            f"the certificate of {where} is not one that this machine trusts; name its issuer's file in ca_file"
        )
    if "WRONG_VERSION_NUMBER" in text:
        return Unreachable(f"{where} speaks no TLS; name it with prometheus+http:// if that is meant")
    if "Name or service not known" in text or "nodename nor servname" in text or "No address associated" in text:
        return Unreachable(f"{where} is not known here (no address for its name); see the name, or the VPN")
    if isinstance(error, httpx.ConnectError):
        return Unreachable(f"nobody listens at {where} ({text[:80]}); see that it is up, and the port")
    return Unreachable(f"the connection to {where} broke off ({text[:80] or type(error).__name__}); it is tried again")


def no_answer_of_its_kind(raw: bytes, where: str, path: str) -> BackendError:
    text = raw[:60].decode("utf-8", "replace").strip()
    page = " It is a web page: a login, or a proxy's." if text.lower().startswith(("<!doctype", "<html")) else ""
    return Unsupported(
        f"{where} gives no answer of a Prometheus API to {path}.{page} See the address, and whether it needs a path"
    )


def _said(body: bytes) -> tuple[str, str]:
    """Kind and text of an error that is told as the API does."""
    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", ""
    if not isinstance(found, dict) or found.get("status") != "error":
        return "", ""
    return str(found.get("errorType", "")), str(found.get("error", ""))
