"""Checks that each row passes or fails by itself, or beside the row before it."""

from __future__ import annotations

import datetime
import functools
from typing import Any

from console.data.checks import spec
from console.data.checks.batch import Rows, shown
from console.data.checks.finding import EXAMPLES, Examiner, Finding, examines, percent, share
from console.data.checks.source import Source


class RowWise(Examiner):
    """Counts the rows that `fails` marks, and keeps the first as examples."""

    KINDS: tuple[str, ...] = ("number", "time", "text", "other")
    """Of the column that it can look at."""
    WANTED = ""

    def __init__(self, check: Any, source: Source) -> None:
        super().__init__(check, source)
        self.reads = (check.column,) if hasattr(check, "column") else ()
        self.looked = self.failing = 0
        self.examples: list[str] = []
        self.trouble = ""
        if self.reads and source.kind(check.column) not in ("", *self.KINDS):
            column = source.column(check.column)
            self.trouble = f"column {check.column} is {column.type if column else ''}; wanted {self.WANTED}"
            self.reads = ()

    def fails(self, rows: Rows) -> Any:
        """Booleans, shape (rows,); None where no row fails."""
        raise NotImplementedError

    def example(self, rows: Rows, at: int) -> str:
        return rows.value(self.check.column, at)

    def add(self, rows: Rows) -> None:
        import numpy as np

        if self.trouble:
            return
        self.looked += len(rows)
        mask = self.fails(rows)
        if mask is None:
            return
        failing = int(np.count_nonzero(mask))
        self.failing += failing
        if failing and len(self.examples) < EXAMPLES:
            for at in np.flatnonzero(mask)[: EXAMPLES - len(self.examples)]:
                self.examples.append(f"row {rows.first + int(at)}: {self.example(rows, int(at))}")

    @property
    def tolerated(self) -> float:
        return float(getattr(self.check, "tolerance", 0.0))

    def rule(self) -> str:
        raise NotImplementedError

    def found(self) -> Finding:
        if self.trouble:
            return Finding(False, rule=self.rule(), detail=self.trouble)
        part = share(self.failing, self.looked)
        slack = f", {percent(self.tolerated)} of the rows may fail" if self.tolerated else ""
        return Finding(
            holds=part <= self.tolerated,
            value=f"{self.failing} of {self.looked} rows fail, {percent(part)}" if self.failing else "no row fails",
            rule=self.rule() + slack,
            failing=self.failing,
            rows=self.looked,
            examples=tuple(self.examples),
        )


@examines(spec.Complete)
class Complete(RowWise):
    check: spec.Complete

    def fails(self, rows: Rows) -> Any:
        return rows.missing(self.check.column)

    @property
    def tolerated(self) -> float:
        return self.check.missing

    def rule(self) -> str:
        return "no value is missing" if not self.check.missing else "values are there"

    def example(self, rows: Rows, at: int) -> str:  # noqa: ARG002
        return "missing"

    def found(self) -> Finding:
        found = super().found()
        if found.detail:
            return found
        part = share(self.failing, self.looked)
        return Finding(
            holds=part <= self.check.missing,
            value=f"{percent(part)} missing",
            rule=f"at most {percent(self.check.missing)} missing" if self.check.missing else "none missing",
            failing=self.failing,
            rows=self.looked,
            examples=found.examples,
        )


def bound(value: Any, kind: str) -> Any:
    """A bound as `Rows.numbers` has the column: microseconds for times. None stays None; what does not fit is told by
    a ValueError."""
    if value is None:
        return None
    if kind == "time":
        if isinstance(value, str):
            value = datetime.datetime.fromisoformat(value)
        if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
            value = datetime.datetime(value.year, value.month, value.day)
        if not isinstance(value, datetime.datetime):
            raise ValueError(f"{value!r} is not a time")
        zoned = value if value.tzinfo is not None else value.replace(tzinfo=datetime.UTC)
        since = zoned - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if isinstance(value, int | float):
        return value
    raise ValueError(f"{value!r} is not a number")


