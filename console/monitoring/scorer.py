"""`python -m console.monitoring.scorer --workspace DIR --monitor NAME`: takes every batch that lands in a
monitor's folder.

Each file counts once, by content. It follows the alias: a new champion is loaded after verification; if that fails,
the old one goes on and the log says so. Nothing is written to a terminal; the log is `monitors/NAME/scorer.log`.
SIGTERM ends it after the file in hand.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import signal
import sys
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from backends.contract import Backend, BackendError, Invalid, NotFound, Unreachable
from backends.entities import Monitor
from console.monitoring.feeds.growing import KIND, Files, clear_spool
from console.monitoring.feeds.handing import handed_digest, handed_over, is_keyed, let_go
from console.monitoring.feeds.in_hand import read_in_hand
from console.monitoring.feeds.sources import folders_of, inbox_of, is_fed
from console.monitoring.feeds.writing import CLOSED_S, moved_in
from console.monitoring.folder import monitor_folder

if TYPE_CHECKING:
    from console.monitoring.feeds.batch_log import BatchRecord
    from console.monitoring.feeds.champion import Champion
    from console.monitoring.feeds.versions import Versions

POLL_SECONDS = 0.1
QUIET_SECONDS, QUIET_POLL_SECONDS = 30.0, 0.5
"""After so long without anything to do it looks seldomer: a machine has many monitors, and most of them wait."""
SETTLED_SECONDS = 0.3
"""A file that was written to more lately may still grow."""
GROWING_SECONDS = 1.0
"""How often a file that is being written is read on."""
DEFINITION_SECONDS = 1.0
RETRY_SECONDS = 5.0
SHARE = 0.1
"""Of its time is what a trickle of rows may cost: what comes meanwhile is counted with what comes then."""
LONGEST_WAIT = 3.0
MUCH = 1 << 20
"""Bytes handed over that wait for nothing."""
TOGETHER_SECONDS = 3600.0
LINGER_SECONDS = 60.0
"""It stays when nothing is left of what was handed over: the next request need not wait for another's start."""
LOG_BYTES = 1 << 20

log = logging.getLogger("scorer")

Seen = tuple[str, int, int, int]
"""Name, inode, size and time of change: a file with another one is another file."""


