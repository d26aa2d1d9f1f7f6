"""What a sweep found, drawn as lines of (text, tone) for the screen and the command line.

Tones are the screen's: "" plain, dim, accent, good, head. `rich` says whether signs beyond ASCII can be shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from console.axes import padded, y_ticks
from console.safe import cell_length, cut, safe_text
from console.trace import DOTS_X, DOTS_Y, trace
from console.training.sweep.begin import SweepState
from console.training.sweep.space import Dimension
from console.training.sweep.telling import value_text
from console.training.sweep.trials import Trial
from console.wording import number

Spans = list[tuple[str, str]]
HISTORY, IMPORTANCE, PARALLEL, SLICE = "history", "importance", "parallel", "slice "

LEAST: Final = (24, 5)
"""Columns and rows under which nothing can be read."""
FAINT: Final = 40
"""So many of the trials that are not among the best are drawn as lines: more would be a grey field."""
BRIGHT: Final = 0.2
"""Part of the trials that is drawn bright."""


def kinds(state: SweepState) -> list[str]:
    """The plots there are, in the order in which a key goes through them."""
    return [HISTORY, IMPORTANCE, PARALLEL, *(SLICE + name for name in state.plan.space)]


def plot(
    state: SweepState,
    kind: str,
    width: int,
    height: int,
    *,
    shares: Mapping[str, float] | None = None,
    rich: bool = True,
) -> list[Spans]:
    """At most `height` lines of at most `width` cells. `shares` are those of `importance`, None while unknown."""
    if width < LEAST[0] or height < LEAST[1]:
        return [[("too small for a plot", "dim")]]
    if kind == IMPORTANCE:
        return _importance(state, shares, width, height)
    if not any(trial.complete for trial in state.trials):
        return [[(kind, "head")], [(f"no trial has a {safe_text(state.primary, 40)} yet", "dim")]]
    if kind == HISTORY:
        return _history(state, width, height, rich)
    if kind == PARALLEL:
        return _parallel(state, width, height, rich)
    return _slice(state, kind.removeprefix(SLICE), width, height, rich)


class _Canvas:
    """Cells to draw in; x and y go from 0 to 1, from the lower left."""

    def __init__(self, columns: int, rows: int, rich: bool) -> None:
        self.columns, self.rows, self.rich = columns, rows, rich
        self.cells = [[(" ", "")] * columns for _ in range(rows)]

    def line(self, points: Sequence[tuple[float, float]], tone: str) -> None:
        """Points in order of x."""
        right, top = DOTS_X * self.columns - 1, DOTS_Y * self.rows - 1
        dots = [(x * right, y * top) for x, y in points]
        for row, column, sign in trace([dots], self.columns, self.rows, marker="braille" if self.rich else "."):
            self.cells[row][column] = (sign, tone)

    def point(self, x: float, y: float, sign: str, tone: str) -> None:
        column = min(self.columns - 1, max(0, int(x * (self.columns - 1) + 0.5)))
        row = min(self.rows - 1, max(0, int(y * (self.rows - 1) + 0.5)))
        self.cells[self.rows - 1 - row][column] = (sign, tone)

    def spans(self, row: int) -> Spans:
        found: Spans = []
        for text, tone in self.cells[row]:
            if found and (found[-1][1] == tone or text == " "):
                found[-1] = (found[-1][0] + text, found[-1][1])
            else:
                found.append((text, tone))
        return found


def _signs(rich: bool) -> tuple[str, str, str, str]:
    """A trial, the best one, one that was pruned, one that failed."""
    return ("•", "◆", "×", "✕") if rich else ("o", "#", "x", "!")


def _ordered(state: SweepState) -> list[Trial]:
    return sorted((trial for trial in state.trials if trial.complete), key=lambda trial: trial.number)


def _value(trial: Trial) -> float:
    return trial.value if trial.value is not None else math.nan


def _range(state: SweepState, values: Sequence[float]) -> tuple[float, float, int]:
    """(low, high, how many lie beyond): a few that went astray do not press the others together."""
    ordered = sorted(values, reverse=not state.lower_is_better)
    best, most = ordered[0], ordered[-1]
    usual = ordered[min(len(ordered) - 1, int(len(ordered) * 0.9))]
    if len(ordered) >= 10 and abs(most - best) > 4 * abs(usual - best) > 0:
        edge = usual + (usual - best) / 2
        low, high = padded(min(best, edge), max(best, edge))
        return low, high, sum(not low <= value <= high for value in ordered)
    return (*padded(min(values), max(values)), 0)


def _heading(title: str, notes: Sequence[tuple[str, str]], width: int) -> Spans:
    found: Spans = [(cut(safe_text(title), width), "head")]
    left = width - cell_length(found[0][0])
    for text, tone in notes:
        said = cut(f"  {text}", left)
        if len(said) > 3:
            found.append((said, tone))
            left -= cell_length(said)
    return found


def _framed(canvas: _Canvas, heading: Spans, ticks: Mapping[int, str], labels: str) -> list[Spans]:
    """The canvas with a y axis, an x axis and what stands under it."""
    margin = max(map(len, ticks.values()), default=0)
    lines = [heading]
    for row in range(canvas.rows):
        edge = f"{ticks.get(row, ''):>{margin}}" + ("┤" if row in ticks else "│")
        lines.append([(edge, "dim"), *canvas.spans(row)])
    lines.append([(" " * margin + "└" + "─" * canvas.columns, "dim")])
    lines.append([(" " * (margin + 1) + labels, "dim")])
    return lines


def _room(low: float, high: float, width: int, rows: int) -> tuple[dict[int, str], int]:
    """(labels of the y axis, columns that are left)."""
    ticks = y_ticks(low, high, rows, False)
    return ticks, max(8, width - max(map(len, ticks.values()), default=0) - 1)


def _spread(names: Sequence[str], columns: int) -> str:
    """Names at their even places, those that fit."""
    row = [" "] * columns
    taken = -1
    for at, name in enumerate(names):
        middle = (at + 0.5) / len(names) * (columns - 1)
        text = cut(safe_text(name), max(3, columns // len(names) - 1))
        start = max(taken + 1, min(columns - len(text), int(middle - len(text) / 2 + 0.5)))
        if start + len(text) <= columns:
            row[start : start + len(text)] = text
            taken = start + len(text)
    return "".join(row)


def _ends(first: str, last: str, columns: int) -> str:
    return first + last.rjust(max(0, columns - len(first)))


def _history(state: SweepState, width: int, height: int, rich: bool) -> list[Spans]:
    """Each trial's result by its number, and the best so far."""
    done, (dot, star, cross, broken) = _ordered(state), _signs(rich)
    low, high, beyond = _range(state, [_value(trial) for trial in done])
    rows = height - 3
    ticks, columns = _room(low, high, width, rows)
    canvas = _Canvas(columns, rows, rich)
    last = max(1, *(trial.number for trial in state.trials))

    def place(value: float) -> float:
        return min(1.0, max(0.0, (value - low) / (high - low)))

    steps: list[tuple[float, float]] = []
    best: float | None = None
    for trial in done:
        value, x = _value(trial), trial.number / last
        if best is not None:
            steps.append((x, place(best)))
        best = value if best is None else min(best, value) if state.lower_is_better else max(best, value)
        steps.append((x, place(best)))
    if best is not None and steps[-1][0] < 1:
        steps.append((1.0, place(best)))
    canvas.line(steps, "accent")
    for trial in state.trials:
        if trial.complete:
            canvas.point(trial.number / last, place(_value(trial)), dot, "")
        elif trial.pruned:
            canvas.point(trial.number / last, 0.0, cross, "dim")
        elif trial.status.ended:
            canvas.point(trial.number / last, 0.0, broken, "bad")
    if state.best is not None:
        canvas.point(state.best.number / last, place(_value(state.best)), star, "accent")
    notes = [(f"{dot} {safe_text(state.primary, 24)}", ""), ("━ best so far" if rich else ". best so far", "accent")]
    if any(trial.pruned for trial in state.trials):
        notes.append((f"{cross} pruned", "dim"))
    if any(trial.status.ended and not trial.complete and not trial.pruned for trial in state.trials):
        notes.append((f"{broken} failed", "bad"))
    return _framed(
        canvas, _heading(HISTORY, [*notes, *_said_beyond(beyond)], width), ticks, _ends("0", str(last), columns)
    )


