"""A difference of versions in words: one spelling for the screen and the command line."""

from __future__ import annotations

from backends.entities import ColumnType
from console.data.diff import Move, VersionDiff
from console.wording import NOTHING, THIN_SPACE, duration, local_time, number, thousands

TIMES = (ColumnType.DATETIME, ColumnType.DATE)


def facts(found: VersionDiff) -> list[tuple[str, str]]:
    """Columns and rows, (what, how); what did not change is left out."""
    said = [("from", found.before), ("to", found.after)]
    before, after = found.rows
    said.append(("rows", f"{thousands(before)} → {thousands(after)}"))
    if found.rows_added is not None and found.rows_removed is not None:
        by = f" by {', '.join(found.key)}" if found.key else " by content"
        changed = f", {thousands(found.rows_changed)} changed" if found.rows_changed is not None else ""
        counted = f"{thousands(found.rows_added)} added, {thousands(found.rows_removed)} removed{changed}{by}"
        said.append(("", counted))
    if found.added:
        said.append(("new columns", ", ".join(found.added)))
    if found.removed:
        said.append(("lost columns", ", ".join(found.removed)))
    for name, old, new in found.retyped:
        said.append(("retyped", f"{name}: {old} → {new}"))
    for pair in found.renamed:
        said.append(("renamed?", f"{pair.before} → {pair.after}, {pair.likeness * 100:.0f}{THIN_SPACE}% alike"))
    return _joined(said)


def _joined(said: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Each name once, its lines under each other."""
    found: list[tuple[str, str]] = []
    for name, text in said:
        if found and name in ("", found[-1][0]):
            found[-1] = (found[-1][0], f"{found[-1][1]}\n{text}")
        else:
            found.append((name, text))
    return found


def figures(move: Move) -> dict[str, str]:
    """The figures of a column as people read them."""
    if move.compared:
        return {"PSI": NOTHING, "JS": NOTHING, "missing": missing(move)}
    said = {"PSI": f"{move.psi:.3f}", "JS": f"{move.js:.3f}", "missing": missing(move)}
    if move.ks is not None:
        said["KS"] = f"{move.ks:.3f}"
    if move.wasserstein is not None:
        said["shift"] = duration(move.wasserstein / 1000) if move.type in TIMES else number(move.wasserstein, 3)
    for name in ("median", "mean"):
        pair = getattr(move, name)
        if pair is not None:
            said[name] = f"{value(pair[0], move.type)} → {value(pair[1], move.type)}"
    return said


def missing(move: Move) -> str:
    before, after = (f"{share * 100:.1f}" if share else "0" for share in move.missing)
    return f"{before} → {after}{THIN_SPACE}%" if before != after else f"{after}{THIN_SPACE}%"


def value(of: float, kind: ColumnType) -> str:
    if kind in TIMES:
        return local_time(round(of))[: 10 if kind is ColumnType.DATE else 16]
    return number(of)
