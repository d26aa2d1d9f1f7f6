"""The alert policy of a monitor: rules in TOML, each with what it watches, when it speaks up, and how loudly.

```toml
[[rule]]
name = "accuracy"            # what the alert is known by
metric = "performance"       # the model's own metric, held against the days of the reference
worse_by = 0.02              # than the reference, whole interval included
pool = 7                     # windows measured together
k = 3                        # bad windows …
n = 5                        # … of the last, before it fires
min_sample = 200             # labelled rows (or rows) a window needs to be judged
severity = "critical"        # info, warn or critical

[[rule]]
name = "slow"
metric = "service.p95"       # any key of `console.monitoring.alarms.measures`
above = 250                  # or `below`, or `worse_by`
clear = 200                  # over again only when back under this …
clear_k = 3                  # … for so many windows
cooldown = "6h"              # after it is over
runbook = "https://…"

[[rule]]
name = "columns"
metric = "schema"            # a column gone, renamed, retyped; schema.renamed and so on for one kind
severity = "critical"
cooldown = "1h"              # or off = true: nothing is told of it
```
"""

from __future__ import annotations

import difflib
import re
import tomllib

import msgspec

from backends.contract import Invalid
from backends.entities import Record
from console.monitoring.alarms.measures import check_key, worse_is_up
from console.monitoring.alarms.policy import Policy
from console.monitoring.alarms.severity import CRITICAL, INFO, WARN
from console.monitoring.quality.performance import LARGER_IS_BETTER

