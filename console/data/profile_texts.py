"""The profile of a column of texts, booleans or anything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backends.entities import Column
from console.data.profile import TOP, ColumnProfile, Room, Samples, pieces
from console.data.profile_numbers import Sorted
from console.data.sketch import DISTINCT_ERROR, Chooser, HyperLogLog, rank_error
from console.data.text_hash import text_hashes

LISTED = 100_000
"""Distinct texts that are counted one by one; a column with more is counted by 64-bit hashes of its texts."""


def profile_booleans(file: Any, column: Column, chosen: list[int]) -> ColumnProfile:
    import pyarrow.compute as pc

    samples = Samples(chosen)
    missing = yes = total = 0
    for piece in pieces(file, column.name):
        samples.look(piece)
        missing += piece.null_count
        total += len(piece)
        yes += pc.sum(piece).as_py() or 0
    counts = sorted([("false", total - missing - yes), ("true", yes)], key=lambda pair: -pair[1])
    top = tuple(pair for pair in counts if pair[1])
    return ColumnProfile(
        name=column.name, type=column.type, missing=missing, distinct=len(top), top=top, samples=samples.texts()
    )


def profile_texts(file: Any, encoded: Any, column: Column, chosen: list[int], room: Room) -> ColumnProfile:
    """Exact up to `room.exact_values` rows; else see `profile`.

    Where more than `LISTED` are distinct they are told apart by a hash of 64 bits: among n texts, two different ones
    are taken for one with probability n² / 2⁶⁵, 1e-5 at 16 million.
    """
    return _listed(encoded, column, chosen) or _hashed(file, column, chosen, room)


@dataclass(frozen=True)
class Counts:
    """How often each text is there."""

    counts: dict[str, int]
    missing: int
    rows: int
    measured: bool
    """They are texts; else what a person would read."""


def count_texts(file: Any, name: str, samples: Samples | None = None) -> Counts | None:
    """Every text of a column, in the order of first appearance; None where more than `LISTED` are distinct.

    Quick where the file was opened with the column as a dictionary.
    """
    import numpy as np
    import pyarrow as pa

    numbers: dict[str, int] = {}
    counts = np.zeros(1024, np.int64)
    missing = rows = 0
    measured = False
    for piece in pieces(file, name):
        if samples is not None:
            samples.look(piece)
        missing += piece.null_count
        rows += len(piece)
        for chunk in piece.chunks:
            measured |= is_text(chunk.type)
            if pa.types.is_boolean(chunk.type):
                chunk = chunk.cast(pa.string())
            if not pa.types.is_dictionary(chunk.type):
                chunk = as_text(chunk).dictionary_encode()
            if len(chunk.dictionary) > LISTED:
                return None
            places = [numbers.setdefault(text, len(numbers)) for text in chunk.dictionary.to_pylist()]
            if len(numbers) > LISTED:
                return None
            if len(numbers) > len(counts):
                counts = np.concatenate([counts, np.zeros(max(len(counts), len(numbers)), np.int64)])
            codes = chunk.indices.drop_null().to_numpy(zero_copy_only=False)
            counts[places] += np.bincount(codes, minlength=len(places))
    found = {text: int(counts[at]) for text, at in numbers.items() if counts[at]}
    return Counts(found, missing, rows, measured)


def _listed(file: Any, column: Column, chosen: list[int]) -> ColumnProfile | None:
    """None where too many texts are distinct."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    samples = Samples(chosen)
    found = count_texts(file, column.name, samples)
    if found is None:
        return None
    texts = list(found.counts)
    counts = np.array(list(found.counts.values()), np.int64)
    lengths = np.empty(0, int)
    if found.measured and texts:
        lengths = pc.utf8_length(pa.array(texts, pa.large_string())).to_numpy()
    order = sorted(most_tied(counts), key=lambda at: (-counts[at], texts[at]))[:TOP]
    return ColumnProfile(
        name=column.name,
        type=column.type,
        missing=found.missing,
        distinct=len(texts),
        top=tuple((texts[at], int(counts[at])) for at in order),
        shortest=int(lengths.min()) if len(lengths) else None,
        longest=int(lengths.max()) if len(lengths) else None,
        mean_length=float(np.average(lengths, weights=counts)) if len(lengths) else None,
        samples=samples.texts(),
    )


