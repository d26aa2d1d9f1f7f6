"""Short texts counted as numbers: to the row what a plain count says, whatever the texts are."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.monitoring.counted.columns import as_text, count_categorical, count_tallied, tally
from console.monitoring.counted.levels import BLOCK, WIDE, count_known
from console.monitoring.counted.profile import categorical_column, tallied_column

texts = st.text(st.sampled_from("ab\0é€\x01 "), max_size=WIDE + 2)


@given(st.sets(texts, min_size=1, max_size=20), st.lists(texts, min_size=1, max_size=80), st.data())
@settings(deadline=None, max_examples=200)
def test_texts_are_counted_as_a_plain_count_does(levels: set[str], rows: list[str], data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([pa.string(), pa.large_string()]))
    known = tuple(sorted(levels))
    rows = [*rows, *(data.draw(st.sampled_from(known)) for _ in range(len(rows) + 2))]
    first = data.draw(st.integers(0, 2))
    found = count_known(pa.array(rows, type=kind).slice(first), known)
    if found is None:
        return
    counts, rest = found
    whole = Counter(rows[first:])
    told = Counter(rest.to_pylist())
    assert {level: int(count) + told[level] for level, count in zip(known, counts, strict=True)} == {
        level: whole[level] for level in known
    }
    assert sum(counts) + len(rest) == len(rows) - first
    assert {level: count for level, count in told.items() if level not in levels} == {
        level: count for level, count in whole.items() if level not in levels
    }


@pytest.mark.parametrize("rows", [60, BLOCK - 1, 3 * BLOCK + 7])
def test_a_column_of_short_texts_fills_the_cells_that_a_count_by_value_fills(rows: int) -> None:
    rng = np.random.default_rng(rows)
    names = np.array(["EWR", "JFK", "level 12", "", "Zürich", "no", "a level that is long", "new", None], dtype=object)
    column = tallied_column("c", dict.fromkeys(["EWR", "JFK", "level 12", "", "Zürich", "no"], 100), 7)
    for kind in (pa.string(), pa.large_string()):
        text = pa.array(rng.choice(names, rows, p=[0.3, 0.2, 0.2, 0.1, 0.05, 0.05, 0.03, 0.02, 0.05]), type=kind)
        assert count_known(text.drop_null(), column.levels) is not None
        counts, new = count_categorical(text, column)
        plain = Counter(text.drop_null().to_pylist())
        expected, strange = count_tallied(plain, text.null_count, column)
        assert (counts.tolist(), new) == (expected.tolist(), strange)
        assert counts.sum() == rows
        assert tally(text) == plain


def test_long_levels_and_mostly_other_ones_are_counted_otherwise() -> None:
    rows = pa.array([f"town {n}" for n in range(500)])
    assert count_known(rows, ("town 1", "a town whose name is long")) is None
    assert count_known(rows, ("yes", "no")) is None
    column = categorical_column("c", rows.to_pandas())
    counts, new = count_categorical(as_text(rows.to_pandas()), column)
    assert (int(counts.sum()), new) == (500, {})
