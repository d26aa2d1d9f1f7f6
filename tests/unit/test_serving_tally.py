"""What callers are counted by, and that the guard's false stops stay within their probability when requests cluster by
caller: by simulation through the split, the shared cells and the judgement that a server uses."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator

import numpy as np
import pytest

from backends.entities import GateStatus, Guard
from console.monitoring.counted.distances import fisher_more
from console.serving.deployment.judge import GROWTH, Course, judge
from console.serving.spec import Target
from console.serving.split import Chosen, Split
from console.serving.tally import CELLS, Tally, rank

SHARED = Split((Chosen(Target(alias="champion", share=0.7), None), Chosen(Target(alias="next", share=0.3), None)))
NAMES = ("@champion", "@next")


@pytest.fixture
def tally() -> Iterator[Tally]:
    made, descriptor = Tally.made()
    yield made
    os.close(descriptor)


def courses(tally: Tally, requests: tuple[int, int]) -> tuple[Course, Course]:
    found = tally.counted(NAMES)
    one, other = (
        Course(requests=count, keys=each.keys, failed=each.failed, seconds=each.times, scores=each.scores)
        for count, each in zip(requests, found, strict=True)
    )
    return one, other


def test_a_caller_is_counted_once_by_what_it_last_got(tally: Tally) -> None:
    for _ in range(1000):
        tally.keep(7, 1, failed=True, seconds=0.01, score=0.5)
    tally.keep(8, 0, failed=True, seconds=0.01, score=0.5)
    tally.keep(8, 0, failed=False, seconds=0.01, score=0.5)
    one, other = tally.counted(NAMES)
    assert (one.keys, one.failed) == (1, 0)
    assert (other.keys, other.failed) == (1, 1)
    tally.clear()
    assert [each.keys for each in tally.counted(NAMES)] == [0, 0]


def _keep(descriptor: int, number: int) -> None:
    shared = Tally(descriptor)
    for key in range(number, 4000, 2):
        shared.keep(key, number, failed=False, seconds=0.01, score=None)


def test_processes_count_into_the_same_cells() -> None:
    tally, descriptor = Tally.made()
    workers = [multiprocessing.get_context("fork").Process(target=_keep, args=(descriptor, n)) for n in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert [each.keys for each in tally.counted(NAMES)] == [2000, 2000]
    os.close(descriptor)


def test_scores_keep_their_order_and_cells_follow_their_scale(tally: Tally) -> None:
    values = np.sort(np.random.default_rng(1).normal(0, 1e4, 500))
    ranks = [rank(float(value)) for value in values]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) > 490
    assert rank(None) == rank(float("nan")) == 0
    assert rank(float("-inf")) < rank(-1.0) < rank(0.0) < rank(1e-9) < rank(float("inf"))
    rng = np.random.default_rng(2)
    for key, value in enumerate(rng.normal(180, 5, 1000)):  # a scale at which fixed cells would see nothing
        tally.keep(key, key % 2, failed=False, seconds=0.01, score=float(value + 4 * (key % 2)))
    one, other = tally.counted(NAMES)
    assert sum(one.scores) == sum(other.scores) == 500
    assert one.scores[0] > 3 * other.scores[0]
    assert other.scores[-1] > 3 * one.scores[-1]


def test_callers_without_scores_have_none(tally: Tally) -> None:
    tally.keep(1, 0, failed=True, seconds=1.0, score=None)
    assert tally.counted(NAMES)[0].scores == ()


# ---------------------------------------------------------------- simulation


def stopped(tally: Tally, rng: np.random.Generator, keys: int, guard: Guard, *, bad: float = 0.0) -> tuple[bool, bool]:
    """Whether versions are taken apart within 3 000 requests: by callers, and were every request counted as one.

    A few callers come often, each fails, waits and scores in a way of its own, and those who come often fail more.
    `bad` is the share of requests that the second version fails besides.
    """
    tally.clear()
    weight = rng.pareto(1.2, keys) + 1
    fails = np.clip(rng.beta(0.3, 6, keys) * np.minimum(weight, 4), 0, 1)
    slow, scored = rng.exponential(0.01, keys), rng.random(keys)
    salt = int(rng.integers(1 << 60))
    picked = [SHARED.pick("live", f"{salt} {key}") for key in range(keys)]
    come = rng.choice(keys, 3000, p=weight / weight.sum())
    luck, also = rng.random(3000), rng.random(3000)
    requests, failed = [0, 0], [0, 0]
    look = judged = 0
    by_callers = by_requests = False
    for at, key in enumerate(come):
        who = picked[key]
        wrong = bool(luck[at] < fails[key] or (who.place == 1 and also[at] < bad))
        assert who.digest is not None
        tally.keep(who.digest, who.place, failed=wrong, seconds=slow[key], score=scored[key])
        requests[who.place] += 1
        failed[who.place] += wrong
        if at % 50 or requests[1] < max(guard.requests, judged * GROWTH):
            continue
        judged, look = requests[1], look + 1
        results = judge(*courses(tally, (requests[0], requests[1])), guard, look)
        by_callers |= any(each.status is GateStatus.FAIL for each in results)
        alpha = guard.alpha * 6 / (np.pi * look) ** 2
        by_requests |= fisher_more(failed[1], requests[1], failed[0], requests[0]) < alpha
        if by_callers:
            break
    return by_callers, by_requests


def test_versions_that_do_alike_are_not_taken_apart_by_callers_who_come_often(tally: Tally) -> None:
    rng = np.random.default_rng(11)
    guard = Guard(alpha=0.05, errors=1e-9, slow=1e-9, drift=1e-9, requests=50)
    found = [stopped(tally, rng, 200, guard) for _ in range(120)]
    wanted = 0.05 * 120 + 3 * (0.05 * 0.95 * 120) ** 0.5
    assert sum(by_callers for by_callers, _ in found) <= wanted
    # The same course with every request taken for independent is what this is for: it stops far too many.
    assert sum(by_requests for _, by_requests in found) > 2 * wanted


def test_a_bad_version_is_found_though_callers_come_often_and_soon_where_each_comes_once(tally: Tally) -> None:
    rng = np.random.default_rng(12)
    errors = Guard(slow=0, drift=0)
    assert sum(stopped(tally, rng, 600, errors, bad=0.25)[0] for _ in range(12)) >= 11
    for _ in range(6):
        tally.clear()
        requests = [0, 0]
        for key in range(1500):
            who = SHARED.pick("live", f"{rng.integers(1 << 60)} {key}")
            assert who.digest is not None
            wrong = bool(rng.random() < (0.12 if who.place else 0.02))
            tally.keep(who.digest, who.place, failed=wrong, seconds=0.01, score=None)
            requests[who.place] += 1
        one, other = courses(tally, (requests[0], requests[1]))
        assert one.keys + other.keys > 1490  # keys that are distinct lose next to nothing to shared cells
        assert any(each.status is GateStatus.FAIL for each in judge(one, other, errors, 4))


def test_more_callers_than_cells_take_turns_and_stay_exchangeable(tally: Tally) -> None:
    rng = np.random.default_rng(13)
    for key in range(CELLS // 4, CELLS * 5 // 4, 7):
        tally.keep(key, int(rng.random() < 0.3), failed=False, seconds=0.01, score=None)
    one, other = tally.counted(NAMES)
    assert one.keys + other.keys <= CELLS
    assert other.keys / (one.keys + other.keys) == pytest.approx(0.3, abs=0.01)
