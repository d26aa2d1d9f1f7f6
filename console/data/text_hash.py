"""64-bit hashes of whole columns of text: the same text gives the same hash, whatever stands around it."""

from __future__ import annotations

from typing import Any

LONG = 512
"""Bytes from which on a text is hashed by itself."""
_FACTORS = (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53, 0x9E3779B97F4A7C15)


def text_hashes(texts: Any) -> Any:
    """Hashes of an Arrow array of strings without missing ones: uint64, shape (n,).

    Texts of one length are a matrix of 8-byte words, each of which is stirred in by the finishing steps of MurmurHash3.
    """
    import numpy as np
    import pyarrow as pa

    if pa.types.is_large_string(texts.type):
        kind: Any = np.int64
    else:
        kind = np.int32
    width = np.dtype(kind).itemsize
    offsets = np.frombuffer(texts.buffers()[1], kind, len(texts) + 1, texts.offset * width)
    data = texts.buffers()[2]
    whole = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    lengths = np.diff(offsets)
    hashes = np.empty(len(texts), np.uint64)
    for length in np.flatnonzero(np.bincount(np.minimum(lengths, LONG))).tolist():
        if length == LONG:
            for at in np.flatnonzero(lengths >= LONG).tolist():
                hashes[at] = _one(whole[offsets[at] : offsets[at + 1]])
            continue
        rows = np.flatnonzero(lengths == length)
        if len(rows) == len(texts):
            matrix = whole[offsets[0] : offsets[-1]].reshape(len(rows), length)
        else:
            matrix = whole[offsets[rows][:, None].astype(np.int64) + np.arange(length)]
        hashes[rows] = _matrix(matrix, length)
    return hashes


def _matrix(matrix: Any, length: int) -> Any:
    import numpy as np

    rows = len(matrix)
    words = max(1, -(-length // 8))
    padded = np.zeros((rows, words * 8), np.uint8)
    padded[:, :length] = matrix
    first, second, third = (np.uint64(factor) for factor in _FACTORS)
    found = np.full(rows, (length * _FACTORS[2]) % (1 << 64), np.uint64)
    for word in padded.view("<u8").T:
        found += word
        for factor in (first, second):
            found ^= found >> np.uint64(33)
            found *= factor
        found ^= found >> np.uint64(33)
        found += third
    return found


def _one(data: Any) -> int:
    import hashlib

    return int.from_bytes(hashlib.blake2b(data.tobytes(), digest_size=8).digest(), "little")
