"""What columns of a good version say of each other: which move together, which settle which, which tell rows apart.

Looked for in a sample, then held against all rows: what is proposed is true of the whole version.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from backends.entities import ColumnType
from console.data.checks.batch import numbers
from console.data.checks.propose import outward
from console.data.checks.source import Source
from console.data.checks.table import repeated

SAMPLE = 50_000
MOST_COLUMNS = 40
MOST_FOUND = 12
TOGETHER = 0.8
"""Correlation from which two columns are held to move together."""


class Relations:
    """Of one version. `hashes` are uint64 a row for each column that can be part of a key."""

    def __init__(self, source: Source) -> None:
        self.source = source
        wanted = [column for column in source.version.columns if column.type is not ColumnType.OTHER][:MOST_COLUMNS]
        self.keyed = [column.name for column in wanted if column.type is not ColumnType.FLOAT]
        self.measured = [column.name for column in wanted if column.type in (ColumnType.INT, ColumnType.FLOAT)]
        self.all = [column.name for column in wanted]
        self._hashes, self._numbers = self._first_rows()

    def _first_rows(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Hashes and numbers of the first rows: neighbours, as repeats and settled values mostly are."""
        import numpy as np

        hashes: dict[str, list[Any]] = {name: [] for name in self.all}
        floats: dict[str, list[Any]] = {name: [] for name in self.measured}
        for rows in self.source.batches(self.all):
            for name in self.all:
                hashes[name].append(rows.hashes((name,)))
            for name in self.measured:
                values = rows.numbers(name).astype(np.float64)
                missing = rows.missing(name)
                floats[name].append(values if missing is None else np.where(missing, np.nan, values))
            if rows.first + len(rows) >= SAMPLE:
                break
        return {k: _joined(v) for k, v in hashes.items()}, {k: _joined(v) for k, v in floats.items()}

    # ------------------------------------------------------------ moving together

    def together(self) -> list[dict[str, Any]]:
        """`correlation` checks for columns that move together, tightest first."""
        import numpy as np

        found: list[tuple[float, str, str]] = []
        for first, second in combinations(self.measured, 2):
            x, y = self._numbers[first], self._numbers[second]
            r = _correlation(x, y)
            if abs(r) >= TOGETHER:
                found.append((r, first, second))
        checks = []
        for r, first, second in sorted(found, key=lambda each: -abs(each[0]))[:MOST_FOUND]:
            whole = _correlation(*(_whole(self.source, name) for name in (first, second)))
            if abs(whole) < TOGETHER or np.sign(whole) != np.sign(r):
                continue
            room = 0.1 + 5 * (1 - whole * whole) / math.sqrt(max(self.source.rows / 2, 1))
            side = (
                {"min": outward(whole - room, up=False, digits=2)}
                if whole > 0
                else {"max": outward(whole + room, up=True, digits=2)}
            )
            checks.append({"kind": "correlation", "columns": [first, second], **side})
        return checks

    # ------------------------------------------------------------ settling

    def settled(self) -> list[dict[str, Any]]:
        """`determines` checks: of each column that others settle, the one by the fewest values."""
        import numpy as np

        from console.data.checks.hashing import fold

        n = len(next(iter(self._hashes.values()), ()))
        if n < 100:
            return []
        distinct = {name: len(np.unique(hashes)) for name, hashes in self._hashes.items()}
        texts = [c.name for c in self.source.version.columns if c.type is ColumnType.STRING and c.name in distinct][:6]
        singles = [((name,), self._hashes[name]) for name in self.keyed if 1 < distinct[name] <= n / 4]
        pairs = [((a, b), fold(self._hashes[a], self._hashes[b])) for a, b in combinations(texts, 2)]
        groups = [(names, hashes, len(np.unique(hashes))) for names, hashes in (*singles, *pairs)]
        groups = sorted((g for g in groups if g[2] <= n / 4), key=lambda g: (len(g[0]), g[2]))
        checks: list[dict[str, Any]] = []
        for column in self.all:
            if distinct[column] < 3 or len(checks) >= MOST_FOUND:
                continue
            for names, hashes, count in groups:
                if column in names or count < distinct[column]:
                    continue
                if len(np.unique(fold(hashes, self._hashes[column]))) == count and self._settles(names, column):
                    checks.append({"kind": "determines", "columns": list(names), "column": column, "severity": "warn"})
                    break
        return checks

    def _settles(self, names: tuple[str, ...], column: str) -> bool:
        import numpy as np

        from console.data.checks.hashing import fold

        if self.source.rows <= SAMPLE:
            return True
        groups, pairs = np.empty(0, np.uint64), np.empty(0, np.uint64)
        for rows in self.source.batches([name for name in self.all if name in (*names, column)]):
            fresh, said = rows.hashes(names), rows.hashes((column,))
            groups = np.unique(np.concatenate([groups, fresh]))
            pairs = np.unique(np.concatenate([pairs, fold(fresh, said)]))
            if len(pairs) > len(groups):
                return False
        return True

    # ------------------------------------------------------------ telling apart

    def key(self) -> list[str]:
        """The fewest columns, up to three, that tell all rows apart; empty where there are none."""
        import numpy as np

        n = len(next(iter(self._hashes.values()), ()))
        if n < 100:
            return []
        distinct = {name: len(np.unique(self._hashes[name])) for name in self.keyed}
        full = [c.name for c in self.source.version.columns if not c.nulls]
        best = sorted((name for name in self.keyed if name in full), key=lambda name: -distinct[name])[:8]
        for names in self._tries(best):
            if math.prod(distinct[name] for name in names) >= n and self._apart(names):
                return list(names)
        return []

    def _tries(self, best: list[str]) -> Iterator[tuple[str, ...]]:
        for size in (2, 3):
            yield from combinations(best, size)

    def _apart(self, names: tuple[str, ...]) -> bool:
        from console.data.checks.hashing import fold
        from console.data.checks.leaks import row_hashes

        hashes = self._hashes[names[0]]
        for name in names[1:]:
            hashes = fold(hashes, self._hashes[name])
        if repeated(hashes)[0]:
            return False
        return self.source.rows <= SAMPLE or not repeated(row_hashes(self.source, names))[0]


def _joined(parts: list[Any]) -> Any:
    import numpy as np

    return np.concatenate(parts)[:SAMPLE] if parts else np.empty(0)


def _whole(source: Source, name: str) -> Any:
    import numpy as np

    array = source.whole(name)
    values = numbers(array).astype(np.float64)
    if array.null_count:
        values = np.where(array.is_null().to_numpy(), np.nan, values)
    return values


def _correlation(x: Any, y: Any) -> float:
    import numpy as np

    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    if len(x) < 50:
        return 0.0
    x, y = x - x.mean(), y - y.mean()
    spread = math.sqrt(float((x * x).sum())) * math.sqrt(float((y * y).sum()))
    return float((x * y).sum()) / spread if spread else 0.0