def _said_beyond(beyond: int) -> list[tuple[str, str]]:
    return [(f"{beyond} beyond the edge", "dim")] if beyond else []


def _slice(state: SweepState, name: str, width: int, height: int, rich: bool) -> list[Spans]:
    """The metric by one parameter."""
    each = state.plan.space[name]
    done, (dot, star, _, _) = [trial for trial in _ordered(state) if name in trial.params], _signs(rich)
    title = f"{state.primary} by {name}"
    if not done:
        return [_heading(title, (), width), [("no trial with it has a result yet", "dim")]]
    low, high, beyond = _range(state, [_value(trial) for trial in done])
    rows = height - 3
    ticks, columns = _room(low, high, width, rows)
    canvas = _Canvas(columns, rows, rich)
    best = max(done, key=lambda trial: (-_value(trial) if state.lower_is_better else _value(trial), -trial.number))
    for trial in [*(trial for trial in done if trial is not best), best]:
        y = min(1.0, max(0.0, (_value(trial) - low) / (high - low)))
        sign, tone = (star, "accent") if trial is best else (dot, "")
        x = _across(each, trial.params[name], middle=True)
        if each.choices:  # beside each other, that many of one choice are seen as many
            x += (trial.number * 0.618034 % 1 - 0.5) * 0.6 / len(each.choices)
        canvas.point(x, y, sign, tone)
    labels = (
        _spread([value_text(value) for value in each.choices], columns)
        if each.choices
        else _ends(value_text(each.low), value_text(each.high), columns)
    )
    notes = [("log", "dim")] if each.log else []
    said = f"{star} {number(best.value, 4)} at {safe_text(value_text(best.params[name]), 24)}"
    return _framed(canvas, _heading(title, [(said, "accent"), *notes, *_said_beyond(beyond)], width), ticks, labels)


