"""Rules about columns that are not what the model was trained on: how loudly, how soon again, or not at all.

`metric = "schema"` is about all of it, `schema.gone`, `schema.renamed`, `schema.retyped` and `schema.unreadable` about
one kind, and goes before it. A policy without any warns, as one with nothing but their default would. Plain Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from backends.entities import Alert, Millis
from console.monitoring.alarms.rules import SCHEMA, Rule
from console.monitoring.alarms.severity import WARN

PREFIX: Final = f"{SCHEMA}."
_DEFAULT: Final = Rule(name=SCHEMA, metric=SCHEMA, severity=WARN)


def rule_for(rules: Sequence[Rule], kind: str) -> Rule:
    """The rule that a change of this kind falls under. kind: that of a `SchemaEvent`."""
    word = kind.partition(" ")[0]
    exact = next((rule for rule in rules if rule.metric == PREFIX + word), None)
    return exact or next((rule for rule in rules if rule.metric == SCHEMA), _DEFAULT)


def is_silent(rule: Rule, over: Sequence[Millis], at: Millis) -> bool:
    """Whether nothing is to be opened at `at`. over: when the earlier alerts about the column were resolved."""
    return rule.off or bool(rule.quiet_ms and over and at < max(over) + rule.quiet_ms)


def kind_of(alert: Alert) -> str:
    """Which kind of change an alert speaks of: `gone`, `renamed`, `retyped` or `unreadable`."""
    said = alert.text.replace(repr(alert.metric.removeprefix(PREFIX)), "", 1)
    if " is not in " in said:
        return "renamed" if "renamed?" in said else "gone"
    return "retyped" if "no value is" in said else "unreadable"


def would_have_opened(rules: Sequence[Rule], alerts: Sequence[Alert]) -> list[tuple[Rule, Alert]]:
    """Of the alerts about columns that were ever opened those that these rules would have opened too, oldest first,
    each with its rule."""
    found: list[tuple[Rule, Alert]] = []
    over: dict[str, list[Millis]] = {}
    for alert in sorted(alerts, key=lambda each: each.opened_at):
        if not alert.metric.startswith(PREFIX):
            continue
        rule = rule_for(rules, kind_of(alert))
        if not is_silent(rule, over.get(alert.metric, []), alert.opened_at):
            found.append((rule, alert))
            if alert.resolved_at is not None:
                over.setdefault(alert.metric, []).append(alert.resolved_at)
    return found
