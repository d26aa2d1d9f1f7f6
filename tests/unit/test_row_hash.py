"""Hashes of rows: the same everywhere, different where rows differ, even in every bit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from console.data.row_hash import hash_rows, shares_of


def one(*values: object) -> int:
    return int(hash_rows([pa.array([value]) for value in values], 1)[0])


def test_a_hash_is_the_same_in_every_version() -> None:
    """A change here moves rows between parts that people split long ago."""
    arrays = [
        pa.array([3, 1, None]),
        pa.array(["a", None, "bc"]),
        pa.array([0.5, -1.0, None]),
        pa.array([True, None, False]),
    ]
    assert hash_rows(arrays, 3).tolist() == [0xBFF59F73088FC3BB, 0xA45AC5AEE8481445, 0xBC782212AA01D0B0]
    assert hash_rows(arrays[1:2], 3, seed=7)[2] == 0x1C1250A5829374D9


def test_a_hash_hangs_on_the_values_of_its_row_alone() -> None:
    rng = np.random.default_rng(0)
    texts = [None if n % 17 == 0 else "".join(chr(97 + c) for c in rng.integers(0, 26, n % 90)) for n in range(3_000)]
    arrays = [pa.array(texts), pa.array(rng.normal(size=3_000)), pa.array(rng.integers(0, 5, 3_000))]
    whole = hash_rows(arrays, 3_000)
    for at in (0, 1, 17, 70, 89, 2_999):
        assert whole[at] == hash_rows([array.slice(at, 1) for array in arrays], 1)[0]
    assert (whole[100:200] == hash_rows([array.slice(100, 100) for array in arrays], 100)).all()
    often = pa.array(texts[:50] * 100)  # through a dictionary
    assert (hash_rows([often], 5_000)[:50] == hash_rows([often.slice(0, 50)], 50)).all()


def test_different_rows_have_different_hashes() -> None:
    numbers = pa.array(np.arange(200_000))
    words = pa.array([f"row {n}" for n in range(200_000)])
    for arrays in ([numbers], [words], [numbers, words]):
        assert len(np.unique(hash_rows(arrays, 200_000))) == 200_000
    differ = {one("ab", "c"), one("a", "bc"), one("", "abc"), one(None, "abc"), one("abc", None), one("c", "ab")}
    assert len(differ) == 6
    assert one(1) != one(1.0)
    assert one(0.0) == one(-0.0)


def test_shares_are_uniform_also_for_keys_that_are_not() -> None:
    """Chi-square over 100 cells at n = 200 000, below its 99.99 % point of 99 degrees of freedom (157)."""
    for array in (pa.array(np.arange(200_000) * 1024), pa.array([f"{n:07}" for n in range(200_000)])):
        counts = np.histogram(shares_of(hash_rows([array], 200_000)), 100, (0, 1))[0]
        assert ((counts - 2_000) ** 2 / 2_000).sum() < 157
