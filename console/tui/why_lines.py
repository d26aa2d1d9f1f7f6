"""Why a monitor is off, as lines: features by what they may explain, the part of the rows that carries it, examples,
and what changed around the onset."""

from __future__ import annotations

from collections.abc import Sequence

from backends.entities import Millis
from console.monitoring.reasons.why import Carrier, Cause, Example, Why
from console.monitoring.wording import digits, moment
from console.safe import safe_text
from console.tui import ink
from console.tui.card_lines import BLANK
from console.tui.lines import Line, wrapped
from console.wording import plural, thousands

BAR = 10
NAME = 18
TOLD = 4
"""Features of which it is told where they grew."""


LETTERS = "bcdefghij"
ONSET = "a"


def lettered(found: Why) -> list[tuple[str, Millis]]:
    """The letters that stand across the course: the onset, where one is sure, and what changed near it."""
    onset = [(ONSET, found.onset.start)] if found.onset is not None and found.onset.certain else []
    near = [change for change in found.upstream if change.near]
    return [*onset, *((letter, change.at) for letter, change in zip(LETTERS, near, strict=False))]


def why_lines(found: Why, width: int, *, searching: bool = False) -> list[Line]:
    """Everything but the pictures; the line of a feature has it as its value. searching: the sampled rows are still
    being looked at."""
    lines = wrapped(safe_text(found.headline, 600), width, "", " ")
    if found.since is not None:
        counted = (
            f"{plural(found.rows, 'row')}, {thousands(found.labelled)} labelled, of v{safe_text(found.version, 8)}"
        )
        lines.append(Line([(f" since {moment(found.since, 'day')}: {counted}", "dim")]))
    onset = found.onset
    if onset is not None and onset.certain:
        reach = f"between {_when(onset.earliest)} and {_when(onset.latest)}"
        if onset.earliest == onset.latest:
            reach = "and no other window fits as well"
        told = wrapped(safe_text(f"onset {_when(onset.start)}, {reach}", 200), width - 3, "dim", "   ")
        lines += [Line([(f" {ONSET} ", "head"), (ink.plain(told[0].spans)[3:], "dim")]), *told[1:]]
    lines += [BLANK, Line([(" FEATURES", "head"), ("  importance × drift × effect on error", "dim")])]
    for place, cause in enumerate(found.causes):
        lines += _cause(cause, width, told=place < TOLD)
    if not found.causes:
        lines.append(Line([("   none moved", "dim")]))
    if found.sampled:
        lines.append(Line([(f"   the effect on error is that of {plural(found.sampled, 'sampled row')}", "dim")]))
    if found.carriers:
        lines += [BLANK, Line([(" WHERE IT IS", "head")])]
        for carrier in found.carriers:
            lines += _carrier(carrier, width)
    lines += [BLANK, Line([(" WHAT CHANGED AROUND THAT TIME", "head")])]
    letters = {at: letter for letter, at in lettered(found) if letter != ONSET}
    for change in found.upstream:
        by = f", {change.who.partition('@')[0]}" if change.who else ""
        reason = f"  “{change.reason}”" if change.reason else ""
        text = safe_text(f"{moment(change.at, 'hour')}  {change.what}{by}{reason}", 400)
        told = wrapped(text, width - 2, "" if change.near else "dim", "   ")
        if change.near and change.at in letters:
            told[0] = Line([(f" {letters[change.at]} ", "head"), (ink.plain(told[0].spans)[3:], "")])
        lines += told
        for difference in change.difference:
            lines += wrapped(safe_text(difference, 200), width - 4, "dim", "     ")
    if not found.upstream:
        lines.append(Line([("   no change by anybody", "dim")]))
    if found.examples:
        left_out = f"  without {', '.join(found.redacted)}" if found.redacted else ""
        title = " ROWS THAT WERE ANSWERED WRONGLY"
        lines += [BLANK, Line([(title, "head"), (safe_text(left_out, max(8, width - len(title) - 1)), "dim")])]
        for example in found.examples:
            lines += _example(example, width)
    elif searching:
        lines += [BLANK, Line([(" ROWS THAT WERE ANSWERED WRONGLY", "head"), ("  being looked for …", "dim")])]
    for note in found.notes:
        lines += [BLANK, *wrapped(safe_text(note, 400), width, "dim", " ")]
    return lines


def _cause(cause: Cause, width: int, *, told: bool) -> list[Line]:
    bar = "█" * max(0, min(BAR, round(cause.weight * BAR))) or ("▏" if cause.weight else "")
    parts = f"{cause.importance * 100:.0f} % × PSI {digits(cause.drift)}"
    spans: list[ink.Span] = [
        (ink.fit(safe_text(cause.column, NAME), NAME) + " ", ""),
        (f"{bar:<{BAR}} ", "accent"),
        (f"{cause.weight * 100:3.0f} %  ", ""),
        (parts, "dim"),
    ]
    if cause.effect is not None:
        spans.append((f" × error {cause.effect:+.3f}", "bad" if cause.effect > 0 else "dim"))
    lines = [Line(spans, f"cause:{cause.column}", cause)]
    if told and cause.part:
        rows = plural(cause.rows, "labelled row")
        where = f"more of {cause.part}: {rows}{'' if cause.effect is not None else ', too few to tell an effect'}"
        lines.append(Line([(f"   {safe_text(where, max(10, width - 5))}", "dim")]))
    return lines


def _when(at: Millis) -> str:
    """The day where that says it all."""
    return moment(at, "day" if at % 86_400_000 == 0 else "hour")


def _carrier(carrier: Carrier, width: int) -> Sequence[Line]:
    kind = f"  {carrier.kind}, {plural(carrier.rows, 'row')}"
    head = Line([("   ", ""), (safe_text(carrier.name, max(20, width - len(kind) - 4)), ""), (kind, "dim")])
    return [head, *wrapped(safe_text(carrier.text, 300), width - 4, "dim", "     ")]


def _example(example: Example, width: int) -> Sequence[Line]:
    said = f"answered {example.answer} ({digits(example.score)}), was {example.truth}"
    values = ", ".join(f"{name} = {value}" for name, value in example.values.items())
    head = Line([("   ", ""), (safe_text(example.id, 30), ""), (f"  {safe_text(said, 100)}", "")])
    return [head, *wrapped(safe_text(values, 600), width - 4, "dim", "     ")]
