"""Which rows two versions share, by hashes of rows.

A row is 64 bits: among n rows, two different ones are taken for the same with probability n² / 2⁶⁵, 1e-5 at 16 million.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from backends.contract import Invalid
from console.data.row_hash import hash_rows

AT_ONCE = 1 << 24
"""Hashes of a side that are held at once; of longer ones a part after the other, each with a reading of its own."""
BATCH = 1 << 16


def compare_rows(
    first: Any,
    second: Any,
    columns: Sequence[str],
    key: Sequence[str],
    before: str,
    after: str,
    tell: Callable[[float], None],
    at_once: int = AT_ONCE,
) -> tuple[int, int, int | None] | None:
    """(rows added, rows removed, rows changed) of two `ParquetFile`s over these columns of both; None without any.

    With a key, a row is the same row where its key is; changed is None without one.
    """
    if not columns:
        return None
    longest = max(first.metadata.num_rows, second.metadata.num_rows)
    parts = max(1, -(-longest // at_once))
    added = removed = changed = 0
    for part in range(parts):
        old = _hashes(first, columns, key, part, parts, _share(tell, 2 * part, 2 * parts))
        new = _hashes(second, columns, key, part, parts, _share(tell, 2 * part + 1, 2 * parts))
        if key:
            for hashes, ref in ((old, before), (new, after)):
                doubled = int((hashes[0][1:] == hashes[0][:-1]).sum())
                if doubled:
                    raise Invalid(
                        f"{', '.join(key)} is no key of {ref}: {doubled} rows repeat one. Name columns that are unique "
                        "together, or compare without a key.",
                        "key",
                    )
            shared, at, to = np.intersect1d(old[0], new[0], assume_unique=True, return_indices=True)
            added += len(new[0]) - len(shared)
            removed += len(old[0]) - len(shared)
            changed += int((old[1][at] != new[1][to]).sum())
        else:
            more, fewer = _differences(old[0], new[0])
            added += more
            removed += fewer
    return added, removed, changed if key else None


def _share(tell: Callable[[float], None], part: int, parts: int) -> Callable[[float], None]:
    return lambda share: tell((part + share) / parts)


def _hashes(
    file: Any, columns: Sequence[str], key: Sequence[str], part: int, parts: int, tell: Callable[[float], None]
) -> tuple[Any, Any]:
    """Sorted hashes of rows (of keys, with those of the other columns beside them) that fall into this part."""
    others = [name for name in columns if name not in key]
    keys: list[Any] = [np.empty(0, np.uint64)]
    rest: list[Any] = [np.empty(0, np.uint64)]
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, columns=list(columns), use_threads=False)
        for batch in table.to_batches(max_chunksize=BATCH):
            held = {name: _plain(batch.column(name)) for name in columns}
            found = hash_rows([held[name] for name in key or columns], batch.num_rows)
            mine = (found >> np.uint64(8)) % np.uint64(parts) == part if parts > 1 else slice(None)
            keys.append(found[mine])
            if key:
                rest.append(hash_rows([held[name] for name in others], batch.num_rows)[mine])
        tell((group + 1) / file.num_row_groups)
    hashes = np.concatenate(keys)
    if not key:
        hashes.sort()
        return hashes, hashes
    order = np.argsort(hashes)
    return hashes[order], np.concatenate(rest)[order]


def _plain(array: Any) -> Any:
    import pyarrow as pa

    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _differences(old: Any, new: Any) -> tuple[int, int]:
    """How many of the sorted values are there more often after, and how many more often before."""
    first, counts = np.unique(old, return_counts=True)
    second, others = np.unique(new, return_counts=True)
    _, at, to = np.intersect1d(first, second, assume_unique=True, return_indices=True)
    same = int(np.minimum(counts[at], others[to]).sum())
    return len(new) - same, len(old) - same
