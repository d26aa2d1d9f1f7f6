"""A query's condition in MLflow's grammar, as far as it goes.

The server is asked for a superset: every part of an AND that MLflow can say without leaving out a run that is meant.
Whoever asks looks at what comes once more, with the query itself; `exact` tells when that finds nothing to leave out.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from backends.entities import RunStatus
from backends.mlflow.names import TO_MLFLOW
from backends.query import And, Compare, In, Key, Node


class Compiled(NamedTuple):
    text: str
    exact: bool
    experiments: frozenset[str] | None = None
    """Only these can hold what is meant; None for any."""


def compile_filter(where: Node | None) -> Compiled:
    """What the server shall be asked."""
    parts: list[str] = []
    exact, experiments = True, None
    for node in where.nodes if isinstance(where, And) else () if where is None else (where,):
        named = _experiments(node)
        if named is not None:
            experiments = named if experiments is None else experiments & named
            continue
        text, whole = _part(node)
        exact = exact and whole
        if text:
            parts.append(text)
    return Compiled(" and ".join(parts), exact, experiments)


def status_alternatives(where: Node | None) -> tuple[Compiled, ...]:
    """For `status in (…)` alone: one exact question for each of MLflow's states, which together find what is meant.

    Empty where the condition is another, or where MLflow's states say less than is asked.
    """
    if not isinstance(where, In) or where.negated or where.key != Key("attribute", "status"):
        return ()
    wanted = {status for status in RunStatus if status.value in where.values}
    said = dict.fromkeys(TO_MLFLOW[status] for status in sorted(wanted))
    if any(TO_MLFLOW[status] in said and status not in wanted for status in RunStatus):
        return ()
    return tuple(Compiled(f"attributes.status = '{each}'", exact=True) for each in said)


def _experiments(node: Node) -> frozenset[str] | None:
    key = Key("attribute", "experiment")
    if isinstance(node, Compare) and node.key == key and node.op == "=":
        return frozenset({str(node.value)})
    if isinstance(node, In) and node.key == key and not node.negated:
        return frozenset(map(str, node.values))
    return None


def _part(node: Node) -> tuple[str, bool]:
    """(MLflow's words or nothing, whether they mean the same)."""
    if not isinstance(node, Compare):
        return "", False
    match node.key.scope:
        case "attribute":
            return _attribute(node)
        case "metric":
            return _metric(node)
        case "param" | "tag" if isinstance(node.value, str) and node.op in ("=", "!="):
            key, value = _key(node.key.name), _text(node.value)
            if key and value and "%" not in node.value:
                return f"{node.key.scope}s.{key} {node.op} {value}", True
    return "", False


def _attribute(node: Compare) -> tuple[str, bool]:
    if node.key.name == "name" and node.op == "=":
        value = _text(str(node.value))
        return (f"attributes.run_name = {value}", True) if value else ("", False)
    if node.key.name == "status" and node.op == "=":
        try:
            status = RunStatus(str(node.value))
        except ValueError:
            return "", False
        said = TO_MLFLOW[status]
        # Others of ours look the same to MLflow.
        alone = sum(each == said for each in TO_MLFLOW.values()) == 1
        return f"attributes.status = '{said}'", alone
    return "", False


def _metric(node: Compare) -> tuple[str, bool]:
    key = _key(node.key.name)
    value = node.value
    if (
        not key
        or isinstance(value, str | bool)
        or not math.isfinite(value)
        or node.op not in ("=", ">", ">=", "<", "<=")
    ):
        return "", False
    # A NaN is stored as 0, and an infinity as the largest number: only what leaves both out means the same.
    exact = (node.op == ">" and value >= 0) or (node.op in ("=", ">=") and value > 0)
    return f"metrics.{key} {node.op} {value!r}", exact


def _key(name: str) -> str:
    return "" if "`" in name or '"' in name else f"`{name}`"


def _text(value: str) -> str:
    """Quoted, or nothing where MLflow's grammar cannot quote it."""
    if "'" not in value and "\\" not in value:
        return f"'{value}'"
    return f'"{value}"' if '"' not in value and "\\" not in value else ""
