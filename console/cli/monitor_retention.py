"""`mlops-console monitor retention`: how long a monitor keeps what, how much disk that takes, and what goes next."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click
import msgspec

from backends.contract import Refused
from backends.entities import Monitor, Record
from console.cli.monitor import monitor
from console.cli.output import Col, gap, narrate, print_record, print_table
from console.cli.verb import Invocation, reason_option
from console.wording import local_time, size, thousands

if TYPE_CHECKING:
    from console.monitoring.compaction.passing import Pass
    from console.monitoring.compaction.room import Line, MonitorRoom

LINE_COLUMNS: list[Col[Line]] = [
    Col("what", lambda item: item.what),
    Col("kept", lambda item: item.keep),
    Col("there", lambda item: thousands(item.count) if item.count else "", right=True),
    Col("takes", lambda item: size(item.bytes), right=True),
    Col("at most", lambda item: "grows" if item.most is None else size(item.most), right=True),
    Col("by", lambda item: item.by),
]


class Stand(Record, frozen=True, kw_only=True):
    """One monitor among all."""

    name: str
    bytes: int
    most: int | None
    keep: str


STAND_COLUMNS: list[Col[Stand]] = [
    Col("name", lambda item: item.name),
    Col("takes", lambda item: size(item.bytes), right=True),
    Col("at most", lambda item: "grows" if item.most is None else size(item.most), right=True),
    Col("keeps", lambda item: item.keep, widest=100),
]


@monitor.command("retention")
@click.argument("name", required=False)
@click.option("--minutes", metavar="TIME", help="Windows of a minute; older ones are merged into their hour.")
@click.option("--hours", metavar="TIME", help="Windows of an hour (and batches); older ones are merged into their day.")
@click.option("--days", metavar="TIME", help="Windows of a day; older ones go for good.")
@click.option("--scored", metavar="TIME", help="Scored rows by id, which late labels are put to.")
@click.option("--samples", metavar="TIME", help="Sampled rows, for examples and slices.")
@click.option("--ids", metavar="TIME", help="By what files are known, so that none counts twice.")
@click.option("--default", "default", is_flag=True, help="Keep what the store says again.")
@click.option("--dry-run", "--preview", "preview_only", is_flag=True, help="Say what would happen, and save nothing.")
@click.option("--now", "at_once", is_flag=True, help="Merge and let go at once; the agent does it by itself.")
@click.option("--confirm", metavar="NAME", help="The name again, with --now where something goes for good.")
@reason_option
@click.pass_obj
def retention(
    invocation: Invocation,
    name: str | None,
    default: bool,
    preview_only: bool,
    at_once: bool,
    confirm: str | None,
    reason: str,
    key: str,
    minutes: str | None,
    hours: str | None,
    days: str | None,
    scored: str | None,
    samples: str | None,
    ids: str | None,
) -> None:
    """How long a monitor keeps what (2d, 90d, 3y, always), the disk that it takes, and what goes next.

    Merging minutes into hours and hours into days loses no row: their counts add up, and late labels find them. Without
    NAME: all monitors. What those keep that say nothing is [contexts.NAME.retention.monitors] of config.toml, with the
    same words.
    """
    times = {"minutes": minutes, "hours": hours, "days": days, "scored": scored, "samples": samples, "ids": ids}
    wanted = {what: text for what, text in times.items() if text is not None}
    if default and wanted:
        raise click.UsageError("--default and a time are given; give one of them")
    if at_once and preview_only:
        raise click.UsageError("--now and --dry-run are given; give one of them")
    store = invocation.session.context.retention
    says: Mapping[str, str] = store.monitors if store is not None else {}
    if name is None:
        if wanted or default or at_once:
            raise click.UsageError("name the monitor, or set it for all in [contexts.NAME.retention.monitors]")
        _show_all(invocation, says)
        return
    _one(invocation, name, says, wanted, default, preview_only, at_once, confirm, reason, key)


def _one(
    invocation: Invocation,
    name: str,
    says: Mapping[str, str],
    wanted: dict[str, str],
    default: bool,
    preview_only: bool,
    at_once: bool,
    confirm: str | None,
    reason: str,
    key: str,
) -> None:
    from console.monitoring.compaction.passing import carry_out, keep_of, last_pass, preview
    from console.monitoring.compaction.room import room_of
    from console.monitoring.create import set_keep

    found: Monitor = invocation.need("monitors").get(name)
    changes = bool(wanted or default)
    after = msgspec.structs.replace(found, keep={} if default else {**found.keep, **wanted})
    keep = keep_of(after, says)
    if changes and not preview_only:
        after = set_keep(invocation.backend, name, after.keep, invocation.mutation(reason, key))
    ahead = preview(invocation.backend, after, keep)
    if at_once:
        if invocation.backend.features.read_only:
            raise Refused(f"context {invocation.backend.name} is read-only; nothing was merged. Open it without it.")
        if ahead.gone.any:
            if sys.stdin.isatty() and confirm is None:
                narrate(f"{name}: {ahead.words()}")
            invocation.confirm(name, confirm, deed="let go of it for good", production_only=False)
        done = carry_out(invocation.backend, after, keep, invocation.mutation(reason or "monitor retention --now", key))
        _say(invocation, room_of(invocation.backend, after, keep), done, f"{name}: {done.words()}")
        return
    room = room_of(invocation.backend, after, keep)
    last = last_pass(invocation.backend, name)
    before = f"; last: {last.words()}, {local_time(last.at)}" if last is not None else ""
    said = "would happen" if preview_only else "next"
    _say(invocation, room, ahead, f"{said}: {ahead.words()}{before}")


def _say(invocation: Invocation, room: MonitorRoom, done: Pass, line: str) -> None:
    def human() -> None:
        print_record({"monitor": room.monitor, "keeps": done.keep, "disk": room.words()})
        gap()
        print_table(room.lines, LINE_COLUMNS)
        narrate(line)
        for note in done.merged.notes:
            narrate(note)

    invocation.show(
        {"monitor": room.monitor, "bytes": room.bytes, "most": room.most, "lines": room.lines, "pass": done}, human
    )


def _show_all(invocation: Invocation, says: Mapping[str, str]) -> None:
    from backends.contract import all_pages
    from console.monitoring.compaction.passing import keep_of
    from console.monitoring.compaction.room import room_of

    store = invocation.need("monitors")
    lines = []
    for each in all_pages(lambda at: store.page(at=at, limit=500)):
        keep = keep_of(each, says)
        room = room_of(invocation.backend, each, keep)
        lines.append(Stand(name=each.name, bytes=room.bytes, most=room.most, keep=keep.words()))
    invocation.show_items(lines, STAND_COLUMNS, empty="no monitor yet")
