"""One part of a case for promotion. Values are raw: whoever writes them makes them safe for where they go."""

from __future__ import annotations

from backends.entities import CheckResult, GateResult, Record
from console.promotion.card_sections import Table


class Part(Record, frozen=True, kw_only=True):
    """A heading, its gates, then facts, results, tables and lines as they are, then a remark."""

    title: str
    gates: tuple[GateResult, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    results: tuple[CheckResult, ...] = ()
    tables: tuple[Table, ...] = ()
    lines: tuple[str, ...] = ()
    remark: str = ""
