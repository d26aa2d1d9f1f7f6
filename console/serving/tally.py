"""What each caller last got while versions share the traffic, so that a caller who asks a thousand times is one.

The split gives versions to keys, not to requests: what can be told apart by chance alone are keys. Requests of one key
fail, wait and score alike, and a test that takes them for independent stops good versions (Donner & Klar, "Design and
Analysis of Cluster Randomization Trials", 2000, ch. 1). So a key has one cell, by the hash that also gave it its
version, and the cell holds the last answer that it got. Keys that share a cell take turns in it; because a cell is
common to all versions, that goes on alike for each of them, and which version stands in it is still chance: Fisher's
exact test and chi-square over cells are valid however often, and however unevenly, callers come. What callers got
long ago is overwritten, so a version that goes bad after a good start is seen.

The cells lie in memory that all workers of a server write. Where no key is set the request's id is the key.
"""

from __future__ import annotations

import bisect
import math
import mmap
import os
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from console.serving.counters import EDGES
from console.serving.state import TargetTally

CELLS: Final = 1 << 18
"""So many keys are told apart; 1 MB."""
SCORE_CELLS: Final = 20
"""Of equal share over all versions together: they follow the scores, whatever their scale."""
_ITEM: Final = "I"
_SIZE: Final = 4
_SCORE_BITS: Final = 20
_TIME_BITS: Final = 6
_FAILED: Final = 1 << (_SCORE_BITS + _TIME_BITS)
_TARGET: Final = _SCORE_BITS + _TIME_BITS + 1
_LARGEST: Final = 3.0e38


class Tally:
    """Shared by a server and its workers: the one makes it, the others open its descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, CELLS * _SIZE)
        self._cells = memoryview(self._memory).cast(_ITEM)

    @classmethod
    def made(cls) -> tuple[Tally, int]:
        """A new one, with the descriptor that workers inherit. Its file has no name: it goes with the last process."""
        descriptor, path = tempfile.mkstemp(prefix="mlops-tally-")
        Path(path).unlink()
        os.ftruncate(descriptor, CELLS * _SIZE)
        return cls(descriptor), descriptor

    def keep(self, digest: int, target: int, *, failed: bool, seconds: float, score: float | None) -> None:
        """What the key with this digest was answered by the target of this place in the split, 0 to 15. One aligned
        word: workers do not wait for each other."""
        self._cells[digest % CELLS] = (
            (target + 1) << _TARGET
            | (_FAILED if failed else 0)
            | bisect.bisect_left(EDGES, seconds) << _SCORE_BITS
            | rank(score)
        )

    def clear(self) -> None:
        """Another split, or other versions: what was counted is of no use for them."""
        self._memory[:] = bytes(CELLS * _SIZE)

    def counted(self, targets: Sequence[str]) -> tuple[TargetTally, ...]:
        """Of each target, in the order of the split."""
        import numpy as np

        cells = np.frombuffer(bytes(self._memory), dtype=np.uint32)
        cells = cells[cells != 0]
        who = (cells >> _TARGET).astype(np.int64) - 1
        cells, who = cells[who < len(targets)], who[who < len(targets)]
        failed = (cells & _FAILED) != 0
        times = (cells >> _SCORE_BITS & ((1 << _TIME_BITS) - 1)).astype(np.int64)
        ranks = (cells & ((1 << _SCORE_BITS) - 1)).astype(np.int64)
        edges = np.unique(np.quantile(ranks[ranks > 0], np.arange(1, SCORE_CELLS) / SCORE_CELLS, method="lower")) if (
            ranks > 0
        ).any() else np.array([], dtype=np.int64)  # fmt: skip
        found = []
        for place, target in enumerate(targets):
            mine = who == place
            scored = ranks[mine & (ranks > 0)]
            cell = np.searchsorted(edges, scored, side="left")
            found.append(
                TargetTally(
                    target=target,
                    keys=int(mine.sum()),
                    failed=int(failed[mine].sum()),
                    times=tuple(np.bincount(times[mine], minlength=len(EDGES) + 1).tolist()),
                    scores=tuple(np.bincount(cell, minlength=len(edges) + 1).tolist()) if len(edges) else (),
                )
            )
        return tuple(found)


def rank(score: float | None) -> int:
    """A whole number of 20 bits in the order of the scores, told apart within 0.05 % of themselves; 0 for none."""
    if score is None or math.isnan(score):
        return 0
    (bits,) = struct.unpack("<I", struct.pack("<f", min(max(score, -_LARGEST), _LARGEST)))
    ordered = bits ^ 0xFFFFFFFF if bits & 0x80000000 else bits | 0x80000000
    return int(ordered >> (32 - _SCORE_BITS))