class Scorer:
    """One monitor's folder, its loaded version, and which files are done."""

    def __init__(self, backend: Backend, name: str) -> None:
        self.backend = backend
        self.name = name
        self.champion: Champion | None = None
        self.done: set[Seen] = set()
        self.files = Files(monitor_folder(backend, name))
        self.versions: Versions | None = None
        self._taken_at: dict[str, float] = {}
        self.stopping = False
        self._monitor: Monitor | None = None
        self._token: object = None
        self._asked_at = 0.0
        self._refused: tuple[str, float] = ("", 0.0)
        self._together_at = 0.0
        self._handed_at = 0.0
        """When what was handed over is looked at next."""
        self._took = 0.0
        self._fed_at = time.monotonic()

    def run(self) -> None:
        """Until told to stop, or the monitor is gone or paused."""
        log.info("watching for monitor %s", self.name)
        folder = monitor_folder(self.backend, self.name)
        begun = read_in_hand(folder)
        clear_spool(folder, but="" if begun is None else begun.chunk.path)
        worked_at = time.monotonic()
        while not self.stopping:
            try:
                monitor = self.definition()
                if monitor is None or monitor.paused or not self._is_fed(monitor):
                    what = "gone" if monitor is None else "paused" if monitor.paused else "fed by nothing"
                    log.info("monitor %s is %s; ending", self.name, what)
                    return
                worked = self.step(monitor)
            except BackendError as error:
                log.error("%s", error)
                self.pause(RETRY_SECONDS)
                continue
            if worked:
                worked_at = time.monotonic()
            else:
                self.pause(POLL_SECONDS if time.monotonic() - worked_at < QUIET_SECONDS else QUIET_POLL_SECONDS)
        log.info("ended")

    def _is_fed(self, monitor: Monitor) -> bool:
        """Whether something arrives, or did a moment ago."""
        if is_fed(self.backend, monitor):
            self._fed_at = time.monotonic()
            return True
        return time.monotonic() - self._fed_at < LINGER_SECONDS

    def pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.stopping and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.25))

    def definition(self) -> Monitor | None:
        """The monitor as it is now; asked again only when the store changed, at most once a second."""
        now = time.monotonic()
        if self._monitor is None or now - self._asked_at > DEFINITION_SECONDS:
            token = self.backend.changed()
            if self._monitor is None or token != self._token:
                try:
                    self._monitor = self.backend.need("monitors").get(self.name)
                except NotFound:
                    return None
                self._token = token
            self._asked_at = now
        return self._monitor

    def step(self, monitor: Monitor) -> bool:
        """Take everything that is ready; False when there was nothing."""
        self.files.time_column = monitor.time_column
        ready = [found for folder in folders_of(self.backend, monitor) for found in self.ready_files(folder)]
        if monitor.deployment and not monitor.source:
            # What a server logged was scored by it: no model is needed.
            self.versions = self.versions or self._new_versions(monitor, None)
        else:
            if self.champion is None or ready:
                self.follow(monitor)
            if self.champion is None:
                return False
        worked = False
        inbox = inbox_of(self.backend, self.name)
        for path, seen in ready:
            while not self.stopping and path.parent != inbox and self.take(path, seen):
                worked = True
        self.take_handed(monitor, {path: seen for path, seen in ready if path.parent == inbox})
        if worked:
            self.look_together()
        return worked

    def look_together(self) -> None:
        """All columns at once, at most once in `TOGETHER_SECONDS`: it takes seconds, and drift of that kind is slow."""
        if time.monotonic() < self._together_at:
            return
        self._together_at = time.monotonic() + TOGETHER_SECONDS
        from console.monitoring.drift.multivariate_review import review_together
        from console.monitoring.feeds.champion import one_thread

        try:
            with (
                one_thread()
            ):  # rows wait meanwhile: threads that spin for each other make it minutes on a busy machine
                found = review_together(self.backend, self.name)
        except (NotFound, Invalid) as error:  # an older version kept no rows; or there are too few yet
            log.info("columns were not looked at together: %s", error)
            return
        log.info("columns together: classifier %.3f, components %.2f", found.domain.value, found.reconstruction.value)

    def _new_versions(self, monitor: Monitor, champion: Champion | None) -> Versions:
        from console.monitoring.feeds.versions import Versions

        return Versions(self.backend, monitor, champion)

    def ready_files(self, folder: Path) -> list[tuple[Path, Seen]]:
        """Files that may have rows which are not counted, as they were written: later labels correct earlier ones."""
        found = []
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            log.error(
                "the folder %s cannot be read: %s; looking again in %.0f s", folder, error.strerror, RETRY_SECONDS
            )
            self.pause(RETRY_SECONDS)
            return []
        now = time.time()
        handed = folder == inbox_of(self.backend, self.name)  # whole, from the moment that they have their name
        for entry in entries:
            if entry.name.startswith(".") or entry.name.endswith((".tmp", ".part")):
                continue
            try:
                if not entry.is_file(follow_symlinks=True):
                    continue
                status = entry.stat()
            except OSError:
                continue
            seen = (entry.name, status.st_ino, status.st_size, status.st_mtime_ns)
            if seen not in self.done and (handed or settled(now, status) or self._patient(entry)):
                found.append((Path(entry.path), seen))
        if handed and time.monotonic() < self._handed_at and sum(seen[2] for _, seen in found) < MUCH:
            return []
        return sorted(found, key=lambda each: (each[1][3], each[1][0]))

    def _patient(self, entry: os.DirEntry[str]) -> bool:
        """Whether a file that is being written has rows enough, or waited long enough, to be looked at."""
        if not KIND.search(entry.name) or entry.name.endswith(".gz"):
            return False
        last = self._taken_at.setdefault(entry.path, time.monotonic())
        return time.monotonic() - last >= max(GROWING_SECONDS, self._rest())

    def _rest(self) -> float:
        """Seconds until a trickle is looked at again, by what the last of it cost."""
        return min(LONGEST_WAIT, self._took * (1 / SHARE - 1))

    def follow(self, monitor: Monitor) -> None:
        """Load the version that the alias names, if it is another than the loaded one."""
        from console.monitoring.feeds.champion import load_champion

        registry = self.backend.need("registry")
        try:
            version = registry.version(monitor.model, f"@{monitor.alias}").version
        except BackendError as error:
            self._say_refused("alias", str(error))
            return
        if self.champion is not None and self.champion.version.version == version:
            return
        try:
            fresh = load_champion(self.backend, monitor, version=version)
        except Exception as error:  # a damaged model may raise anything; the loaded one goes on
            kept = "" if self.champion is None else f"; v{self.champion.version.version} goes on scoring"
            self._say_refused(version, f"{monitor.model} v{version} could not be loaded: {error}{kept}")
            return
        before = "" if self.champion is None else f" instead of v{self.champion.version.version}"
        self.champion = fresh
        self.versions = self._new_versions(monitor, fresh)
        log.info("scoring with %s v%s%s", monitor.model, version, before)

    def _say_refused(self, what: str, text: str) -> None:
        """Say the same trouble once a minute, not at every file."""
        said, at = self._refused
        if said != what + text or time.monotonic() - at > 60:
            log.error("%s", text)
            self._refused = (what + text, time.monotonic())
        if self.champion is None:
            self.pause(min(RETRY_SECONDS, 1.0))

    def take_handed(self, monitor: Monitor, found: dict[Path, Seen]) -> None:
        """Count what was handed over, in its order, small pieces as many at once as may be."""
        from console.monitoring.feeds.together import rows_first, runs_of

        began = time.monotonic()
        try:
            runs = runs_of(rows_first(list(found), monitor.label_column), rows=monitor.window != "batch")
        except FileNotFoundError:  # somebody takes them away
            return
        for run in runs:
            while run and not self.stopping:
                if len(run) > 1 and self.champion is not None:
                    run = self._take_together(monitor, run, self.champion, found)
                if run:
                    self.take(run[0], found[run[0]])
                run = run[1:]
        if found:
            self._took = time.monotonic() - began
            self._handed_at = time.monotonic() + self._rest()

    def _take_together(
        self, monitor: Monitor, run: list[Path], champion: Champion, found: dict[Path, Seen]
    ) -> list[Path]:
        """Count the first of them at once; those that are still to be counted, the next of them alone."""
        from console.monitoring.feeds.ingest import APART, finish_begun, ingest_chunk
        from console.monitoring.feeds.together import together

        try:
            finish_begun(self.backend, self.name, versions=self.versions)
            features = {column.name for column in champion.meta.features}
            chunk, alone, rest = together(self.backend, monitor, run, features)
            record = None if chunk is None else ingest_chunk(self.backend, self.name, chunk, versions=self.versions)
        except FileNotFoundError:  # by itself it is looked for again
            return run
        except OSError as error:
            raise Unreachable(f"{len(run)} files were not counted: {error.strerror}; it is tried again") from error
        if chunk is not None and record is not None:
            paths = [Path(piece.path) for piece in chunk.pieces]
            if record.state == APART:
                alone += paths
            else:
                self._say_counted(record)
                self._let_go(paths, failed=record.state == "failed")
        for path in alone:
            self.take(path, found[path])
        return rest

    def _let_go(self, paths: list[Path], *, failed: bool) -> None:
        for path in paths:
            let_go(path, failed=failed)
        # No other has the name of one without a key: nobody asks for it again.
        unkeyed = [handed_digest(path) for path in paths if not is_keyed(path)]
        self.backend.need("monitors").forget_batches(self.name, unkeyed)

    def take(self, path: Path, seen: Seen) -> bool:
        """Count the next rows of a file; False where it has none, or cannot be read."""
        from console.monitoring.feeds.ingest import finish_begun, ingest_chunk

        self._taken_at[str(path)] = time.monotonic()
        try:
            finish_begun(self.backend, self.name, versions=self.versions)
            status = path.stat()
            handed = path.parent == inbox_of(self.backend, self.name)
            chunk = handed_over(path) if handed else self.files.take(path, settled=settled(time.time(), status))
            if chunk is None:
                long_ago = time.time() - status.st_mtime > CLOSED_S + 1 or not KIND.search(path.name)
                if long_ago and str(path) not in self.files.held:
                    self.done.add(seen)
                    self._taken_at.pop(str(path), None)
                return False
            began = time.monotonic()
            record = ingest_chunk(self.backend, self.name, chunk, versions=self.versions)
            self._took = time.monotonic() - began
        except FileNotFoundError:  # removed, or renamed: it is met again under its other name
            return False
        except BackendError:
            raise
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise Unreachable(f"{path.name} was not counted: {error.strerror}; it is tried again") from error
            log.error("%s cannot be read: %s", path.name, error.strerror)
            self.done.add(seen)
            return False
        except Exception as error:  # one bad file must not stop the rest
            log.exception("%s: %s", path.name, error)
            self.done.add(seen)
            return False
        self._say_counted(record)
        if handed:
            self._let_go([path], failed=record.state == "failed")
            return False
        return True

    def _say_counted(self, record: BatchRecord) -> None:
        level = logging.WARNING if record.state == "failed" or record.reason else logging.INFO
        log.log(
            level,
            "%s: %s, %d rows in %d windows by v%s, %.0f ms%s",
            record.file,
            record.state,
            record.rows,
            record.windows,
            record.version,
            record.seconds * 1000,
            f"; {record.reason}" if record.reason else "",
        )


def settled(now: float, status: os.stat_result) -> bool:
    """Whether a file is whole: untouched for a while, or renamed in."""
    return moved_in(status) or now - status.st_mtime >= SETTLED_SECONDS


def open_log(folder: Path) -> None:
    handler = RotatingFileHandler(folder / "scorer.log", maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m console.monitoring.scorer", description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--monitor", required=True)
    asked = parser.parse_args(argv)
    from backends.connect import connect

    backend = connect("scorer", f"workspace:{asked.workspace.absolute()}")
    try:
        open_log(monitor_folder(backend, asked.monitor))
        scorer = Scorer(backend, asked.monitor)

        def stop(_signal: int, _frame: FrameType | None) -> None:
            scorer.stopping = True

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        scorer.run()
    finally:
        backend.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
