"""Everything about a model or one of its versions, as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backends.entities import AliasMove, Column, ColumnType, Model, ModelFile, ModelVersion, Package
from console.safe import safe_text
from console.training.measured import SIDE, in_order
from console.tui import state
from console.tui.columns import metric
from console.tui.describing import field, hidden_line, own_tags
from console.tui.lines import Line, wrapped
from console.tui.run_columns import used_words
from console.wording import ago, by_whom, in_weight, local_time, plural, size

MOVES = 6
"""Moves of a version that are shown beside the list."""
NEEDED = 20
"""Requirements that are shown."""

BLANK = Line([("", "")])


def head(text: str) -> Line:
    return Line([(f" {text}", "head")])


def model_lines(model: Model, champion: ModelVersion | None, width: int, *, everything: bool = False) -> list[Line]:
    """A model: its aliases, its champion's numbers, its note; MLflow's own tags only with `everything`."""
    lines = [
        Line(
            [
                (f" {safe_text(model.name, max(8, width - 20))}", "head"),
                (f"  {plural(model.versions, 'version')}", "dim"),
            ]
        )
    ]
    for alias in in_weight(model.aliases):
        lines.append(field(alias, [(f"v{safe_text(model.aliases[alias], 20)}", "accent")]))
    if not model.aliases:
        lines.append(field("aliases", [("none: go in with enter, promote a version with p", "dim")]))
    lines.append(field("made", by_whom(local_time(model.created_at), safe_text(model.created_by, 40))))
    if model.note:
        lines += [BLANK, *wrapped(safe_text(model.note, 2000), width, indent=" ")]
    if champion:
        lines += [BLANK, head(f"champion v{safe_text(champion.version, 20)}"), *_metrics(champion)]
    return [*lines, *tag_lines(model.tags, everything)]


def version_lines(
    version: ModelVersion, moves: Sequence[AliasMove], width: int, unknown: str = "", *, everything: bool = False
) -> list[Line]:
    """A version: where it comes from, how good it is, what its file holds, where it has stood. `unknown` says why its
    package could not be read; MLflow's own tags and a long history only with `everything`."""
    file = version.file
    name = f" {safe_text(version.model, max(8, width - 20))} v{safe_text(version.version, 12)}"
    lines = [Line([(name, "head"), *((f"  {safe_text(alias, 20)}", "accent") for alias in in_weight(version.aliases))])]
    lines.append(field("made", by_whom(ago(version.created_at), safe_text(version.created_by, 40))))
    lines.append(field("run", safe_text(version.run, 32)))
    for used in version.inputs:
        lines.append(field(used.context or "data", safe_text(used_words(used), 60)))
    lines += _metrics(version)
    lines += [BLANK, head("file")]
    lines.append(field("format", f"{safe_text(file.format, 20) or 'none recorded'}  {size(file.bytes)}"))
    lines.append(field("sha256", safe_text(file.sha256[:16], 20) or "none recorded"))
    if file.untrusted:
        lines.append(field("untrusted", [(safe_text(", ".join(file.untrusted), 200), "bad")]))
    elif file.format == "skops" and not file.inspected:
        lines.append(field("types", [state.span("warn", "not looked into")]))
    elif file.format in ("skops", "onnx"):
        lines.append(field("types", [state.span("ok", "all on the allow-list")]))
    elif file.format:
        lines.append(field("types", [state.span("warn", "runs code when loaded, cannot be inspected")]))
    for library, number in sorted(file.libraries.items()):
        lines.append(field(library, safe_text(number, 20)))
    lines += _package(version.package, file, unknown, width)
    lines += _columns("takes", version.signature.inputs) + _columns("gives", version.signature.outputs)
    lines += history_lines(version, moves, everything=everything)
    if version.note:
        lines += [BLANK, *wrapped(safe_text(version.note, 2000), width, indent=" ")]
    return [*lines, *tag_lines(version.tags, everything)]


