"""Files out of a registry, in pieces: never whole in memory, and with the digest that they were asked by."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from backends.contract import NotFound, Unreachable
from backends.oci.distribution import Distribution
from backends.oci.manifest import Descriptor
from backends.oci.sending import Ask
from backends.remote import doubt
from backends.remote.again import Again

if TYPE_CHECKING:
    import httpx

_TRIES: Final = 4
"""So often a download that broke off goes on where it was, as long as each try brings something."""


def download(
    registry: Distribution,
    repository: str,
    what: Descriptor,
    to: Path,
    *,
    fetched: Callable[[int], object] | None = None,
) -> None:
    """A blob into a file, whole or not at all. Unreachable where it was cut off, or is not what it should be."""
    draft = to.with_name(f".{to.name}.{os.getpid()}.{threading.get_ident()}")
    got = _Got(draft, what, fetched)
    try:
        for left in reversed(range(_TRIES)):
            before = got.size
            try:
                _ask(registry, repository, what, got)
            except Unreachable:
                if not left or got.size <= before:
                    raise
                registry.breaker.force()
                continue
            if got.size >= what.size:
                break
            if got.size <= before:
                raise doubt.Broken(
                    f"the registry at {registry.where} gave {got.size:,} of the {what.size:,} bytes of "
                    f"{what.digest[:19]}…; try again later"
                )
        if got.size != what.size or f"sha256:{got.hash.hexdigest()}" != what.digest:
            raise Unreachable(
                f"what the registry at {registry.where} gave as {what.digest[:19]}… of {repository} has another digest "
                f"({got.size:,} bytes of {what.size:,}): it was cut off or changed on the way, and is not used. Try "
                "again later, or look at the proxy in between"
            )
        draft.replace(to)
    finally:
        got.close()
        draft.unlink(missing_ok=True)


def _ask(registry: Distribution, repository: str, what: Descriptor, got: _Got) -> None:
    begin = (("Range", f"bytes={got.size}-{what.size - 1}"),) if got.size else ()
    ask = Ask(
        "GET",
        f"/v2/{repository}/blobs/{what.digest}",
        f"pull {repository}",
        headers=begin,
        follows=True,
        rolling=True,
    )

    def take(answer: httpx.Response) -> None:
        if begin and answer.status_code != 206:
            got.again()  # it gives the whole from the beginning, or nothing else
        for part in answer.iter_raw():
            got.take(part)
            if got.size > what.size:
                return

    try:
        registry.send(ask, take, Again.NEVER)
    except NotFound:
        raise NotFound(
            f"the registry at {registry.where} has not the file {what.digest[:19]}… of {repository} any more: it was "
            "deleted there. Register the version again"
        ) from None


class _Got:
    """What has come so far."""

    def __init__(self, draft: Path, what: Descriptor, fetched: Callable[[int], object] | None) -> None:
        self._file = draft.open("wb")
        self._fetched = fetched
        self._most = what.size
        self.hash = hashlib.sha256()
        self.size = 0

    def take(self, part: bytes) -> None:
        self._file.write(part)
        self.hash.update(part)
        self.size += len(part)
        if self._fetched is not None:
            self._fetched(min(self.size, self._most))

    def again(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self.hash, self.size = hashlib.sha256(), 0

    def close(self) -> None:
        self._file.close()
