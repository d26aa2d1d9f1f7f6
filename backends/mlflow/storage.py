"""One file to or from a cloud's storage, beside the server that told us where. Redirects are not followed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from backends.contract import BackendError, Invalid, NotFound, Unauthorized, Unreachable

if TYPE_CHECKING:
    import httpx

    Auth = Callable[[httpx.Request], httpx.Request] | None
    Refusal = Callable[[httpx.Response, bytes], BackendError | None] | None

_CONNECT_S: Final = 5.0
_ANSWER_S: Final = 60.0


def download(
    address: str,
    headers: dict[str, str],
    to: Path,
    most: int,
    *,
    where: str,
    auth: Auth = None,
    refusal: Refusal = None,
) -> int:
    """Into a file, whole or not at all; the number of bytes."""
    draft = to.with_name(f".{to.name}.{os.getpid()}.{threading.get_ident()}")
    size = 0
    try:
        with _asked("GET", address, headers, None, where, auth, refusal) as answer, draft.open("wb") as file:
            for part in answer.iter_bytes():
                size += len(part)
                if size > most:
                    raise Invalid(f"{to.name[:80]} has over {most:,} bytes; it was not fetched")
                file.write(part)
        draft.replace(to)
    finally:
        draft.unlink(missing_ok=True)
    return size


def upload(
    address: str, headers: dict[str, str], file: Path, *, where: str, auth: Auth = None, refusal: Refusal = None
) -> None:
    """A whole file; putting it twice does the same."""
    sized = headers | {"Content-Length": str(file.stat().st_size)}
    with file.open("rb") as content, _asked("PUT", address, sized, content, where, auth, refusal):
        pass


def delete(address: str, *, where: str, auth: Auth = None, refusal: Refusal = None) -> None:
    with _asked("DELETE", address, {}, None, where, auth, refusal):
        pass


@contextmanager
def _asked(
    method: str, address: str, headers: dict[str, str], body: Any, where: str, auth: Auth, refusal: Refusal
) -> Iterator[httpx.Response]:
    """The answer as it comes. No error holds the address: it may be a secret."""
    import httpx

    host = urlsplit(address).hostname or "the storage"
    waits = httpx.Timeout(_ANSWER_S, connect=_CONNECT_S)
    try:
        with httpx.stream(method, address, headers=headers, content=body, auth=auth, timeout=waits) as answer:
            if answer.status_code >= 300:
                said = answer.read() if int(answer.headers.get("content-length", 100_000)) <= 100_000 else b""
                raise (refusal and refusal(answer, said)) or _refused(answer.status_code, host, where)
            yield answer
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # The cause is left out: it holds the address.
        raise Unreachable(
            f"the storage of {where} at {host} cannot be reached ({type(error).__name__}); try again"
        ) from None


def _refused(status: int, host: str, where: str) -> BackendError:
    if status == 404:
        return NotFound(f"there is no such file in the storage of {where}")
    if status in (401, 403):
        return Unauthorized(
            f"the storage of {where} at {host} refuses the signed address ({status}): it has run out, this machine's "
            "clock is off, or the network may not go there; try again"
        )
    return Unreachable(f"the storage of {where} at {host} answered {status}; try again later")
