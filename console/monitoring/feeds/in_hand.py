"""The one chunk that is being counted, so that one which a crash cut short is finished before any other.

Half of it may be in the windows while the scored rows do not know of it yet; only the same rows, scored with the same
version, mend that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from backends.contract import Unreachable
from backends.entities import Record
from console.monitoring.feeds.chunk import Chunk

PLACE = "in-hand.json"


class InHand(Record, frozen=True):
    """Which chunk was begun, and what it is scored with."""

    chunk: Chunk
    version: str = ""


@contextmanager
def in_hand(folder: Path, chunk: Chunk, version: str, finish: Callable[[InHand], None]) -> Iterator[str]:
    """Finish what was cut short, then count this chunk. Gives the version to score with: that of an earlier try.

    The caller holds the folder's lock. A chunk that was refused is done with; where the store was away, the disk full
    or the process died, it is still in hand.
    """
    place = folder / PLACE
    before = read_in_hand(folder)
    if before is not None and before.chunk.digest != chunk.digest:
        if before.chunk.intact:
            finish(before)
        before = None
    begun = InHand(chunk=chunk, version=version)
    if before is not None and before.version:
        begun = msgspec.structs.replace(begun, version=before.version)
    fresh = place.with_suffix(".tmp")
    fresh.write_bytes(msgspec.json.encode(begun))
    fresh.replace(place)
    try:
        yield begun.version
    except (Unreachable, OSError):
        raise
    except Exception:
        place.unlink(missing_ok=True)
        raise
    place.unlink(missing_ok=True)


def read_in_hand(folder: Path) -> InHand | None:
    """What was begun and not finished."""
    try:
        return msgspec.json.decode((folder / PLACE).read_bytes(), type=InHand)
    except (FileNotFoundError, msgspec.DecodeError, msgspec.ValidationError):
        return None
