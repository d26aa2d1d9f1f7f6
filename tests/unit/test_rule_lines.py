"""An error of a policy names the line it stands on; a rule can be read as a sentence."""

from __future__ import annotations

import pytest

from backends.contract import Invalid
from console.monitoring.alarms.rule_lines import numbered
from console.monitoring.alarms.rule_words import rule_words
from console.monitoring.alarms.rules import Rule, read_rules

GOOD = """# how it speaks up
[[rule]]
name = "slow"
metric = "service.p95"
above = 250
"""


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ("clear = 300\n", 6),
        ('severity = "loud"\n', 6),
        ('cooldown = "6 x"\n', 6),
        ("k = 3\nn = 2\n", 6),
        ('clear_k = "two"\n', 6),
        ("abvoe = 3\n", 6),
        ('\n[[rule]]\nname = "slow"\nmetric = "rows"\nbelow = 10\n', 8),
        ('\n[[rule]]\nname = "two"\nmetric = "servise.p95"\nabove = 1\n', 9),
        ('\n[[rule]]\nname = "two"\nmetric = "rows"\n', 7),
        ("k = = 2\n", 6),
    ],
)
def test_the_line_of_an_error(more: str, line: int) -> None:
    text = GOOD + more
    with pytest.raises(Invalid) as caught:
        read_rules(text)
    assert f"line {line}" in str(numbered(text, caught.value))


def test_an_error_of_no_rule_is_left_as_it_is() -> None:
    error = Invalid("the policy has no [[rule]]; with none nothing would ever be told", "rules")
    assert numbered("", error) is error


def test_a_rule_is_a_sentence() -> None:
    rule = Rule(name="slow", metric="service.p95", above=250, k=3, n=5, clear=200, cooldown="6h")
    said = rule_words(rule)
    assert "service.p95 above 250 ms in 3 of 5 windows" in said
    assert "over when back beyond 200" in said
    assert "silent for 6h after" in said
    assert rule_words(Rule(name="d", metric="drift")).startswith("a feature with a PSI over 0.25")
    assert "worse than the reference by 0.02" in rule_words(Rule(name="p", metric="performance", worse_by=0.02))
