"""Why a monitor is off, as lines: features by what they may explain, the part of the rows that carries it, examples,
and what changed around the onset."""

from __future__ import annotations

from collections.abc import Sequence

from console.monitoring.reasons.why import Carrier, Cause, Example, Why
from console.monitoring.wording import digits, moment
from console.safe import safe_text
from console.tui import ink
from console.tui.card_lines import BLANK
from console.tui.lines import Line, wrapped
from console.wording import plural, thousands

BAR = 10
NAME = 18


def why_lines(found: Why, width: int) -> list[Line]:
    """Everything but the histograms; the line of a feature has it as its value."""
    lines = wrapped(safe_text(found.headline, 600), width, "", " ")
    if found.since is not None:
        counted = (
            f"{plural(found.rows, 'row')}, {thousands(found.labelled)} labelled, of v{safe_text(found.version, 8)}"
        )
        lines.append(Line([(f" since {moment(found.since, 'day')}: {counted}", "dim")]))
    lines += [BLANK, Line([(" FEATURES", "head"), ("  importance × drift × effect on error", "dim")])]
    lines += [_cause(cause, width) for cause in found.causes] or [Line([("   none moved", "dim")])]
    if found.carriers:
        lines += [BLANK, Line([(" WHERE IT IS", "head")])]
        for carrier in found.carriers:
            lines += _carrier(carrier, width)
    lines += [BLANK, Line([(" WHAT CHANGED AROUND THAT TIME", "head")])]
    for change in found.upstream:
        by = f", {change.who.partition('@')[0]}" if change.who else ""
        reason = f"  “{change.reason}”" if change.reason else ""
        text = safe_text(f"{moment(change.at, 'hour')}  {change.what}{by}{reason}", 400)
        lines += wrapped(text, width - 2, "" if change.near else "dim", "   ")
        for difference in change.difference:
            lines += wrapped(safe_text(difference, 200), width - 4, "dim", "     ")
    if not found.upstream:
        lines.append(Line([("   no change by anybody", "dim")]))
    if found.examples:
        lines += [BLANK, Line([(" ROWS THAT WERE ANSWERED WRONGLY", "head")])]
        for example in found.examples:
            lines += _example(example, width)
    for note in found.notes:
        lines += [BLANK, *wrapped(safe_text(note, 400), width, "dim", " ")]
    return lines


def _cause(cause: Cause, width: int) -> Line:
    bar = "█" * max(0, min(BAR, round(cause.weight * BAR))) or ("▏" if cause.weight else "")
    spans: list[ink.Span] = [
        (ink.fit(safe_text(cause.column, NAME), NAME) + " ", ""),
        (f"{bar:<{BAR}} ", "accent"),
        (f"{cause.weight * 100:3.0f} %  ", ""),
        (safe_text(cause.text, max(10, width - NAME - BAR - 13)), "dim"),
    ]
    return Line(spans, f"cause:{cause.column}", cause)


def _carrier(carrier: Carrier, width: int) -> Sequence[Line]:
    head = Line(
        [
            ("   ", ""),
            (safe_text(carrier.name, 40), ""),
            (f"  {carrier.kind}, {plural(carrier.rows, 'row')} ({carrier.share * 100:.0f} %)", "dim"),
            ("" if carrier.contribution is None else f"  carries {carrier.contribution * 100:.0f} % of it", ""),
        ]
    )
    return [head, *wrapped(safe_text(carrier.text, 300), width - 4, "dim", "     ")]


def _example(example: Example, width: int) -> Sequence[Line]:
    said = f"answered {example.answer} ({digits(example.score)}), was {example.truth}"
    values = ", ".join(f"{name} = {value}" for name, value in example.values.items())
    head = Line([("   ", ""), (safe_text(example.id, 30), ""), (f"  {safe_text(said, 100)}", "")])
    return [head, *wrapped(safe_text(values, 600), width - 4, "dim", "     ")]
