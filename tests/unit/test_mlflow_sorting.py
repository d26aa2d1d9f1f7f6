"""Which servers are asked to sort by a metric, and what a filter is in MLflow's words."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backends.mlflow.client_sorting import Sorting
from backends.mlflow.compile_filter import compile_filter
from backends.query import RUN_FIELDS, parse
from backends.remote.state import State


def sorting(folder: Path, *, own: bool = False, seconds: float = 0.1) -> Sorting:
    folder.mkdir(exist_ok=True)
    room: Any = SimpleNamespace(
        server=SimpleNamespace(own=own), transport=SimpleNamespace(seconds=seconds), state=State(folder / "mlflow.db")
    )
    return Sorting(room)


def test_a_sort_whose_time_grows_with_the_rows_is_not_begun_and_remembered(tmp_path: Path) -> None:
    found = sorting(tmp_path)
    assert not found.may("auc", lambda rows: 0.2 + rows * 0.006, lambda rows: rows < 100_000)
    assert found.refused
    never: list[int] = []
    assert not sorting(tmp_path).may("loss", lambda rows: never.append(rows) or 0.0, lambda _: True)
    assert never == [], "another console of this machine tries nothing"


def test_a_sort_that_takes_as_long_for_more_rows_is_begun_and_not_tried_again(tmp_path: Path) -> None:
    found, tried = sorting(tmp_path), list[int]()
    assert found.may("auc", lambda rows: tried.append(rows) or 0.3, lambda _: True)
    assert found.may("auc", lambda rows: tried.append(rows) or 0.3, lambda _: True)
    assert len(tried) == 2


def test_few_rows_may_cost_more_each(tmp_path: Path) -> None:
    assert sorting(tmp_path).may("auc", lambda rows: rows * 0.0006, lambda rows: rows < 2_000)


def test_a_trial_that_is_not_answered_in_time_is_enough(tmp_path: Path) -> None:
    found = sorting(tmp_path)
    assert not found.may("auc", lambda _: None, lambda _: False)
    assert found.refused


def test_our_own_server_sorts_and_one_that_is_slow_at_all_is_not_asked(tmp_path: Path) -> None:
    assert sorting(tmp_path / "own", own=True).may("auc", lambda _: 9.0, lambda _: True)
    slow = sorting(tmp_path / "slow", seconds=1.2)
    assert not slow.may("auc", lambda _: 0.0, lambda _: False)
    assert sorting(tmp_path / "slow").may("auc", lambda _: 0.0, lambda _: False), "it was not remembered"


@pytest.mark.parametrize(
    ("text", "words", "exact", "dense"),
    [
        ("status in (running, stopping, queued)", ("FINISHED", "FAILED", "KILLED"), True, False),
        ("status in (failed, lost)", ("= 'FAILED'",), True, False),
        ("status = failed", ("= 'FAILED'",), False, True),
        ("status = finished", ("= 'FINISHED'",), True, False),
        ("id = abc123", ("run_id = 'abc123'",), True, False),
        ("id in (abc1, abc2)", ("run_id IN ('abc1', 'abc2')",), True, False),
        ("name ~ late", ("run_name ILIKE '%late%'",), True, False),
        ("name ~ 'a_b'", ("run_name ILIKE '%a_b%'",), False, False),
        (f"dataset.digest = '{'d' * 64}'", (f"dataset.digest = '{'d' * 36}'",), False, True),
        ("duration > 10s", (), False, False),
    ],
)
def test_what_mlflow_can_say_is_asked_in_one_question(
    text: str, words: tuple[str, ...], exact: bool, dense: bool
) -> None:
    compiled = compile_filter(parse(text, RUN_FIELDS).where)
    assert all(word in compiled.text for word in words)
    assert (compiled.exact, compiled.dense) == (exact, dense)
