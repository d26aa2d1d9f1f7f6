"""A question to a server that got no answer, or half of one: told in the same words whoever was asked."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

from backends.contract import Unreachable
from backends.remote.doubt import AGAIN, Broken, NotDone, TurnedAway

if TYPE_CHECKING:
    import httpx

_LONGEST_AFTER_S: Final = 300
_LONGEST_WORDS: Final = 100_000


def of_failure(error: Exception, where: str, *, who: str, word: str) -> Unreachable:
    """The error that a request without an answer is. `who` is asked at `where` ("the registry"), and `word` begins its
    urls. The cause is left out: it holds the request and its headers."""
    kind, words = type(error).__name__, f"{type(error).__name__} {error}".lower()
    if "timeout" in words or "timed out" in words:
        return Unreachable(f"{who} at {where} does not answer in time{AGAIN}")
    if "wrong_version_number" in words or "record layer failure" in words or "http_request" in words:
        return TurnedAway(f"{where} speaks no TLS; if it shall be so, name it with {word}+http:// instead")
    if "certificate" in words or "ssl" in words or "tls" in words:
        return TurnedAway(
            f"{where} shows a certificate that this machine does not trust; give its authority with the option "
            "ca_file=/path/to/ca.pem, and do not turn the check off"
        )
    if "name or service" in words or "nodename" in words or "getaddrinfo" in words or "name resolution" in words:
        return NotDone(f"there is no machine of the name in {where}; see the address in the context, or the network")
    if "refused" in words:
        return NotDone(f"nothing listens at {where}: the server is down, or the port is another")
    if "unreachable" in words or "no route" in words:
        return NotDone(f"there is no way to {where} from here; see the network, or the tunnel or VPN to it")
    if kind == "ProxyError":
        return NotDone(f"the proxy on the way to {where} did not let us through; see HTTPS_PROXY and NO_PROXY")
    if any(each in words for each in ("disconnected", "reset", "closed", "incomplete", "broken pipe")):
        return Broken(f"the connection to {who} at {where} broke off{AGAIN}")
    if kind in ("RemoteProtocolError", "DecodingError"):
        return Unreachable(
            f"what answers at {where} does not speak HTTP: another program has that port, or it wants {word}+https://; "
            "see the address in the context"
        )
    return Unreachable(f"{who} at {where} cannot be reached ({kind}){AGAIN}")


def web_page(body: bytes, where: str, asked: str) -> Unreachable | None:
    """The error that an answer is which is a page for people; None for another answer."""
    text = body[:2_000].decode("utf-8", "replace").lstrip("\ufeff \t\r\n").lower()
    if not text.startswith(("<!doctype", "<html")):
        return None
    return Unreachable(
        f"{where} answers {asked} with a web page: a login page or a proxy is in between, or the address is that of "
        "something else; see the address in the context"
    )


def retry_at(headers: Any) -> int | None:
    """When Retry-After says (seconds, or a date), in milliseconds; at most five minutes away."""
    said = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", said):
        seconds = float(said)
    else:
        from email.utils import parsedate_to_datetime

        try:
            seconds = parsedate_to_datetime(said).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return int((time.time() + min(max(0.0, seconds), _LONGEST_AFTER_S)) * 1000)


def beginning(answer: httpx.Response) -> bytes:
    """The beginning of an answer's body."""
    import httpx

    gathered = bytearray()
    try:
        for part in answer.iter_bytes():
            gathered += part
            if len(gathered) > _LONGEST_WORDS:
                break
    except httpx.HTTPError:
        if answer.status_code < 300:
            raise
        # What is there of an error's words is better than none.
    return bytes(gathered)