def most_tied(counts: Any) -> list[int]:
    """Places of the largest counts with all that equal the last of them, at most some thousands."""
    import numpy as np

    if len(counts) <= TOP:
        return list(range(len(counts)))
    least = np.partition(counts, len(counts) - TOP)[len(counts) - TOP]
    return [int(at) for at in np.flatnonzero(counts >= least)]


def _hashed(file: Any, column: Column, chosen: list[int], room: Room) -> ColumnProfile:
    import numpy as np
    import pyarrow.compute as pc

    total = file.metadata.num_rows
    exact = total <= room.exact_values
    chooser = None if exact else Chooser(total, room.exact_values // 2)
    sketch = HyperLogLog()
    hashes = room.array("hashes", min(total, room.exact_values), np.uint64)
    rows = room.array("rows", 0 if exact else room.exact_values, np.int64)
    ends: list[int] = []
    """Texts up to the end of each row group."""
    missing = seen = kept = characters = 0
    shortest: int | None = None
    longest: int | None = None
    samples = Samples(chosen)
    for piece in pieces(file, column.name):
        samples.look(piece)
        missing += piece.null_count
        measured = is_text(piece.type)
        for chunk in piece.chunks:
            texts = as_text(chunk.drop_null())
            if not len(texts):
                continue
            if measured:
                lengths = pc.utf8_length(texts)
                span = pc.min_max(lengths).as_py()
                shortest = span["min"] if shortest is None else min(shortest, span["min"])
                longest = span["max"] if longest is None else max(longest, span["max"])
                characters += pc.sum(lengths).as_py()
            found = text_hashes(texts)
            if chooser is not None:
                sketch.add(found)
                places = chooser.places(len(found))[: len(hashes) - kept]
                rows[kept : kept + len(places)] = places + seen
                found = found[places]
            hashes[kept : kept + len(found)] = found
            kept += len(found)
            seen += len(texts)
        ends.append(seen)
    hashes = hashes[:kept]
    ranking = room.array("values", kept, np.uint64)
    ranking[:] = hashes
    ranked = Sorted(ranking)
    share = 1.0 if exact else seen / max(kept, 1)
    top = []
    for value, count in ranked.top():
        at = int(np.flatnonzero(hashes == np.uint64(value))[0])
        top.append((_text_at(file, column.name, ends, at if exact else int(rows[at])), round(count * share)))
    return ColumnProfile(
        name=column.name,
        type=column.type,
        missing=missing,
        distinct=ranked.distinct if exact else max(ranked.distinct, sketch.count()),
        exact=exact,
        top=tuple(sorted(top, key=lambda pair: (-pair[1], pair[0]))),
        shortest=shortest,
        longest=longest,
        mean_length=characters / seen if shortest is not None and seen else None,
        samples=samples.texts(),
        rank_error=0.0 if exact else rank_error(kept),
        distinct_error=0.0 if exact else DISTINCT_ERROR,
    )


def _text_at(file: Any, name: str, ends: list[int], place: int) -> str:
    """The text with this number among those that are not missing."""
    import bisect

    group = bisect.bisect_right(ends, place)
    texts = file.read_row_group(group, columns=[name], use_threads=False).column(0).drop_null()
    return str(as_text(texts.slice(place - (ends[group - 1] if group else 0), 1).combine_chunks())[0].as_py())


def is_text(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def as_text(array: Any) -> Any:
    """The values of an array as the texts that a person would read."""
    import pyarrow as pa

    if is_text(array.type):
        return array
    return pa.array([None if value is None else str(value) for value in array.to_pylist()], pa.string())
