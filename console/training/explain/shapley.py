"""Shapley values of one prediction: how far each column moved it away from what is usual.

The game is the interventional one: a coalition's value is the mean score of the background rows with the coalition's
columns set to the row's own values. Up to `EXACT` columns every coalition is counted. Beyond, orders of the columns are
drawn, each with its reverse (antithetic), and a column's value is its mean change of the score when it joins; every
order adds up exactly, so the values do too.

Sources: Štrumbelj & Kononenko, "Explaining prediction models and individual predictions with feature contributions",
Knowl. Inf. Syst. 41, 2014; Lundberg & Lee, "A unified approach to interpreting model predictions", NeurIPS 2017;
Janzing et al., "Feature relevance quantification in explainable AI", AISTATS 2020 (why interventional); Mitchell et
al., "Sampling permutations for Shapley value estimation", JMLR 23, 2022 (antithetic orders).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd

EXACT: Final = 8
PAIRS: Final = 32
"""Orders that are drawn, each of them also reversed."""
CHUNK: Final = 20_000
"""Rows that are scored at a time."""

Score = Callable[[Any], Any]
"""A frame of shape (n, columns) → scores of shape (n,)."""


def shapley(
    score: Score,
    row: pd.DataFrame,
    background: pd.DataFrame,
    *,
    exact: int = EXACT,
    pairs: int = PAIRS,
    seed: int = 0,
    told: Callable[[float], None] | None = None,
) -> tuple[Any, Any, float]:
    """(values, their standard errors, mean score of the background); both shape (columns,).

    row: shape (1, columns). background: shape (m, columns) with the same columns.
    """
    game = _Game(score, row, background, told)
    if len(row.columns) <= exact:
        values = _all(game)
        return values, np.zeros_like(values), game.base
    return (*_drawn(game, pairs, np.random.default_rng(seed)), game.base)


class _Game:
    def __init__(
        self, score: Score, row: pd.DataFrame, background: pd.DataFrame, told: Callable[[float], None] | None
    ) -> None:
        self._score = score
        self._names = list(row.columns)
        self.players = len(self._names)
        # The row stands behind the background: a column of a coalition is taken from the last place.
        self._both = pd.concat([background[self._names], row], ignore_index=True)
        self._background = len(background)
        self._told = told
        self.base = float(np.mean(score(background)))

    def values(self, coalitions: Any, *, since: float = 0.0, upto: float = 1.0) -> Any:
        """The value of each coalition. coalitions: bool, shape (k, columns) → shape (k,)."""
        m, out = self._background, np.empty(len(coalitions))
        step = max(1, CHUNK // m)
        for first in range(0, len(coalitions), step):
            chosen = coalitions[first : first + step]
            usual = np.tile(np.arange(m), len(chosen))
            frame = pd.DataFrame(
                {
                    name: self._both[name].take(np.where(np.repeat(chosen[:, at], m), m, usual)).array
                    for at, name in enumerate(self._names)
                }
            )
            out[first : first + step] = np.asarray(self._score(frame)).reshape(len(chosen), m).mean(axis=1)
            if self._told is not None:
                self._told(since + (upto - since) * min(1.0, (first + step) / len(coalitions)))
        return out


def _all(game: _Game) -> Any:
    """Every coalition with its weight |S|! (d - |S| - 1)! / d!"""
    d = game.players
    numbers = np.arange(1 << d)
    coalitions = (numbers[:, None] >> np.arange(d)) & 1 == 1
    worth = game.values(coalitions)
    weights = np.array([math.factorial(k) * math.factorial(d - k - 1) / math.factorial(d) for k in range(d)])
    out = np.empty(d)
    for player in range(d):
        without = numbers[~coalitions[:, player]]
        out[player] = weights[coalitions[without].sum(axis=1)] @ (worth[without | 1 << player] - worth[without])
    return out


def _drawn(game: _Game, pairs: int, rng: np.random.Generator) -> tuple[Any, Any]:
    d = game.players
    found = np.empty((pairs, d))
    for at in range(pairs):
        order = rng.permutation(d)
        both: list[Any] = []
        for one in (order, order[::-1]):
            coalitions = np.zeros((d + 1, d), bool)
            for place, player in enumerate(one, 1):
                coalitions[place:, player] = True
            changes = np.empty(d)
            half = len(both) / 2
            worth = game.values(coalitions, since=(at + half) / pairs, upto=(at + half + 0.5) / pairs)
            changes[one] = np.diff(worth)
            both.append(changes)
        found[at] = (both[0] + both[1]) / 2
    error = found.std(axis=0, ddof=1) / math.sqrt(pairs) if pairs > 1 else np.full(d, np.nan)
    return found.mean(axis=0), error
