"""`mlops-console monitor chart`: any measure of a monitor by window, drawn as text or as a document."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import click

from backends.contract import Invalid, NotFound
from backends.entities import Estimate, Millis
from console.cli.monitor import monitor
from console.cli.output import print_lines
from console.cli.verb import Invocation
from console.monitoring.wording import moment
from console.safe import safe_text
from console.wording import number, plural

if TYPE_CHECKING:
    from console.monitoring.charted import Course
    from console.monitoring.read import MonitorView

UNITS = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"))
"""What the time axis may count, longest first (ms)."""
MARKED = 12


@monitor.command("chart")
@click.argument("name")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--windows", "shown", default=0, type=click.IntRange(0, 100_000), help="Newest ones; 0: as the pane has.")
@click.option(
    "--by",
    "stretch",
    type=click.Choice(["minute", "hour", "day", "week"]),
    help="Merge windows into these; their counts add up.",
)
@click.option("--segment", default="", metavar="SEGMENT", help="Only the rows of this segment of the monitor.")
@click.pass_obj
def chart(
    invocation: Invocation, name: str, keys: tuple[str, ...], shown: int, stretch: str | None, segment: str
) -> None:
    """A measure by window, with what happened along the way.

    KEY is what rules call it (auc, drift.temp.psi, missing.age, bias.sex.demographic_parity, service.p95), with * for
    every column, or a chart of the pane: quality, drift, bias, rate, latency, errors, cpu, memory.
    """
    from console.monitoring.charted import QUALITY, courses_of, keys_of_chart
    from console.monitoring.happened import onset_mark
    from console.monitoring.ranges import stretches
    from console.monitoring.read import Look, monitor_view

    found = invocation.need("monitors").get(name)
    kinds = stretches(found.window)
    if stretch and stretch not in kinds:
        raise Invalid(f"windows of a {found.window} are drawn by {', '.join(kinds)}, not by {stretch}", "by")
    known = [each.name for each in found.segments]
    if segment and segment not in known:
        raise Invalid(f"{name} has no segment {segment!r}; it has {', '.join(known) or 'none'}", "segment")
    look = Look(stretch="" if stretch in (None, found.window) else stretch or "", segment=segment)
    view = monitor_view(invocation.backend, name, look=look, windows=shown)
    if not view.windows:
        raise NotFound(view.headline)
    courses = courses_of(view, keys_of_chart(view, " ".join(keys) or QUALITY))
    onset = onset_mark(invocation.backend, name) if not segment else None
    marks = sorted((*view.marks, *([onset] if onset else [])), key=lambda mark: mark.at)
    document = {
        "monitor": name,
        "by": view.kind,
        "segment": segment,
        "metric": view.metric,
        "reference": view.reference,
        "courses": [
            {"key": each.key, "unit": each.unit, "points": [_point(at, value) for at, value in each.points]}
            for each in courses
        ],
        "marks": marks,
    }
    invocation.show(document, lambda: _draw(view, courses, [(mark.at, mark.text) for mark in marks]))


def _point(at: Millis, value: Estimate | None) -> dict[str, object]:
    found = {} if value is None else {"value": value.value, "low": value.low, "high": value.high, "n": value.n}
    return {"at": at, "value": None, **found}


def _draw(view: MonitorView, courses: tuple[Course, ...], marks: list[tuple[Millis, str]]) -> None:
    from console.cli.chart_text import draw_lines, stretches

    known = [course for course in courses if course.known]
    silent = [course.key for course in courses if not course.known]
    if not known:
        span = plural(len(view.windows), "window")
        raise NotFound(
            f"{view.monitor.name} has measured no {', '.join(silent) or 'quality'} in {span}; "
            "mlops-console monitor show lists what it has"
        )
    first = min(at for course in known for at, _ in course.points)
    last = max(at for course in known for at, _ in course.points)
    length, unit = next(((ms, word) for ms, word in UNITS if last - first >= 3 * ms), UNITS[-1])
    parts = [
        part
        for course in known
        for part in stretches(
            ((at - first) / length, nan if value is None else value.value) for at, value in course.points
        )
    ]
    draw_lines([_head(view, course) for course in known], parts)
    print_lines(f"in {unit}s since {moment(first, view.kind)}")
    for at, text in marks[-MARKED:]:
        print_lines(f"{unit} {number((at - first) / length, 3)}: {safe_text(text, 80)}")
    if silent:
        print_lines(f"never measured: {', '.join(silent)}")


def _head(view: MonitorView, course: Course) -> str:
    values = [value.value for _, value in course.points if value is not None]
    reference = view.reference.get(course.key)
    said = f"least {number(min(values), 3)}, most {number(max(values), 3)}, last {number(values[-1], 3)}"
    held = f", reference {number(reference, 3)}" if reference is not None else ""
    return safe_text(f"{course.key}{f' ({course.unit})' if course.unit else ''}  {said}{held}", 200)
