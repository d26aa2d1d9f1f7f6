"""A file from a URL, brought into a folder of our own before it is read: whole, within the limit, with the digest that
was asked for."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from backends.contract import BackendError, Invalid, NotFound, Refused, Unauthorized, Unreachable
from console.data.origin import masked
from console.data.stream import MOST_BYTES

TRIES = 5
"""How often a fetch that broke off goes on from where it was."""
PAUSE_S = 0.5
"""Before the second try, doubled before each further one."""
PATIENCE_S = 30.0
"""How long a server may say nothing."""
REDIRECTS = 5
SAFE = re.compile(r"[^A-Za-z0-9._=-]+")


class _BrokenOffError(Exception):
    """The connection ended before the file did."""


class _Fetch:
    """One file on its way. `done` bytes of it are in `path`, all of the one file that `same` names."""

    def __init__(self, url: str, path: Path, most: int, told: Callable[[int, int], None]) -> None:
        self.url = url
        self.shown = masked(url)
        self.path = path
        self.most = most
        self.told = told
        self.done = 0
        self.total = 0
        self.same = ""
        """The server's mark of this content: a strong ETag, or when it was modified."""
        self.name = ""
        self.sha256 = hashlib.sha256()

    def run(self) -> None:
        import httpx  # 0.1 s: only once something is to be fetched

        limits = httpx.Timeout(PATIENCE_S)
        with httpx.Client(timeout=limits, follow_redirects=False) as client:
            for attempt in range(TRIES):
                try:
                    self._go_on(client)
                    return
                except (httpx.TransportError, _BrokenOffError) as error:
                    if attempt + 1 == TRIES or isinstance(error, httpx.UnsupportedProtocol):
                        raise Unreachable(
                            f"{self.shown} broke off after {self.done:,} bytes, {attempt + 1} times "
                            f"({type(error).__name__}: {str(error).replace(self.url, self.shown)}); nothing was kept. "
                            "Try again later."
                        ) from None  # httpx's errors hold the URL
                    time.sleep(PAUSE_S * 2**attempt)
                except httpx.InvalidURL:
                    raise Invalid(f"{self.shown} is not a URL that can be fetched.", "target") from None

    def _go_on(self, client: Any) -> None:
        headers = {"Accept-Encoding": "identity"}
        if self.done and self.same:
            headers |= {"Range": f"bytes={self.done}-", "If-Range": self.same}
        else:
            self._begin_again()
        url = self.url
        for _ in range(REDIRECTS + 1):
            with client.stream("GET", url, headers=headers) as answer:
                if answer.is_redirect:
                    following = str(answer.next_request.url)
                    if url.startswith("https:") and not following.startswith("https:"):
                        raise Refused(f"{self.shown} leads on to {masked(following)}, which is not encrypted.")
                    url = following
                    continue
                if answer.status_code == 416:  # the file is another one now
                    self._begin_again()
                    raise _BrokenOffError("the server no longer has the same file")
                self._take(answer)
                return
        raise Refused(f"{self.shown} leads on more than {REDIRECTS} times.")

    def _begin_again(self) -> None:
        self.done, self.total, self.sha256 = 0, 0, hashlib.sha256()
        self.path.unlink(missing_ok=True)

    def _take(self, answer: Any) -> None:
        if answer.status_code not in (200, 206):
            raise _refusal(answer.status_code, self.shown)
        if answer.status_code == 200 and self.done:
            self._begin_again()
        tag = answer.headers.get("etag", "")
        self.same = tag if tag and not tag.startswith("W/") else answer.headers.get("last-modified", "")
        self.name = self.name or _told_name(answer.headers.get("content-disposition", ""))
        length = answer.headers.get("content-length", "")
        self.total = self.done + int(length) if length.isdigit() else 0
        if self.total > self.most:
            raise self._too_large(self.total)
        with self.path.open("ab") as out:
            for data in answer.iter_raw():  # as they come: what came is kept when it breaks off
                if self.done + len(data) > self.most:
                    raise self._too_large(self.done + len(data))
                out.write(data)
                self.sha256.update(data)
                self.done += len(data)
                self.told(self.done, self.total)
        if self.total and self.done < self.total:
            raise _BrokenOffError(f"{self.done:,} of {self.total:,} bytes came")

    def _too_large(self, size: int) -> Refused:
        return Refused(
            f"{self.shown} has {size:,} bytes or more, and {self.most:,} is the limit; nothing was kept. If it is "
            "meant to be that large, raise the limit: --most"
        )


def fetch_url(
    url: str, folder: Path, *, sha256: str = "", most: int = MOST_BYTES, told: Callable[[int, int], None]
) -> Path:
    """The file behind an http(s) URL, in `folder` under its own name.

    `told` gets the bytes that came and those of the whole, 0 where nobody knows. A connection that breaks goes on from
    where it was, if the server still has the same file, else from the start. NotFound, Unauthorized, Refused (too
    large), Invalid (another digest), Unreachable.
    """
    check_sha256(sha256)
    fetch = _Fetch(url, folder / "fetched", most, told)
    fetch.run()
    found = fetch.sha256.hexdigest()
    if sha256 and found != sha256.lower():
        raise Invalid(
            f"{fetch.shown}: its sha256 is {found}, wanted {sha256.lower()}. It is another file than you expect, or "
            "was changed on its way; nothing was kept.",
            "sha256",
        )
    name = SAFE.sub("_", fetch.name or unquote(urlsplit(url).path).rpartition("/")[2])[-120:].lstrip(".")
    return fetch.path.rename(folder / (name or "data"))


def check_sha256(text: str) -> None:
    if text and not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise Invalid(f"a sha256 has 64 hexadecimal digits, and {text[:80]!r} has not.", "sha256")


def _told_name(disposition: str) -> str:
    found = re.search(r'filename="?([^";]+)"?', disposition)
    return found[1].strip().replace("\\", "/").rpartition("/")[2] if found else ""


def _refusal(status: int, shown: str) -> BackendError:
    if status in (401, 403, 407):
        return Unauthorized(f"{shown} answers {status}: it does not give the file to us. Check the login in the URL.")
    if status in (404, 410):
        return NotFound(f"{shown} answers {status}: there is no such file; check the URL.")
    if status >= 500 or status in (408, 429):
        return Unreachable(f"{shown} answers {status}: the server has a problem; try again later.")
    return Refused(f"{shown} answers {status}, wanted a file.")
