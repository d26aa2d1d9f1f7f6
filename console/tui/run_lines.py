"""Everything about one run, as lines."""

from __future__ import annotations

import time
from collections.abc import Sequence

from backends.entities import Artifact, Run, RunStatus
from backends.entities.holdings import ARTIFACTS_GONE, LOG_GONE, Room
from backends.system_metrics import SYSTEM, is_system
from console.safe import safe_lines, safe_text
from console.training.flags import RunFlag, flags
from console.training.measured import in_order, taken
from console.tui import ink, state
from console.tui.columns import metric
from console.tui.describing import hidden_line, own_tags
from console.tui.lines import Line, wrapped
from console.tui.run_columns import used_words
from console.wording import NOTHING, ago, bar, clock, duration, local_time, plural, size

NAME = 22


def run_lines(
    run: Run,
    width: int,
    artifacts: Sequence[Artifact] = (),
    *,
    everything: bool = False,
    waits: str = "",
    room: Room | None = None,
) -> list[Line]:
    """State, metrics, parameters, data, code, time, artifacts, tags (MLflow's own only with `everything`), note."""
    now = time.time_ns() // 1_000_000
    lines = [
        Line(
            [
                (safe_text(run.name or run.id[:8], max(8, width - 20)), "head"),
                (f"  {safe_text(run.id, 8)[:8]}  ", "dim"),
                state.span(run.status),
            ]
        )
    ]
    lines += [Line(spans) for spans in progress_spans(run, width)]
    if waits and run.status is RunStatus.QUEUED:
        lines += wrapped(safe_text(f"waits: {waits}", 500), width, "dim")
    elif waits and not run.status.ended:
        lines += wrapped(safe_text(f"not heard of at present: {waits}", 500), width, "warn")
    for each in flags(run, now):
        lines += [Line(spans) for spans in flag_spans(each, width)]
    if run.reason:
        lines += wrapped(safe_text(run.reason, 2000), width, "" if run.status is RunStatus.FINISHED else "bad")
    names = in_order(run)
    lines += _pairs("metrics", [(name, metric(run.metrics[name])) for name in names if not is_system(name)], width)
    lines += _pairs("params", sorted(run.params.items()), width)
    lines.append(_BLANK)
    for used in run.inputs:
        lines.append(_fact("data", f"{used_words(used)} {used.context}", width))
    source = run.source
    if source.commit or source.entry:
        dirty = " dirty" if source.dirty else " clean" if source.commit else ""
        code = f"{source.commit[:8]}{dirty} {source.branch}".strip() or NOTHING
        lines.append(_fact("git", code, width))
        if source.entry:
            lines.append(_fact("entry", source.entry, width))
    started = run.started_at or run.created_at
    lines.append(_fact("started", f"{local_time(started)}, {ago(started, now)}", width))
    if run.ended_at is not None:
        lines.append(_fact("took", duration((run.ended_at - started) / 1000), width))
    lines += [_fact(name, value, width) for name, value in taken(run)]
    lines.append(_fact("by", f"{run.created_by or NOTHING} on {run.engine}", width))
    lines.append(_fact("experiment", run.experiment, width))
    if run.exit_code:
        lines.append(_fact("exit code", str(run.exit_code), width))
    if run.parent:
        lines.append(_fact("parent", run.parent[:8], width))
    lines.append(_fact("id", run.id, width))
    if room is not None and room.bytes:
        shared = f", {size(room.shared)} shared with others" if room.shared else ""
        lines.append(_fact("on disk", f"{size(room.bytes)}{shared}", width))
    for name, tag in (("artifacts", ARTIFACTS_GONE), ("log", LOG_GONE)):
        if tag in run.tags:
            lines += wrapped(safe_text(f"{name} removed {run.tags[tag]}", 500), width, "warn")
    if artifacts:
        lines += _pairs("artifacts", [(one.path, size(one.bytes)) for one in artifacts], width)
    system = [(system_words(name), metric(run.metrics[name])) for name in names if is_system(name)]
    lines += _pairs("system", system, width)
    tags, hidden = own_tags(run.tags, everything=everything)
    lines += _pairs("tags", tags, width)
    if hidden:
        lines += [hidden_line(hidden)] if tags else [_BLANK, Line([("tags", "head")]), hidden_line(hidden)]
    if run.note:
        lines += [_BLANK, Line([("note", "head")])]
        for text in safe_lines(run.note[:4000]):
            lines += wrapped(text, width)
    return lines


def progress_spans(run: Run, width: int) -> list[list[ink.Span]]:
    """How far a live run is, in one or two lines; nothing for one that has ended."""
    if run.status.ended or run.progress is None:
        return []
    progress = run.progress
    found: list[list[ink.Span]] = []
    if progress.fraction is not None:
        cells = max(8, min(24, width - 26))
        eta = f"  eta {clock(progress.eta_s)}" if progress.eta_s is not None else ""
        found.append([(f"{bar(progress.fraction, cells)} {progress.fraction * 100:3.0f} %", "accent"), (eta, "dim")])
    words = "   ".join(safe_text(part, 40) for part in (progress.stage, progress.rate) if part)
    if words:
        found.append([(words, "")])
    return found


UNITS = {"_megabytes": " MB", "_percentage": " %", "_watts": " W", "_seconds": " s"}


def system_words(name: str) -> str:
    """`gpu 0 memory usage MB` for `system/gpu_0_memory_usage_megabytes`: whole, where the name would be cut."""
    words = name.removeprefix(SYSTEM)
    for unit, sign in UNITS.items():
        if words.endswith(unit):
            words = words.removesuffix(unit) + sign
    return words.replace("_", " ")


def flag_spans(flag: RunFlag, width: int) -> list[list[ink.Span]]:
    """`◐ stalled: no metric, progress or output for 20 m`, in as many lines as it takes."""
    sign, tone = state.span(flag.flag)
    first, *rest = wrapped(safe_text(flag.text, 500), max(20, width - len(sign) - 2))
    return [[(f"{sign}: ", tone), *first.spans], *(list(line.spans) for line in rest)]


_BLANK = Line([("", "")])


def _fact(name: str, value: str, width: int) -> Line:
    return Line([(f"{name:<12}", "dim"), (safe_text(value, max(8, width - 12)), "")])


def _pairs(title: str, pairs: Sequence[tuple[str, str]], width: int) -> list[Line]:
    if not pairs:
        return []
    name_cells = min(NAME, max(len(safe_text(name, NAME)) for name, _ in pairs)) + 2
    lines = [_BLANK, Line([(f"{title} ", "head"), (str(len(pairs)), "dim")])]
    for name, value in pairs:
        lines.append(
            Line(
                [
                    (ink.fit(safe_text(name, NAME), name_cells), "dim"),
                    (safe_text(value, max(8, width - name_cells)), ""),
                ]
            )
        )
    return lines


def summary(runs: int, first: int | None, total: str) -> str:
    """`38 of 1 204 311`."""
    return f"{first + 1} of {total}" if first is not None and runs else total or plural(runs, "run")
