"""Where things come from and go to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.entities import Dataset, DatasetVersion, Model, ModelVersion, Run
from console.safe import safe_text
from console.tui.lines import Line
from console.tui.reading import ReadingScreen

if TYPE_CHECKING:
    from console.lineage import Lineage, Node
    from console.tui.here import Here

TONES = {"dataset": "", "run": "accent", "model": "good", "alias": "good", "more": "dim"}


async def show_lineage(here: Here) -> None:
    from console.lineage import lineage

    ref = here.argument or _ref(here.selected)
    found = await here.app.look_up(lambda: lineage(here.backend, ref))
    here.app.push_screen(ReadingScreen(f"Lineage › {found.subject.name}", lineage_lines(found)))


def _ref(chosen: object) -> str:
    match chosen:
        case DatasetVersion() | ModelVersion():
            kind = "dataset" if isinstance(chosen, DatasetVersion) else "model"
            return f"{kind}:{chosen.ref}"
        case Dataset() | Model():
            kind = "dataset" if isinstance(chosen, Dataset) else "model"
            return f"{kind}:{chosen.name}"
        case Run():
            return f"run:{chosen.id}"
    return ""


def lineage_lines(found: Lineage) -> list[Line]:
    """What it was made from, itself, what was made from it."""
    from console.lineage import tree_lines

    lines = [Line([(" ", ""), *_spans(found.subject)]), Line([("", "")])]
    for title, nodes in (("made from", found.up), ("made into", found.down)):
        lines.append(Line([(f" {title}", "head")]))
        lines += [Line([(f" {lead}", "dim"), *_spans(node)]) for lead, node in tree_lines(nodes)]
        if not nodes:
            lines.append(Line([(" └─ nothing that is known", "dim")]))
        lines.append(Line([("", "")]))
    lines += [Line([(f" {safe_text(note, 300)}", "warn")]) for note in found.notes]
    return lines


def _spans(node: Node) -> list[tuple[str, str]]:
    kind = "" if node.kind == "more" else f"{node.kind} "
    return [
        (kind, "dim"),
        (str(safe_text(node.name, 120)), TONES.get(node.kind, "dim")),
        (f"  {safe_text(node.detail, 80)}" if node.detail else "", "dim"),
    ]