@examines(spec.Range)
class Range(RowWise):
    KINDS = ("number", "time")
    WANTED = "numbers, dates or times"
    check: spec.Range

    def __init__(self, check: spec.Range, source: Source) -> None:
        super().__init__(check, source)
        self.low: Any = None
        self.high: Any = None
        try:
            kind = source.kind(check.column)
            self.low, self.high = bound(check.min, kind), bound(check.max, kind)
        except ValueError as error:
            self.trouble = self.trouble or f"{error}, as column {check.column} wants"

    def fails(self, rows: Rows) -> Any:
        import numpy as np

        span = rows.span(self.check.column)
        if span is None or ((self.low is None or span[0] >= self.low) and (self.high is None or span[1] <= self.high)):
            return None
        values = rows.numbers(self.check.column)
        mask = np.zeros(len(rows), bool)
        if self.low is not None:
            mask |= values < self.low
        if self.high is not None:
            mask |= values > self.high
        missing = rows.missing(self.check.column)
        return mask if missing is None else mask & ~missing

    def rule(self) -> str:
        low, high = self.check.min, self.check.max
        if low is None or high is None:
            return f"at most {shown(high)}" if low is None else f"at least {shown(low)}"
        return f"{shown(low)} to {shown(high)}"


class OfTexts(RowWise):
    """Looks at each text; at each different one where they are few."""

    def fails(self, rows: Rows) -> Any:
        import numpy as np

        values, at = rows.texts(self.check.column)
        bad = self.bad(values)
        if not bad.any():
            return None
        mask = bad if at is None else bad[at]
        missing = rows.missing(self.check.column)
        return mask if missing is None else np.logical_and(mask, ~missing)

    def bad(self, values: Any) -> Any:
        """Booleans a text, numpy; what stands for a missing one does not matter."""
        raise NotImplementedError


@examines(spec.Set)
class Set(OfTexts):
    check: spec.Set

    def __init__(self, check: spec.Set, source: Source) -> None:
        super().__init__(check, source)
        self._texts = frozenset(shown(value) for value in check.values)
        self._numeric = source.kind(check.column) == "number"
        column = source.column(check.column)
        # A boolean is not the number 1, nor the text true, to whoever writes the set; its column is all three.
        self._bool = column is not None and column.type == "bool"

    @functools.cached_property
    def _numbers(self) -> Any:
        import numpy as np

        known: list[float] = []
        for value in self.check.values:
            if self._bool and str(value).lower() in ("true", "false"):
                known.append(float(str(value).lower() == "true"))
            elif isinstance(value, int | float):
                known.append(value)
        whole = all(float(value).is_integer() and abs(value) < 2**53 for value in known)
        return np.array(known, np.int64 if whole else np.float64)

    def fails(self, rows: Rows) -> Any:
        import numpy as np

        if not self._numeric:
            return super().fails(rows)
        mask = ~np.isin(rows.numbers(self.check.column), self._numbers)
        missing = rows.missing(self.check.column)
        if missing is not None:
            mask &= ~missing
        return mask if mask.any() else None

    def bad(self, values: Any) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        known = pa.array(sorted(self._texts), values.type if _is_text(values) else pa.string())
        return ~pc.is_in(values if _is_text(values) else values.cast(pa.string()), known).to_numpy(zero_copy_only=False)

    def rule(self) -> str:
        words = [shown(value) for value in self.check.values]
        return "one of " + ", ".join(words[:12]) + (f" and {len(words) - 12} more" if len(words) > 12 else "")


def _is_text(values: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(values.type) or pa.types.is_large_string(values.type))


