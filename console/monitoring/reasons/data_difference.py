"""What differs between the dataset versions around a trouble, in words. A worker process alone: it reads the rows."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from backends.contract import Backend, BackendError, DatasetStore
from backends.entities import Record
from console.data.diff import Move, VersionDiff, diff_versions
from console.data.diff_text import facts, figures
from console.monitoring.reasons.upstream import Upstream
from console.wording import thousands

PAIRS = 3
"""Pairs of versions that are compared, those told first."""
CELLS = 20_000_000
"""Rows times columns of both sides together that are read for it: some seconds."""
MOVED = 3
"""Columns that are named, those that moved most."""


class Compared(Record, frozen=True, kw_only=True):
    """The changes with what differs, and what could not be compared."""

    upstream: tuple[Upstream, ...]
    notes: tuple[str, ...] = ()


def with_differences(backend: Backend, changes: Sequence[Upstream]) -> Compared:
    """The same changes; those about two dataset versions tell what differs between them."""
    store = backend.datasets
    if store is None:
        return Compared(upstream=tuple(changes))
    found: list[Upstream] = []
    notes: list[str] = []
    known: dict[tuple[str, str], tuple[str, ...]] = {}
    for change in changes:
        pair = change.before, change.after
        if not all(pair):
            found.append(change)
            continue
        if pair not in known and len(known) < PAIRS:
            try:
                known[pair] = _difference(store, *pair)
            except (BackendError, OSError) as error:
                known[pair] = ()
                notes.append(f"{pair[0]} and {pair[1]} could not be compared: {error}")
        instead = (f"not compared; mlops-console dataset diff {change.before} {change.after} does",)
        found.append(msgspec.structs.replace(change, difference=known.get(pair, instead)))
    return Compared(upstream=tuple(found), notes=tuple(notes))


def _difference(store: DatasetStore, before: str, after: str) -> tuple[str, ...]:
    old, new = store.version(before), store.version(after)
    cells = old.rows * len(old.columns) + new.rows * len(new.columns)
    if cells > CELLS:
        return (
            f"not compared: {thousands(cells)} values, and {thousands(CELLS)} are read here at most; "
            f"mlops-console dataset diff {before} {after} does",
        )
    return difference_words(diff_versions(store, before, after))


def difference_words(found: VersionDiff) -> tuple[str, ...]:
    """Rows and columns that came or went, then the columns whose values moved beyond chance, most first."""
    said = [
        f"{name}: {', '.join(text.splitlines())}".removeprefix(": ")
        for name, text in facts(found)
        if name not in ("from", "to")
    ]
    moved = [move for move in found.moved if not move.compared and (move.psi > move.noise or _went(move))]
    said += [_moved(move) for move in moved[:MOVED]]
    if len(moved) > MOVED:
        said.append(f"and {len(moved) - MOVED} further columns moved")
    elif not moved:
        said.append("no column moved by more than chance")
    return tuple(said)


def _went(move: Move) -> bool:
    """Values went missing, or came back."""
    return abs(move.missing[1] - move.missing[0]) > 0.01


def _moved(move: Move) -> str:
    shown = figures(move)
    parts = [f"PSI {shown['PSI']}"]
    if "median" in shown:
        parts.append(f"median {shown['median']}")
    if _went(move):
        parts.append(f"missing {shown['missing']}")
    for word, levels in (("new", move.new), ("lost", move.lost)):
        if levels:
            parts.append(f"{word} {', '.join(levels[:3])}{' …' if len(levels) > 3 else ''}")
    return f"{move.name} {move.words}: {', '.join(parts)}"
