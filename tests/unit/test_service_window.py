"""Service windows: what is not known stays unknown, and minutes add up to hours."""

from __future__ import annotations

import bisect
import random

import pytest

from backends.entities import ServiceWindow, merge_services
from backends.entities.service import TIME_EDGES

MINUTE = 60_000


def window(minute: int, **more: object) -> ServiceWindow:
    return ServiceWindow(source="churn", start=minute * MINUTE, end=(minute + 1) * MINUTE, **more)


def cells(seconds: list[float]) -> tuple[int, ...]:
    found = [0] * (len(TIME_EDGES) + 1)
    for each in seconds:
        found[bisect.bisect_left(TIME_EDGES, each)] += 1
    return tuple(found)


def test_what_is_not_known_is_none_and_nothing_asked_is_zero() -> None:
    unknown, idle = window(1), window(1, requests=0, errors=0, times=cells([]))
    assert (unknown.rate, unknown.error_share, unknown.p99, unknown.cpu) == (None, None, None, None)
    assert (idle.rate, idle.error_share, idle.p99) == (0.0, None, None)


def test_minutes_merge_into_what_all_their_answers_say() -> None:
    draw = random.Random(1)
    first = [draw.lognormvariate(-4, 0.5) for _ in range(900)]
    second = [draw.lognormvariate(-2, 0.5) for _ in range(100)]
    merged = merge_services(
        [
            window(1, requests=900, errors=9, times=cells(first), cpu=0.2, memory_bytes=50, versions={"1": 900}),
            window(3, requests=100, errors=1, times=cells(second), cpu=0.6, memory_bytes=90, versions={"2": 100}),
        ],
        start=0,
        end=60 * MINUTE,
    )
    assert merged is not None
    assert (merged.requests, merged.errors, merged.memory_bytes) == (1000, 10, 90)
    assert merged.versions == {"1": 900, "2": 100}
    assert merged.cpu == pytest.approx(0.4)
    assert merged.rate == pytest.approx(1000 / 120), "two minutes were looked at, not sixty"
    for share, told in ((0.5, merged.p50), (0.95, merged.p95), (0.99, merged.p99)):
        true = sorted(first + second)[int(share * 1000) - 1]
        assert told == pytest.approx(true, rel=0.25)


def test_told_quantiles_merge_to_the_largest_of_the_parts() -> None:
    parts = [window(1, requests=5, quantiles={"p99": 0.2}), window(2, requests=5, quantiles={"p99": 0.9})]
    merged = merge_services(parts, start=0, end=10 * MINUTE)
    assert merged is not None
    assert (merged.p99, merged.p50, merged.times) == (0.9, None, ())
    mixed = merge_services([*parts, window(3, requests=1, times=cells([2.0]))], start=0, end=10 * MINUTE)
    assert mixed is not None
    assert mixed.p99 == pytest.approx(2.0, rel=0.25)
    assert mixed.times == (), "the cells of one part are not those of all answers"


def test_nothing_merges_to_nothing() -> None:
    assert merge_services([], start=0, end=MINUTE) is None
