"""A query's condition in MLflow's grammar, as far as it goes.

The server is asked for a superset: every part of an AND that MLflow can say without leaving out a run that is meant.
Whoever asks looks at what comes once more, with the query itself; `exact` tells when that finds nothing to leave out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

from backends.entities import RunStatus
from backends.mlflow.names import TO_MLFLOW
from backends.query import And, Compare, In, Key, Node

DIGEST: Final = 36
"""So much of a dataset's digest MLflow keeps."""
MOST_LISTED: Final = 100
_STATUS: Final = Key("attribute", "status")


class Compiled(NamedTuple):
    text: str
    exact: bool
    experiments: frozenset[str] | None = None
    """Only these can hold what is meant; None for any."""
    dense: bool = False
    """Not exact, yet most of what the server finds is meant."""


def compile_filter(where: Node | None) -> Compiled:
    """What the server shall be asked."""
    parts: list[str] = []
    exact, dense, experiments = True, True, None
    for node in where.nodes if isinstance(where, And) else () if where is None else (where,):
        named = _experiments(node)
        if named is not None:
            experiments = named if experiments is None else experiments & named
            continue
        text, whole = _part(node)
        exact = exact and whole
        dense = dense and (whole or bool(text and _nearly(node)))
        if text:
            parts.append(text)
    return Compiled(" and ".join(parts), exact, experiments, dense and not exact)


def _experiments(node: Node) -> frozenset[str] | None:
    key = Key("attribute", "experiment")
    if isinstance(node, Compare) and node.key == key and node.op == "=":
        return frozenset({str(node.value)})
    if isinstance(node, In) and node.key == key and not node.negated:
        return frozenset(map(str, node.values))
    return None


def _nearly(node: Node) -> bool:
    """Whether what MLflow's words find beyond what is meant is little."""
    return isinstance(node, Compare | In) and node.key in (_STATUS, Key("dataset", "digest"))


def _part(node: Node) -> tuple[str, bool]:
    """(MLflow's words or nothing, whether they mean the same)."""
    if isinstance(node, In):
        return _among(node)
    if not isinstance(node, Compare):
        return "", False
    match node.key.scope:
        case "dataset" if node.key.name == "digest" and node.op == "=" and isinstance(node.value, str):
            value = _text(node.value[:DIGEST])  # of a longer one MLflow keeps the beginning
            return (f"dataset.digest = {value}", False) if value else ("", False)
        case "attribute":
            return _attribute(node)
        case "metric":
            return _metric(node)
        case "param" | "tag" if isinstance(node.value, str) and node.op in ("=", "!="):
            key, value = _key(node.key.name), _text(node.value)
            if key and value and "%" not in node.value:
                return f"{node.key.scope}s.{key} {node.op} {value}", True
    return "", False


def _among(node: In) -> tuple[str, bool]:
    """One of several. MLflow has lists for ids and digests; of its few states the others are left out instead."""
    values = [str(value) for value in node.values]
    if node.key == _STATUS:
        wanted = {status for status in RunStatus if (status.value in values) != node.negated}
        said = {TO_MLFLOW[status] for status in wanted}
        whole = all(status in wanted for status in RunStatus if TO_MLFLOW[status] in said)
        if len(said) == 1:
            return f"attributes.status = '{said.pop()}'", whole
        others = dict.fromkeys(word for word in TO_MLFLOW.values() if word not in said)
        return " and ".join(f"attributes.status != '{word}'" for word in others), whole
    if node.negated or not values or len(values) > MOST_LISTED:
        return "", False
    if node.key == Key("attribute", "id") and all(value.isalnum() and value.isascii() for value in values):
        return f"attributes.run_id IN ({_listed(values)})", True
    if node.key == Key("dataset", "digest") and all(value.isalnum() and value.isascii() for value in values):
        return f"dataset.digest IN ({_listed(value[:DIGEST] for value in values)})", False
    return "", False


def _listed(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in dict.fromkeys(values))


def _attribute(node: Compare) -> tuple[str, bool]:
    if node.key.name == "id" and node.op == "=" and isinstance(node.value, str) and node.value.isalnum():
        return f"attributes.run_id = '{node.value}'", True
    if node.key.name == "name" and node.op == "~" and str(node.value).isascii() and str(node.value):
        value = _text(f"%{node.value}%")
        plain = not set("%_") & set(str(node.value))
        return (f"attributes.run_name ILIKE {value}", plain) if value else ("", False)
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
