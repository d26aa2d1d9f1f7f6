"""What carries out one check: it is fed batches, then asked what it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from console.data.checks.spec import Check

if TYPE_CHECKING:
    from console.data.checks.batch import Rows
    from console.data.checks.source import Source

EXAMPLES = 5
"""Failing rows that a result names."""


@dataclass(frozen=True)
class Finding:
    """Whether a check holds, what was measured, and what speaks against it."""

    holds: bool
    value: str = ""
    rule: str = ""
    detail: str = ""
    failing: int | None = None
    rows: int | None = None
    examples: tuple[str, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    """What was measured, as numbers: for the tests and for JSON."""


class Examiner:
    """Carries out one check. `reads` are the columns it wants in the batches; `plain` those it wants undictionaried.

    `whole` names a column that it reads whole at the end: those that name the same one share the reading.
    """

    reads: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    whole: str = ""

    def __init__(self, check: Any, source: Source) -> None:
        self.check = check
        self.source = source

    def add(self, rows: Rows) -> None:
        """Look at a batch."""

    def found(self) -> Finding:
        """What was found, once all batches were looked at."""
        raise NotImplementedError


EXAMINERS: dict[type[Check], Callable[[Any, Any], Examiner]] = {}
"""Kind → what carries it out. The modules of the families fill it as they are imported."""


def examines(kind: type[Check]) -> Callable[[Any], Any]:
    """Registers an examiner for a kind."""

    def keep(examiner: Any) -> Any:
        EXAMINERS[kind] = examiner
        return examiner

    return keep


def share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def percent(part: float) -> str:
    """A share as `0 %`, `0.034 %`, `12 %`: never 0 where there is something, nor 100 where something lacks."""
    if part in (0, 1):
        return f"{part:.0f}00 %" if part else "0 %"
    figure = part * 100
    if figure < 0.001:
        return "< 0.001 %"
    text = f"{figure:.2g}" if figure < 10 else f"{figure:.1f}"
    return f"{'99.9' if text == '100.0' else text} %"


def figure(value: float) -> str:
    """A measured number with enough digits to be told from its bound."""
    if isinstance(value, int) or (abs(value) < 1e15 and float(value).is_integer()):
        return f"{int(value)}"
    return f"{value:.6g}"
