"""The command that serves what the console does not load itself: named by whoever runs the server, and by nobody else.

In `policies.toml` beside config.toml:

    [[serving]]
    model   = "churn*"                  # a name or a pattern; every model without it
    command = "/opt/churn/bin/mlflow models serve -m {path} -h {host} -p {port} --env-manager local"
    env     = ["CUDA_VISIBLE_DEVICES"]  # what else of the environment it is given; no secret goes there by itself
    health  = "/ping"                   # what answers 200 once it serves
    start_seconds = 120                 # so long it may take until then

A pickle runs code when it is loaded. Such a version is refused, unless a rule here names the command that loads it, in
an environment of its own; the console never does. It must answer MLflow's `/invocations` on `{host}:{port}` for the
model in the folder `{path}`. A file of this name in a workspace cannot name commands: others may write there.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import msgspec

from backends.contract import Invalid
from backends.entities import Record
from console.config import config_path
from console.toml_form import Places, check_keys, convert, parse_toml, read_toml

FILE: Final = "policies.toml"
TABLE: Final = "serving"
KNOWN: Final = ("path", "host", "port", "model", "version")
NEEDED: Final = ("path", "port")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


class ServingRule(Record, frozen=True, kw_only=True):
    """One `[[serving]]`."""

    command: str
    model: str = "*"
    env: tuple[str, ...] = ()
    health: str = "/ping"
    start_seconds: float = 120.0

    def words(self, **said: str) -> tuple[str, ...]:
        """The command's words with `{path}` and its like filled in; what is filled in is never split again."""
        return tuple(_PLACEHOLDER.sub(lambda found: said[found[1]], word) for word in shlex.split(self.command))


def place() -> Path:
    """The one file that may name commands: the user's own."""
    return config_path().with_name(FILE)


def serving_rule(model: str) -> ServingRule | None:
    """The last rule that fits the model, or None. Invalid names file, line and key."""
    path = place()
    rules = serving_rules(path) if path.exists() else ()
    return next((rule for _, rule in reversed(rules) if fnmatchcase(model, rule.model)), None)


def serving_rules(path: Path) -> tuple[tuple[str, ServingRule], ...]:
    """(`file:line`, rule) in the order of the file."""
    text = read_toml(path, "policy")
    raw, where = parse_toml(text, str(path)), Places(str(path), text)
    tables = raw.get(TABLE, [])
    if not isinstance(tables, list):
        raise Invalid(f"{where.of(TABLE)}: rules are written as [[{TABLE}]], with two brackets.", TABLE)
    return tuple((where.of(TABLE, at), _rule(table, where, at)) for at, table in enumerate(tables))


def _rule(table: Any, where: Places, at: int) -> ServingRule:
    if not isinstance(table, Mapping):
        raise Invalid(f"{where.of(TABLE, at)}: a rule is a table of keys.", TABLE)
    check_keys(table, ServingRule, "a serving rule", where, TABLE, at)
    if "command" not in table:
        raise Invalid(f"{where.of(TABLE, at)}: a serving rule names a command.", "command")
    rule = convert(table, ServingRule, TABLE, where, TABLE, at)
    line = where.of(TABLE, at, "command")
    try:
        words = shlex.split(rule.command)
    except ValueError as error:
        raise Invalid(f"{line}: the command cannot be read: {error}.", "command") from None
    named = _PLACEHOLDER.findall(rule.command)
    for strange in [name for name in named if name not in KNOWN]:
        raise Invalid(
            f"{line}: {{{strange}}} is not known; there are {', '.join(f'{{{each}}}' for each in KNOWN)}.", "command"
        )
    missing = [name for name in NEEDED if name not in named]
    if not words or missing:
        raise Invalid(f"{line}: the command needs {' and '.join(f'{{{each}}}' for each in missing)}.", "command")
    if not rule.health.startswith("/"):
        raise Invalid(f"{where.of(TABLE, at, 'health')}: a path such as /ping is wanted.", "health")
    if not 0 < rule.start_seconds <= 3600:
        raise Invalid(
            f"{where.of(TABLE, at, 'start_seconds')}: {rule.start_seconds:g}: up to 3600 seconds are wanted.",
            "start_seconds",
        )
    return rule


class Isolation(msgspec.Struct, frozen=True, kw_only=True):
    """How a version is served by a process that is not ours."""

    rule: ServingRule
    folder: str
    """The model's files on this machine, as MLflow laid them out."""
    url: str = ""
    """Where its process answers; empty while none was started."""