def _package(package: Package | None, file: ModelFile, unknown: str, width: int) -> list[Line]:
    """How it is packed for MLflow's clients, and what it needs."""
    if package is None:
        return [BLANK, *wrapped(safe_text(f"its MLmodel: {unknown}", 400), width, "warn", " ")] if unknown else []
    lines = [BLANK, head("package")]
    said = (
        ("flavors", ", ".join(package.flavors)),
        ("loaded by", package.loader),
        ("mlflow", package.mlflow),
        ("python", package.python),
        ("size", size(package.bytes) if package.bytes else ""),
    )
    lines += [field(name, safe_text(value, 120)) for name, value in said if value]
    needs = () if file.libraries else package.requirements  # of our own files the libraries stand above
    for at, needed in enumerate(needs[:NEEDED]):
        lines.append(field("" if at else "needs", safe_text(needed, 80)))
    if len(needs) > NEEDED:
        lines.append(field("", [(f"and {len(needs) - NEEDED} more", "dim")]))
    return lines


def history_lines(version: ModelVersion, moves: Sequence[AliasMove], *, everything: bool = False) -> list[Line]:
    """When the version became what, and when it left, by whom, how and why; newest first."""
    mine = [move for move in moves if version.version in (move.version, move.previous)]
    if not mine:
        return []
    shown = mine if everything else mine[:MOVES]
    lines = [BLANK, head("history"), *(line for move in shown for line in _move(move, version.version))]
    if len(mine) > len(shown):
        lines.append(Line([(f" {len(mine) - len(shown)} earlier moves: d shows them", "dim")]))
    return lines


_HOW = {
    "promote": "promoted",
    "rollback": "rolled back",
    "undo": "undone",
    "unalias": "taken away",
    "delete": "deleted",
    "elsewhere": "moved without a console",
}


def _move(move: AliasMove, version: str) -> list[Line]:
    came = move.version == version
    word = f"became {safe_text(move.alias, 24)}" if came else f"left {safe_text(move.alias, 24)}"
    other = move.previous if came else move.version
    rest = f" {'after' if came else 'for'} v{safe_text(other, 12)}" if other else ""
    return _told(move, f"{word}{rest}")


def moves_lines(moves: Sequence[AliasMove], agreed: Mapping[str, str] | None = None) -> list[Line]:
    """Every move of a model's aliases, newest first. `agreed` says by journal entry who agreed, where others were
    asked."""
    lines = [BLANK, head("history")] if moves else []
    for move in moves:
        before, after = (f"v{safe_text(each, 12)}" if each else "nothing" for each in (move.previous, move.version))
        lines += _told(move, f"{safe_text(move.alias, 24)}: {before} → {after}")
        if agreed and move.entry in agreed:
            lines.append(Line([(f"   {safe_text(agreed[move.entry], 300)}", "dim")]))
    return lines


def _told(move: AliasMove, what: str) -> list[Line]:
    how = _HOW.get(move.action, safe_text(move.action, 20))
    entry = f"  journal {safe_text(move.entry[:8])}" if move.entry else ""
    along = f", with {safe_text(', '.join(move.along), 60)}" if move.along else ""
    lines = [
        Line([(f" {local_time(move.at)[:16]}  ", "dim"), (f"{what}{along}", "")]),
        Line([(f"   {how} by {safe_text(move.actor, 32) or 'somebody'}{entry}", "dim")]),
    ]
    return [*lines, Line([(f"   “{safe_text(move.reason, 200)}”", "dim")])] if move.reason else lines


def _metrics(version: ModelVersion) -> list[Line]:
    main = [name for name in in_order(version) if not name.startswith(SIDE)]
    if not main:
        return []
    return [BLANK, head("metrics"), *(field(name, metric(version.metrics[name])) for name in main)]


def _columns(title: str, columns: Sequence[Column]) -> list[Line]:
    if not columns:
        return []
    shown = [field(column.name, [(_typed(column), "dim")], width=24) for column in columns[:60]]
    if len(columns) > 60:
        shown.append(Line([(f" and {len(columns) - 60} more", "dim")]))
    return [BLANK, head(title), *shown]


def _typed(column: Column) -> str:
    if column.type is ColumnType.OTHER and column.note:
        return safe_text(column.note, 60)
    return f"{column.type}  {safe_text(column.note, 60)}".rstrip()


def tag_lines(tags: dict[str, str], everything: bool) -> list[Line]:
    """The tags that a person set; MLflow's own are counted, or with `everything` shown."""
    shown, hidden = own_tags(tags, everything=everything)
    if not tags:
        return []
    lines = [BLANK, head("tags"), *(field(name, safe_text(value, 200), width=24) for name, value in shown)]
    return [*lines, hidden_line(hidden)] if hidden else lines
