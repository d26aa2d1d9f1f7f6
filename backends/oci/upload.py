"""Blobs into a registry: nothing that is there already, small ones at once, large ones in pieces that go on after a
broken connection."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Protocol

from backends.contract import BackendError, NotFound, Unreachable
from backends.oci.distribution import Distribution
from backends.oci.manifest import Descriptor
from backends.oci.sending import Ask
from backends.remote import doubt
from backends.remote.again import Again
from backends.remote.doubt import told_of_a_change
from backends.remote.failure import beginning

if TYPE_CHECKING:
    import httpx

CHUNK: Final = 16 * 1024 * 1024
"""Bytes that are sent at once; a broken connection costs at most so many."""
_TRIES: Final = 4
_OCTETS: Final = ("Content-Type", "application/octet-stream")


class Blob(Protocol):
    """What is to be there: which bytes, and how to read some of them again."""

    @property
    def layer(self) -> Descriptor: ...

    def pieces(self, begin: int, end: int) -> Iterator[bytes]: ...


def upload(registry: Distribution, repository: str, blob: Blob) -> bool:
    """See that the repository has the blob; whether it had to be sent. Sending twice does the same."""
    if has(registry, repository, blob.layer.digest):
        return False
    with told_of_a_change():
        for left in reversed(range(2)):
            try:
                _sent(registry, repository, blob)
                return True
            except NotFound:
                # The server forgot the upload in between, as it does when it starts anew: once more from the start.
                if not left:
                    raise
    return True


def has(registry: Distribution, repository: str, digest: str) -> bool:
    ask = Ask("HEAD", f"/v2/{repository}/blobs/{digest}", f"pull {repository}", follows=True)
    try:
        registry.send(ask, beginning, Again.BROKEN)
    except NotFound:
        return False
    return True


def mount(registry: Distribution, repository: str, digest: str, source: str) -> bool:
    """Whether the server could take a blob over from another of its repositories."""
    ask = Ask(
        "POST",
        f"/v2/{repository}/blobs/uploads/",
        f"mount {repository} {source}",
        params=(("mount", digest), ("from", source)),
        length=0,
        body=b"",
    )
    with told_of_a_change():
        return registry.send(ask, lambda answer: answer.status_code == 201, Again.FAILED)


def _sent(registry: Distribution, repository: str, blob: Blob) -> None:
    purpose, size = f"push {repository}", blob.layer.size
    begun = Ask("POST", f"/v2/{repository}/blobs/uploads/", purpose, length=0, body=b"")
    where, _, least = registry.send(begun, _place, Again.FAILED)
    chunk = max(CHUNK, least)
    if size > chunk:
        where = _pieces(registry, purpose, where, blob, chunk)
        last = Ask("PUT", where, purpose, (("digest", blob.layer.digest),), (_OCTETS,), b"", 0)
    else:
        last = Ask(
            "PUT",
            where,
            purpose,
            (("digest", blob.layer.digest),),
            (_OCTETS,),
            lambda: blob.pieces(0, size),
            size,
            rolling=True,
        )
    registry.send(last, beginning, Again.NEVER if size > chunk else Again.UNSENT)


def _pieces(registry: Distribution, purpose: str, where: str, blob: Blob, chunk: int) -> str:
    """All bytes, piece by piece; where the upload is to be ended. After a failure the server is asked what it has."""
    at, tries, size = 0, _TRIES, blob.layer.size
    while at < size:
        end = min(at + chunk, size)
        ask = Ask(
            "PATCH",
            where,
            purpose,
            headers=(_OCTETS, ("Content-Range", f"{at}-{end - 1}")),
            body=lambda at=at, end=end: blob.pieces(at, end),  # type: ignore[misc]
            length=end - at,
            rolling=True,
        )
        try:
            where, got, _ = registry.send(ask, _place, Again.NEVER)
            at = got if got is not None else end
        except Unreachable as failed:
            tries -= 1
            if not tries or isinstance(failed, doubt.TurnedAway):
                raise
            registry.breaker.force()
            where, got, _ = registry.send(Ask("GET", where, purpose), _place, Again.FAILED)
            at = got or 0
    return where


def _place(answer: httpx.Response) -> tuple[str, int | None, int]:
    """(where to go on, how many bytes are there, the smallest piece that is taken)."""
    where = answer.headers.get("location", "")
    if not where:
        raise BackendError(
            f"the registry began an upload ({answer.status_code}) and did not say where to send it; look at the proxy "
            "in between"
        )
    said = re.fullmatch(r"(?:bytes=)?0-(\d{1,15})", answer.headers.get("range", ""))
    least = answer.headers.get("oci-chunk-min-length", "")
    got = int(said[1]) + 1 if said and int(said[1]) else 0 if said else None
    return str(answer.url.join(where)), got, int(least) if least.isascii() and least.isdigit() else 0
