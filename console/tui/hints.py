"""What a person who is new to the program, or whose workspace is new, reads first in the overview."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.tui.lines import Line

if TYPE_CHECKING:
    from console.tui import ink
    from console.tui.overview_look import Seen

WELCOME = (
    "  1–7 panes · ? all keys · : go anywhere · / filter a list · esc steps back",
    "  i imports a file as a dataset · t trains · p promotes · b rolls back",
    "  Every change is journaled with your name; u takes the latest back.",
)
EXAMPLE = "  A living example on real data: q, then  mlops-console demo"

_BLANK = Line([("", "")])


def hint_lines(seen: Seen, wanted: bool | None) -> list[Line]:
    """The welcome while nobody has made anything, then one line with the next step while the workspace is new.

    `wanted`: True on request (all of it), False once the person has done something, None for neither.
    """
    if wanted is False:
        return []
    lines: list[Line] = []
    if seen.fresh or wanted:
        head = "Welcome: train, compare, promote, watch and roll back models by keyboard."
        lines += [Line([(f" {head}", "head")]), *(Line([(" " + text, "")]) for text in WELCOME)]
    if seen.new or wanted:
        lines.append(Line(_next_step(seen)))
        if seen.fresh and not seen.work:
            lines.append(Line([(" " + EXAMPLE, "")]))
    return [*lines, _BLANK] if lines else []


def _next_step(seen: Seen) -> ink.Spans:
    """What to press next, by what there is already."""
    if any(one.windows for one in seen.production):
        return _press(("5", "watch drift and accuracy"), ("4", "then p promotes, b rolls back"), ("u", "undo"))
    if any(one.monitor for one in seen.production):
        return _press(("5", "watch what its model sees, once data come"), ("4", "then p promotes, b rolls back"))
    if seen.production:
        return _press(("4", "then p, b, u"), after="watch it: mlops-console monitor create --help")
    if seen.work:
        return _press(("2", "the data"), ("3", "the trainings, once they are there"), after="it is being made")
    if seen.models:
        return _press(("4", "then enter, and p promotes a version"))
    if seen.runs:
        return _press(("3", "then r registers the model of a finished run"))
    if seen.datasets:
        return _press(("t", "train a model on a dataset"), ("2", "see its columns and rows"))
    return _press(("i", "import a file: CSV, TSV, JSON lines or Parquet"))


def _press(*keys: tuple[str, str], after: str = "") -> ink.Spans:
    spans: list[ink.Span] = [(" Press ", "dim")]
    for number, (key, what) in enumerate(keys):
        spans += [(" · " if number else "", "dim"), (key, "key"), (f" {what}", "dim")]
    return [*spans, (f" · {after}" if after else "", "dim")]
