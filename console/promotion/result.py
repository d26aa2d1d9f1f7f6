"""What a gate found."""

from __future__ import annotations

from backends.entities import GateResult, GateStatus


def result(gate: str, status: GateStatus, value: str, rule: str, detail: str = "") -> GateResult:
    """`value` is what was found, `rule` what was wanted, `detail` a sentence about why."""
    return GateResult(gate=gate, status=status, value=value, rule=rule, detail=detail)
