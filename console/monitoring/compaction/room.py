"""How much disk a monitor takes, and how much it ever will by what is kept of it."""

from __future__ import annotations

import time
from pathlib import Path

from backends.contract import Backend
from backends.entities import Holding, Millis, Monitor, Record
from console.monitoring.feeds.batch_log import LOG_BYTES
from console.monitoring.folder import monitor_folder
from console.monitoring.ranges import STRETCHES
from console.retention.monitors import Keep, said
from console.wording import plural, size

WINDOW_BYTES = 7_000
"""Of a window of twenty columns, where none is stored yet."""
FILES = 400
"""Sampled windows at most (`feeds.sample.FILES`, which is heavy to import)."""
_NOUNS = {"minutes": "minute", "hours": "hour", "days": "day"}


class Line(Record, frozen=True, kw_only=True):
    """One kind of thing that is kept."""

    what: str
    keep: str
    """How long."""
    count: int
    bytes: int
    most: int | None = None
    """Bytes that it comes to; None where nothing ever goes."""
    by: str = ""
    """What the most is reckoned from."""


class MonitorRoom(Record, frozen=True, kw_only=True):
    """What a monitor takes on the disk."""

    monitor: str
    lines: tuple[Line, ...]

    @property
    def bytes(self) -> int:
        return sum(line.bytes for line in self.lines)

    @property
    def most(self) -> int | None:
        """None where something is kept always."""
        known = [line.most for line in self.lines if line.most is not None]
        return sum(known) if len(known) == len(self.lines) else None

    def words(self) -> str:
        """`takes 4.1 MB; by what is kept it stays under 41 MB`"""
        endless = [line.what for line in self.lines if line.most is None]
        if endless:
            return f"takes {size(self.bytes)}, and grows without end: {', '.join(endless)} are kept always"
        return f"takes {size(self.bytes)}; by what is kept it stays under {size(self.most)}"


def room_of(backend: Backend, monitor: Monitor, keep: Keep) -> MonitorRoom:
    """What is there, and what it comes to. Bytes of rows in the store are without the store's own overhead."""
    held = backend.need("monitors").holdings(monitor.name)
    folder = monitor_folder(backend, monitor.name)
    parts = 1 + len(backend.need("monitors").kept_segments(monitor.name))
    lines = [_windows(monitor, keep, held, what, parts) for what in ("minutes", "hours", "days")]
    views = [each for each in held if each.what == "views"]
    # Kept beside the windows: hours and days until they are merged into, and weeks.
    beside = (keep.minutes, 3_600_000), (keep.hours, 86_400_000), (keep.days, 7 * 86_400_000)
    lines.append(
        Line(
            what="views",
            keep="",
            count=sum(each.count for each in views),
            bytes=sum(each.bytes for each in views),
            most=None
            if any(limit is None for limit, _ in beside)
            else sum((limit or 0) // length + 2 for limit, length in beside) * parts * _each(held)
            if monitor.window in ("minute", "hour")
            else 0,
            by="hours, days and weeks for the screen",
        )
    )
    lines.append(_rate("scored", folder / "scored", keep.scored))
    count, total, _ = _files(folder / "samples")
    most = FILES * (total // count if count else 60_000)
    lines.append(
        Line(what="samples", keep=said(keep.samples), count=count, bytes=total, most=max(most, total), by="400 windows")
    )
    ids = next(each for each in held if each.what == "ids")
    since = max(86_400_000, int(time.time() * 1000) - monitor.created_at) if monitor.created_at else None
    grown = None if keep.ids is None else max(ids.bytes, _grown(ids.bytes, keep.ids, since))
    lines.append(Line(what="ids", keep=said(keep.ids), count=ids.count, bytes=ids.bytes, most=grown, by="today's rate"))
    own = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    lines.append(Line(what="logs", keep="", count=0, bytes=own, most=max(own, 4 * LOG_BYTES), by="1 MB each"))
    return MonitorRoom(monitor=monitor.name, lines=tuple(lines))


def _each(held: tuple[Holding, ...]) -> int:
    """Bytes of a window."""
    windows = [each for each in held if each.what != "ids"]
    count = sum(each.count for each in windows)
    return sum(each.bytes for each in windows) // count if count else WINDOW_BYTES


def _windows(monitor: Monitor, keep: Keep, held: tuple[Holding, ...], what: str, parts: int) -> Line:
    own = [each for each in held if each.what == what]
    limit: Millis | None = getattr(keep, what)
    count, total = sum(each.count for each in own), sum(each.bytes for each in own)
    noun = _NOUNS[what]
    kind = STRETCHES.get(monitor.window)
    most: int | None
    if kind is not None and STRETCHES[noun] < kind:
        most = total
    elif limit is None:
        most = None
    else:
        # Until the stretch has ended that they are merged into.
        longest = {"minutes": 60, "hours": 24, "days": 1}[what]
        most = max(total, (limit // STRETCHES[noun] + longest) * parts * _each(held))
    article = "an" if noun == "hour" else "a"
    by = f"one {article} {noun}" + (f", {plural(parts - 1, 'segment')}" if parts > 1 else "")
    if kind is None and what == "minutes":
        by = "batches come when they come"
    return Line(what=what, keep=said(limit), count=count, bytes=total, most=most, by=by)


def _rate(what: str, folder: Path, limit: Millis | None) -> Line:
    """Files that come at some rate, and go once they are old."""
    count, total, oldest = _files(folder)
    since = max(86_400_000, int((time.time() - oldest) * 1000)) if count else None
    most = None if limit is None else max(total, _grown(total, limit, since))
    return Line(what=what, keep=said(limit), count=count, bytes=total, most=most, by="today's rate")


def _grown(total: int, limit: Millis, since: Millis | None) -> int:
    """What comes together in `limit` ms, where `total` did in `since`."""
    return total if since is None or since >= limit else round(total * limit / since)


def _files(folder: Path) -> tuple[int, int, float]:
    """(files, bytes with what is said beside them, when the oldest was written in s)."""
    if not folder.is_dir():
        return 0, 0, 0.0
    found, beside = ([path.stat() for path in folder.glob(name)] for name in ("*.parquet", "*.json"))
    size = sum(each.st_size for each in (*found, *beside))
    return len(found), size, min((each.st_mtime for each in found), default=0.0)
