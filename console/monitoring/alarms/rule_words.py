"""A rule in a sentence: what it watches and when it speaks up. Plain Python."""

from __future__ import annotations

from console.monitoring.alarms.measures import unit_of
from console.monitoring.alarms.rules import DRIFT, PERFORMANCE, Rule
from console.wording import number, plural


def rule_words(rule: Rule) -> str:
    """`service.p95 above 250 ms in 3 of 5 windows, over when back under 200; silent for 6h after`"""
    if rule.about_schema:
        return _schema(rule)
    parts = [_condition(rule)]
    parts.append(f"in {rule.k} of {plural(rule.n, 'window')}" if rule.n > 1 else "in one window")
    said = [" ".join(parts)]
    if rule.pool > 1:
        said.append(f"{rule.pool} windows measured together")
    if rule.metric != DRIFT:
        said.append(f"of at least {plural(rule.min_sample, 'row')}")
    if rule.clear is not None:
        said.append(f"over when back beyond {number(rule.clear, 4)}")
    if rule.clear_k is not None:
        said.append(f"over after {plural(rule.clear_k, 'good window')}")
    if rule.cooldown:
        said.append(f"silent for {rule.cooldown} after")
    if rule.segments:
        said.append("every segment too" if "*" in rule.segments else f"segments {', '.join(rule.segments)} too")
    if "*" in rule.metric:
        said.append(f"at most {rule.fdr * 100:.0f} % false among those found")
    return ", ".join(said)


def _schema(rule: Rule) -> str:
    kind = rule.metric.partition(".")[2]
    what = f"a column that is {kind}" if kind else "a column that is not as in training"
    if rule.off:
        return f"{what}: nothing is told"
    return f"{what}{f', silent for {rule.cooldown} after' if rule.cooldown else ''}"


def _condition(rule: Rule) -> str:
    if rule.metric == DRIFT:
        return f"a feature with a PSI over {number(rule.psi, 3)}"
    unit = f" {unit_of(rule.metric)}" if unit_of(rule.metric) else ""
    what = "the model's metric" if rule.metric == PERFORMANCE else rule.metric
    if rule.above is not None:
        return f"{what} above {number(rule.above, 4)}{unit}"
    if rule.below is not None:
        return f"{what} below {number(rule.below, 4)}{unit}"
    effect = f" by {number(rule.worse_by, 4)}" if rule.worse_by is not None else ""
    return f"{what} worse than the reference{effect}"
