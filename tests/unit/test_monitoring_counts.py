"""Profiles and counts: what is stored, that it adds up, and that a screen can read it without numpy."""

from __future__ import annotations

import subprocess
import sys
from array import array
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.monitoring.counted.columns import count_features
from console.monitoring.counted.counting import add_scores, count_scores
from console.monitoring.counted.counts import Counts, add, layout_of, merge, pack, unpack
from console.monitoring.counted.profile import Profile, build_profile, load_profile

ROOT = Path(__file__).parents[2]


def wide_frame(rows: int, seed: int) -> pd.DataFrame:
    """12 numeric and 8 categorical columns."""
    rng = np.random.default_rng(seed)
    columns: dict[str, object] = {f"num_{n:02d}": rng.normal(size=rows) * (n + 1) for n in range(12)}
    columns |= {
        f"cat_{n:02d}": pd.Series(rng.choice([f"level {k}" for k in range(3 + 2 * n)], rows), dtype="str")
        for n in range(8)
    }
    return pd.DataFrame(columns)


@pytest.fixture(scope="module")
def profile() -> Profile:
    rng = np.random.default_rng(0)
    scores = rng.beta(2, 5, 4000)
    labels = (rng.random(4000) < scores).astype(int)
    return build_profile(wide_frame(20_000, 0), scores, labels, task="classification", positive=1, classes=[0, 1])


def test_a_profile_of_twenty_columns_is_a_small_file_that_reads_back(profile: Profile) -> None:
    text = profile.encode()
    assert len(text) < 60_000
    assert load_profile(text) == profile


def test_what_is_no_profile_is_refused_with_a_reason(profile: Profile) -> None:
    with pytest.raises(ValueError, match="not a reference profile"):
        load_profile(b'{"rows": "many"}')
    with pytest.raises(ValueError, match="update mlops-console"):
        load_profile(profile.encode().replace(b'"format":1', b'"format":99'))


def test_counts_of_parts_add_up_to_the_counts_of_the_whole(profile: Profile) -> None:
    layout = layout_of(profile)
    frame = wide_frame(3000, 5)
    frame.loc[:40, "cat_03"] = "unheard of"
    frame.loc[100:300, "num_02"] = np.nan
    parts = [count_features(frame.iloc[start : start + 1000], profile, layout) for start in (0, 1000, 2000)]
    assert merge(parts) == count_features(frame, profile, layout)


def test_every_column_counts_every_row(profile: Profile) -> None:
    layout = layout_of(profile)
    frame = wide_frame(777, 6).drop(columns="num_05")
    counts = count_features(frame, profile, layout)
    assert {sum(counts.column(layout, column.name)) for column in profile.columns} == {777}
    assert counts.column(layout, "num_05")[-1] == 777


def test_a_window_of_twenty_columns_packs_into_about_a_kilobyte(profile: Profile) -> None:
    layout = layout_of(profile)
    packed = pack(count_features(wide_frame(10_000, 7), profile, layout))
    assert len(packed) < 1400
    scores = np.random.default_rng(8).beta(2, 5, 10_000)
    found, sums = count_scores(scores, np.full(10_000, np.nan), profile.score, profile.task)
    assert len(pack(add_scores(unpack(packed), layout, found, sums))) < 2000


@given(
    st.lists(st.integers(0, 2**40), max_size=300),
    st.lists(st.floats(allow_nan=False), min_size=6, max_size=6),
    st.dictionaries(
        st.text(max_size=8), st.dictionaries(st.text(max_size=8), st.integers(1, 99), min_size=1), max_size=3
    ),
)
@settings(deadline=None)
def test_packing_loses_nothing(cells: list[int], sums: list[float], names: dict[str, dict[str, int]]) -> None:
    counts = Counts(layout=7, rows=3, cells=array("q", cells), sums=tuple(sums), new_levels=names)
    assert unpack(pack(counts)) == counts


@pytest.mark.parametrize("damage", [b"", b"MC1", b"hello", b"MC1\x04xxxx"])
def test_damaged_counts_are_refused(damage: bytes) -> None:
    with pytest.raises(ValueError, match="counts"):
        unpack(damage)


def test_counts_of_two_profiles_are_never_added(profile: Profile) -> None:
    other = build_profile(
        wide_frame(500, 9), np.linspace(0, 1, 100), [0, 1] * 50, task="classification", positive=1, classes=[0, 1]
    )
    first = count_features(wide_frame(10, 1), profile, layout_of(profile))
    second = count_features(wide_frame(10, 1), other, layout_of(other))
    with pytest.raises(ValueError, match="different reference profiles"):
        add(first, second)


def test_a_screen_reads_monitors_without_numpy() -> None:
    script = (
        "import sys, console.monitoring.read, console.monitoring.create, console.monitoring.scorer;"
        "print([name for name in ('numpy', 'pandas', 'pyarrow', 'scipy', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
