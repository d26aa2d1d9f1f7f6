"""Checks of what a column holds as a whole: mean, quantiles, outliers, correlation, freshness, how many rows."""

from __future__ import annotations

import datetime
import math
from typing import Any

from console.data.checks import spec
from console.data.checks.batch import Rows, shown
from console.data.checks.finding import EXAMPLES, Examiner, Finding, examines, figure, percent, share
from console.data.checks.grammar import age_seconds
from console.data.checks.rowwise import bound
from console.data.checks.source import Source, no_previous


def band(low: Any, high: Any) -> str:
    if low is None or high is None:
        return f"at most {figure(high)}" if low is None else f"at least {figure(low)}"
    return f"{figure(low)} to {figure(high)}"


def within(value: float, low: float | None, high: float | None) -> bool:
    """NaN is within nothing."""
    return not math.isnan(value) and (low is None or value >= low) and (high is None or value <= high)


class OfNumbers(Examiner):
    """Wants a column of numbers."""

    def __init__(self, check: Any, source: Source) -> None:
        super().__init__(check, source)
        self.trouble = ""
        for name in spec.columns_of(check):
            kind = source.kind(name)
            if kind not in ("", "number"):
                column = source.column(name)
                self.trouble = f"column {name} is {column.type if column else ''}; wanted numbers"


@examines(spec.Mean)
class Mean(OfNumbers):
    """Summed batch by batch, the sums exactly (`math.fsum`): within 1e-12 of the mean in one go."""

    check: spec.Mean

    def __init__(self, check: spec.Mean, source: Source) -> None:
        super().__init__(check, source)
        self.reads = () if self.trouble else (check.column,)
        self._sums: list[float] = []
        self._count = 0

    def add(self, rows: Rows) -> None:
        import numpy as np

        if self.trouble:
            return
        values, missing = rows.numbers(self.check.column), rows.missing(self.check.column)
        self._count += len(values) if missing is None else int(len(values) - np.count_nonzero(missing))
        # Missing ones are 0 among whole numbers and NaN among others.
        total = np.nansum(values) if values.dtype.kind == "f" and missing is not None else values.sum(dtype=np.float64)
        self._sums.append(float(total))

    def found(self) -> Finding:
        rule = band(self.check.min, self.check.max)
        if self.trouble or not self._count:
            return Finding(False, rule=rule, detail=self.trouble or "no value is there")
        try:
            mean = math.fsum(self._sums) / self._count
        except (OverflowError, ValueError):  # infinities of both signs
            mean = math.nan
        return Finding(
            within(mean, self.check.min, self.check.max), figure(mean), rule, rows=self._count, figures={"mean": mean}
        )


@examines(spec.Quantile)
class Quantile(OfNumbers):
    check: spec.Quantile

    def __init__(self, check: spec.Quantile, source: Source) -> None:
        super().__init__(check, source)
        self.whole = "" if self.trouble else check.column

    def found(self) -> Finding:
        import numpy as np

        rule = band(self.check.min, self.check.max)
        values = self.source.present(self.check.column) if not self.trouble else ()
        if not len(values):
            return Finding(False, rule=rule, detail=self.trouble or "no value is there")
        value = float(np.quantile(values, self.check.q, overwrite_input=True))
        return Finding(
            within(value, self.check.min, self.check.max), figure(value), rule, rows=len(values),
            figures={"quantile": value},
        )  # fmt: skip


@examines(spec.Outliers)
class Outliers(OfNumbers):
    check: spec.Outliers

    def __init__(self, check: spec.Outliers, source: Source) -> None:
        super().__init__(check, source)
        self.whole = "" if self.trouble else check.column

    def found(self) -> Finding:
        import numpy as np

        rule = f"at most {percent(self.check.share)} beyond {figure(self.check.factor)} IQR of the quartiles"
        values = self.source.present(self.check.column) if not self.trouble else ()
        if not len(values):
            return Finding(not self.trouble, "no value is there", rule, self.trouble)
        first, third = np.quantile(values, (0.25, 0.75)).tolist()
        low, high = first - self.check.factor * (third - first), third + self.check.factor * (third - first)
        failing = int(np.count_nonzero((values < low) | (values > high)))
        part = share(failing, len(values))
        return Finding(
            part <= self.check.share, percent(part), rule, f"outside {figure(low)} to {figure(high)}",
            failing=failing, rows=len(values), examples=self._examples(low, high) if failing else (),
            figures={"share": part, "low": low, "high": high},
        )  # fmt: skip

    def _examples(self, low: float, high: float) -> tuple[str, ...]:
        import numpy as np

        from console.data.checks.batch import numbers

        values = numbers(self.source.whole(self.check.column)).astype(np.float64)
        missing = self.source.whole(self.check.column).is_null().to_numpy()
        at = np.flatnonzero(((values < low) | (values > high)) & ~missing)[:EXAMPLES]
        return tuple(f"row {row}: {figure(float(values[row]))}" for row in at.tolist())


@examines(spec.Constant)
class Constant(Examiner):
    """Counts hashes until there are enough: most columns are through with their first batch."""

    check: spec.Constant

    def __init__(self, check: spec.Constant, source: Source) -> None:
        super().__init__(check, source)
        self.reads = (check.column,)
        self._seen: set[int] = set()
        self._only = ""

    def add(self, rows: Rows) -> None:
        import numpy as np

        if len(self._seen) >= self.check.distinct:
            return
        hashes, missing = rows.hashes((self.check.column,)), rows.missing(self.check.column)
        there = hashes if missing is None else hashes[~missing]
        self._seen.update(np.unique(there)[: self.check.distinct].tolist())
        if not self._only and len(there):
            self._only = rows.value(self.check.column, 0 if missing is None else int(np.flatnonzero(~missing)[0]))

    def found(self) -> Finding:
        found, wanted = len(self._seen), self.check.distinct
        value = f"{found} different value{'' if found == 1 else 's'}" if found < wanted else f"{wanted} or more"
        return Finding(
            found >= wanted, value, f"at least {wanted} different values",
            f"always {self._only}" if found == 1 else "", rows=self.source.rows,
        )  # fmt: skip


