"""Send a delivery to a web address, signed."""

from __future__ import annotations

import hashlib
import hmac
import time

import msgspec

from backends.contract import BackendError
from backends.entities import Delivery
from console.alerting.channels import Channel, redacted
from console.alerting.message import payload
from console.alerting.undelivered import Undelivered, plainly
from console.safe import safe_text

ID = "X-Mlops-Console-Id"
TIMESTAMP = "X-Mlops-Console-Timestamp"
SIGNATURE = "X-Mlops-Console-Signature"
LONGEST_WAIT = 3600.0
_LATER = (408, 425, 429)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """`v1=` and the hex HMAC-SHA256 of `timestamp.body`: who knows the secret can tell ours from another's, and by the
    timestamp an old one."""
    return "v1=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def send_webhook(channel: Channel, delivery: Delivery, workspace: str) -> str:
    """What the other end said. Raises Undelivered."""
    import httpx  # 0.1 s: only once something is to be sent

    try:
        url = channel.url or channel.address.secret()
        secret = channel.secret.secret()
    except BackendError as error:
        raise Undelivered(f"{channel.name}: {error}; it is read where the agent runs") from error
    body = msgspec.json.encode(payload(delivery, workspace))
    timestamp = str(int(time.time()))
    headers = {"Content-Type": "application/json", "User-Agent": "mlops-console", ID: delivery.id}
    if secret:
        headers |= {TIMESTAMP: timestamp, SIGNATURE: signature(secret, timestamp, body)}
    try:
        answer = httpx.post(url, content=body, headers=headers, timeout=channel.timeout, follow_redirects=False)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise Undelivered(
            f"{channel.name}: its URL is not one that can be called; write it anew", final=True
        ) from error
    except httpx.HTTPError as error:
        # httpx puts no URL into these, only what the system said; a proxy's word could hold one
        what = safe_text(plainly(error).replace(url, redacted(url)) or type(error).__name__, 200)
        raise Undelivered(f"{redacted(url)} cannot be reached: {what}") from error
    said = safe_text(" ".join(answer.text[:400].split()), 200)
    told = f"{answer.status_code} {answer.reason_phrase}{f': {said}' if said else ''}"
    if answer.is_success:
        return told
    later = answer.status_code >= 500 or answer.status_code in _LATER
    raise Undelivered(f"{redacted(url)} answered {told}", final=not later, wait=_asked(answer.headers))


def _asked(headers: object) -> float:
    given = headers.get("retry-after", "")  # type: ignore[attr-defined]
    return min(float(given), LONGEST_WAIT) if given.isascii() and given.isdigit() else 0.0
