"""The case for a promotion, as a person reads it: what fails first, then the metrics side by side, then what passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from backends.entities import GateResult, GateStatus
from console.safe import cell_length, safe_text
from console.tui import ink, state
from console.tui.lines import Line, wrapped
from console.wording import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.contract import Backend
    from console.promotion.case_facts import Facts
    from console.promotion.comparer import Paired
    from console.promotion.measures import Measure
    from console.promotion.promote import Case

MOST_METRICS = 6
ROOM = 74
"""Cells of a dialog's line beside its scroll bar, in a terminal of 80."""
MOST_TEXT = 8
"""Lines of a prompt's text that are shown at once."""


def case_lines(case: Case) -> list[Line]:
    """Columns: metric, holder, candidate, difference, verdict."""
    lines = [line for gate in case.gates if gate.status is GateStatus.FAIL for line in _gate_lines(gate)]
    if lines:
        lines.append(Line([("", "")]))
    lines += _text_lines(case) if case.prompt else _measures(case)
    lines.append(Line([("", "")]))
    lines += [line for gate in case.gates if gate.status is GateStatus.WARN for line in _gate_lines(gate)]
    passed = [gate for gate in case.gates if gate.status is GateStatus.PASS]
    row: list[ink.Span] = []
    for gate in passed:
        said = f"{safe_text(gate.gate, 20)} {safe_text(gate.value, 44)}".strip()
        if row and ink.width_of(row) + cell_length(said) + 2 > ROOM:
            lines.append(Line(row))
            row = []
        row += [state.span("ok", ""), (f"{said}   ", "")]
    if row:
        lines.append(Line(row))
    return lines


def _measures(case: Case) -> list[Line]:
    holder = f"v{safe_text(case.holder.version, 8)} {safe_text(case.alias, 14)}" if case.holder else "no holder yet"
    lines = measure_lines(case.measures, holder, f"v{safe_text(case.candidate.version, 8)}")
    if case.holder is not None and not case.same_test:
        lines.append(Line([state.span("warn", "not measured on the same rows: the difference says little")]))
    return lines


def measure_lines(measures: Sequence[Measure], holder: str, candidate: str) -> list[Line]:
    """The first of them side by side, under these heads."""
    heads = [("", 22), (holder, 16), (candidate, 11), ("difference", 13)]
    lines = [Line([(ink.fit(text, cells), "dim") for text, cells in heads])]
    lines += [_measure_line(measure) for measure in measures[:MOST_METRICS]]
    if len(measures) > MOST_METRICS:
        lines.append(Line([(f"{len(measures) - MOST_METRICS} more metrics: enter", "dim")]))
    return lines


class CaseDetails:
    """What a dialog about a case shows later than its gates: the differences row by row, and everything on enter."""

    def __init__(self, backend: Backend, case: Case, facts: Facts, width: int) -> None:
        self._backend = backend
        self._case = case
        self._facts = facts
        self._width = width

    def late(self) -> list[Line]:
        """How sure the differences are. Takes a second or two, in a process of its own."""
        from console.promotion.case_facts import pairs_of

        found, why = pairs_of(self._backend, self._case)
        self._facts = replace(self._facts, paired=found, not_paired=why)
        return paired_lines(found, why)

    def everything(self) -> list[Line]:
        """The whole case, as far as it is known by now."""
        from console.promotion.case_parts import parts
        from console.tui.case_screen import part_lines

        return list(part_lines(parts(self._facts), self._width))


def paired_lines(found: Sequence[Paired], why: str = "") -> list[Line]:
    """Each metric with the interval of its difference, or why there is none."""
    if not found:
        return wrapped(f"on the same rows: {safe_text(why, 200)}", 74, "dim")
    lines = [Line([(f"on the same {found[0].rows} rows, 95 % interval of the difference", "dim")])]
    for each in found:
        word = "cannot be told apart" if each.better is None else "surely better" if each.better else "surely worse"
        tone = "warn" if each.better is None else "ok" if each.better else "fail"
        lines.append(
            Line(
                [
                    (ink.fit(safe_text(each.metric), 21) + " ", ""),
                    (ink.fit(signed(each.difference), 11), ""),
                    (ink.fit(f"{signed(each.low)} to {signed(each.high)}", 25), ""),
                    state.span(tone, word),
                ]
            )
        )
    return lines


def _text_lines(case: Case) -> list[Line]:
    """What becomes of the text, line by line."""
    from console.promotion.prompts import difference

    said = difference(case.holder, case.candidate)
    holder = f"v{safe_text(case.holder.version, 8)}" if case.holder else "nothing"
    lines = [Line([(f"the text, from {holder} to v{safe_text(case.candidate.version, 8)}", "dim")])]
    if not said:
        return [*lines, Line([("unchanged", "dim")])]
    tones = {"+": "good", "-": "bad"}
    lines += [Line([(safe_text(line, 200), tones.get(line[:1], "dim"))]) for line in said[:MOST_TEXT]]
    if len(said) > MOST_TEXT:
        lines.append(Line([(f"{len(said) - MOST_TEXT} more lines: enter", "dim")]))
    return lines


def _gate_lines(gate: GateResult) -> list[Line]:
    """What was measured and what was wanted, then the detail where there is one."""
    head: list[ink.Span] = [
        state.span(gate.status, ""),
        (f"{safe_text(gate.gate, 24)}: {safe_text(gate.value, 40)}", "bad" if gate.status == "fail" else ""),
    ]
    wanted = f"(wanted {safe_text(gate.rule, 160)})" if gate.rule else ""
    below: list[str] = [safe_text(gate.detail, 200)] if gate.detail else []
    if ink.width_of(head) + cell_length(wanted) < ROOM:
        head.append((f" {wanted}", "dim"))
    else:
        below.insert(0, wanted)  # on lines of its own, whole
    return [Line(head), *(line for text in below for line in wrapped(text, ROOM, "dim", "  "))]


def _measure_line(measure: Measure) -> Line:
    difference = "" if measure.difference is None else signed(measure.difference)
    word = "" if measure.better is None else "better" if measure.better else "worse"
    return Line(
        [
            (ink.fit(safe_text(measure.name), 21) + " ", ""),
            (ink.fit(number(measure.holder), 16), ""),
            (ink.fit(number(measure.candidate), 11), ""),
            (ink.fit(difference, 13), ""),
            state.span("ok" if measure.better else "warn", word) if word else ("", ""),
        ]
    )


def signed(value: float) -> str:
    """A difference, with its sign."""
    return ("+" if value > 0 else "−" if value < 0 else "") + number(abs(value))
