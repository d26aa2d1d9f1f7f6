"""A number for the values of a row that is the same on every machine, in every version, whatever rows stand beside it.

Columns are hashed value by value in vectorised arithmetic: fixed widths by the finaliser of splitmix64 (Steele, Lea &
Flood 2014), text by simple tabulation over (place, byte) with addition (Pătraşcu & Thorup, "The power of simple
tabulation hashing", 2012). A 64-bit hash decides random splits and samples; two of them with different keys, 128 bits
together, stand for a row where rows are compared: among n different rows the chance that any two are taken for the same
is about n²/2¹²⁹, for ten million rows 1.5·10⁻²⁵. It is no protection against data made to collide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ONE = np.uint64(0xBF58476D1CE4E5B9)
_TWO = np.uint64(0x94D049BB133111EB)
MISSING = np.uint64(0x6D69_7373_696E_6721)
LONG = 64
"""Bytes of a text whose (place, byte) terms come from a table; further ones are computed."""


def mix(values: Hashes) -> Hashes:
    """The finaliser of splitmix64: every bit of a number reaches every bit of its hash."""
    with np.errstate(over="ignore"):
        values = values + _GOLDEN
        values = (values ^ (values >> np.uint64(30))) * _ONE
        values = (values ^ (values >> np.uint64(27))) * _TWO
        return values ^ (values >> np.uint64(31))


def hash_rows(arrays: Sequence[Any], rows: int, seed: int = 0) -> Hashes:
    """shape (rows,): a hash of the values of each row; the order of the columns matters, their names do not."""
    total = np.full(rows, np.uint64(seed & 0xFFFFFFFFFFFFFFFF))
    for place, array in enumerate(arrays):
        with np.errstate(over="ignore"):
            key = mix(np.array([seed * 1_000_003 + place], np.uint64))[0]
            total = mix(total ^ (hash_values(array, key) + np.uint64(place)))
    return total


def hash_values(array: Any, key: np.uint64) -> Hashes:
    """shape (n,): of each value; whole numbers and floats of the same value differ, missing is a value like others."""
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        hashes = _hash_bytes(array, key)
    elif pa.types.is_floating(kind):
        numbers = pc.fill_null(pc.cast(array, pa.float64()), 0.0).to_numpy(zero_copy_only=False) + 0.0  # -0 is 0
        hashes = mix(numbers.view(np.uint64) ^ key)
    elif pa.types.is_boolean(kind):
        numbers = pc.cast(pc.fill_null(array, False), pa.uint8()).to_numpy(zero_copy_only=False)
        hashes = mix(numbers.astype(np.uint64) ^ key)
    elif pa.types.is_integer(kind):
        hashes = mix(pc.fill_null(pc.cast(array, pa.int64()), 0).to_numpy(zero_copy_only=False).view(np.uint64) ^ key)
    elif pa.types.is_timestamp(kind):
        hashes = mix(pc.fill_null(array.cast(pa.int64()), 0).to_numpy(zero_copy_only=False).view(np.uint64) ^ key)
    elif pa.types.is_date32(kind):
        days = pc.fill_null(array.cast(pa.int32()), 0).to_numpy(zero_copy_only=False)
        hashes = mix(days.astype(np.int64).view(np.uint64) ^ key)
    else:
        texts = [None if value is None else repr(value) for value in array.to_pylist()]
        hashes = _hash_bytes(pa.array(texts, pa.string()), key)
    if array.null_count:
        present = pc.is_valid(array).to_numpy(zero_copy_only=False)
        hashes = np.where(present, hashes, MISSING ^ key)
    return hashes


def _hash_bytes(array: Any, key: np.uint64) -> Hashes:
    if len(array) > 1024:  # few values, many times: each of them once
        coded = array.dictionary_encode()
        if len(coded.dictionary) * 2 < len(array):
            known = _hash_each(coded.dictionary, key)
            codes = pc.fill_null(coded.indices, 0).to_numpy(zero_copy_only=False)
            return known[codes] if len(known) else np.zeros(len(array), np.uint64)
    return _hash_each(array, key)


def _hash_each(array: Any, key: np.uint64) -> Hashes:
    if not len(array):
        return np.zeros(0, np.uint64)
    if array.null_count:  # the slot of a missing value may still span bytes
        array = pc.fill_null(array, "" if pa.types.is_string(array.type) else b"")
    offsets = np.frombuffer(array.buffers()[1], np.int32, len(array) + 1, array.offset * 4).astype(np.int64)
    data = array.buffers()[2]
    first, last = int(offsets[0]), int(offsets[-1])
    octets = np.frombuffer(data, np.uint8, last - first, first) if data is not None and last > first else None
    lengths = np.diff(offsets)
    sums = np.zeros(len(array), np.uint64)
    if octets is not None:
        starts = offsets[:-1] - first
        places = np.arange(len(octets), dtype=np.int64) - np.repeat(starts, lengths)
        with np.errstate(over="ignore"):
            terms = _terms(places.astype(np.uint64), octets, key)
            full = lengths > 0
            sums[full] = np.add.reduceat(terms, starts[full])
    return mix(sums ^ mix(lengths.astype(np.uint64) ^ key))


def _terms(places: Hashes, octets: NDArray[np.uint8], key: np.uint64) -> Hashes:
    words = (places << np.uint64(8)) | octets
    if len(words) < LONG * 256:
        return mix(words ^ key)
    table = mix(np.arange(LONG * 256, dtype=np.uint64) ^ key)
    if int(places.max()) < LONG:
        return np.asarray(table[words])
    return np.where(places < LONG, table[np.minimum(words, np.uint64(LONG * 256 - 1))], mix(words ^ key))


def shares_of(hashes: Hashes) -> NDArray[Any]:
    """shape (n,): the hash as a number from 0 up to 1, uniform."""
    return (hashes >> np.uint64(11)) * float(2.0**-53)


class KeyIndex:
    """The different keys among some rows, and where to find each. Keys are told apart by 128 bits."""

    def __init__(self, arrays: Sequence[Any], rows: int) -> None:
        high, low = hash_rows(arrays, rows, 1), hash_rows(arrays, rows, 2)
        order = np.lexsort((low, high))
        sorted_high, sorted_low = high[order], low[order]
        fresh = np.ones(rows, np.bool_)
        fresh[1:] = (sorted_high[1:] != sorted_high[:-1]) | (sorted_low[1:] != sorted_low[:-1])
        self._high, self._low = sorted_high[fresh], sorted_low[fresh]
        self.codes = np.empty(rows, np.int64)
        """shape (rows,): the number of each row's key."""
        self.codes[order] = np.cumsum(fresh) - 1

    def __len__(self) -> int:
        return len(self._high)

    def find(self, arrays: Sequence[Any], rows: int) -> NDArray[np.int64]:
        """shape (rows,): the number of each row's key, -1 where it is none of these."""
        if not len(self):
            return np.full(rows, -1, np.int64)
        high, low = hash_rows(arrays, rows, 1), hash_rows(arrays, rows, 2)
        last = len(self) - 1
        at = np.minimum(np.searchsorted(self._high, high), last)
        at = np.minimum(at + ((self._high[at] == high) & (self._low[at] < low)), last)  # two may share 64 of the bits
        return np.where((self._high[at] == high) & (self._low[at] == low), at, -1)
