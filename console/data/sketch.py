"""What stands in for counting everything where a column is too long: a random sample, and a count of the distinct."""

from __future__ import annotations

import math
from typing import Any

REGISTERS = 1 << 14
DISTINCT_ERROR = 3 * 1.04 / math.sqrt(REGISTERS)
"""Three standard errors of a HyperLogLog with this many registers, relative."""
MISSED = 0.001
"""Share of samples whose error may be larger than `rank_error` says."""


def rank_error(sampled: int) -> float:
    """How far, at most, a share in a sample of this size is from the share among all, but for `MISSED` of all samples.

    Source: Dvoretzky, Kiefer & Wolfowitz, with the constant of Massart, Ann. Prob. 18 (1990).
    """
    return math.sqrt(math.log(2 / MISSED) / (2 * sampled)) if sampled else 0.0


class HyperLogLog:
    """Distinct 64-bit hashes, counted in 16 kB.

    Source: Flajolet, Fusy, Gandouet & Meunier (2007); read by Ertl's estimator, arXiv 1702.01284, algorithm 6, which
    has no bias at any count.
    """

    def __init__(self) -> None:
        import numpy as np

        self._ranks = np.zeros(REGISTERS, np.uint8)

    def add(self, hashes: Any) -> None:
        """`hashes` is an array of uint64, shape (n,)."""
        import numpy as np

        bits = REGISTERS.bit_length() - 1
        rest = hashes << np.uint64(bits)
        # The exponent of the nearest double is the place of the first one, but for 53 ones in a row.
        _, exponent = np.frexp(rest.astype(np.float64))
        rank = np.where(rest == 0, 64 - bits + 1, 65 - exponent).astype(np.uint8)
        np.maximum.at(self._ranks, (hashes >> np.uint64(64 - bits)).astype(np.int64), rank)

    def count(self) -> int:
        import numpy as np

        deepest = 64 - (REGISTERS.bit_length() - 1)
        held = np.bincount(self._ranks, minlength=deepest + 2).tolist()
        total = REGISTERS * _tau(1 - held[deepest + 1] / REGISTERS)
        for count in held[deepest:0:-1]:
            total = 0.5 * (total + count)
        total += REGISTERS * _sigma(held[0] / REGISTERS)
        return round(REGISTERS**2 / (2 * math.log(2) * total))


def _sigma(x: float) -> float:
    """Ertl's series for empty registers."""
    if x == 1.0:
        return math.inf
    weight, total, before = 1.0, x, -1.0
    while total != before:
        x *= x
        before = total
        total += x * weight
        weight += weight
    return total


def _tau(x: float) -> float:
    """Ertl's series for full registers."""
    if x in (0.0, 1.0):
        return 0.0
    weight, total, before = 1.0, 1 - x, -1.0
    while total != before:
        x = math.sqrt(x)
        before = total
        weight *= 0.5
        total -= (1 - x) ** 2 * weight
    return total / 3


class Chooser:
    """Each of `total` values is taken with the same chance, so that about `wanted` are."""

    def __init__(self, total: int, wanted: int) -> None:
        import numpy as np

        self._share = min(1.0, wanted / max(total, 1))
        self._random = np.random.default_rng(0)  # the same content gives the same profile

    def places(self, count: int) -> Any:
        """Which of the next `count` values are taken: ascending indices."""
        import numpy as np

        return np.flatnonzero(self._random.random(count, np.float32) < self._share)
