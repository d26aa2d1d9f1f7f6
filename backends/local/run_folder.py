"""The folder of a local run: what stands in it, who may write it, and how it is read."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

import msgspec

from backends.contract import Invalid
from backends.entities import LaunchSpec, Millis, Record, RunStatus
from backends.local.process_identity import ProcessIdentity

if TYPE_CHECKING:
    import resource

R = TypeVar("R", bound=Record)

_RUN_ID = re.compile(r"[0-9a-f]{32}")
_RESERVED = frozenset(
    {
        "spec.json", "meta.json", "exit.json", "stop.json", "keeper.json", "ended.json", "granted.json", "out.log",
        "artifacts", "engine.json", "handed.json", "manifest.json", "jobside.py", "ticket.json", "inputs", "code",
        "work", "bundles.json", "supervisor.lock", "supervisor.log", "output.pipe", "progress.pipe", "bell.pipe",
    }
)  # fmt: skip


class RunMeta(Record, frozen=True):
    """Who runs it: written by the supervisor before and after it starts the command."""

    run: str
    supervisor: ProcessIdentity
    child: ProcessIdentity | None = None
    """None until the command was started."""
    pgid: int | None = None
    create_time: float | None = None
    """Start of the command, seconds since the epoch."""
    boot_time: float | None = None


class Keeping(Record, frozen=True):
    """Written by the keeper: itself, and the command once it was started."""

    keeper: ProcessIdentity
    child: ProcessIdentity | None = None


class Ended(Record, frozen=True, kw_only=True):
    """How the command ended: by itself with a code, or by a signal."""

    code: int | None = None
    signal: int | None = None
    cpu_s: float = 0.0
    max_rss: int = 0
    at: Millis = 0
    error: str = ""
    """Why it could not be started at all."""
    seen: bool = True
    """False where whoever could have known is gone."""

    @classmethod
    def of(cls, status: int, usage: resource.struct_rusage) -> Ended:
        """As wait4 tells it."""
        by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        return cls(
            code=os.WEXITSTATUS(status) if by is None else None,
            signal=by,
            cpu_s=usage.ru_utime + usage.ru_stime,
            max_rss=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            at=time.time_ns() // 1_000_000,
        )

    @property
    def words(self) -> str:
        """`exit code 3`, `killed by SIGSEGV (signal 11)`."""
        if self.signal is None:
            return f"exit code {self.code}"
        try:
            return f"killed by {signal.Signals(self.signal).name} (signal {self.signal})"
        except ValueError:
            return f"killed by signal {self.signal}"


class RunExit(Record, frozen=True):
    """How it ended. Once this stands, it is the truth, whatever the store says."""

    run: str
    status: RunStatus
    ended_at: Millis
    exit_code: int | None = None
    reason: str = ""
    cpu_s: float = 0.0
    """User and system time of the command and of its descendants that it waited for."""
    max_rss: int = 0
    """Bytes, of its largest process."""
    bad_lines: int = 0
    log_lost: int = 0
    """Bytes of output that are not in the log any more."""


class Granted(Record, frozen=True, kw_only=True):
    """What the agent gave the run to itself when it began."""

    gpus: tuple[str, ...] = ()


class StopRequest(Record, frozen=True):
    """Who wants it stopped, and why."""

    actor: str
    at: Millis
    reason: str = ""


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file at once: after a crash it holds the old content or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(path)


class RunFolder:
    """The files of one local run under `runs/<run id>/`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = path.name
        self.workspace = path.parent.parent
        self.log = path / "out.log"
        self.artifacts = path / "artifacts"
        self.spool = path / "progress.jsonl"
        self.cursor = path / "progress.cursor"
        self.output = path / "output.pipe"
        self.said = path / "progress.pipe"
        self.bell = path / "bell.pipe"
        """Rung by the keeper when the command has begun and when it has ended."""

    @classmethod
    def of(cls, workspace: Path, run: str) -> RunFolder:
        """The folder of a run, which need not be there yet."""
        if not _RUN_ID.fullmatch(run):
            raise Invalid(f"{run!r} is not the id of a run: 32 hexadecimal digits are", "run")
        return cls(workspace / "runs" / run)

    def _read(self, name: str, kind: type[R]) -> R | None:
        try:
            return msgspec.json.decode((self.path / name).read_bytes(), type=kind)
        except FileNotFoundError:
            return None

    def spec(self) -> LaunchSpec | None:
        return self._read("spec.json", LaunchSpec)

    def meta(self) -> RunMeta | None:
        return self._read("meta.json", RunMeta)

    def exit(self) -> RunExit | None:
        return self._read("exit.json", RunExit)

    def keeping(self) -> Keeping | None:
        try:
            return self._read("keeper.json", Keeping)
        except msgspec.DecodeError:  # not synced on purpose: a power cut may tear it, and ends whom it names
            return None

    def ended(self) -> Ended | None:
        """How the command ended, as its keeper saw it; exit.json is what follows from it."""
        return self._read("ended.json", Ended)

    def gpus(self) -> tuple[str, ...]:
        """The cards that the run was given."""
        granted = self._read("granted.json", Granted)
        return () if granted is None else granted.gpus

    def grant(self, gpus: tuple[str, ...]) -> None:
        write_whole(self.path / "granted.json", msgspec.json.encode(Granted(gpus=gpus)))

    def stop(self) -> StopRequest | None:
        return self._read("stop.json", StopRequest)

    def write_meta(self, meta: RunMeta) -> None:
        write_whole(self.path / "meta.json", msgspec.json.encode(meta))

    def write_stop(self, stop: StopRequest) -> None:
        """The first one stays: it is who stopped the run."""
        if self.stop() is None:
            write_whole(self.path / "stop.json", msgspec.json.encode(stop))

    def lay_out(self, spec: LaunchSpec) -> bool:
        """Make the folder with its files and, last, spec.json; False when that is there already."""
        if self.spec() is not None:
            return False
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.artifacts.mkdir(mode=0o700, exist_ok=True)
        for name, content in spec.files.items():
            place = PurePosixPath(name)
            if place.is_absolute() or ".." in place.parts or not place.parts or place.parts[0] in _RESERVED:
                raise Invalid(
                    f"file {name!r} cannot be laid into the run's folder: give a free, relative name", "files"
                )
            target = self.path / place
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(target, content.encode())
        write_whole(self.path / "spec.json", msgspec.json.encode(spec))
        return True

    def write_keeping(self, keeping: Keeping) -> None:
        temporary = self.path / f".keeper.json.{os.getpid()}"
        temporary.write_bytes(msgspec.json.encode(keeping))
        temporary.replace(self.path / "keeper.json")

    def make_pipes(self) -> None:
        for place in (self.output, self.said, self.bell):
            place.unlink(missing_ok=True)
            os.mkfifo(place, 0o600)

    def remove_pipes(self) -> None:
        for place in (self.output, self.said, self.bell):
            place.unlink(missing_ok=True)

    def reserve_end(self) -> None:
        """Take the room that ended.json and exit.json will need while there is room."""
        for name in ("ended", "exit"):
            with (self.path / f".{name}.reserve").open("wb") as out:
                out.write(b" " * 4096)
                out.flush()
                os.fsync(out.fileno())

    def write_exit(self, ended: RunExit) -> None:
        """Set down the end, once; into reserved room, so that a full disk cannot forbid it."""
        if self.exit() is None:
            self._into_room("exit", msgspec.json.encode(ended))

    def write_ended(self, ended: Ended) -> None:
        self._into_room("ended", msgspec.json.encode(ended))

    def _into_room(self, name: str, content: bytes) -> None:
        reserve = self.path / f".{name}.reserve"
        if not reserve.exists():
            write_whole(self.path / f"{name}.json", content)
            return
        with reserve.open("r+b") as out:
            out.write(content.ljust(4096))  # trailing blanks are JSON; to truncate first would give the room away
            out.flush()
            os.fsync(out.fileno())
        reserve.replace(self.path / f"{name}.json")

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Be the one who supervises or settles this run; gives False when another is."""
        descriptor = os.open(self.path / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(descriptor)
