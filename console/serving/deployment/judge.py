"""Whether a version does worse than the one it is held against, by what the callers of both last got.

What is counted are keys of the split, each once (`console.serving.tally` says why): a caller who sends a thousand bad
requests is one caller. Where the split has no key, a key is a request.

Looks are repeated while requests come in. So that the whole course has the wanted probability of a false alarm, look
k has `alpha * 6 / (pi * k) ** 2` of it (the sum over all k is `alpha`), shared evenly by the rules that are on. Source:
Lan & DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70 (1983), with this spending.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from backends.entities import GateResult, GateStatus, Guard, Record
from backends.entities.service import TIME_EDGES
from console.monitoring.counted.distances import chi_square, fisher_more, psi
from console.wording import number

SLOW: Final = 0.95
"""Slow is what took longer than this share of the first target's answers."""
UNNOTICED_S: Final = 0.001
"""An edge of the cells of time. No answer is slow that comes within it: two fast models differ by tenths of a
millisecond, which nobody waits for, and a busy machine moves both by more."""
FEW: Final = 20
"""Keys: of fewer even a version that fails them all may not be stopped by its figures."""
GROWTH: Final = 1.2
"""By so much must the requests have grown since the last look for another one."""


class Course(Record, frozen=True, kw_only=True):
    """What one version did since its share was set."""

    version: str = ""
    requests: int = 0
    """Answers that it gave."""
    keys: int = 0
    """To so many keys."""
    failed: int = 0
    """Keys whose last answer had a status of 400 or more."""
    seconds: tuple[int, ...] = ()
    """Keys by the time of their last answer, in ascending cells; the same cells for both versions."""
    scores: tuple[int, ...] = ()
    """Keys by their last score, in ascending cells; the same for both."""


def judge(base: Course, other: Course, guard: Guard, look: int) -> tuple[GateResult, ...]:
    """One result a rule that is on: FAIL where the difference is larger than its effect and chance an unlikely cause.

    `look` counts from 1. No results while either has fewer answers than the guard wants.
    """
    if min(base.requests, other.requests) < guard.requests or not base.keys or not other.keys:
        return ()
    rules = [rule for rule, effect in ((_errors, guard.errors), (_slow, guard.slow), (_drift, guard.drift)) if effect]
    if not rules:
        return ()
    alpha = guard.alpha * 6 / (math.pi * look) ** 2 / len(rules)
    return tuple(rule(base, other, guard, alpha) for rule in rules)


def undecided(course: Course, results: Sequence[GateResult]) -> str:
    """The rules by which it does worse while too few callers meet it for chance to be ruled out, as one sentence; or
    empty. However often these come, they cannot stop it: somebody has to look."""
    if course.keys >= FEW:
        return ""
    found = "; ".join(f"{each.gate} {each.value}" for each in results if each.status is GateStatus.WARN)
    return f"{found}, but it has only {course.keys} callers, too few to be stopped by that" if found else ""


def worse(results: Sequence[GateResult]) -> str:
    """The rules that fired as one sentence, or empty."""
    return "; ".join(f"{each.gate} {each.value} ({each.detail})" for each in results if each.status is GateStatus.FAIL)


def _errors(base: Course, other: Course, guard: Guard, alpha: float) -> GateResult:
    p = fisher_more(other.failed, other.keys, base.failed, base.keys)
    before, after = base.failed / base.keys, other.failed / other.keys
    return _result(
        "errors",
        f"{_percent(before)} → {_percent(after)}",
        f"at most {_percent(guard.errors)} more",
        f"{other.failed} of {other.keys} against {base.failed} of {base.keys}",
        after - before > guard.errors,
        p,
        alpha,
    )


def _slow(base: Course, other: Course, guard: Guard, alpha: float) -> GateResult:
    edge = max(_cell(base.seconds, SLOW), bisect_left(TIME_EDGES, UNNOTICED_S))
    slow, slow_base = sum(other.seconds[edge + 1 :]), sum(base.seconds[edge + 1 :])
    n, m = sum(other.seconds), sum(base.seconds)
    if not n or not m:
        return _unmeasured("latency", "no times were counted")
    p = fisher_more(slow, n, slow_base, m)
    before, after = slow_base / m, slow / n
    return _result(
        "latency",
        f"{_percent(before)} → {_percent(after)} slow",
        f"at most {_percent(guard.slow)} more slower than the first target's p95 and 1 ms",
        f"{slow} of {n} against {slow_base} of {m}",
        after - before > guard.slow,
        p,
        alpha,
    )


def _drift(base: Course, other: Course, guard: Guard, alpha: float) -> GateResult:
    if not sum(base.scores) or not sum(other.scores):
        return _unmeasured("score drift", "no scores were counted")
    ours, theirs = _merged(base.scores, other.scores)
    distance = psi(ours, theirs)
    _, _, p = chi_square(ours, theirs)
    return _result(
        "score drift",
        f"PSI {number(distance, 3)}",
        f"at most {number(guard.drift, 3)}",
        f"{sum(other.scores)} scores against {sum(base.scores)}",
        distance > guard.drift,
        p,
        alpha,
    )


def _result(gate: str, value: str, rule: str, detail: str, large: bool, p: float, alpha: float) -> GateResult:
    status = GateStatus.FAIL if large and p < alpha else GateStatus.WARN if large else GateStatus.PASS
    said = f"{detail}, p {number(p, 2)}, wanted under {number(alpha, 2)}"
    return GateResult(gate=gate, status=status, value=value, rule=rule, detail=said)


def _unmeasured(gate: str, why: str) -> GateResult:
    return GateResult(gate=gate, status=GateStatus.PASS, value="not measured", detail=why)


def _cell(counts: Sequence[int], share: float) -> int:
    """The cell that holds this quantile."""
    wanted, before = share * sum(counts), 0
    for at, count in enumerate(counts):
        before += count
        if before >= wanted:
            return at
    return len(counts) - 1


def _merged(one: Sequence[int], other: Sequence[int]) -> tuple[list[int], list[int]]:
    """Neighbouring cells together until each is expected to hold five on either side: where the test's distribution
    is what it is said to be (Cochran, 1954)."""
    n, m = sum(one), sum(other)
    least = 5 * (n + m) / min(n, m)
    ours, theirs, a, b = [], [], 0, 0
    for mine, its in zip(one, other, strict=True):
        a, b = a + mine, b + its
        if a + b >= least:
            ours.append(a)
            theirs.append(b)
            a = b = 0
    if not ours:
        return [n], [m]
    ours[-1] += a
    theirs[-1] += b
    return ours, theirs


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"
