"""Everything about a deployment, as lines: by version, by target, and what its server said at its end."""

from __future__ import annotations

from collections.abc import Sequence

from console.safe import safe_text
from console.serving.deployment.figures import Standing, VersionFigures, View, engine_text
from console.tui import ink, state
from console.tui.deployment_columns import word_of
from console.tui.describing import field
from console.tui.lines import Line, wrapped
from console.tui.sparkline import sparkline
from console.wording import NOTHING, ago, by_whom, figure, percent, plural, size, thousands, traffic

BLANK = Line([("", "")])
_TITLES = (("version", 7), ("share", 6), ("req/s", 6), ("p50", 6), ("p95", 6), ("p99 ms", 7), ("errors", 7))


def deployment_lines(view: View, width: int) -> list[Line]:
    found, status = view.deployment, view.deployment.status
    lines = [Line([(f" {safe_text(found.name, max(8, width - 20))}  ", "head"), state.span(word_of(found))])]
    if view.needs:
        lines += wrapped(safe_text(view.needs, 600), width, "warn", " ")
    lines += [
        BLANK,
        *(_standing(each) for each in view.standings),
        BLANK,
        *version_lines(view.versions, width),
    ]
    if view.versions:
        lines += [*_course(view, width), BLANK]
    lines.append(field("model", safe_text(found.model, max(10, width - 18))))
    if status.url:
        lines.append(field("url", safe_text(status.url, max(10, width - 18))))
    lines.append(field("workers", _workers(view)))
    lines.append(field("engine", safe_text(engine_text(view), max(10, width - 18))))
    if view.rss is not None:
        cpu = f"{view.cpu * 100:.0f} % of a core, " if view.cpu is not None else ""
        lines.append(field("uses", f"{cpu}{size(view.rss)}"))
    if found.key:
        lines.append(field("sticky by", safe_text(found.key, 60)))
    if found.guard is not None:
        guard = found.guard
        lines.append(
            field("guard", f"errors +{guard.errors:.1%}, slow +{guard.slow:.0%}, drift {guard.drift:g}"),
        )
        lines += _watched(view, width)
    lines.append(field("predictions", _kept(view)))
    lines.append(field("since", f"{ago(status.since)}; {plural(status.restarts, 'restart')}"))
    lines.append(field("made", by_whom(ago(found.created_at), safe_text(found.created_by, 40))))
    if found.note:
        lines += [BLANK, *wrapped(safe_text(found.note, 2000), width, indent=" ")]
    if status.tail:
        lines += [BLANK, Line([(" the end of its log", "head")])]
        lines += [Line([(f" {safe_text(row, max(20, width - 2))}", "dim")]) for row in status.tail]
    return lines


def _course(view: View, width: int) -> list[Line]:
    """The last minute as two lines of marks, with the newest figure behind them."""
    if len(view.course) < 2:
        return []
    cells = max(8, min(30, width - 30))
    newest = view.course[-1]
    rates, times = [each.rate for each in view.course], [each.p95 for each in view.course]
    return [
        field("req/s", [(sparkline(rates, cells, low=0.0), "accent"), (f"  {figure(newest.rate)}", "")]),
        field(
            "p95",
            [
                (sparkline(times, cells), "accent"),
                (f"  {figure(newest.p95)}" + (" ms" if newest.p95 is not None else ""), ""),
            ],
        ),
    ]


def _watched(view: View, width: int) -> list[Line]:
    """What the guard made of each version that it holds against the first."""
    watched = view.watched
    if watched is None:
        return []
    lines = []
    for target, course in watched.courses.items():
        if target == f"@{view.deployment.targets[0].label}" or target == view.deployment.targets[0].label:
            continue
        results = watched.results.get(target, ())
        name = target.removeprefix("@")
        if not results:
            wanted = view.deployment.guard.requests if view.deployment.guard is not None else 0
            said = f"{thousands(course.requests)} of {thousands(wanted)} answers before it is judged"
            lines.append(field(f"  {safe_text(name, 12)}", [(said, "dim")]))
            continue
        callers = f"{plural(course.keys, 'caller')}, {plural(watched.looks, 'look')}"
        lines.append(field(f"  {safe_text(name, 12)}", [(callers, "dim")]))
        for each in results:
            row = ink.fit(f"{safe_text(each.gate, 12)}", 13) + str(safe_text(each.value, max(10, width - 32)))
            lines.append(field("", [state.span(str(each.status)), (f"  {row}", "")]))
    return lines


def version_lines(versions: Sequence[VersionFigures], width: int) -> list[Line]:
    """A line a version, the columns that fit."""
    if not versions:
        return []
    titles = list(_TITLES)
    for gives_way in ("p95", "p50", "req/s"):
        if sum(cells for _, cells in titles) > width - 1:
            titles = [each for each in titles if each[0] != gives_way]
    lines = [
        Line([(" " + "".join(ink.fit(name, cells, right=at > 0) for at, (name, cells) in enumerate(titles)), "dim")])
    ]
    for each in versions:
        cells_of = {
            "version": "none" if each.version == "-" else f"v{safe_text(each.version, 5)}",
            "share": "shadow" if each.shadow else NOTHING if each.share is None else f"{each.share * 100:g} %",
            "req/s": figure(each.rate),
            "p50": figure(each.p50),
            "p95": figure(each.p95),
            "p99 ms": figure(each.p99),
            "errors": percent(each.errors),
        }
        text = "".join(ink.fit(cells_of[name], cells, right=at > 0) for at, (name, cells) in enumerate(titles))
        before = not each.targets and each.version != "-"  # it answers nobody now
        lines.append(Line([(f" {text}", "dim" if before else "warn" if each.errors else "")]))
    return lines


def _standing(each: Standing) -> Line:
    share = traffic(each)
    served = f"v{safe_text(each.served, 12)}" if each.served else "nothing yet"
    spans: list[ink.Span] = [(f"{served} {share}", "")]
    if each.wanted and each.served and each.wanted != each.served:
        spans.append((f"   the alias says v{safe_text(each.wanted, 12)}", "warn"))
    elif not each.wanted:
        spans.append(("   names no version that is known", "warn"))
    if each.trouble:
        spans.append((f"   {safe_text(each.trouble, 200)}", "warn"))
    return field(each.target, spans)


def _workers(view: View) -> str:
    wanted = view.deployment.workers
    return str(wanted) if view.workers in (None, wanted) else f"{view.workers} of {wanted}"


def _kept(view: View) -> str:
    found = view.deployment
    if not found.log or not found.sample:
        return "not kept"
    kept = "kept" if found.sample == 1 else f"{found.sample:.0%} of them kept"
    without = f", without {safe_text(', '.join(found.redact), 60)}" if found.redact else ""
    return kept + without + (f"; {thousands(view.dropped)} dropped" if view.dropped else "")
