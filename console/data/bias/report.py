"""Bias in words: each measure against its limit, kept as a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from backends.entities import CheckResult, GateStatus, Millis, Record, Report
from console.data.bias.groups import Asked
from console.data.bias.measures import Bias, Group, Measure

KIND: Final = "bias"
PASS, WARN, FAIL = GateStatus.PASS, GateStatus.WARN, GateStatus.FAIL
_WORST: Final = {FAIL: 0, WARN: 1, PASS: 2}


class Limits(Record, frozen=True, kw_only=True):
    """What is still taken for fair. The ratio is the four-fifths rule's."""

    difference: float = 0.1
    ratio: float = 0.8


def bias_report(
    bias: Bias, asked: Asked, *, subject: str, digest: str, on: str, at: Millis, actor: str, limits: Limits
) -> Report:
    """`on` is the dataset version that was read."""
    results = sorted((_result(each, limits) for each in bias.measures), key=lambda each: _WORST[each.status])
    status = results[0].status if results else WARN
    if not results:
        words = "fewer than two groups have enough rows" if len(bias.groups) > 1 else "there is one group only"
        results = [
            CheckResult(check="groups", kind=KIND, status=WARN, value=words, rule=f"at least two of {bias.least} rows")
        ]
    figures: dict[str, Any] = {
        "asked": msgspec.to_builtins(asked), "bias": msgspec.to_builtins(bias), "on": on,
        "limits": msgspec.to_builtins(limits),
    }  # fmt: skip
    return Report(
        kind=KIND, subject=subject, status=status, at=at, actor=actor, digest=digest, definition=" × ".join(asked.by),
        results=tuple(results), figures=figures,
    )  # fmt: skip


def bias_of(report: Report) -> Bias:
    """What `bias_report` measured, read back."""
    return msgspec.convert(report.figures["bias"], Bias)


def _result(measure: Measure, limits: Limits) -> CheckResult:
    ratio = measure.ideal == 1.0
    limit = limits.ratio if ratio else limits.difference
    beyond = measure.value < limit if ratio else measure.value > limit
    surely = measure.high < limit if ratio else measure.low > limit
    status = FAIL if surely else WARN if beyond else PASS
    doubt = "the interval holds the limit: more rows would tell" if beyond and not surely else ""
    low, high = measure.between
    return CheckResult(
        check=measure.name,
        kind=KIND,
        status=status,
        value=f"{_number(measure.value)} ({_number(measure.low)} to {_number(measure.high)})",
        rule=f"at {'least' if ratio else 'most'} {limit:g}",
        detail="; ".join(filter(None, (f"between {low} and {high}", doubt))),
    )


def _number(value: float) -> str:
    return "∞" if math.isinf(value) else f"{value:.3f}"


def rate_text(group: Group, name: str) -> str:
    """`0.512 (0.498 to 0.526)`, or empty."""
    rate = group.rates.get(name)
    return f"{rate.value:.3f} ({rate.low:.3f} to {rate.high:.3f})" if rate and rate.value is not None else ""


def rates_of(groups: Sequence[Group]) -> list[str]:
    """The rates that any of the groups has, in their usual order."""
    names = dict.fromkeys(name for group in groups for name in group.rates)
    order = ("label_rate", "selection_rate", "true_positive_rate", "false_positive_rate", "accuracy")
    return [name for name in order if name in names]
