"""Checks of the table as a whole: which columns it has, and which rows repeat or contradict each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from console.config import nearest
from console.data.checks import spec
from console.data.checks.batch import Rows
from console.data.checks.finding import EXAMPLES, Examiner, Finding, examines, percent, share
from console.data.checks.hashing import fold
from console.data.checks.source import Source, named_or_all


@examines(spec.Type)
class Type(Examiner):
    check: spec.Type

    def found(self) -> Finding:
        column = self.source.column(self.check.column)
        is_type = str(column.type) if column else ""
        return Finding(is_type == self.check.type, is_type, self.check.type)


@examines(spec.Required)
class Required(Examiner):
    check: spec.Required

    def found(self) -> Finding:
        names = self.source.names
        known = frozenset(names)
        absent = [name for name in self.check.columns if name not in known]
        told = [f"{name} is not there{nearest(name, names)}" for name in absent]
        there = len(self.check.columns) - len(absent)
        return Finding(
            not absent, f"{there} of {len(self.check.columns)} there", _some(self.check.columns), "; ".join(told[:20])
        )


@examines(spec.Strict)
class Strict(Examiner):
    check: spec.Strict

    def found(self) -> Finding:
        names = self.source.names
        expected, there = frozenset(self.check.columns), frozenset(names)
        extra = [name for name in names if name not in expected]
        rule = ("these columns in this order: " if self.check.ordered else "no other columns than ") + _some(
            self.check.columns
        )
        if extra:
            return Finding(False, f"{len(extra)} more", rule, f"not expected: {_some(extra, 20)}")
        if self.check.ordered:
            known = [name for name in self.check.columns if name in there]
            for place, (has, wanted) in enumerate(zip(names, known, strict=False), 1):
                if has != wanted:
                    return Finding(False, "another order", rule, f"column {place} is {has}, wanted {wanted}")
        return Finding(True, f"{len(names)} columns", rule)


def _some(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


# ---------------------------------------------------------------- rows among each other


class Hashes:
    """A uint64 a row, gathered batch by batch: 8 bytes a row are all that is kept of them."""

    def __init__(self) -> None:
        self._parts: list[Any] = []

    def add(self, part: Any) -> None:
        self._parts.append(part)

    def all(self) -> Any:
        """In the order of the rows; the parts are let go."""
        import numpy as np

        whole = np.concatenate(self._parts) if self._parts else np.empty(0, np.uint64)
        self._parts = [whole]
        return whole


class Places:
    """Which row of the version the n-th row that was kept is, where rows with a missing value were left out."""

    def __init__(self) -> None:
        self._kept: list[int] = []
        self._firsts: list[int] = []
        self._skips: list[Any] = []

    def add(self, rows: Rows, missing: Any) -> None:
        import numpy as np

        self._firsts.append(rows.first)
        self._skips.append(None if missing is None else np.packbits(missing))
        self._kept.append(len(rows) - (0 if missing is None else int(np.count_nonzero(missing))))

    def row(self, place: int) -> int:
        """The number of the row in the version."""
        import numpy as np

        for first, kept, skip in zip(self._firsts, self._kept, self._skips, strict=True):
            if place < kept:
                return first + (place if skip is None else int(np.flatnonzero(np.unpackbits(skip) == 0)[place]))
            place -= kept
        raise IndexError(place)


def repeated(hashes: Any) -> tuple[int, Any]:
    """(rows that repeat an earlier one, the hashes that come more than once, sorted)."""
    import numpy as np

    ordered = np.sort(hashes)
    again = ordered[1:] == ordered[:-1]
    return int(np.count_nonzero(again)), np.unique(ordered[1:][again])


def later_rows(hashes: Any, twice: Any, most: int) -> list[tuple[int, int]]:
    """(row, the earlier row that it repeats) for some of the hashes that come more than once."""
    import numpy as np

    found: list[tuple[int, int]] = []
    some = twice[:most]
    here = np.flatnonzero(np.isin(hashes, some))
    first: dict[int, int] = {}
    for row in here.tolist():
        key = int(hashes[row])
        if key in first:
            found.append((row, first[key]))
        else:
            first[key] = row
    return found[:most]


class OfRows(Examiner):
    """Hashes some columns of each row. Those who hash the same ones share the hashes."""

    def __init__(self, check: Any, source: Source, columns: Sequence[str]) -> None:
        super().__init__(check, source)
        self.columns = tuple(columns)
        self.reads = self.columns
        self.hashes = Hashes()

    def add(self, rows: Rows) -> None:
        self.hashes.add(rows.hashes(self.columns))

    def examples(self, twice: Any, hashes: Any) -> tuple[str, ...]:
        pairs = later_rows(hashes, twice, EXAMPLES)
        values = self.source.values([row for row, _ in pairs], self.columns[:4])
        return tuple(
            f"row {row}: {', '.join(shown)} as row {earlier}"
            for (row, earlier), shown in zip(pairs, values, strict=True)
        )


@examines(spec.Duplicates)
class Duplicates(OfRows):
    check: spec.Duplicates

    def __init__(self, check: spec.Duplicates, source: Source) -> None:
        super().__init__(check, source, named_or_all(source, check.columns))

    def found(self) -> Finding:
        hashes = self.hashes.all()
        failing, twice = repeated(hashes)
        part = share(failing, len(hashes))
        of = f" in {_some(self.check.columns)}" if self.check.columns else ""
        return Finding(
            part <= self.check.share, f"{failing} rows repeat an earlier one, {percent(part)}",
            f"at most {percent(self.check.share)} repeat an earlier row{of}", _chance(len(hashes)),
            failing=failing, rows=len(hashes), examples=self.examples(twice, hashes) if failing else (),
        )  # fmt: skip


@examines(spec.Unique)
class Unique(OfRows):
    check: spec.Unique

    def __init__(self, check: spec.Unique, source: Source) -> None:
        super().__init__(check, source, (check.column,))
        self._place = Places()

    def add(self, rows: Rows) -> None:
        hashes, missing = rows.hashes(self.columns), rows.missing(self.check.column)
        self._place.add(rows, missing)
        self.hashes.add(hashes if missing is None else hashes[~missing])

    def found(self) -> Finding:
        hashes = self.hashes.all()
        failing, twice = repeated(hashes)
        part = share(failing, len(hashes))
        return Finding(
            part <= self.check.share, f"{failing} values repeat an earlier one, {percent(part)}",
            f"at most {percent(self.check.share)} repeat" if self.check.share else "no value twice",
            _chance(len(hashes)), failing=failing, rows=len(hashes),
            examples=self._examples(hashes, twice) if failing else (),
        )  # fmt: skip

    def _examples(self, hashes: Any, twice: Any) -> tuple[str, ...]:
        pairs = [
            (self._place.row(later), self._place.row(earlier)) for later, earlier in later_rows(hashes, twice, EXAMPLES)
        ]
        values = self.source.values([row for row, _ in pairs], self.columns)
        return tuple(f"row {row}: {shown[0]} as row {at}" for (row, at), shown in zip(pairs, values, strict=True))


@examines(spec.Key)
class Key(OfRows):
    check: spec.Key

    def __init__(self, check: spec.Key, source: Source) -> None:
        super().__init__(check, source, check.columns)
        self._without = 0
        self._first = -1

    def add(self, rows: Rows) -> None:
        import numpy as np

        super().add(rows)
        lacking = None
        for name in self.columns:
            missing = rows.missing(name)
            if missing is not None:
                lacking = missing if lacking is None else lacking | missing
        if lacking is not None:
            if self._first < 0:
                self._first = rows.first + int(np.argmax(lacking))
            self._without += int(np.count_nonzero(lacking))

    def found(self) -> Finding:
        hashes = self.hashes.all()
        again, twice = repeated(hashes)
        failing = again + self._without
        examples = self.examples(twice, hashes) if again else ()
        if self._without:
            examples = (f"row {self._first}: missing", *examples)[:EXAMPLES]
        value = f"{again} rows repeat a key" + (f", {self._without} lack a part of it" if self._without else "")
        return Finding(
            not failing, value, f"{_some(self.columns)} once and whole", _chance(len(hashes)), failing=failing,
            rows=len(hashes), examples=examples,
        )  # fmt: skip


class Contradictions(OfRows):
    """Rows that agree in `columns` but not in `told`: all but the most frequent saying of each group contradict it."""

    def __init__(self, check: Any, source: Source, columns: Sequence[str], told: str) -> None:
        super().__init__(check, source, columns)
        self.told = told
        self.reads = (*self.columns, told)
        self._pairs = Hashes()
        self._place = Places()

    def add(self, rows: Rows) -> None:
        groups, said = rows.hashes(self.columns), rows.hashes((self.told,))
        missing = rows.missing(self.told)
        self._place.add(rows, missing)
        if missing is not None:  # a missing one says nothing
            groups, said = groups[~missing], said[~missing]
        self.hashes.add(groups)
        self._pairs.add(fold(groups, said))

    def found(self) -> Finding:
        import numpy as np

        groups, pairs = self.hashes.all(), self._pairs.all()
        rule = f"at most {percent(self.check.share)} of the rows {self.rule}"
        # Mostly nothing contradicts: two sorts tell, without looking at which rows go together.
        first = np.unique(pairs, return_index=True)[1]
        kinds, counts = np.unique(groups[first], return_counts=True)
        torn = kinds[counts > 1]
        if not len(torn):
            return Finding(True, "none", rule, _chance(len(groups)), failing=0, rows=len(groups))
        inside = np.flatnonzero(np.isin(groups, torn))
        ordered, where, sizes = np.unique(pairs[inside], return_inverse=True, return_counts=True)
        group_of = groups[inside]
        most: dict[int, int] = {}
        lead = np.zeros(len(ordered), np.uint64)
        lead[where] = group_of
        for group, size in zip(lead.tolist(), sizes.tolist(), strict=True):
            most[group] = max(most.get(group, 0), size)
        failing = self.count(len(inside), sum(most.values()))
        part = share(failing, len(groups))
        return Finding(
            part <= self.check.share, f"{failing} rows, {percent(part)}", rule, _chance(len(groups)), failing=failing,
            rows=len(groups), examples=self._torn(inside, group_of, pairs[inside]), figures={"groups": len(torn)},
        )  # fmt: skip

    rule = ""

    def count(self, inside: int, agreed: int) -> int:
        """How many rows are counted, of those in contradictory groups and those that say the most frequent."""
        return inside - agreed

    def _torn(self, inside: Any, groups: Any, pairs: Any) -> tuple[str, ...]:
        first: dict[int, tuple[int, int]] = {}
        found: list[tuple[int, int]] = []
        for at, group, pair in zip(inside.tolist(), groups.tolist(), pairs.tolist(), strict=True):
            if group not in first:
                first[group] = (at, pair)
            elif first[group][1] != pair:
                found.append((self._place.row(at), self._place.row(first[group][0])))
                if len(found) == EXAMPLES:
                    break
        rows = [row for pair in found for row in pair]
        values = self.source.values(rows, (self.told,))
        said = dict(zip(rows, (shown[0] for shown in values), strict=True))
        return tuple(f"row {row}: {said[row]}, but row {earlier}: {said[earlier]}" for row, earlier in found)


@examines(spec.Determines)
class Determines(Contradictions):
    check: spec.Determines

    def __init__(self, check: spec.Determines, source: Source) -> None:
        super().__init__(check, source, check.columns, check.column)
        self.rule = f"have another {check.column} than most of the same {_some(check.columns)}"


@examines(spec.Conflicts)
class Conflicts(Contradictions):
    check: spec.Conflicts

    def __init__(self, check: spec.Conflicts, source: Source) -> None:
        super().__init__(check, source, named_or_all(source, check.columns, but=check.target), check.target)
        self.rule = f"agree in all features but not in {check.target}"

    def count(self, inside: int, agreed: int) -> int:  # noqa: ARG002
        return inside


def _chance(rows: int) -> str:
    """How likely a false repeat is, once that is worth a word."""
    chance = rows * rows / 2**65
    return f"rows compared by 64-bit hashes: a false repeat is expected {chance:.0e} times" if chance > 1e-9 else ""
