"""The guard's decision: against scipy, by simulation of versions that do alike, and of those that do worse."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import pytest
from scipy import stats

from backends.entities import GateStatus, Guard
from backends.entities.service import TIME_EDGES
from console.serving.deployment.judge import GROWTH, Course, judge, worse


def course(
    rng: np.random.Generator, n: int, *, errors: float = 0.02, slower: float = 1.0, shift: float = 0.0
) -> Course:
    times = np.clip(np.digitize(rng.lognormal(0, 1, n) * slower, np.geomspace(0.05, 50, 40)), 0, 40)
    scores = np.clip(np.digitize(rng.beta(2, 5, n) + shift, np.linspace(0, 1, 21)), 0, 21)
    return Course(
        version="1",
        requests=n,
        keys=n,
        failed=int(rng.binomial(n, errors)),
        seconds=tuple(np.bincount(times, minlength=41).tolist()),
        scores=tuple(np.bincount(scores, minlength=22).tolist()),
    )


def both(one: Course, other: Course) -> Course:
    def added(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(x + y for x, y in zip(a, b, strict=True)) if a else b

    return Course(
        version="1",
        requests=one.requests + other.requests,
        keys=one.keys + other.keys,
        failed=one.failed + other.failed,
        seconds=added(one.seconds, other.seconds),
        scores=added(one.scores, other.scores),
    )


def fired(base: Course, other: Course, guard: Guard, look: int = 1) -> set[str]:
    return {each.gate for each in judge(base, other, guard, look) if each.status is GateStatus.FAIL}


def test_too_few_answers_are_not_judged() -> None:
    rng = np.random.default_rng(1)
    assert judge(course(rng, 500), course(rng, 99, errors=1.0), Guard(), 1) == ()


@pytest.mark.parametrize(
    ("harm", "gate"),
    [({"errors": 0.15}, "errors"), ({"slower": 8.0}, "latency"), ({"shift": 0.3}, "score drift")],
)
def test_each_harm_is_found_by_its_rule_alone(harm: dict[str, float], gate: str) -> None:
    rng = np.random.default_rng(2)
    base, other = course(rng, 3000), course(rng, 400, **harm)
    assert fired(base, other, Guard()) == {gate}
    off = {"errors": 0.0} if gate == "errors" else {"slow": 0.0} if gate == "latency" else {"drift": 0.0}
    assert fired(base, other, Guard(**off)) == set()
    assert gate in worse(judge(base, other, Guard(), 1))


def test_the_p_value_of_errors_is_fishers() -> None:
    base, other = Course(requests=900, keys=900, failed=9), Course(requests=100, keys=100, failed=6)
    result = next(each for each in judge(base, other, Guard(slow=0, drift=0), 1) if each.gate == "errors")
    expected = stats.fisher_exact([[6, 94], [9, 891]], alternative="greater").pvalue
    assert f"p {expected:.2g}" in result.detail


def test_a_large_difference_that_may_be_chance_warns_and_does_not_stop() -> None:
    base, other = Course(requests=120, keys=120, failed=1), Course(requests=110, keys=110, failed=4)
    (result,) = judge(base, other, Guard(slow=0, drift=0), 1)
    assert result.status is GateStatus.WARN


def test_a_small_difference_does_not_stop_however_sure() -> None:
    base, other = (
        Course(requests=1_000_000, keys=1_000_000, failed=10_000),
        Course(requests=100_000, keys=100_000, failed=1_500),
    )
    (result,) = judge(base, other, Guard(slow=0, drift=0), 1)
    assert result.status is GateStatus.PASS


def test_better_is_not_worse() -> None:
    rng = np.random.default_rng(3)
    base, other = course(rng, 2000, errors=0.2, slower=5.0), course(rng, 2000)
    assert fired(base, other, Guard(drift=0)) == set()


@pytest.mark.parametrize(("fast", "slower", "stopped"), [(0.0004, 0.0009, False), (0.0004, 0.002, True)])
def test_tenths_of_a_millisecond_stop_nobody(fast: float, slower: float, stopped: bool) -> None:
    def taking(seconds: float) -> Course:
        cells = [0] * (len(TIME_EDGES) + 1)
        cells[bisect_left(TIME_EDGES, seconds)] = 2000
        return Course(version="1", requests=2000, keys=2000, seconds=tuple(cells))

    assert fired(taking(fast), taking(slower), Guard(drift=0)) == ({"latency"} if stopped else set())


def test_versions_that_do_alike_are_taken_apart_no_more_often_than_said() -> None:
    rng = np.random.default_rng(4)
    guard = Guard(alpha=0.05, errors=1e-9, slow=1e-9, drift=1e-9, requests=50)
    courses, stopped = 150, 0
    for _ in range(courses):
        base, other, look, judged = Course(), Course(), 0, 0.0
        for _ in range(40):
            base, other = both(base, course(rng, 45)), both(other, course(rng, 5))
            if other.requests < max(guard.requests, judged * GROWTH):
                continue
            judged, look = other.requests, look + 1
            if fired(base, other, guard, look):
                stopped += 1
                break
    # With every effect taken for large, alpha alone holds: 5 % of 150, and three standard errors.
    assert stopped <= 0.05 * courses + 3 * (0.05 * 0.95 * courses) ** 0.5


def test_a_bad_version_is_found_soon() -> None:
    rng = np.random.default_rng(5)
    found_after = []
    for _ in range(9):
        base, other, look, judged = Course(), Course(), 0, 0.0
        while other.requests < 2000:
            base, other = both(base, course(rng, 90)), both(other, course(rng, 10, errors=0.10))
            if other.requests < max(100, judged * GROWTH):
                continue
            judged, look = other.requests, look + 1
            if "errors" in fired(base, other, Guard(), look):
                break
        found_after.append(other.requests)
    assert float(np.median(found_after)) <= 400
