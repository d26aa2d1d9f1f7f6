"""From the spool into the store: what a run said, each thing once, a few transactions a second.

The spool is the file `progress.jsonl` in the run's folder; `progress.cursor` tells how far the store has it. A
supervisor that is killed leaves both, and whoever settles the run goes on from there.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from backends.contract import Backend, BackendError, Mutation, Unreachable
from backends.entities import MetricPoint, Progress
from backends.local.limits import METRICS
from backends.local.progress_lines import Report, from_spool
from backends.local.progress_spool import SpoolWriter
from backends.local.run_folder import RunFolder

BATCH = 1024 * 1024
"""Bytes of the spool that one round takes at most."""
SHRINK = 8 * 1024 * 1024
"""A spool of this size that is wholly in the store begins anew."""

_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EBUSY, errno.EAGAIN, errno.EMFILE, errno.ENFILE}


def passes_by_itself(error: Exception) -> bool:
    """Whether the same call may succeed later: a busy store, a full disk."""
    if isinstance(error, OSError):
        return error.errno in _PASSING
    return isinstance(error, Unreachable | sqlite3.OperationalError)


class _Cursor(msgspec.Struct):
    offset: int = 0
    points: dict[str, int] = {}
    """How many points of each metric were read from the spool up to here."""


class ProgressIntake:
    """Reads a run's spool and writes the store. All of it can be done again after a crash without doubling."""

    def __init__(
        self, folder: RunFolder, backend: Backend, note: Callable[[str], None], spool: SpoolWriter | None = None
    ) -> None:
        self._folder = folder
        self._runs = backend.need("runs")
        self._backend = backend
        self._note = note
        self._spool = spool
        self._cursor = self._read_cursor()
        self._read_to = self._cursor.offset
        self._skip = self._already_stored()
        self._todo: list[Callable[[], None]] = []
        self._kept: dict[str, tuple[int, int]] = {}
        self._told_beyond = False

    def _read_cursor(self) -> _Cursor:
        try:
            cursor = msgspec.json.decode(self._folder.cursor.read_bytes(), type=_Cursor)
        except (FileNotFoundError, msgspec.DecodeError):  # not synced on purpose, so a power cut may tear it
            return _Cursor()
        if cursor.offset > self._spool_size():  # killed between shrinking the spool and saying so
            cursor.offset = 0
        return cursor

    def _spool_size(self) -> int:
        try:
            return self._folder.spool.stat().st_size
        except FileNotFoundError:
            return 0

    def _already_stored(self) -> Counter[str]:
        """Points that a killed predecessor stored without moving the cursor: they come first, and are passed over."""
        skip: Counter[str] = Counter()
        if self.backlog:
            for key in self._runs.get(self._folder.run).metrics:
                stored = self._runs.series(self._folder.run, key, buckets=1).count
                skip[key] = stored - self._cursor.points.get(key, 0)
        return +skip

    @property
    def backlog(self) -> int:
        """Bytes in the spool that the store does not have."""
        return self._spool_size() - self._cursor.offset

    def step(self) -> bool:
        """One round: True when there was something to do.

        Raises what `passes_by_itself`; the next call then goes on with the very thing that failed.
        """
        if not self._todo:
            self._plan()
        busy = bool(self._todo)
        while self._todo:
            self._do(self._todo[0])
            del self._todo[0]
        if self._read_to != self._cursor.offset:
            self._move_cursor()
        return busy

    def drain(self) -> None:
        """Everything that is in the spool now."""
        while self.step():
            pass

    def _do(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:
            if passes_by_itself(error):
                raise
            said = str(error) if isinstance(error, BackendError) else f"{type(error).__name__}: {error}"
            self._note(f"not kept: {said}")

    def _plan(self) -> None:
        """Read the next stretch of the spool and lay out the calls that bring it into the store."""
        if not self.backlog:
            return
        with self._folder.spool.open("rb") as spool:
            spool.seek(self._cursor.offset)
            data = spool.read(BATCH)
            if b"\n" not in data:
                data += spool.readline()
        data = data[: data.rfind(b"\n") + 1]
        self._read_to = self._cursor.offset + len(data)
        points: list[MetricPoint] = []
        params: dict[str, str] = {}
        others: list[Callable[[], None]] = []
        last: Progress | None = None
        run = self._folder.run
        for number, line in enumerate(data.splitlines()):
            try:
                at, report = from_spool(line)
            except ValueError as wrong:  # only what was checked is spooled, but a power cut may tear it
                self._note(f"progress line not kept: {wrong}")
                continue
            points += self._points(at, report)
            params |= {key: str(value) for key, value in report.params.items()}
            if report.tags:
                others.append(partial(self._set_tags, report, f"{run}:{self._cursor.offset}:{number}"))
            if report.input is not None:
                others.append(partial(self._runs.add_inputs, run, [report.input]))
            if report.artifact:
                others.append(partial(self.keep_artifact, report.artifact))
            if report.tells_progress:
                last = Progress(
                    at=at, fraction=report.progress, stage=report.stage, rate=report.rate, eta_s=report.eta_s
                )
        if points:
            self._todo.append(partial(self._log_points, points))
        if params:
            self._todo.append(partial(self._log_params, params))
        self._todo += others
        if last is not None:
            self._todo.append(partial(self._runs.set_progress, run, last))

    def _points(self, at: int, report: Report) -> list[MetricPoint]:
        points = []
        for key, value in report.metrics.items():
            if key not in self._cursor.points and len(self._cursor.points) >= METRICS:
                self._pass_over(key)
                continue
            self._cursor.points[key] = self._cursor.points.get(key, 0) + 1
            if self._skip[key] > 0:
                self._skip[key] -= 1
            else:
                points.append(MetricPoint(key=key, value=value, step=report.step, at=at))
        return points

    def _pass_over(self, key: str) -> None:
        if not self._told_beyond:
            self._told_beyond = True
            self._note(
                f"metric {key[:80]!r} not kept: the run has {METRICS:,} metrics, the most there may be; "
                "further names are passed over. Put what varies into the step, not into the name"
            )

    def _log_points(self, points: list[MetricPoint]) -> None:
        """Together; where a name or a value is refused, each metric by itself."""
        try:
            self._runs.log_points(self._folder.run, points)
        except Exception as error:
            keys = {point.key for point in points}
            if passes_by_itself(error) or len(keys) == 1:
                raise
            self._todo[1:1] = [
                partial(self._log_points, [point for point in points if point.key == key]) for key in sorted(keys)
            ]

    def _log_params(self, params: dict[str, str]) -> None:
        """Together; where one of them is refused, each by itself."""
        try:
            self._runs.log_params(self._folder.run, params)
        except Exception as error:
            if passes_by_itself(error) or len(params) == 1:
                raise
            self._todo[1:1] = [partial(self._log_params, {key: value}) for key, value in params.items()]

    def _set_tags(self, report: Report, key: str) -> None:
        tags = {name: None if value is None else str(value) for name, value in report.tags.items()}
        self._runs.set_tags(self._folder.run, tags, Mutation("supervisor", "said by the run", f"tags:{key}"))

    def keep_artifact(self, path: str) -> None:
        """Keep one file by its content, of artifacts/ or else of the folder that the command runs in; what is not there
        or leads outside is noted."""
        root = self._folder.artifacts.resolve()
        file = Path(os.path.normpath(root / path))
        spec = self._folder.spec()
        if spec is not None and spec.cwd and not file.is_file():
            root = Path(spec.cwd).resolve()
            file = Path(os.path.normpath(root / path))
        if not file.is_relative_to(root) or not file.resolve().is_relative_to(root):
            self._note(f"artifact {path!r} not kept: it leads out of the run's folders")
        elif not file.is_file():
            self._note(f"artifact {path!r} not kept: there is no such file")
        else:
            name, state = file.relative_to(root).as_posix(), file.stat()
            known = (state.st_size, state.st_mtime_ns)
            if self._kept.get(name) != known:
                self._backend.need("artifacts").put(self._folder.run, name, file)
                self._kept[name] = known

    def keep_artifacts(self) -> None:
        """Keep every file of artifacts/ that is not kept as it is."""
        for folder, _, names in os.walk(self._folder.artifacts):
            for name in sorted(names):
                path = (Path(folder) / name).relative_to(self._folder.artifacts).as_posix()
                self._do(partial(self.keep_artifact, path))

    def _move_cursor(self) -> None:
        self._cursor.offset = self._read_to
        self._write_cursor()
        if self._spool is not None and self._read_to > SHRINK and self._spool.shrink(self._read_to):
            self._cursor.offset = self._read_to = 0
            self._write_cursor()

    def _write_cursor(self) -> None:
        """Without a sync: after a power cut the count of stored points says the same, only slower."""
        temporary = self._folder.cursor.with_suffix(".new")
        try:
            temporary.write_bytes(msgspec.json.encode(self._cursor))
            temporary.replace(self._folder.cursor)
        except OSError:
            temporary.unlink(missing_ok=True)  # a full disk: an older cursor is as good, see `_already_stored`
