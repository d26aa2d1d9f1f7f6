"""What a promotion asks for, by model and alias: `policies.toml` beside config.toml, and in the workspace.

    [[promotion]]                       # rules that fit are laid over each other, the workspace's last
    model        = "churn*"             # a name or a pattern; every model without it
    alias        = "champion"           # likewise
    approvals    = 1                    # people besides the asking one; never less than the context's own
    expires      = "7 d"                # after so long a waiting promotion is void
    after        = "challenger"         # only a version that holds this alias, or held it before
    protected    = true                 # moved by promotion, rollback and undo alone; what holds it is not deleted
    unattended   = true                 # a trigger may promote what passes every gate; without it a person does
    override     = ["lead"]             # who may overrule a failed gate (user names, patterns); [] is nobody
    worse        = 0.005                # share of the holder's value that a candidate may be worse
    max_size     = "200 MB"             # of the model file
    latency_ms   = 20                   # for one row, the 95th percentile
    replay_changed = 0.05               # share of the replayed requests whose answer may change
    replay_failing = 0                  # replayed requests that may be left without an answer
    gates        = { baseline = "warn", audit = "require", signature = "off" }
    together     = { previous = "holder", challenger = "clear" }

A gate is taken as `fail` (its own verdict counts), `warn` (a failure is only told), `require` (a missing fact fails
too) or `off`. Naming `bias`, `data`, `callers`, `paired` or `replay` asks for them also where nobody looked. `paired`
compares the held-out rows one by one and so takes a second or two. `replay` judges what `model replay` last found, and
stands only where it is named; at most 5 % of answers may change then, and none may be missing, unless the rule says
otherwise. `loads` is whether each server that follows the alias could load the version before it moved. Without a file
no approval is wanted and every gate is taken as `fail`.

Aliases named in `together` move with a promotion, all or none: to the `version` that is promoted (and are judged by
their own rules), to the `holder` that it replaces, or are taken away from the version (`clear`). A rollback or an undo
takes them back with it.

The file beside config.toml may hold `[[serving]]` too: see `console/serving/isolated_rule.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from backends.contract import Backend, Invalid
from backends.entities import GateResult, GateStatus, Millis, Record
from console.config import config_path
from console.promotion.person import person
from console.retention.policy import byte_count
from console.retention.spans import time_span
from console.toml_form import Places, check_keys, convert, did_you_mean, parse_toml, read_toml

FILE: Final = "policies.toml"
TABLE: Final = "promotion"
COMMANDS: Final = "serving"
"""Tables that name commands: only in the user's own file, because others may write to a workspace."""
WHAT: Final = "policy"
EXPIRES: Final = "7 d"
TOLERANCE: Final = 0.005
"""A candidate may be this share of the holder's value worse on the same test rows: a tie is no reason to refuse."""

REPLAY_CHANGED: Final = 0.05
REPLAY_FAILING: Final = 0

