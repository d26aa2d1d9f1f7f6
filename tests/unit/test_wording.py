from __future__ import annotations

import pytest

from console.wording import age, ago, duration


@pytest.mark.parametrize(
    ("before", "said", "in_a_sentence"),
    [(8, "now", "now"), (0, "now", "now"), (-50, "now", "now"), (999, "now", "now"), (1_000, "1 s", "1 s ago"),
     (150_000, "2 m", "2 m ago")],
)  # fmt: skip
def test_an_age_is_told_in_seconds_at_the_finest(before: int, said: str, in_a_sentence: str) -> None:
    assert age(1_000_000 - before, 1_000_000) == said
    assert ago(1_000_000 - before, 1_000_000) == in_a_sentence


def test_what_never_was_has_no_age() -> None:
    assert age(None) == "–"
    assert ago(None) == "–"


def test_how_long_something_took_may_be_milliseconds() -> None:
    assert duration(0.008) == "8 ms"
