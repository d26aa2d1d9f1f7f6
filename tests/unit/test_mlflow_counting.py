"""How many runs there are, of a server that only tells whether there is one at a row."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from backends.mlflow.client_pages import RunPages
from backends.mlflow.compile_filter import Compiled

EVERY = Compiled("", exact=True)


class Fake:
    """A list of so many runs, and what was asked of it."""

    def __init__(self, runs: int, *, offsets: bool = True) -> None:
        self.runs = runs
        self.asked: list[tuple[int, int]] = []
        room: Any = SimpleNamespace(transport=SimpleNamespace(flavour=SimpleNamespace(offsets=offsets)))
        self.pages = RunPages(room, SimpleNamespace())  # type: ignore[arg-type]
        self.pages.fetch = self._fetch  # type: ignore[assignment, method-assign]

    def _fetch(self, compiled: Compiled, first: int, limit: int, deleted: bool, *_: Any) -> tuple[list[int], bool]:
        self.asked.append((first, limit))
        return list(range(self.runs)[first : first + limit]), self.runs > first + limit

    def size(self, limit: int = 10**7) -> int:
        self.asked.clear()
        return self.pages.size(EVERY, False, limit)


@pytest.mark.parametrize("runs", [0, 1, 31, 32, 33, 255, 256, 257, 5_000, 99_999, 100_000, 1_000_000])
@pytest.mark.parametrize("offsets", [True, False])
def test_the_number_is_right_whatever_it_is(runs: int, offsets: bool) -> None:
    fake = Fake(runs, offsets=offsets)
    assert fake.size() == runs
    for come in (1, 3, -2, 40, 0, -90, 500):
        fake.runs = max(0, fake.runs + come)
        assert fake.size() == fake.runs, come


def test_a_hundred_thousand_are_counted_in_few_questions_and_again_in_one() -> None:
    fake = Fake(100_000)
    fake.size()
    assert len(fake.asked) <= 30
    assert sum(limit for _, limit in fake.asked) <= 60, "each row that is read is a whole run"
    fake.runs += 5
    assert fake.size() == 100_005
    assert len(fake.asked) == 1


def test_past_the_limit_it_goes_no_further() -> None:
    fake = Fake(1_000_000)
    assert fake.size(limit=10_000) == 10_001
    assert max(first for first, _ in fake.asked) <= 10_000
    assert Fake(10_000).size(limit=10_000) == 10_000
    assert Fake(10_001).size(limit=10_000) == 10_001