Taken = Literal["fail", "warn", "require", "off"]
Where = Literal["version", "holder", "clear"]
GATES: Final = (
    "artifact", "types", "run", "test metrics", "baseline", "holder", "signature", "audit", "text", "type",
    "variables", "ladder", "size", "latency", "bias", "data", "paired", "callers", "replay", "loads",
)  # fmt: skip


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One `[[promotion]]`; what is None says nothing."""

    model: str = "*"
    alias: str = "*"
    approvals: int | None = None
    expires: str | None = None
    after: str | None = None
    protected: bool | None = None
    unattended: bool | None = None
    override: tuple[str, ...] | None = None
    worse: float | None = None
    max_size: str | None = None
    latency_ms: float | None = None
    replay_changed: float | None = None
    replay_failing: int | None = None
    gates: dict[str, Taken] = {}
    together: dict[str, Where] = {}

    def fits(self, model: str, alias: str) -> bool:
        return fnmatchcase(model, self.model) and fnmatchcase(alias, self.alias)


class Policy(Record, frozen=True, kw_only=True):
    """What holds for one alias of one model."""

    approvals: int = 0
    expires_ms: Millis = 7 * 86_400_000
    after: str = ""
    protected: bool = False
    unattended: bool = False
    """Triggers may promote; approvals are wanted all the same."""
    override: tuple[str, ...] | None = None
    """Patterns of user names; None lets everybody."""
    worse: float = TOLERANCE
    max_bytes: int | None = None
    latency_ms: float | None = None
    """For one row, the 95th percentile; None sets no limit."""
    replay_changed: float = REPLAY_CHANGED
    replay_failing: int = REPLAY_FAILING
    gates: dict[str, str] = msgspec.field(default_factory=dict)
    together: dict[str, str] = msgspec.field(default_factory=dict)
    """Other alias → where it goes when this one is promoted."""
    sources: tuple[str, ...] = ()
    """`file:line` of each rule that was laid over it."""

    def lets_override(self, actor: str) -> bool:
        who = person(actor)
        return self.override is None or any(
            fnmatchcase(who, pattern) or fnmatchcase(actor, pattern) for pattern in self.override
        )


def places(backend: Backend) -> tuple[Path, ...]:
    """Where policies are looked for; what is said later wins."""
    beside = config_path().with_name(FILE)
    return (beside,) if backend.home is None else (beside, backend.home / FILE)


def rules_of(backend: Backend) -> tuple[tuple[str, Rule], ...]:
    """(`file:line`, rule) in the order in which they are laid over each other. Invalid names file, line and key."""
    own = config_path().with_name(FILE)
    return tuple(each for path in places(backend) if path.exists() for each in read_rules(path, commands=path == own))


def read_rules(path: Path, *, commands: bool = True) -> tuple[tuple[str, Rule], ...]:
    """The `[[promotion]]` of a file; `commands` says whether it may name commands besides."""
    text = read_toml(path, WHAT)
    raw, where = parse_toml(text, str(path)), Places(str(path), text)
    for key in raw:
        if key == COMMANDS and commands:
            continue
        if key == COMMANDS:
            raise Invalid(
                f"{where.of(key)}: commands that serve models are taken from {config_path().with_name(FILE)} alone, "
                "not from a workspace, where others may write. Move [[serving]] there.",
                key,
            )
        if key != TABLE:
            raise Invalid(
                f"{where.of(key)}: {key!r} is not known in a {WHAT}{did_you_mean(key, (TABLE,))} Valid: [[{TABLE}]].",
                key,
            )
    tables = raw.get(TABLE, [])
    if not isinstance(tables, list):
        raise Invalid(f"{where.of(TABLE)}: rules are written as [[{TABLE}]], with two brackets.", TABLE)
    return tuple((where.of(TABLE, at), _rule(table, where, at)) for at, table in enumerate(tables))


def _rule(table: Any, where: Places, at: int) -> Rule:
    path = (TABLE, at)
    if not isinstance(table, Mapping):
        raise Invalid(f"{where.of(*path)}: a rule is a table of keys.", TABLE)
    check_keys(table, Rule, "a promotion rule", where, *path)
    rule = convert(table, Rule, "promotion", where, *path)
    for gate in rule.gates:
        if gate not in GATES:
            raise Invalid(
                f"{where.of(*path, 'gates')}: {gate!r} is no gate{did_you_mean(gate, GATES)} "
                f"Valid: {', '.join(GATES)}.",
                "gates",
            )
    empty = next((alias for alias in rule.together if not alias.strip()), None)
    if empty is not None:
        raise Invalid(f"{where.of(*path, 'together')}: an alias without a name cannot move along.", "together")
    said = (
        ("approvals", rule.approvals is not None and not 0 <= rule.approvals <= 20, "0 to 20 people are wanted"),
        ("worse", rule.worse is not None and not 0 <= rule.worse < 1, "a share from 0 to under 1 is wanted"),
        ("latency_ms", rule.latency_ms is not None and not 0 < rule.latency_ms < 1e9, "milliseconds over 0 are wanted"),
        (
            "replay_changed",
            rule.replay_changed is not None and not 0 <= rule.replay_changed <= 1,
            "a share from 0 to 1 is wanted",
        ),
        ("replay_failing", rule.replay_failing is not None and rule.replay_failing < 0, "0 or more rows are wanted"),
    )
    for key, wrong, why in said:
        if wrong:
            raise Invalid(f"{where.of(*path, key)}: {key} = {getattr(rule, key)}: {why}.", key)
    try:
        if rule.expires is not None:
            time_span(rule.expires, "expires")
        if rule.max_size is not None:
            byte_count(rule.max_size, "max_size")
    except Invalid as error:
        raise Invalid(f"{where.of(*path, error.field)}: {error}.", error.field) from None
    return rule


def policy_for(backend: Backend, model: str, alias: str) -> Policy:
    """The rules that fit, laid over each other; approvals never fewer than the context asks for."""
    found = Policy()
    for source, rule in rules_of(backend):
        if not rule.fits(model, alias):
            continue
        given = {
            "approvals": rule.approvals,
            "expires_ms": None if rule.expires is None else time_span(rule.expires, "expires"),
            "after": rule.after,
            "protected": rule.protected,
            "unattended": rule.unattended,
            "override": rule.override,
            "worse": rule.worse,
            "max_bytes": None if rule.max_size is None else byte_count(rule.max_size, "max_size"),
            "latency_ms": rule.latency_ms,
            "replay_changed": rule.replay_changed,
            "replay_failing": rule.replay_failing,
        }
        laid = {key: value for key, value in given.items() if value is not None}
        gates = {**found.gates, **rule.gates}
        together = {**found.together, **rule.together}
        together.pop(alias, None)  # a pattern may fit the very alias that it sends along
        found = msgspec.structs.replace(found, **laid, gates=gates, together=together, sources=(*found.sources, source))
    return msgspec.structs.replace(found, approvals=max(found.approvals, backend.approvals))


def taken(policy: Policy, results: tuple[GateResult, ...]) -> tuple[GateResult, ...]:
    """The gates' verdicts as the policy takes them."""
    return tuple(each for each in (_taken(policy, result) for result in results) if each is not None)


def _taken(policy: Policy, result: GateResult) -> GateResult | None:
    how = policy.gates.get(result.gate, "fail")
    if how == "off":
        return None
    if how == "warn" and result.status is GateStatus.FAIL:
        return _told(result, GateStatus.WARN, "the policy only warns of it")
    if how == "require" and result.status is GateStatus.WARN:
        return _told(result, GateStatus.FAIL, "the policy requires it")
    return result


def _told(result: GateResult, status: GateStatus, why: str) -> GateResult:
    detail = f"{result.detail}; {why}" if result.detail else why
    return msgspec.structs.replace(result, status=status, detail=detail)
