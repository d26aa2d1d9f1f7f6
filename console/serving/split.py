"""Which version answers a request: by a hash of its key, so that a caller stays with one version."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from console.serving.spec import Target


class Chosen(msgspec.Struct, frozen=True):
    """A target and what is loaded for it."""

    target: Target
    loaded: Any


class Picked(msgspec.Struct, frozen=True):
    """The target of one request, and where it stands in what callers are counted by."""

    chosen: Chosen
    place: int = 0
    """In the split."""
    digest: int | None = None
    """Of the key; None where nothing was decided by it."""


class Split(msgspec.Struct, frozen=True):
    """What a worker serves, exchanged as a whole: a request reads it once, and so sees one state of it."""

    live: tuple[Chosen, ...]
    shadows: tuple[Chosen, ...] = ()

    def pick(self, deployment: str, key: str) -> Picked:
        """The target for a key. The first target takes what the others leave: who is with another one stays there when
        its share grows."""
        if len(self.live) == 1:
            return Picked(self.live[0])
        digest = digest_of(deployment, key)
        at, upto = digest / 2**64, 0.0
        for place, chosen in enumerate(self.live[1:], 1):
            upto += chosen.target.share
            if at < upto:
                return Picked(chosen, place, digest)
        return Picked(self.live[0], 0, digest)

    def version(self, version: str) -> Chosen | None:
        """The live target that serves this version."""
        return next((chosen for chosen in self.live if chosen.loaded.file.version == version), None)


def make_split(chosen: Sequence[Chosen]) -> Split:
    return Split(
        tuple(each for each in chosen if not each.target.shadow), tuple(each for each in chosen if each.target.shadow)
    )


def point(deployment: str, key: str) -> float:
    """Where a key lies in [0, 1): the same in every process and on every machine."""
    return digest_of(deployment, key) / 2**64


def digest_of(deployment: str, key: str) -> int:
    """64 bits of a key. The highest decide its version, the lowest its cell in the tally."""
    digest = hashlib.blake2b(f"{deployment}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
