"""The sample of rows that a window keeps: bounded, mergeable, and even."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from console.monitoring.feeds.sample import FILES, OWN, ROWS, keep_sample, label_sample, read_sample


def rows_of(first: int, count: int) -> tuple[pd.DataFrame, pd.Series, np.ndarray]:
    numbers = np.arange(first, first + count)
    frame = pd.DataFrame({"x": numbers.astype(float), "name": [f"n{n}" for n in numbers], "secret": "s"})
    return frame, pd.Series([f"id{n}" for n in numbers]), numbers * 1000


def keep(folder: Path, first: int, count: int, start: int = 0) -> None:
    frame, ids, at = rows_of(first, count)
    keep_sample(folder, frame, at=at, start=start, version="1", ids=ids, scores=frame["x"] / 10, redact=["secret"])


def test_a_window_keeps_no_more_than_its_share_and_nothing_redacted(tmp_path: Path) -> None:
    keep(tmp_path, 0, 3 * ROWS)
    found = read_sample(tmp_path)
    assert len(found) == ROWS
    assert "secret" not in found.columns
    assert (found[f"{OWN}score0"] == found["x"] / 10).all()


def test_the_sample_does_not_depend_on_how_the_rows_came(tmp_path: Path) -> None:
    keep(tmp_path / "whole", 0, 2000)
    for first in (1500, 0, 500, 1000, 500):  # out of order, and one part twice
        keep(tmp_path / "parts", first, 500)
    columns = ["x", f"{OWN}id", f"{OWN}at"]
    whole = read_sample(tmp_path / "whole")[columns].sort_values("x", ignore_index=True)
    parts = read_sample(tmp_path / "parts")[columns].sort_values("x", ignore_index=True)
    pd.testing.assert_frame_equal(whole, parts)


def test_the_sample_is_even(tmp_path: Path) -> None:
    """The mean of a simple random sample of 500 out of 0..4999 lies within 4 standard errors of the whole's."""
    keep(tmp_path, 0, 5000)
    error = 5000 / np.sqrt(12) / np.sqrt(ROWS)
    assert abs(read_sample(tmp_path)["x"].mean() - 2499.5) < 4 * error


def test_late_labels_reach_the_sampled_rows(tmp_path: Path) -> None:
    keep(tmp_path, 0, 100)
    label_sample(tmp_path, [0], pd.Series({"id7": 1.0, "id9": 0.0, "never": 1.0}))
    found = read_sample(tmp_path).set_index(f"{OWN}id")[f"{OWN}target"]
    assert found["id7"] == 1.0
    assert found["id9"] == 0.0
    assert found.notna().sum() == 2


def test_old_windows_are_let_go(tmp_path: Path) -> None:
    for start in range(FILES + 3):
        keep(tmp_path, start, 1, start=start)
    found = read_sample(tmp_path)
    assert found[f"{OWN}start"].min() == 3
    assert len(found) == FILES


def test_a_stretch_is_read_and_drawn_evenly_to_its_limit(tmp_path: Path) -> None:
    for start in range(4):
        keep(tmp_path, start * 100, 100, start=start)
    assert set(read_sample(tmp_path, since=1, until=3)[f"{OWN}start"]) == {1, 2}
    assert len(read_sample(tmp_path, limit=50)) == 50
    assert read_sample(tmp_path, since=99).empty
