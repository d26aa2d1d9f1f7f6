"""What truly happened on the day: every row and every label, as a person would note them down. Knows no counting."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

NOON = int(pd.Timestamp("2024-10-26T12:00:00Z").timestamp() * 1000)
"""Half the day later clocks in Europe go back from 3 to 2."""
HOUR = 3_600_000
CARRIERS = ("ups", "dhl", "hermes")
GARBAGE = ("heavy", "?!", "12,5")
FIRST_ID = 1_733_000_000_000_000_000
"""Ids of 19 digits, as many services give them: more than a float can hold."""


@dataclass
class Row:
    """One prediction: what was meant, whatever it looks like in a file."""

    id: int | None
    at: int | None
    """Milliseconds since 1970 as its producer's clock said; None where nobody can read it."""
    weight: float | str | None
    """A text is one that is no number."""
    distance: float | None
    carrier: str | None
    late: str
    """The truth."""
    told: bool = False
    """The truth came with the row."""
    early: bool = False
    """Its label came before it did."""
    scored: bool = True

    def values(self) -> dict[str, Any]:
        return {"id": self.id, "weight": self.weight, "distance": self.distance, "carrier": self.carrier}


@dataclass
class Ledger:
    """Rows by monitor that meets them, and the labels in the order in which they take effect."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)
    files: int = 0
    requests: int = 0
    duplicates: int = 0


class Chance:
    """Rows out of a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self._id = FIRST_ID + seed * 1_000_000_000

    def yes(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def row(self, at: int) -> Row:
        """One that happened within the half hour before, or up to hours before."""
        rng = self.rng
        self._id += int(rng.integers(1, 9))
        moment = at - int(rng.integers(0, 1_800_000))
        if self.yes(0.03):
            moment -= int(rng.integers(0, 3 * HOUR))
        weight: float | str | None = float(rng.normal(5, 2))
        distance: float | None = float(rng.gamma(3, 100))
        carrier: str | None = str(rng.choice(CARRIERS, p=[0.5, 0.3, 0.2]))
        push = 0.6 * (weight - 5) + 0.006 * (distance - 300) + 0.8 * (carrier == "hermes")
        late = "yes" if rng.random() < 1 / (1 + np.exp(-push)) else "no"
        found = Row(self._id, moment, weight, distance, carrier, late)
        if self.yes(0.02):
            found.weight = None
        elif self.yes(0.01):
            found.weight = str(rng.choice(GARBAGE))
        elif self.yes(0.01):
            found.weight = 500.0
        if self.yes(0.02):
            found.carrier = str(rng.choice(["drone", "Überbringer", "mule, two"]))
        elif self.yes(0.02):
            found.carrier = None
        if self.yes(0.02):
            found.distance = None
        if self.yes(0.005):
            found.at = None
        if self.yes(0.005):
            found.id = None
        return found

    def rows(self, count: int, at: int) -> list[Row]:
        return [self.row(at) for _ in range(count)]
