"""The values of a column on disk, and exact order statistics of them in bounded memory, however many they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

IN_MEMORY = 1 << 24
"""Values that are sorted in memory; more are first narrowed down to those around the wanted rank."""
CHUNK = 1 << 20
_SIGN = np.uint64(1 << 63)
_DIGIT = 16
"""Bits by which one reading narrows the values down."""


class Spool:
    """float64 or int64 values written one after another. No NaN goes in."""

    def __init__(self, path: Path, dtype: str = "f8") -> None:
        self.path = path
        self.count = 0
        self._dtype = np.dtype(dtype)
        self._file = path.open("wb")

    def add(self, values: NDArray[Any]) -> None:
        self._file.write(np.ascontiguousarray(values, self._dtype).data)
        self.count += len(values)

    def close(self) -> None:
        self._file.close()

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """Between the two nearest values, linearly (numpy's and pandas' default; type 7 of Hyndman & Fan 1996)."""
        places = [share * (self.count - 1) for share in shares]
        lows = [int(np.floor(place)) for place in places]
        found = dict(self.ranked([*lows, *(min(low + 1, self.count - 1) for low in lows)]))
        made = []
        for place, low in zip(places, lows, strict=True):
            a, b, t = found[low], found[min(low + 1, self.count - 1)], place - low
            made.append(float(a + (b - a) * t if t < 0.5 else b - (b - a) * (1 - t)))
        return made

    def ranked(self, ranks: Sequence[int]) -> list[tuple[int, Any]]:
        """(rank, value) for each rank from 0, among the values in ascending order."""
        self.close()
        wanted = sorted(set(ranks))
        if self.count <= IN_MEMORY:
            values = np.fromfile(self.path, self._dtype)
            values.partition(wanted)
            return [(rank, values[rank].item()) for rank in wanted]
        return [(rank, self._narrowed(rank)) for rank in wanted]

    def _narrowed(self, rank: int) -> Any:
        prefix, bits, below = np.uint64(0), 0, 0
        while True:
            counts = np.zeros(1 << _DIGIT, np.int64)
            for keys in self._keys(prefix, bits):
                digits = (keys >> np.uint64(64 - bits - _DIGIT)) & np.uint64((1 << _DIGIT) - 1)
                counts += np.bincount(digits.astype(np.int64), minlength=1 << _DIGIT)
            upto = np.cumsum(counts)
            digit = int(np.searchsorted(upto, rank - below, side="right"))
            below += int(upto[digit - 1]) if digit else 0
            bits += _DIGIT
            prefix = (prefix << np.uint64(_DIGIT)) | np.uint64(digit)
            if bits == 64:
                return self._value(prefix)
            if counts[digit] <= IN_MEMORY:
                keys = np.concatenate(list(self._keys(prefix, bits)))
                keys.partition(rank - below)
                return self._value(keys[rank - below])

    def _keys(self, prefix: np.uint64, bits: int) -> Iterator[NDArray[np.uint64]]:
        """The values as whole numbers in the same order, those that begin with `bits` bits of `prefix`."""
        with self.path.open("rb") as file:
            while len(values := np.fromfile(file, self._dtype, CHUNK)):
                raw = (values + 0.0 if self._dtype.kind == "f" else values).view(np.uint64)  # -0 beside 0
                keys = np.where(raw & _SIGN, ~raw, raw | _SIGN) if self._dtype.kind == "f" else raw ^ _SIGN
                yield keys[keys >> np.uint64(64 - bits) == prefix] if bits else keys

    def _value(self, key: np.uint64) -> Any:
        raw = key ^ _SIGN if self._dtype.kind == "i" else (key ^ _SIGN if key & _SIGN else ~key)
        return np.array([raw], np.uint64).view(self._dtype)[0].item()