@examines(spec.Regex)
class Regex(OfTexts):
    KINDS = ("text",)
    WANTED = "texts"
    check: spec.Regex

    def __init__(self, check: spec.Regex, source: Source) -> None:
        super().__init__(check, source)
        import pyarrow as pa
        import pyarrow.compute as pc

        try:
            pc.match_substring_regex(pa.array([""]), self._anchored)
        except pa.ArrowInvalid as error:
            self.trouble = self.trouble or f"the pattern {check.pattern!r} is not RE2: {error}"

    @property
    def _anchored(self) -> str:
        return rf"\A(?:{self.check.pattern})\z"

    def bad(self, values: Any) -> Any:
        import pyarrow.compute as pc

        return ~pc.fill_null(pc.match_substring_regex(values, self._anchored), True).to_numpy(zero_copy_only=False)

    def rule(self) -> str:
        return f"matches {self.check.pattern}"


@examines(spec.Length)
class Length(OfTexts):
    KINDS = ("text",)
    WANTED = "texts"
    check: spec.Length

    def bad(self, values: Any) -> Any:
        import numpy as np
        import pyarrow.compute as pc

        sizes = pc.fill_null(pc.utf8_length(values), 0).to_numpy(zero_copy_only=False)
        mask = np.zeros(len(sizes), bool)
        if self.check.min is not None:
            mask |= sizes < self.check.min
        if self.check.max is not None:
            mask |= sizes > self.check.max
        return mask

    def rule(self) -> str:
        low, high = self.check.min, self.check.max
        if low is None or high is None:
            return f"at most {high} characters" if low is None else f"at least {low} characters"
        return f"{low} to {high} characters" if low != high else f"{low} characters"


@examines(spec.Expression)
class Expression(RowWise):
    check: spec.Expression

    def __init__(self, check: spec.Expression, source: Source) -> None:
        super().__init__(check, source)
        from backends.contract import Invalid
        from backends.entities import ColumnType
        from console.data.expression import parse_expression

        try:
            self._expression = parse_expression(check.expression, source.version.columns)
        except Invalid as error:
            self.trouble = str(error)
            return
        if self._expression.type is not ColumnType.BOOL:
            self.trouble = f"the expression gives {self._expression.type}; wanted one that is true or false"
            return
        self.reads = self.plain = tuple(self._expression.columns)

    def fails(self, rows: Rows) -> Any:
        import pyarrow.compute as pc

        told = self._expression.evaluate(rows.batch)
        mask = pc.fill_null(pc.invert(told), False).to_numpy(zero_copy_only=False)
        return mask if mask.any() else None

    def example(self, rows: Rows, at: int) -> str:
        return ", ".join(f"{name} {rows.value(name, at)}" for name in self.reads)

    def rule(self) -> str:
        return self.check.expression


@examines(spec.Monotonic)
class Monotonic(RowWise):
    """A row is compared with the last row before it that has a value."""

    KINDS = ("number", "time")
    WANTED = "numbers, dates or times"
    check: spec.Monotonic

    def __init__(self, check: spec.Monotonic, source: Source) -> None:
        super().__init__(check, source)
        self._last: Any = None

    def fails(self, rows: Rows) -> Any:
        import numpy as np

        values, missing = rows.numbers(self.check.column), rows.missing(self.check.column)
        at = None if missing is None else np.flatnonzero(~missing)
        there = values if at is None else values[at]
        if not len(there):
            return None
        before = np.empty_like(there)
        before[0] = there[0] if self._last is None else self._last
        before[1:] = there[:-1]
        up = self.check.direction == "up"
        bad = (
            (there <= before if up else there >= before)
            if self.check.strictly
            else (there < before if up else there > before)
        )
        if self._last is None:
            bad[0] = False
        self._last = there[-1]
        if at is None or not bad.any():
            return bad if bad.any() else None
        mask = np.zeros(len(rows), bool)
        mask[at[bad]] = True
        return mask

    def rule(self) -> str:
        way = "rises" if self.check.direction == "up" else "falls"
        other = "never falls" if self.check.direction == "up" else "never rises"
        return f"always {way}" if self.check.strictly else other
