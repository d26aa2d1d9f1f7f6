"""Everything about a version of a prompt, as lines: its text above all."""

from __future__ import annotations

from collections.abc import Sequence

from backends.entities import AliasMove, ModelVersion
from console.promotion.prompts import CONFIG, FORMAT, TEXT, text_of, type_of, variables_of
from console.safe import safe_lines, safe_text
from console.tui.describing import field
from console.tui.lines import Line, wrapped
from console.tui.model_lines import BLANK, head, history_lines, tag_lines
from console.wording import ago


def prompt_lines(
    version: ModelVersion, moves: Sequence[AliasMove], width: int, *, everything: bool = False
) -> list[Line]:
    """The text as it is written, what callers fill in, what it asks of a model, where it has stood."""
    name = f" {safe_text(version.model, max(8, width - 20))} v{safe_text(version.version, 12)}"
    lines = [Line([(name, "head"), *((f"  {safe_text(alias, 20)}", "accent") for alias in version.aliases)])]
    by = f" by {safe_text(version.created_by, 40)}" if version.created_by else ""
    lines.append(field("made", f"{ago(version.created_at)}{by}"))
    lines.append(field("type", safe_text(type_of(version), 20)))
    lines.append(field("fills in", safe_text(", ".join(variables_of(version)), 200) or "nothing"))
    for title, tag in (("answers as", FORMAT), ("model", CONFIG)):
        if tag in version.tags:
            lines.append(field(title, safe_text(version.tags[tag], 400)))
    lines += [BLANK, head("text")]
    for row in safe_lines(text_of(version)):
        lines += wrapped(row, width, indent=" ")
    lines += history_lines(version, moves, everything=everything)
    if version.note:
        lines += [BLANK, *wrapped(safe_text(version.note, 2000), width, indent=" ")]
    tags = {key: value for key, value in version.tags.items() if key != TEXT}
    return [*lines, *tag_lines(tags, everything)]
