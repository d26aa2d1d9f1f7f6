"""Checks of how rows are spread over classes, groups and values, here and in another version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from console.data.checks import spec
from console.data.checks.batch import Rows, shown
from console.data.checks.finding import EXAMPLES, Examiner, Finding, examines, figure, percent, share
from console.data.checks.rowwise import RowWise
from console.data.checks.source import Source, no_previous
from console.monitoring.counted.distances import psi

BINS = 10
CATEGORIES = 50
"""Most frequent values that have a cell of their own; the others share one."""
PSI = 0.2


class Counted(Examiner):
    """Counts the values of a column."""

    def __init__(self, check: Any, source: Source) -> None:
        super().__init__(check, source)
        self.reads = (check.column,)
        self.counts: Counter[str] = Counter()

    def add(self, rows: Rows) -> None:
        self.counts.update(counted(rows, self.check.column))


def counted(rows: Rows, name: str) -> dict[str, int]:
    """How often each value of a batch comes, as text; missing left out."""
    import numpy as np

    words, at = rows.codes(name)
    found = np.bincount(at[at >= 0], minlength=len(words)).tolist()
    return {word: count for word, count in zip(words, found, strict=True) if count}


@examines(spec.Balance)
class Balance(Counted):
    check: spec.Balance

    def found(self) -> Finding:
        rule = f"each class at least {percent(self.check.min)}"
        return _least(self.counts, self.counts.items(), self.check.min, rule, "class")


@examines(spec.Representation)
class Representation(Counted):
    check: spec.Representation

    def found(self) -> Finding:
        rule = f"each group at least {percent(self.check.min)}"
        wanted = self.check.groups or tuple(self.counts)
        return _least(self.counts, [(each, self.counts[each]) for each in wanted], self.check.min, rule, "group")


def _least(counts: Counter[str], wanted: Any, least: float, rule: str, word: str) -> Finding:
    total = counts.total()
    ranked = sorted(wanted, key=lambda pair: (pair[1], pair[0]))
    if not total or not ranked:
        return Finding(False, rule=rule, detail="no value is there")
    few = [(name, count) for name, count in ranked if share(count, total) < least]
    name, count = ranked[0]
    return Finding(
        not few, f"least {shown(name)} with {percent(share(count, total))}", rule,
        f"{len(few)} of {len(ranked)} fall short" if few else f"{len(ranked)} in all", rows=total,
        examples=tuple(f"{word} {each}: {n} rows, {percent(share(n, total))}" for each, n in few[:EXAMPLES]),
        figures={"shares": {each: share(count, total) for each, count in ranked[:100]}},
    )  # fmt: skip


@examines(spec.LabelRate)
class LabelRate(Examiner):
    check: spec.LabelRate

    def __init__(self, check: spec.LabelRate, source: Source) -> None:
        super().__init__(check, source)
        self.reads = (check.group, check.target)
        self._all: Counter[str] = Counter()
        self._hits: Counter[str] = Counter()

    def add(self, rows: Rows) -> None:
        import numpy as np

        groups, of = rows.codes(self.check.group)
        labels, told = rows.codes(self.check.target)
        there = (of >= 0) & (told >= 0)
        positive = (
            shown(self.check.positive)
            if not isinstance(self.check.positive, bool)
            else ("true" if self.check.positive else "false")
        )
        wanted = labels.index(positive) if positive in labels else -2
        for kept, into in ((there, self._all), (there & (told == wanted), self._hits)):
            counts = np.bincount(of[kept], minlength=len(groups)).tolist()
            into.update({name: count for name, count in zip(groups, counts, strict=True) if count})

    def found(self) -> Finding:
        wanted = []
        if self.check.gap is not None:
            wanted.append(f"rates differ by at most {percent(self.check.gap)}")
        if self.check.ratio is not None:
            wanted.append(f"least to greatest at least {figure(self.check.ratio)}")
        rule = ", ".join(wanted)
        rates = {name: share(self._hits[name], count) for name, count in self._all.items() if count >= self.check.least}
        if not self._hits:
            return Finding(False, rule=rule, detail=f"no row has {self.check.target} {shown(self.check.positive)}")
        if len(rates) < 2:
            return Finding(True, rule=rule, detail=f"fewer than two groups have {self.check.least} rows")
        low, high = min(rates, key=lambda each: rates[each]), max(rates, key=lambda each: rates[each])
        gap, ratio = rates[high] - rates[low], share_of(rates[low], rates[high])
        holds = (self.check.gap is None or gap <= self.check.gap) and (
            self.check.ratio is None or ratio >= self.check.ratio
        )
        left = len(self._all) - len(rates)
        return Finding(
            holds, f"{low} {percent(rates[low])}, {high} {percent(rates[high])}", rule,
            f"ratio {ratio:.3f}" + (f"; {left} groups under {self.check.least} rows left out" if left else ""),
            rows=self._all.total(), figures={"rates": rates, "gap": gap, "ratio": ratio},
        )  # fmt: skip


def share_of(part: float, whole: float) -> float:
    return part / whole if whole else 1.0


# ---------------------------------------------------------------- against another version


@examines(spec.NewCategory)
class NewCategory(RowWise):
    check: spec.NewCategory

    def __init__(self, check: spec.NewCategory, source: Source) -> None:
        super().__init__(check, source)
        self._other = source.other(check.against)
        self._known: Any = None
        if self._other is None:
            self.reads = ()
        elif absent := self._other.absent(check.column):
            self.trouble, self.reads = f"{self._other.version.ref}: {absent}", ()
        else:
            self._known = distinct_hashes(self._other, check.column)
        self._new: Counter[str] = Counter()

    def fails(self, rows: Rows) -> Any:
        import numpy as np

        hashes, missing = rows.hashes((self.check.column,)), rows.missing(self.check.column)
        at = np.searchsorted(self._known, hashes)
        mask = (
            self._known[np.minimum(at, len(self._known) - 1)] != hashes
            if len(self._known)
            else np.ones(len(rows), bool)
        )
        return mask if missing is None else mask & ~missing

    @property
    def tolerated(self) -> float:
        return self.check.share

    def rule(self) -> str:
        return f"only values that {self.check.against} has"

    def found(self) -> Finding:
        return (
            Finding(True, rule=self.rule(), detail=no_previous(self.source)) if self._other is None else super().found()
        )


def distinct_hashes(source: Source, name: str) -> Any:
    """The different values of a column, as sorted hashes."""
    import numpy as np

    known = np.empty(0, np.uint64)
    waiting: list[Any] = []
    for rows in source.batches([name]):
        waiting.append(np.unique(rows.hashes((name,))))
        if len(waiting) == 64:
            known, waiting = np.unique(np.concatenate([known, *waiting])), []
    return np.unique(np.concatenate([known, *waiting]))


@examines(spec.Drift)
class Drift(Examiner):
    """Numbers by the deciles of the other version, others by its most frequent values; missing has a cell."""

    check: spec.Drift

    def __init__(self, check: spec.Drift, source: Source) -> None:
        super().__init__(check, source)
        self.whole = check.column
        self._other = source.other(check.against)

    def found(self) -> Finding:
        name = self.check.column
        limit = self.check.psi if self.check.psi is not None or self.check.ks is not None else PSI
        wanted = [f"PSI at most {figure(limit)}"] if limit is not None else []
        wanted += [f"KS distance at most {figure(self.check.ks)}"] if self.check.ks is not None else []
        rule = ", ".join(wanted)
        if self._other is None:
            return Finding(True, rule=rule, detail=no_previous(self.source))
        if absent := self._other.absent(name):
            return Finding(False, rule=rule, detail=f"{self._other.version.ref}: {absent}")
        kinds = {self.source.kind(name), self._other.kind(name)}
        if len(kinds) > 1:
            return Finding(False, rule=rule, detail=f"{name} is of another type in {self._other.version.ref}")
        if kinds <= {"number", "time"}:
            now, before = self.source.present(name), self._other.present(name)
            if not len(now) or not len(before):
                return Finding(False, rule=rule, detail="one of the versions has no value in it")
            cells = _cells_of_numbers(before, now)
            distance = ks_distance(before, now) if self.check.ks is not None else None
        elif self.check.ks is not None:
            return Finding(False, rule=rule, detail=f"the KS distance is for numbers; {name} holds none: use psi")
        else:
            now, before, distance = (), (), None
            cells = _cells_of_words(self._other.counts(name), self.source.counts(name))
        lacking = [each.whole(name).null_count for each in (self._other, self.source)]
        reference, current = ([*side, missing] for side, missing in zip(cells, lacking, strict=True))
        found = psi(reference, current)
        self._other.release()
        said = [f"PSI {found:.4f}"] if limit is not None else []
        said += [f"KS {distance:.4f}"] if distance is not None else []
        return Finding(
            (limit is None or found <= limit) and (distance is None or distance <= (self.check.ks or 0)),
            ", ".join(said), rule, f"against {self._other.version.ref}, {len(reference)} cells",
            rows=sum(current), figures={"psi": found, "ks": distance, "reference": reference, "current": current},
        )  # fmt: skip


def _cells_of_numbers(before: Any, now: Any) -> tuple[list[int], list[int]]:
    import numpy as np

    edges = np.unique(np.quantile(before, np.linspace(0, 1, BINS + 1)[1:-1]))
    return tuple(
        np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1).tolist()
        for values in (before, now)
    )


def _cells_of_words(before: dict[str, int], now: dict[str, int]) -> tuple[list[int], list[int]]:
    own = sorted(before, key=lambda word: (-before[word], word))[:CATEGORIES]
    return [*(before[word] for word in own), _rest(before, own)], [*(now.get(word, 0) for word in own), _rest(now, own)]


def _rest(counts: dict[str, int], own: Sequence[str]) -> int:
    return sum(counts.values()) - sum(counts.get(word, 0) for word in own)


def ks_distance(before: Any, now: Any) -> float:
    """The two-sample Kolmogorov-Smirnov distance, exact; as `scipy.stats.ks_2samp(…).statistic`."""
    import numpy as np

    before, now = np.sort(before), np.sort(now)
    at = np.concatenate([before, now])
    below = [np.searchsorted(values, at, side="right") / len(values) for values in (before, now)]
    return float(np.abs(below[0] - below[1]).max())