def _across(each: Dimension, value: object, *, middle: bool = False) -> float:
    """Where a value lies in its range, 0 to 1; of choices their place, each in the `middle` of its stretch."""
    if each.choices:
        at = next((at for at, one in enumerate(each.choices) if one == value and type(one) is type(value)), 0)
        count = len(each.choices)
        return (at + 0.5) / count if middle else at / (count - 1) if count > 1 else 0.5
    low, high, here = float(each.low or 0), float(each.high or 0), float(value)  # type: ignore[arg-type]
    if high <= low:
        return 0.5
    if each.log:
        low, high, here = math.log(low), math.log(high), math.log(max(here, 1e-300))
    return min(1.0, max(0.0, (here - low) / (high - low)))


def _parallel(state: SweepState, width: int, height: int, rich: bool) -> list[Spans]:
    """An axis for each parameter and one for the metric; a line for each trial, the best ones bright."""
    done = _ordered(state)
    done.sort(key=lambda trial: (_value(trial) if state.lower_is_better else -_value(trial), trial.number))
    bright = max(1, round(len(done) * BRIGHT))
    faint = done[bright:]
    low, high, beyond = _range(state, [_value(trial) for trial in done])
    names = list(state.plan.space)
    # A name needs some cells: of many parameters the last ones are left out, and that is said.
    shown = names[: max(1, width // 11 - 1)]
    rows = height - 4
    if rows < 2:
        return [[("too small for a plot", "dim")]]
    most = min(FAINT, 2 * rows if rich else rows)
    if len(faint) > most:
        faint = [faint[at * len(faint) // most] for at in range(most)]
    canvas = _Canvas(width, rows, rich)
    places = [at / len(shown) for at in range(len(shown) + 1)]

    def draw(trial: Trial, tone: str) -> None:
        part: list[tuple[float, float]] = []
        for x, name in zip(places, shown, strict=False):
            if name in trial.params:
                part.append((x, _across(state.plan.space[name], trial.params[name])))
            else:
                if len(part) > 1:
                    canvas.line(part, tone)
                part = []
        part.append((1.0, min(1.0, max(0.0, (_value(trial) - low) / (high - low)))))
        if len(part) > 1:
            canvas.line(part, tone)

    for trial in reversed(faint):
        draw(trial, "dim")
    for x in places:
        for row in range(rows):
            canvas.cells[row][int(x * (width - 1) + 0.5)] = ("│", "dim")
    for trial in reversed(done[1:bright]):
        draw(trial, "good")
    draw(done[0], "accent")
    tops = [_end(state.plan.space[name], 1) for name in shown] + [number(high, 3)]
    feet = [_end(state.plan.space[name], 0) for name in shown] + [number(low, 3)]
    notes = [("best", "accent"), (f"best fifth: {bright} of {len(done)}", "good"), *_said_beyond(beyond)]
    if len(shown) < len(names):
        notes.append((f"{len(names) - len(shown)} parameters more", "dim"))
    return [
        _heading("parallel", notes, width),
        [(_at_axes(tops, places, width), "dim")],
        *(canvas.spans(row) for row in range(rows)),
        [(_at_axes(feet, places, width), "dim")],
        [(_at_axes([*shown, state.primary], places, width), "")],
    ]


def _end(each: Dimension, end: int) -> str:
    if each.choices:
        return value_text(each.choices[-1 if end else 0])
    return value_text(each.high if end else each.low)


def _at_axes(texts: Sequence[str], places: Sequence[float], width: int) -> str:
    """Each text at its axis: the first begins at it, the last ends at it, the others stand around it."""
    row = [" "] * width
    room, free = max(3, width // len(texts) - 1), 0
    for at, (text, x) in enumerate(zip(texts, places, strict=True)):
        said = cut(safe_text(text), room)
        column = int(x * (width - 1) + 0.5)
        start = column if at == 0 else column - len(said) + 1 if at == len(texts) - 1 else column - len(said) // 2
        start = max(free, min(width - len(said), start))
        row[start : start + len(said)] = said
        free = start + len(said) + 1
    return "".join(row)[:width].rstrip()


def _importance(state: SweepState, shares: Mapping[str, float] | None, width: int, height: int) -> list[Spans]:
    """How much of the metric's variance each parameter explains."""
    heading = _heading(IMPORTANCE, [(f"of {safe_text(state.primary, 24)}, share of its variance", "dim")], width)
    if shares is None:
        return [heading, [("working it out …", "dim")]]
    if not shares:
        return [heading, [("needs ten finished trials with different results", "dim")]]
    pairs = sorted(shares.items(), key=lambda pair: -pair[1])
    shown = pairs if len(pairs) <= height - 1 else pairs[: height - 2]
    label = min(max(cell_length(safe_text(name)) for name, _ in shown), max(8, width // 3))
    cells = max(4, width - label - 8)
    most = pairs[0][1] or 1.0
    lines = [heading]
    for name, share in shown:
        said = cut(safe_text(name), label)
        full = round(share / most * cells)
        lines.append(
            [(said + " " * (label - cell_length(said)) + " ", ""), ("█" * full, "accent"), (f" {share:.0%}", "dim")]
        )
    if len(shown) < len(pairs):
        lines.append([(f"and {len(pairs) - len(shown)} more", "dim")])
    return lines