@examines(spec.Correlation)
class Correlation(OfNumbers):
    """By merged sums of products about the running means (Chan, Golub, LeVeque 1983)."""

    check: spec.Correlation

    def __init__(self, check: spec.Correlation, source: Source) -> None:
        super().__init__(check, source)
        self.reads = () if self.trouble else check.columns
        self._n = 0
        self._origin: tuple[float, float] | None = None
        self._mean = (0.0, 0.0)
        self._sums = (0.0, 0.0, 0.0)

    def add(self, rows: Rows) -> None:
        if self.trouble:
            return
        import numpy as np

        x, y = (rows.numbers(name).astype(np.float64, copy=False) for name in self.check.columns)
        lacking = [missing for name in self.check.columns if (missing := rows.missing(name)) is not None]
        if lacking:
            both = ~np.logical_or.reduce(lacking)
            x, y = x[both], y[both]
        n = len(x)
        if not n:
            return
        if self._origin is None:
            self._origin = (float(x[0]), float(y[0]))
        # From a value of its own: the digits of a large number that hardly varies would else be lost in the sums.
        x, y = x - self._origin[0], y - self._origin[1]
        mx, my = float(x.mean()), float(y.mean())
        x, y = x - mx, y - my
        dx, dy = mx - self._mean[0], my - self._mean[1]
        total = self._n + n
        part = self._n * n / total
        # Not `x @ x`: BLAS would set idle cores spinning for so little.
        fresh = (
            float((x * x).sum()) + dx * dx * part,
            float((y * y).sum()) + dy * dy * part,
            float((x * y).sum()) + dx * dy * part,
        )
        self._sums = (self._sums[0] + fresh[0], self._sums[1] + fresh[1], self._sums[2] + fresh[2])
        self._mean = (self._mean[0] + dx * n / total, self._mean[1] + dy * n / total)
        self._n = total

    def found(self) -> Finding:
        rule = band(self.check.min, self.check.max)
        spread = math.sqrt(self._sums[0]) * math.sqrt(self._sums[1])
        if self.trouble or not spread:
            return Finding(False, rule=rule, detail=self.trouble or "one of the columns does not vary")
        value = self._sums[2] / spread
        return Finding(
            within(value, self.check.min, self.check.max), figure(value), rule, rows=self._n,
            figures={"correlation": value},
        )  # fmt: skip


@examines(spec.Freshness)
class Freshness(Examiner):
    check: spec.Freshness

    def __init__(self, check: spec.Freshness, source: Source) -> None:
        super().__init__(check, source)
        self.trouble = ""
        if source.kind(check.column) not in ("", "time"):
            column = source.column(check.column)
            self.trouble = f"column {check.column} is {column.type if column else ''}; wanted dates or times"
        self.reads = () if self.trouble else (check.column,)
        self._newest: float | None = None

    def add(self, rows: Rows) -> None:
        span = rows.span(self.check.column) if not self.trouble else None
        if span is not None:
            self._newest = span[1] if self._newest is None else max(self._newest, span[1])

    def found(self) -> Finding:
        wanted = []
        if self.check.within:
            wanted.append(f"newest at most {self.check.within} old")
        if self.check.not_before is not None:
            wanted.append(f"newest not before {shown(self.check.not_before)}")
        rule = ", ".join(wanted)
        if self.trouble or self._newest is None:
            return Finding(False, rule=rule, detail=self.trouble or "no time is there")
        age = self.source.now / 1000 - self._newest / 1_000_000
        holds = True
        if self.check.within:
            holds = age <= (age_seconds(self.check.within) or 0)
        try:
            floor = bound(self.check.not_before, "time")
        except ValueError as error:
            return Finding(False, rule=rule, detail=str(error))
        if floor is not None:
            holds = holds and self._newest >= floor
        newest = datetime.datetime.fromtimestamp(self._newest / 1_000_000, datetime.UTC).replace(tzinfo=None)
        return Finding(
            holds, f"newest {newest.isoformat(' ', 'seconds')}", rule, f"{age / 86_400:.1f} days ago",
            rows=self.source.rows, figures={"age_s": age},
        )  # fmt: skip


@examines(spec.Rows)
class RowCount(Examiner):
    check: spec.Rows

    def found(self) -> Finding:
        rows = self.source.rows
        return Finding(
            within(rows, self.check.min, self.check.max), f"{rows} rows", band(self.check.min, self.check.max),
            rows=rows,
        )  # fmt: skip


@examines(spec.Volume)
class Volume(Examiner):
    check: spec.Volume

    def found(self) -> Finding:
        rule = f"falls by at most {percent(self.check.drop)}, grows by at most {percent(self.check.growth)}"
        other = self.source.other(self.check.against)
        if other is None:
            return Finding(True, f"{self.source.rows} rows", rule, no_previous(self.source))
        if not other.rows:
            return Finding(not self.source.rows, f"{self.source.rows} rows", rule, f"{other.version.ref} has no row")
        change = self.source.rows / other.rows - 1
        return Finding(
            -self.check.drop <= change <= self.check.growth, f"{change:+.1%}".replace("%", " %"), rule,
            f"{self.source.rows} rows, {other.version.ref} has {other.rows}", rows=self.source.rows,
            figures={"change": change},
        )  # fmt: skip
