"""How far two lists of answers to the same rows differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from backends.entities import Estimate
from console.monitoring.quality.performance import wilson
from console.serving.replay.answers import Answered

TENTH: Final = 0.1


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Of pairs of answers. `changed` and `moved` shape (n,)."""

    changed: tuple[bool, ...]
    moved: tuple[float | None, ...]
    """None where the scores of the pair cannot be subtracted."""
    share: Estimate | None
    """None without pairs."""
    tolerance: float | None
    mean: float | None
    largest: float | None


def differ(
    pairs: Sequence[tuple[Answered, Answered]], comparable: Sequence[bool], tolerance: float | None = None
) -> Difference:
    """`pairs` are (before, after), `comparable` says of which the scores mean the same.

    A class has changed where it is another one; a number where it lies further away than `tolerance`, without one than
    a tenth of the standard deviation of the numbers before.
    """
    numbers = [before.value for before, _ in pairs if isinstance(before.value, float)]
    wide = tolerance
    if tolerance is None and numbers:
        wide = TENTH * _deviation(numbers)
    changed = tuple(_changed(before, after, wide or 0.0) for before, after in pairs)
    moved = tuple(
        distance(before.score, after.score) if fair else None
        for (before, after), fair in zip(pairs, comparable, strict=True)
    )
    known = [each for each in moved if each is not None]
    return Difference(
        changed=changed,
        moved=moved,
        share=wilson(sum(changed), len(pairs)) if pairs else None,
        tolerance=wide if numbers else None,
        mean=math.fsum(known) / len(known) if known else None,
        largest=max(known, default=None),
    )


def distance(one: float | tuple[float, ...] | None, other: float | tuple[float, ...] | None) -> float | None:
    """|difference| of two scores; of the probabilities of several classes their total variation distance, half the sum
    of the absolute differences (Levin & Peres, "Markov Chains and Mixing Times", 2017, proposition 4.2)."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other)
    if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        return math.fsum(abs(a - b) for a, b in zip(one, other, strict=True)) / 2
    return None


def _changed(before: Answered, after: Answered, wide: float) -> bool:
    if isinstance(before.value, float) and isinstance(after.value, float):
        return abs(before.value - after.value) > wide
    return before.value != after.value


def _deviation(numbers: Sequence[float]) -> float:
    """Standard deviation (n - 1); 0 for fewer than two."""
    if len(numbers) < 2:
        return 0.0
    mean = math.fsum(numbers) / len(numbers)
    return math.sqrt(math.fsum((each - mean) ** 2 for each in numbers) / (len(numbers) - 1))
