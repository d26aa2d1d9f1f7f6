"""Replaying requests: reading the newest rows of logs, comparing answers, judging columns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from backends.entities import Column, ColumnType
from console.serving.replay.answers import Answered
from console.serving.replay.callers import sent_columns
from console.serving.replay.compare import differ, distance
from console.serving.replay.figures import EMPTY, MISSING, REDACTED, TYPE, UNKNOWN, UNSEEN
from console.serving.replay.requests import BLOCK, Log, newest, read_line
from console.serving.rows import Shape


def line(at: int, ident: str = "", **columns: object) -> str:
    said = {"prediction.id": ident or f"r{at}", "prediction.time": at, "prediction.version": "1"}
    return json.dumps(said | {"prediction.value": "yes", "prediction.score": 0.5} | columns)


def segment(folder: Path, name: str, *lines: str, end: str = "\n") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("\n".join(lines) + end, encoding="utf-8")
    return path


def found_in(folder: Path, most: int = 100, redact: frozenset[str] = frozenset()):
    return newest((Log(deployment="live", folder=folder, redact=redact),), most)


# ---------------------------------------------------------------- the log


def test_the_newest_rows_of_several_writers_come_in_the_order_of_their_time(tmp_path: Path) -> None:
    segment(tmp_path, "a-w0-000001.jsonl", *(line(at) for at in range(0, 40, 2)))
    segment(tmp_path, "a-w1-000001.jsonl", *(line(at) for at in range(1, 40, 2)))
    assert [each.at for each in found_in(tmp_path, 7).requests] == [33, 34, 35, 36, 37, 38, 39]
    assert [each.at for each in found_in(tmp_path, 100).requests] == list(range(40))


def test_a_segment_in_writing_is_read_up_to_its_last_whole_line(tmp_path: Path) -> None:
    segment(tmp_path, "a-w0-000001.jsonl.part", line(1), line(2), line(3)[:30], end="")
    found = found_in(tmp_path)
    assert ([each.ident for each in found.requests], found.unreadable) == (["r1", "r2"], 0)


def test_a_segment_of_one_piece_of_a_line_and_an_empty_one_hold_nothing(tmp_path: Path) -> None:
    segment(tmp_path, "a-w0-000001.jsonl.part", line(1)[:20], end="")
    segment(tmp_path, "a-w0-000002.jsonl", end="")
    assert found_in(tmp_path).requests == ()


def test_lines_longer_than_what_is_read_at_once_stay_whole(tmp_path: Path) -> None:
    long = "x" * (2 * BLOCK + 17)
    segment(tmp_path, "a-w0-000001.jsonl", line(1, text="short"), line(2, text=long), line(3, text=long[:-1]), line(4))
    found = found_in(tmp_path)
    assert [len(each.columns.get("text", "")) for each in found.requests] == [5, len(long), len(long) - 1, 0]


def test_answers_of_shadows_are_no_requests(tmp_path: Path) -> None:
    segment(tmp_path / "shadow", "a-w0-000001.jsonl", line(1))
    segment(tmp_path, "a-w0-000001.jsonl", line(2))
    assert [each.at for each in found_in(tmp_path).requests] == [2]


HOSTILE = (
    "", "null", "[]", "{}", '"text"', "{" * 5000, "[" * 100_000, '{"prediction.id": 1}', "\x00\x00", "{'single': 1}",
    '{"prediction.id": "a", "prediction.time": "soon", "prediction.version": "1"}',
    '{"prediction.id": "a", "prediction.time": 1e400, "prediction.version": "1"}',
    '{"prediction.id": "a", "prediction.time": 1, "prediction.version": "1", "prediction.score": "high"}',
    '{"prediction.id": "a", "prediction.time": 1, "prediction.version": "1", "prediction.value": {"a": 1}}',
)  # fmt: skip


def test_what_is_no_row_is_counted_and_spoils_no_other(tmp_path: Path) -> None:
    segment(tmp_path, "a-w0-000001.jsonl", line(1), *HOSTILE, line(2))
    found = found_in(tmp_path)
    assert ([each.at for each in found.requests], found.unreadable) == ([1, 2], len(HOSTILE))


def test_bytes_that_are_no_text_are_no_row() -> None:
    assert read_line(b'{"prediction.id": "\xff\xfe"}') is None
    assert read_line(line(1, carrier="\x1b[2J‮").encode()) is not None


def test_what_is_redacted_today_is_not_read_from_older_lines(tmp_path: Path) -> None:
    segment(tmp_path, "a-w0-000001.jsonl", line(1, name="Ann", age=31))
    (request,) = found_in(tmp_path, redact=frozenset({"name"})).requests
    assert request.columns == {"age": 31}


# ---------------------------------------------------------------- answers


def binary(label: str, score: float) -> Answered:
    return Answered(label, score)


@pytest.mark.parametrize(("changed", "n"), [(0, 10), (1, 10), (37, 1000), (500, 500), (1, 1), (3, 40)])
def test_the_interval_of_the_share_is_wilsons(changed: int, n: int) -> None:
    pairs = [(binary("a", 0.5), binary("b" if at < changed else "a", 0.5)) for at in range(n)]
    share = differ(pairs, [True] * n).share
    oracle = binomtest(changed, n).proportion_ci(method="wilson")
    assert share is not None
    assert (share.value, share.low, share.high) == pytest.approx((changed / n, oracle.low, oracle.high))


def test_scores_are_compared_only_where_they_mean_the_same() -> None:
    pairs = [(binary("a", 0.2), binary("a", 0.5)), (binary("a", 0.1), binary("b", 0.9))]
    found = differ(pairs, [True, False])
    assert found.moved == (pytest.approx(0.3), None)
    assert (found.mean, found.largest) == (pytest.approx(0.3), pytest.approx(0.3))
    assert found.changed == (False, True)
    assert differ(pairs, [False, False]).mean is None


def test_of_several_classes_the_distance_is_half_the_sum_of_absolute_differences() -> None:
    one, other = np.random.default_rng(0).dirichlet([1, 1, 1], 2)
    # the total variation distance is the largest difference of the probability of any set of classes
    sets = [[0], [1], [2], [0, 1], [0, 2], [1, 2]]
    assert distance(tuple(one), tuple(other)) == pytest.approx(max(abs(one[s].sum() - other[s].sum()) for s in sets))
    assert distance((0.5, 0.5), (0.2, 0.3, 0.5)) is None
    assert distance(0.5, None) is None


def test_a_number_changes_by_more_than_a_tenth_of_the_deviation_or_what_is_said() -> None:
    before = [1.0, 5.0, 9.0, 2.0, 3.0]
    wide = float(np.std(before, ddof=1)) / 10
    after = [each + step for each, step in zip(before, (0, wide * 0.99, wide * 1.01, -5, 0), strict=True)]
    pairs = [(Answered(one, one), Answered(other, other)) for one, other in zip(before, after, strict=True)]
    found = differ(pairs, [True] * 5)
    assert found.changed == (False, False, True, True, False)
    assert found.tolerance == pytest.approx(wide)
    assert differ(pairs, [True] * 5, 6.0).changed == (False,) * 5
    assert found.largest == pytest.approx(5.0)


def test_nothing_to_compare_has_no_share() -> None:
    found = differ([], [])
    assert (found.share, found.mean, found.changed) == (None, None, ())


# ---------------------------------------------------------------- columns

SHAPE = Shape(
    (
        Column(name="age", type=ColumnType.INT),
        Column(name="plan", type=ColumnType.STRING),
        Column(name="since", type=ColumnType.DATETIME),
        Column(name="score", type=ColumnType.FLOAT),
    )
)
GOOD = {"age": 31.0, "plan": "basic", "since": "2024-01-02T00:00:00+00:00", "score": 0.5}


def told(records: list[dict[str, object]], gone: frozenset[str] = frozenset()) -> dict[tuple[str, str], int]:
    found = sent_columns(records, [gone] * len(records), SHAPE, {"plan": frozenset({"basic", "pro"})})
    return {(each.column, each.kind): each.rows for each in found}


def test_what_callers_send_as_the_model_wants_it_is_not_told() -> None:
    assert told([GOOD, {**GOOD, "plan": None}]) == {}


def test_columns_that_are_not_taken_not_sent_or_of_another_type_are_told() -> None:
    without = {name: value for name, value in GOOD.items() if name != "score"}
    records = [{**GOOD, "colour": "red"}, without, {**GOOD, "age": "old"}, {**GOOD, "age": 1.5}, {**GOOD, "since": "x"}]
    assert told(records) == {
        ("colour", UNKNOWN): 1, ("score", MISSING): 1, ("age", TYPE): 2, ("since", TYPE): 1,
    }  # fmt: skip


def test_unseen_texts_are_told_with_the_most_frequent_ones() -> None:
    records = [{**GOOD, "plan": plan} for plan in ("gold", "gold", "silver", "basic")]
    (found,) = sent_columns(records, [frozenset()] * 4, SHAPE, {"plan": frozenset({"basic"})})
    assert (found.kind, found.rows, found.note) == (UNSEEN, 3, "not in training: gold (2), silver (1)")
    assert str(found.status) == "warn"


def test_a_redacted_column_is_not_taken_for_one_that_is_not_sent() -> None:
    without = {name: value for name, value in GOOD.items() if name != "plan"}
    assert told([without], frozenset({"plan"})) == {("plan", REDACTED): 1}


def test_no_value_where_one_is_needed_is_told() -> None:
    shape = Shape(SHAPE.features)
    shape.required = frozenset({"age"})
    (found,) = sent_columns([{**GOOD, "age": None}], [frozenset()], shape, {})
    assert (found.column, found.kind, str(found.status)) == ("age", EMPTY, "fail")


def test_values_of_odd_kinds_are_told_by_kind_and_never_shown() -> None:
    for odd in ({"a": 1}, [1], True):
        (found,) = sent_columns([{**GOOD, "plan": odd}], [frozenset()], SHAPE, {"plan": frozenset({"basic"})})
        assert (found.kind, "is wanted" in found.note) == (TYPE, True)
