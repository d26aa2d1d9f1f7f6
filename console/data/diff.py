"""What differs between two versions: columns, rows, and which distributions moved, worst first. Light to import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backends.contract import DatasetStore, Invalid
from backends.entities import Column, ColumnType, DatasetVersion, Progress, Record
from console.data.stored import dictionary_file
from console.telling import tell

LIKE = 0.6
"""Likeness from which a column that is gone and a new one of its type are told as perhaps the same."""


class Move(Record, frozen=True, kw_only=True):
    """One column in both versions. `before` and `after` are counts over the same cells, missing left out."""

    name: str
    type: ColumnType
    psi: float = 0.0
    """Population stability index over cells of about equal share before, in nats."""
    js: float = 0.0
    """Jensen-Shannon distance over the same cells, 0 to 0.833."""
    ks: float | None = None
    """Largest distance of the distribution functions, 0 to 1; of numbers and times."""
    wasserstein: float | None = None
    """Mean distance that values moved, in the column's own unit; times in milliseconds."""
    missing: tuple[float, float] = (0.0, 0.0)
    """Share without a value, before and after."""
    median: tuple[float, float] | None = None
    mean: tuple[float, float] | None = None
    edges: tuple[float, ...] = ()
    """Of a histogram of equal cells over both; empty for what is no number."""
    labels: tuple[str, ...] = ()
    """The values that the cells stand for, where they are no numbers."""
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    new: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    """Values that are there on one side only, most frequent first; at most 20 of each."""
    error: float = 0.0
    """Shares are of samples, and within this of those of all rows; 0 where all rows were counted."""
    noise: float = 0.0
    """PSI up to which two samples of one distribution differ by chance."""
    compared: str = ""
    """Why the values were not compared, where they were not."""

    @property
    def words(self) -> str:
        """How far it moved, in plain words."""
        if self.compared:
            return self.compared
        if self.psi <= self.noise:
            return "no more than chance"
        return "barely moved" if self.psi < 0.1 else "moved" if self.psi < 0.25 else "moved far"

    @property
    def rank(self) -> float:
        """What the worst first is by: the larger of the drift beyond chance and the change of missing values."""
        return max(self.psi - self.noise, abs(self.missing[1] - self.missing[0]))


class Rename(Record, frozen=True, kw_only=True):
    before: str
    after: str
    likeness: float


class VersionDiff(Record, frozen=True, kw_only=True):
    before: str
    after: str
    rows: tuple[int, int]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    retyped: tuple[tuple[str, str, str], ...] = ()
    """(column, type before, type after)."""
    renamed: tuple[Rename, ...] = ()
    """Perhaps: a column that is gone and a new one that are alike."""
    rows_added: int | None = None
    rows_removed: int | None = None
    """Rows that are there on one side only, counted as often as they are there; None where no column is shared."""
    rows_changed: int | None = None
    """With a key: rows of one key whose other values differ."""
    key: tuple[str, ...] = ()
    moved: tuple[Move, ...] = ()
    """Every column that both have, worst first."""


def diff_versions(
    datasets: DatasetStore,
    before: str,
    after: str,
    *,
    key: tuple[str, ...] = (),
    progress: Callable[[Progress], None] | None = None,
) -> VersionDiff:
    """The difference of two versions, of one dataset or of two. Memory is bounded by one column and the rows' hashes.

    Invalid where a key column is not in both, or the key is not unique.
    """
    from console.data.diff_columns import SAMPLED, compare_column
    from console.data.diff_rows import compare_rows

    old, new = datasets.version(before), datasets.version(after)
    types = {column.name: column.type for column in new.columns}
    shared = [column for column in old.columns if types.get(column.name) is column.type]
    for name in key:
        if all(column.name != name for column in shared):
            raise Invalid(f"{name} is not a column of both {old.ref} and {new.ref} with one type.", "key")
    tell = _Teller(progress, 2 * len(shared))
    with (
        dictionary_file(datasets, old, _texts(old)) as first,
        dictionary_file(datasets, new, _texts(new)) as second,
    ):
        moved = []
        for column in shared:
            moved.append(compare_column(first, second, column, SAMPLED))
            tell.step("comparing columns")
        counted = compare_rows(first, second, [c.name for c in shared], key, old.ref, new.ref, tell.part)
    there = {column.name for column in old.columns}
    gone = [column for column in old.columns if column.name not in types]
    fresh = [column for column in new.columns if column.name not in there]
    return VersionDiff(
        before=old.ref,
        after=new.ref,
        rows=(old.rows, new.rows),
        added=tuple(column.name for column in fresh),
        removed=tuple(column.name for column in gone),
        retyped=tuple(
            (c.name, str(c.type), str(types[c.name])) for c in old.columns if types.get(c.name, c.type) is not c.type
        ),
        renamed=tuple(renames(gone, fresh)),
        rows_added=counted[0] if counted else None,
        rows_removed=counted[1] if counted else None,
        rows_changed=counted[2] if counted else None,
        key=key,
        moved=tuple(sorted(moved, key=lambda move: -move.rank)),
    )


def renames(gone: list[Column], fresh: list[Column]) -> list[Rename]:
    """Pairs of one type whose names are alike, each column in one pair, likest first."""
    import difflib

    pairs = [
        Rename(before=a.name, after=b.name, likeness=likeness)
        for a in gone[:200]
        for b in fresh[:200]
        if a.type is b.type
        and (likeness := difflib.SequenceMatcher(None, a.name.lower(), b.name.lower()).ratio()) >= LIKE
    ]
    found: list[Rename] = []
    for pair in sorted(pairs, key=lambda pair: -pair.likeness):
        if all(pair.before != other.before and pair.after != other.after for other in found):
            found.append(pair)
    return found


def _texts(version: DatasetVersion) -> list[str]:
    return [column.name for column in version.columns if column.type is ColumnType.STRING]


class _Teller:
    def __init__(self, progress: Callable[[Progress], None] | None, steps: int) -> None:
        self._progress = progress
        self._steps = max(steps, 1)
        self._done = 0

    def step(self, stage: str) -> None:
        self._done += 1
        self._say(stage, self._done / self._steps)

    def part(self, share: float) -> None:
        self._say("comparing rows", 0.5 + share / 2)

    def _say(self, stage: str, fraction: Any) -> None:
        tell(self._progress, min(fraction, 1.0), stage)