PERFORMANCE, DRIFT, SCHEMA = "performance", "drift", "schema"
RANKED = "ndcg"
"""The ranking metric that decides where nothing else is said."""
SCHEMA_KINDS = ("gone", "renamed", "retyped", "unreadable")
"""Metrics that are rules of their own: the primary metric over pooled windows; strongly drifted features; columns that
are not those of training."""
SEVERITIES = (INFO, WARN, CRITICAL)
MOST_RULES = 100
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Rule(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When one thing is worth an alert."""

    name: str
    metric: str
    above: float | None = None
    below: float | None = None
    worse_by: float | None = None
    """Than the reference's, in the metric's own unit; for a regression's errors as a share of it."""
    pool: int = 1
    """Windows measured together; `performance` only."""
    psi: float = 0.25
    """From which a feature counts as strongly drifted; `drift` only."""
    k: int = 1
    n: int = 1
    min_sample: int = 50
    clear: float | None = None
    """It is over only when back beyond this; the threshold itself where none is named."""
    clear_k: int | None = None
    """For so many windows in a row; `k` where none is named."""
    cooldown: str = ""
    """How long it stays silent after it was over: `90s`, `30m`, `6h`, `2d`."""
    severity: str = WARN
    segments: tuple[str, ...] = ()
    """Besides all rows also these segments; `*` for every one."""
    fdr: float = 0.05
    """With `*` in the metric: the share of false discoveries over columns and segments that is put up with."""
    runbook: str = ""
    off: bool = False
    """Nothing is told of it; `schema` only."""

    @property
    def about_schema(self) -> bool:
        return self.metric.partition(".")[0] == SCHEMA

    @property
    def threshold(self) -> float:
        return next(value for value in (self.above, self.below, self.worse_by, 0.0) if value is not None)

    @property
    def quiet_ms(self) -> int:
        return round(seconds_of(self.cooldown) * 1000) if self.cooldown else 0

    def covers(self, segment: str) -> bool:
        return not segment or "*" in self.segments or segment in self.segments


class _File(msgspec.Struct, forbid_unknown_fields=True):
    rule: list[Rule] = []


COLLAPSE = "collapse"
"""The rule that speaks up before there are windows enough for that of `PERFORMANCE`."""
FAR = 5


def default_rules(policy: Policy, *, ranked: bool = False) -> tuple[Rule, ...]:
    """Performance decides, drift warns; where rows are ranked within queries, their order decides too.

    A model that collapses is told of before `pool` windows are full: as soon as two in a row are worse by `FAR` times
    what counts as worse.
    """
    order = Rule(
        name="ranking", metric=RANKED, worse_by=policy.min_effect, k=policy.k, n=policy.n, severity=CRITICAL,
    )  # fmt: skip
    return (
        Rule(
            name=PERFORMANCE, metric=PERFORMANCE, worse_by=policy.min_effect, pool=policy.pool, k=policy.k, n=policy.n,
            min_sample=policy.min_labels, severity=CRITICAL,
        ),
        Rule(
            name=COLLAPSE, metric=PERFORMANCE, worse_by=FAR * policy.min_effect, k=2, n=2,
            min_sample=policy.min_labels, severity=CRITICAL,
        ),
        Rule(name=DRIFT, metric=DRIFT, psi=policy.psi, k=policy.drift_k, n=policy.drift_n, severity=WARN),
        *((order,) if ranked else ()),
    )  # fmt: skip


def policy_of(rule: Rule, known: Policy) -> Policy:
    """The knobs of the two rules of their own, as the code that judges them takes them."""
    if rule.metric == PERFORMANCE:
        effect = known.min_effect if rule.worse_by is None else rule.worse_by
        return msgspec.structs.replace(
            known, min_effect=effect, pool=rule.pool, k=rule.k, n=rule.n, min_labels=rule.min_sample
        )
    return msgspec.structs.replace(known, psi=rule.psi, drift_k=rule.k, drift_n=rule.n)


def read_rules(text: str) -> tuple[Rule, ...]:
    """The rules of a policy. Raises Invalid naming the rule and the key that is wrong, and what was probably meant."""
    try:
        plain = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Invalid(f"the policy is no TOML: {error}", "rules") from None
    _check_names(plain)
    try:
        found = msgspec.convert(plain, _File).rule
    except msgspec.ValidationError as error:
        raise Invalid(f"the policy: {_readable(str(error), plain)}", "rules") from None
    if not found:
        raise Invalid("the policy has no [[rule]]; with none nothing would ever be told", "rules")
    if len(found) > MOST_RULES:
        raise Invalid(f"the policy has {len(found)} rules; {MOST_RULES} are the most", "rules")
    names = [rule.name for rule in found]
    for rule in found:
        if names.count(rule.name) > 1:
            raise Invalid(f"two rules are named {rule.name!r}; alerts are told apart by it", "rules")
        _check(rule)
    return tuple(found)


def write_rules(rules: tuple[Rule, ...]) -> str:
    """The rules as TOML, what is as by default left out."""
    blank = Rule(name="", metric="")
    lines: list[str] = []
    for rule in rules:
        lines += ["[[rule]]", *(
            f"{key} = {_toml(value)}"
            for key, value in msgspec.structs.asdict(rule).items()
            if key in ("name", "metric") or value != getattr(blank, key)
        ), ""]  # fmt: skip
    return "\n".join(lines)


def seconds_of(text: str) -> float:
    """`90s`, `30m`, `6h`, `2d`, `1w`. Raises Invalid for anything else."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise Invalid(f"{text!r} is no duration: use 90s, 30m, 6h, 2d or 1w", "duration")
    return float(found[1]) * _SECONDS[found[2]]


def _check(rule: Rule) -> None:
    where = f"rule {rule.name!r}"
    if not rule.name or len(rule.name) > 100:
        raise Invalid("a rule needs a name of at most 100 characters", "name")
    if rule.severity not in SEVERITIES:
        raise Invalid(f"{where}: severity is one of {', '.join(SEVERITIES)}, and is {rule.severity!r}", "severity")
    for key in ("k", "n", "pool", "clear_k"):
        value = getattr(rule, key)
        if value is not None and not 1 <= value <= 10_000:
            raise Invalid(f"{where}: {key} is a whole number from 1 to 10 000, and is {value}", key)
    if rule.k > rule.n:
        raise Invalid(
            f"{where}: k is {rule.k} of the last n = {rule.n} windows: never reached; make n at least as large",
            "k",
        )
    if rule.cooldown:
        seconds_of(rule.cooldown)
    if not 0 < rule.fdr <= 1:
        raise Invalid(f"{where}: fdr is a share from 0 to 1, and is {rule.fdr}", "fdr")
    if rule.about_schema:
        _check_schema(rule, where)
        return
    if rule.off:
        raise Invalid(f"{where}: off is for metric = {SCHEMA!r}; another rule is off where it is left out", "off")
    if rule.metric == DRIFT:
        return
    if rule.metric != PERFORMANCE:
        try:
            check_key(rule.metric)
        except Invalid as error:
            raise Invalid(f"{where}: {error}", "metric") from None
        if rule.pool != 1:
            raise Invalid(f"{where}: pool is for metric = {PERFORMANCE!r} only", "pool")
    given = [key for key in ("above", "below", "worse_by") if getattr(rule, key) is not None]
    if len(given) != 1 and not (rule.metric == PERFORMANCE and given == []):
        said = " and ".join(given) or "none"
        raise Invalid(f"{where}: wanted one of above, below, worse_by, and there is {said}", "above")
    if rule.metric == PERFORMANCE and given and given != ["worse_by"]:
        raise Invalid(f"{where}: {PERFORMANCE} is held against the reference: use worse_by", given[0])
    if given == ["worse_by"] and rule.metric != PERFORMANCE and not has_reference(rule.metric):
        raise Invalid(f"{where}: {rule.metric} has no reference to be worse than; use above or below", "worse_by")
    if rule.clear is not None and rule.worse_by is None:
        kinder = rule.clear <= rule.threshold if rule.above is not None else rule.clear >= rule.threshold
        if not kinder:
            raise Invalid(f"{where}: clear ({rule.clear:g}) lies beyond the threshold ({rule.threshold:g})", "clear")


def _check_schema(rule: Rule, where: str) -> None:
    """A change of a column is there or not: nothing about it is counted or compared."""
    kind = rule.metric.partition(".")[2]
    if rule.metric != SCHEMA and kind not in SCHEMA_KINDS:
        raise Invalid(
            f"{where}: {rule.metric} is none of {SCHEMA}, {SCHEMA}.{f', {SCHEMA}.'.join(SCHEMA_KINDS)}", "metric"
        )
    blank, taken = Rule(name="", metric=""), ("name", "metric", "severity", "cooldown", "runbook", "off")
    odd = [key for key in Rule.__struct_fields__ if key not in taken and getattr(rule, key) != getattr(blank, key)]
    if odd:
        raise Invalid(f"{where}: {odd[0]} has no meaning for {rule.metric}; known are {', '.join(taken)}", odd[0])


def has_reference(key: str) -> bool:
    """Whether the reference has this measure too."""
    return key in LARGER_IS_BETTER or key.partition(".")[0] == "estimated"


def upwards(rule: Rule) -> bool:
    """Whether the rule speaks up when the value rises."""
    if rule.above is not None:
        return True
    return False if rule.below is not None else worse_is_up(rule.metric)


def _check_names(plain: dict[str, object]) -> None:
    """Unknown keys, with what was probably meant."""
    for key in plain:
        if key != "rule":
            raise Invalid(f"the policy has {key!r}, and only [[rule]] is known there", "rules")
    rules = plain.get("rule", [])
    for number, rule in enumerate(rules if isinstance(rules, list) else [], 1):
        if not isinstance(rule, dict):
            continue
        for key in rule:
            if key not in Rule.__struct_fields__:
                near = difflib.get_close_matches(key, Rule.__struct_fields__, 1)
                hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(Rule.__struct_fields__)}"
                raise Invalid(f"rule {number} ({rule.get('name', 'no name')}): {key!r} is not known{hint}", key)


def _readable(said: str, plain: dict[str, object]) -> str:
    """msgspec's path of the place, as a person counts rules."""
    found = re.search(r" - at `\$\.rule\[(\d+)\]\.?(\w*)", said)
    if found is None:
        return said
    rules = plain.get("rule")
    number = int(found[1])
    name = rules[number].get("name", "no name") if isinstance(rules, list) else ""
    key = f", {found[2]}" if found[2] else ""
    return f"rule {number + 1} ({name}){key}: {said[: found.start()]}"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(each) for each in value)}]"
    return msgspec.json.encode(str(value)).decode()
