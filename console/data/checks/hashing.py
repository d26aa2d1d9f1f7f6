"""64-bit hashes of values and rows: the same value gives the same hash, whatever batch or version it stands in.

They compare rows that are never in memory together. Two different rows share a hash with probability 2^-64, so that
among n rows a false repeat is expected with about n² / 2^65: 3e-6 for ten million. Not for adversaries: nothing here
is keyed.
"""

from __future__ import annotations

from typing import Any

_ODD = 0x9E3779B97F4A7C15
_MIX = 0xBF58476D1CE4E5B9
_EXACT = 2**53
MISSING = 0x5851F42D4C957F2D
"""What stands for a missing value: missing equals missing, as people mean it when they look for repeated rows."""


def mix(words: Any) -> Any:
    """Stirs each of an array of uint64, in place. One to one: different words stay different."""
    import numpy as np

    words ^= words >> np.uint64(32)
    words *= np.uint64(_MIX)
    words ^= words >> np.uint64(29)
    return words


def hash_numbers(values: Any) -> Any:
    """uint64 of an int64 or float64 array, one to one. A number hashes alike as int and as float; so do 0, -0."""
    import numpy as np

    if values.dtype.kind == "f":
        return mix((values + 0.0).view(np.uint64))  # -0 + 0 is 0
    words = values.astype(np.float64).view(np.uint64)
    if len(values) and max(-int(values.min()), int(values.max())) >= _EXACT:
        large = np.abs(values) >= _EXACT  # a float would take neighbours for one
        words[large] = values[large].view(np.uint64)
    return mix(words)


def hash_texts(texts: Any) -> Any:
    """uint64 of a pyarrow string or binary array without missing values, over all bytes and the length of each."""
    import numpy as np
    import pyarrow as pa

    if len(texts) == 0:
        return np.empty(0, np.uint64)
    if pa.types.is_large_string(texts.type) or pa.types.is_large_binary(texts.type):
        offsets = np.frombuffer(texts.buffers()[1], np.int64, len(texts) + 1, texts.offset * 8)
    else:
        offsets = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1, texts.offset * 4).astype(np.int64)
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    starts, lengths = offsets[:-1], np.diff(offsets)
    found = np.empty(len(texts), np.uint64)
    # Texts of one length form a table of bytes, taken eight at a time: no text is looked at by Python.
    for length in np.unique(lengths):
        here = np.flatnonzero(lengths == length)
        found[here] = _of_length(data, starts[here], int(length))
    return found


def _of_length(data: Any, starts: Any, length: int) -> Any:
    import numpy as np

    words = np.full(len(starts), (length * _ODD) & (2**64 - 1), np.uint64)
    step = max(1, (1 << 22) // max(len(starts), 1)) // 8 * 8 or 8
    for at in range(0, length, step):
        width = min(step, length - at)
        table = np.zeros((len(starts), -(-width // 8) * 8), np.uint8)
        table[:, :width] = data[starts[:, None] + np.arange(at, at + width)]
        for column in table.view(np.uint64).T:
            words = fold(words, column)
    return mix(words)


def fold(hashes: Any, *others: Any) -> Any:
    """The hash of (what `hashes` stands for, then the others): order counts. A new array."""
    import numpy as np

    words, spare = hashes.copy(), np.empty_like(hashes)
    for more in others:
        words *= np.uint64(_ODD)
        np.right_shift(words, np.uint64(31), out=spare)
        words ^= spare
        words += more
    return words
