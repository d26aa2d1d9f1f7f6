"""Rows of short texts counted by level without a hash of each: the bytes of a text are one number.

Of categories such as `EWR`, `yes` or `level 12` eight bytes hold everything. They are read from Arrow's buffers as
whole words, where Arrow's own count by value hashes and compares each text: half the time of it.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

Vector = np.ndarray[Any, Any]

WIDE = 8
"""Bytes of a text that fit."""
BLOCK = 1 << 14
"""Rows at once: what they need stays in the processor's own memory."""
SLOTS = 10
"""log2 of the places that the levels are looked up in; each has its own."""
TRIES = 200
FILLS = np.array([(1 << 64) - (1 << 8 * size) for size in range(WIDE + 1)], dtype="<u8")
"""By length: 0xFF, which no text in UTF-8 has, in each byte behind the text's end. So two texts are never alike."""
LONG, VACANT = np.uint64(0xFEFE_FEFE_FEFE_FEFE), np.uint64(0xFDFD_FDFD_FDFD_FDFD)
"""Of a text that is too long to be a level, and of a place that no level has; neither is a text in UTF-8."""


class _Places(NamedTuple):
    """Where each of some levels is found by its bytes."""

    factor: np.uint64
    held: Vector
    """By place the level's bytes, shape (2 ** SLOTS,), or `VACANT`."""
    order: Vector
    """By level its place."""


class _Room(NamedTuple):
    """Place to work in, each for a block's rows as unsigned words."""

    keys: Vector
    other: Vector
    shift: Vector
    word: Vector


def count_known(text: pa.Array, levels: tuple[str, ...]) -> tuple[Vector, pa.Array] | None:
    """Rows per level, shape (len(levels),), and the rows that are none of them, and perhaps a few more at the end.

    text: strings without nulls. None where this is no way to count them: long levels, or mostly other ones.
    """
    places = _placed(levels)
    if places is None or sys.byteorder != "little" or not len(text):
        return None
    width = "<i8" if pa.types.is_large_string(text.type) else "<i4"
    _, ends, content = text.buffers()
    if content is None or content.address % WIDE or content.size < 2 * WIDE:
        return None
    words = np.frombuffer(content, dtype="<u8", count=content.size // WIDE)
    at = np.frombuffer(ends, dtype=width)[text.offset : text.offset + len(text) + 1]
    # A text is read from the word that it begins in and from the next; where there is none, somebody else counts.
    rows = int(at[:-1].searchsorted((len(words) - 1) * WIDE))
    counts = np.zeros(1 << SLOTS, dtype=np.int64)
    left = []
    # Written over from block to block: memory asked for anew costs as much as what is done in it.
    room = _Room(*np.empty((4, min(BLOCK, rows)), dtype="<u8"))
    for first in range(0, rows, BLOCK):
        some = at[first : min(first + BLOCK, rows) + 1].astype(np.int64, copy=False)
        if len(some) <= len(room.keys):
            room = _Room(*(part[: len(some) - 1] for part in room))
        keys = _keys(some, words, room)
        spots = np.multiply(keys, places.factor, out=room.other)
        spots >>= np.uint64(64 - SLOTS)
        indices = spots.view(np.int64)
        counts += np.bincount(indices, minlength=1 << SLOTS)
        strange = np.flatnonzero(places.held.take(indices, out=room.word, mode="clip") != keys)
        if len(strange):
            if not first and 2 * len(strange) > len(some):
                return None
            np.subtract.at(counts, indices[strange], 1)
            left.append(strange + first)
    left.append(np.arange(rows, len(text)))
    rest = np.concatenate(left)
    chosen = pa.Array.from_buffers(pa.int64(), len(rest), [None, pa.py_buffer(rest.astype("<i8"))])
    return counts[places.order], text.take(chosen)


def _keys(at: Vector, words: Vector, room: _Room) -> Vector:
    """The texts between these bounds as numbers, shape (len(at) - 1,), in `room.keys`."""
    keys, other, shift = room.keys, room.other, room.shift
    begin, bits, word = at[:-1], shift.view(np.int64), room.word.view(np.int64)
    np.right_shift(begin, 3, out=word)
    words.take(word, out=keys, mode="clip")
    words[1:].take(word, out=other, mode="clip")
    np.left_shift(begin, 3, out=bits)
    bits &= 63
    keys >>= shift
    # Beside a word's own beginning nothing comes from the next: numpy shifts by 64 to 0.
    np.subtract(64, bits, out=bits)
    other <<= shift
    keys |= other
    size = np.subtract(at[1:], begin, out=bits)
    keys |= FILLS.take(size, out=other, mode="clip")
    if size.max() > WIDE:
        keys[size > WIDE] = LONG
    return keys


@lru_cache(maxsize=4096)
def _placed(levels: tuple[str, ...]) -> _Places | None:
    """None where a level is too long, or no way to tell them apart at one look was found."""
    texts = [level.encode() for level in levels]
    if not texts or max(map(len, texts)) > WIDE:
        return None
    keys = np.array([int.from_bytes(each.ljust(WIDE, b"\xff"), "little") for each in texts], dtype="<u8")
    rng = np.random.default_rng(0)
    for _ in range(TRIES):
        factor = np.uint64(int(rng.integers(1 << 62)) * 2 + 1)
        order = (keys * factor >> np.uint64(64 - SLOTS)).astype(np.int64)
        if len(np.unique(order)) == len(keys):
            held = np.full(1 << SLOTS, VACANT, dtype="<u8")
            held[order] = keys
            return _Places(factor, held, order)
    return None
