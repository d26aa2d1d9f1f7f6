"""The one file that is being counted, so that a file which a crash cut short is finished before any other.

Half a file may be in the windows while the scored rows do not know of it yet; only the same file mends that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from backends.contract import Backend, Unreachable
from backends.entities import Record

PLACE = "in-hand.json"


class InHand(Record, frozen=True):
    """Which file was begun."""

    path: str
    sha256: str


@contextmanager
def in_hand(backend: Backend, monitor: str, folder: Path, file: Path, digest: str) -> Iterator[None]:
    """Finish what was cut short, then count this file. The caller holds the folder's lock.

    A file that was refused is done with; where the store was away or the process died, it is still in hand.
    """
    place = folder / PLACE
    before = _read(place)
    if before is not None and before.sha256 != digest:
        _finish(backend, monitor, before)
    fresh = place.with_suffix(".tmp")
    fresh.write_bytes(msgspec.json.encode(InHand(path=str(file.absolute()), sha256=digest)))
    fresh.replace(place)
    try:
        yield
    except Unreachable:
        raise
    except Exception:
        place.unlink(missing_ok=True)
        raise
    place.unlink(missing_ok=True)


def _read(place: Path) -> InHand | None:
    try:
        return msgspec.json.decode(place.read_bytes(), type=InHand)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _finish(backend: Backend, monitor: str, before: InHand) -> None:
    from console.monitoring.batch import sha256_of
    from console.monitoring.ingest import ingest_held

    file = Path(before.path)
    if file.is_file() and sha256_of(file) == before.sha256:
        ingest_held(backend, monitor, file)
