"""Propose checks from a version that is good, as TOML to be read, cut and kept."""

from __future__ import annotations

import datetime
import json
import re
import time
from typing import Any

from backends.contract import DatasetStore
from backends.entities import Column
from console.data.checks.grammar import parse_checks
from console.data.checks.leaks import Leakage, row_hashes
from console.data.checks.propose import Proposal, outward, propose, share_allowed
from console.data.checks.relations import Relations
from console.data.checks.source import Source
from console.data.checks.spec import Leakage as LeakageCheck
from console.data.checks.table import repeated
from console.telling import Told, tell

FEWEST, MOST = 0.4, 4.0
"""Times the rows of this version: how many the next may have."""
TOLD = 0.99
"""A feature that scores higher is the label already: a bound above it would mean nothing."""


def suggest_checks(datasets: DatasetStore, ref: str, *, target: str = "", progress: Told = None) -> str:
    """TOML that this very version passes, and a random half of it too.

    `target` names the label, for leakage and balance. Distributions and what columns settle warn; all else fails.
    """
    version = datasets.version(ref)
    source = Source(datasets, version, int(time.time() * 1000))
    lines = [
        f"# Suggested from {_comment(version.ref)}, {version.rows} rows. Read it, cut it, keep it.",
        "# Bounds have room for chance and for the next file; what only warns says so.",
        "",
    ]
    steps = len(version.columns) + 2
    proposals: list[tuple[Column, Proposal]] = []
    for number, column in enumerate(version.columns):
        tell(progress, number / steps, f"column {column.name}")
        proposals.append((column, propose(source, column.name)))
    tell(progress, (steps - 2) / steps, "what columns say of each other")
    relations = Relations(source)
    apart = any(proposal.short.get("unique") for _, proposal in proposals)
    lines += _table_lines(source, [] if apart else relations.key())
    for column, proposal in proposals:
        lines += [f"[columns.{_key(column.name)}]" + (f"  # {proposal.comment}" if proposal.comment else "")]
        lines += [f"{key} = {_value(value)}" for key, value in proposal.short.items()]
        lines.append("")
    checks = [check for _, proposal in proposals for check in proposal.checks]
    checks += relations.together() + relations.settled()
    tell(progress, (steps - 1) / steps, "the label")
    if target:
        checks += _of_target(source, target)
    for check in checks:
        lines += ["[[check]]", *(f"{key} = {_value(value)}" for key, value in check.items()), ""]
    text = "\n".join(lines).rstrip() + "\n"
    parse_checks(text, f"what was suggested for {version.ref}")
    return text


def _table_lines(source: Source, key: list[str]) -> list[str]:
    names = tuple(source.names)
    again = repeated(row_hashes(source, names))[0] if names else 0
    lines = ["[table]", "strict = true", f"rows = [{int(FEWEST * source.rows)}, {int(MOST * source.rows)}]"]
    if source.rows:
        lines.append(f"duplicates = {_value(share_allowed(again, source.rows))}")
    if key:
        lines.append(f"key = {_value(key)}")
    return [*lines, ""]


def _of_target(source: Source, target: str) -> list[dict[str, Any]]:
    column = source.column(target)
    if column is None:
        return []
    checks: list[dict[str, Any]] = []
    counts = source.counts(target)
    total = sum(counts.values())
    if 2 <= len(counts) <= 20:
        least = outward(min(counts.values()) / total / 2, up=False, digits=2)
        checks.append({"kind": "balance", "column": target, "min": least})
    examiner = Leakage(LeakageCheck(target=target), source)
    for rows in source.batches(list(examiner.reads)):
        examiner.add(rows)
    scores: dict[str, float] = examiner.found().figures.get("scores", {})
    known = [name for name, score in scores.items() if score < TOLD]
    if known:
        best = max(scores[name] for name in known)
        limit = outward(best + (1 - best) * 0.3, up=True)
        check: dict[str, Any] = {"kind": "leakage", "target": target, "max": max(limit, 0.9)}
        told = [name for name, score in scores.items() if score >= TOLD]
        if told:  # they tell the label already: whoever trains has to leave them out
            check |= {"columns": known, "note": f"not looked at, as they tell the label: {', '.join(told)[:300]}"}
        checks.append(check)
    return checks


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _text(text: str) -> str:
    """A TOML string: as JSON writes it, without the one control character that JSON lets stand."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return repr(value)
