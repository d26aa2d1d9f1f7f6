"""Checks for what a model must not learn from: labels in disguise, and test rows it has seen."""

from __future__ import annotations

import datetime
from typing import Any

from console.data.checks import spec
from console.data.checks.batch import Rows
from console.data.checks.finding import EXAMPLES, Examiner, Finding, examines, figure, percent, share
from console.data.checks.grammar import age_seconds
from console.data.checks.source import Source, named_or_all, no_previous
from console.data.checks.table import Hashes, OfRows

SAMPLE = 200_000
"""Rows that single features are scored on: every k-th. Up to so many rows the score is exact; beyond, the standard
error of an AUC is below 0.002 where the rarer class has a tenth of the rows."""
BINS = 64
MOST_CLASSES = 20


@examines(spec.Leakage)
class Leakage(Examiner):
    check: spec.Leakage

    def __init__(self, check: spec.Leakage, source: Source) -> None:
        super().__init__(check, source)
        self.columns = named_or_all(source, check.columns, but=check.target)
        self.reads = (*self.columns, check.target)
        self._step = max(1, -(-source.rows // SAMPLE))
        self._parts: dict[str, list[Any]] = {name: [] for name in self.reads}

    def add(self, rows: Rows) -> None:
        import numpy as np
        import pyarrow as pa

        at = pa.array(np.arange((-rows.first) % self._step, len(rows), self._step)) if self._step > 1 else None
        for name in self.reads:
            array = rows.array(name)
            if pa.types.is_dictionary(array.type):
                array = array.take(at) if at is not None else array
                array = array.cast(array.type.value_type)
            elif at is not None:
                array = array.take(at)
            self._parts[name].append(array)

    def found(self) -> Finding:
        import pyarrow as pa

        columns = {name: pa.chunked_array(parts) for name, parts in self._parts.items() if parts}
        rule = f"no feature alone scores above {figure(self.check.max)}"
        if not columns:
            return Finding(True, "no row", rule)
        target = columns[self.check.target]
        keep = target.is_valid()
        label = Label(target.filter(keep))
        if label.trouble:
            return Finding(False, rule=rule, detail=label.trouble)
        scores = {name: label.score(columns[name].filter(keep)) for name in self.columns}
        ranked = sorted(scores.items(), key=lambda pair: -pair[1])
        over = [(name, score) for name, score in ranked if score > self.check.max]
        best = ranked[0] if ranked else ("", 0.0)
        sampled = f"every {self._step}th row" if self._step > 1 else "all rows"
        return Finding(
            not over, f"{label.measure} of {best[0]}: {best[1]:.4f}" if best[0] else "no feature", rule,
            f"by {sampled}; next: " + ", ".join(f"{name} {score:.3f}" for name, score in ranked[1:4]),
            rows=len(target), figures={"scores": scores, "measure": label.measure},
            examples=tuple(f"column {name}: {label.measure} {score:.4f}" for name, score in over[:EXAMPLES]),
        )  # fmt: skip


class Label:
    """The label of a sample, and how well one feature alone tells it.

    A number is ranked as it is (missing below all, and above all), and once more by its 64 quantile bins; a bin, or a
    text, stands for the label's mean among the rows of the other half that have it, so that an id tells nothing.
    """

    def __init__(self, target: Any) -> None:
        import numpy as np

        from console.data.checks.batch import kind_of, numbers

        self.trouble = ""
        self.measure = "AUC"
        self._classes: list[Any] = []
        self._values: Any = None
        number = kind_of(target.type) == "number"
        values = numbers(target) if number else _codes(target)
        if number and values.dtype.kind == "f":
            values = np.where(np.isnan(values), np.inf, values)
        distinct, counts = np.unique(values, return_counts=True)
        if len(distinct) < 2:
            self.trouble = "the label does not vary"
        elif number and len(distinct) > MOST_CLASSES:
            self.measure, self._values = "R²", values.astype(np.float64)
        else:
            order = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
            # Of two classes one says it all.
            self._classes = [values == distinct[at] for at in (order if len(distinct) > 2 else order[:1])]

    def score(self, feature: Any) -> float:
        """AUC (the best of any class against the rest, and of both directions), or R²; 0 where nothing is to tell."""
        import numpy as np

        from console.data.checks.batch import kind_of, numbers

        if kind_of(feature.type) in ("number", "time"):
            values = numbers(feature).astype(np.float64)
            values[feature.is_null().to_numpy()] = np.nan
            missing = np.isnan(values)
            ways = [np.where(missing, fill, values) for fill in ((-np.inf, np.inf) if missing.any() else (0.0,))]
            ranks = [_ranks(way) for way in ways]
            codes = np.where(missing, BINS, ((ranks[0] - 0.5) * BINS / len(values)).astype(np.int64))
        else:
            ways, ranks, codes = [], [], _codes(feature)
        if self._values is not None:
            told = self._told(codes, self._values)
            return max(_r_squared(way, self._values) for way in [*ways, told])
        best = 0.0
        for wanted in self._classes:
            of_bins = _ranks(self._told(codes, wanted.astype(np.float64)))
            for each in [*ranks, of_bins]:
                area = _auc(each, wanted)
                best = max(best, area, 1 - area)
        return best

    def _told(self, codes: Any, label: Any) -> Any:
        """For each row the label's mean among the rows of the other half with the same code, drawn to the whole mean
        by one row."""
        import numpy as np

        told = np.empty(len(codes))
        size = int(codes.max()) + 1 if len(codes) else 0
        for side in (0, 1):
            theirs, said = codes[1 - side :: 2], label[1 - side :: 2]
            overall = said.mean() if len(said) else 0.0
            counts = np.bincount(theirs, minlength=size)
            sums = np.bincount(theirs, weights=said, minlength=size)
            told[side::2] = ((sums + overall) / (counts + 1))[codes[side::2]]
        return told


def _ranks(values: Any) -> Any:
    """Ranks from 1; equal values share their mean rank."""
    import numpy as np

    _, at, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[at]


def _auc(ranks: Any, wanted: Any) -> float:
    """Area under the ROC curve of values with these ranks, by Mann and Whitney's U."""
    hits = int(wanted.sum())
    rest = len(wanted) - hits
    return float((ranks[wanted].sum() - hits * (hits + 1) / 2) / (hits * rest)) if hits and rest else 0.5


def _r_squared(x: Any, y: Any) -> float:
    import numpy as np

    there = np.isfinite(x) & np.isfinite(y)
    x, y = x[there], y[there]
    if len(x) < 3:
        return 0.0
    x, y = x - x.mean(), y - y.mean()
    spread = float((x * x).sum()) * float((y * y).sum())
    return float((x * y).sum()) ** 2 / spread if spread else 0.0


def _codes(texts: Any) -> Any:
    import numpy as np
    import pyarrow as pa

    from console.data.checks.batch import kind_of, shown

    if kind_of(texts.type) == "other":
        texts = pa.chunked_array([pa.array([shown(value) for value in texts.to_pylist()], pa.string())])
    encoded = texts.combine_chunks().dictionary_encode(null_encoding="encode")
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)


# ---------------------------------------------------------------- two versions


def common_columns(here: Source, other: Source, named: tuple[str, ...]) -> tuple[str, ...]:
    return named or tuple(name for name in here.names if other.column(name) is not None)


def row_hashes(source: Source, columns: tuple[str, ...]) -> Any:
    """A uint64 for each row of a version, over these columns."""
    kept = Hashes()
    for rows in source.batches([name for name in source.names if name in columns]):
        kept.add(rows.hashes(columns))
    return kept.all()


@examines(spec.Overlap)
class Overlap(OfRows):
    check: spec.Overlap

    def __init__(self, check: spec.Overlap, source: Source) -> None:
        self._other = source.other(check.against)
        columns = common_columns(source, self._other, check.columns) if self._other else ()
        super().__init__(check, source, columns)

    def found(self) -> Finding:
        import numpy as np

        rule = f"at most {percent(self.check.share)} of the rows stand in {self.check.against} too"
        if self._other is None:
            return Finding(True, rule=rule, detail=no_previous(self.source))
        absent = [name for name in self.columns if self._other.column(name) is None]
        if absent or not self.columns:
            told = f"{self._other.version.ref} has no column {absent[0]}" if absent else "no column is in both"
            return Finding(False, rule=rule, detail=told)
        hashes = self.hashes.all()
        both = np.isin(hashes, row_hashes(self._other, self.columns))
        failing = int(np.count_nonzero(both))
        part = share(failing, len(hashes))
        at = np.flatnonzero(both)[:EXAMPLES].tolist()
        values = self.source.values(at, self.columns[:4])
        return Finding(
            part <= self.check.share, f"{failing} rows in both, {percent(part)}", rule,
            f"compared in {len(self.columns)} columns with {self._other.version.ref}", failing=failing,
            rows=len(hashes),
            examples=tuple(f"row {row}: {', '.join(shown)}" for row, shown in zip(at, values, strict=True)),
        )  # fmt: skip


@examines(spec.IdLeakage)
class IdLeakage(OfRows):
    check: spec.IdLeakage

    def __init__(self, check: spec.IdLeakage, source: Source) -> None:
        self._other = source.other(check.against)
        super().__init__(check, source, (check.column,))

    def found(self) -> Finding:
        import numpy as np

        from console.data.checks.hashing import MISSING

        rule = f"at most {percent(self.check.share)} of the ids stand in {self.check.against} too"
        if self._other is None:
            return Finding(True, rule=rule, detail=no_previous(self.source))
        absent = self._other.absent(self.check.column)
        if absent:
            return Finding(False, rule=rule, detail=f"{self._other.version.ref}: {absent}")
        hashes = self.hashes.all()
        ids, first = np.unique(hashes, return_index=True)
        first = first[ids != np.uint64(MISSING)]
        ids = ids[ids != np.uint64(MISSING)]
        both = np.isin(ids, row_hashes(self._other, self.columns))
        failing = int(np.count_nonzero(both))
        part = share(failing, len(ids))
        at = sorted(first[both].tolist())[:EXAMPLES]
        values = self.source.values(at, self.columns)
        return Finding(
            part <= self.check.share, f"{failing} of {len(ids)} ids in both, {percent(part)}", rule,
            f"compared with {self._other.version.ref}", rows=len(hashes), figures={"share": part},
            examples=tuple(f"row {row}: {shown[0]}" for row, shown in zip(at, values, strict=True)),
        )  # fmt: skip


@examines(spec.TimeSplit)
class TimeSplit(Examiner):
    check: spec.TimeSplit

    def __init__(self, check: spec.TimeSplit, source: Source) -> None:
        super().__init__(check, source)
        self._other = source.other(check.against)
        self.trouble = ""
        for each in (source, self._other):
            if each is not None and each.kind(check.column) != "time":
                told = each.absent(check.column) or f"column {check.column} holds no dates or times"
                self.trouble = f"{each.version.ref}: {told}"
        self.reads = () if self.trouble else (check.column,)
        self._spans: list[tuple[float, float]] = []

    def add(self, rows: Rows) -> None:
        span = rows.span(self.check.column) if not self.trouble else None
        if span is not None:
            self._spans.append(span)

    def found(self) -> Finding:
        gap = f" with {self.check.gap} between" if (age_seconds(self.check.gap) or 0) else ""
        rule = f"all {self.check.order} {self.check.against}{gap}"
        if self.trouble or self._other is None:
            return Finding(not self.trouble, rule=rule, detail=self.trouble or no_previous(self.source))
        others = [rows.span(self.check.column) for rows in self._other.batches([self.check.column])]
        there = [span for span in others if span is not None]
        if not self._spans or not there:
            return Finding(False, rule=rule, detail="one of the versions has no time in it")
        mine, theirs = _spanned(self._spans), _spanned(there)
        between = theirs[0] - mine[1] if self.check.order == "before" else mine[0] - theirs[1]
        wanted = (age_seconds(self.check.gap) or 0) * 1_000_000
        holds = between > 0 and between >= wanted
        return Finding(
            holds, f"{_time(mine[0])} to {_time(mine[1])}", rule,
            f"{self._other.version.ref} is {_time(theirs[0])} to {_time(theirs[1])}", rows=self.source.rows,
            figures={"between_s": between / 1_000_000},
        )  # fmt: skip


def _spanned(spans: list[tuple[float, float]]) -> tuple[float, float]:
    return min(span[0] for span in spans), max(span[1] for span in spans)


def _time(microseconds: float) -> str:
    found = datetime.datetime.fromtimestamp(microseconds / 1_000_000, datetime.UTC)
    return found.replace(tzinfo=None).isoformat(" ", "seconds")
