"""What one model server is to serve, and how: everything it is told, in one file that holds no secret."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

import msgspec

from backends.contract import Invalid
from backends.entities import Record

MOST_WORKERS: Final = 64
ENGINES: Final = ("auto", "onnx", "sklearn")
THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""Environment variables by which native libraries are told how many threads they have."""
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class Target(Record, frozen=True, kw_only=True):
    """One version that answers: by its alias, which is followed, or by its number, which stays."""

    alias: str = ""
    version: str = ""
    share: float = 1.0
    """Of the requests, 0 to 1. The shares of those that are no shadows come to 1; of a shadow it says nothing."""
    shadow: bool = False
    """Is asked besides; its answer is logged and goes to nobody."""

    @property
    def name(self) -> str:
        """`@champion` or `v7`."""
        return f"@{self.alias}" if self.alias else f"v{self.version}"


class Limits(Record, frozen=True, kw_only=True):
    """Past these a request is refused, and the server lives."""

    body_bytes: int = 16 << 20
    rows: int = 50_000
    """Rows of one request."""
    connections: int = 1024
    """Open at once, for each worker."""
    waiting: int = 256
    """Requests of each worker that wait for a thread; further ones are answered with 503."""
    header_seconds: float = 10.0
    """From the first byte of a request to the end of its headers, and from a connection's start to its first byte."""
    body_seconds: float = 30.0
    """From the end of the headers to the end of the body."""
    idle_seconds: float = 75.0
    """A connection without a request is kept open so long."""
    drain_seconds: float = 30.0
    """What is being answered when the end is asked for has so long."""
    load_seconds: float = 300.0
    """A version that is not loaded and warm after so long has failed."""
    shadow_queue: int = 64
    """Requests that wait for shadows; further ones are not asked."""


class LogSpec(Record, frozen=True, kw_only=True):
    """How predictions are kept."""

    folder: str = ""
    """Empty for none. Finished segments lie there as `*.jsonl`, so that a monitor can watch the folder."""
    sample: float = 1.0
    """Share of the requests that are logged, 0 to 1; by request id."""
    redact: tuple[str, ...] = ()
    """Columns whose values are never written."""
    segment_bytes: int = 16 << 20
    segment_seconds: float = 10.0
    """A segment is finished when it has so many bytes or is so old."""
    queue: int = 10_000
    """Rows that wait to be written, for each worker; further ones are dropped and counted."""
    keep_bytes: int = 2 << 30
    """Finished segments past this are removed, oldest first."""


class ServingSpec(Record, frozen=True, kw_only=True):
    """All that `python -m console.serving SPEC.json` is told."""

    id: str
    """Of the deployment; it goes into the split, so that two deployments do not send the same callers astray."""
    place: str
    """Url by which the backend is opened, as `backends.connect.place_of` gives it; it holds no secret."""
    model: str
    targets: tuple[Target, ...]
    context: str = "serving"
    """Name of the context, for messages."""
    sticky_field: str = ""
    """Input field whose value decides which version answers; it need not be a column of the model."""
    sticky_header: str = ""
    """Request header that does, where there is one; it goes before the field."""
    host: str = "127.0.0.1"
    port: int = 0
    """0 for a free one."""
    workers: int = 1
    threads: int = 1
    """Native threads (OMP, BLAS) of each worker."""
    token_file: str = ""
    """File of mode 0600 that holds the token callers must send; empty for none."""
    admin_socket: str = ""
    """Path of the unix socket for commands, made with mode 0600; empty for none."""
    log: LogSpec = LogSpec()
    limits: Limits = Limits()
    standby: bool = True
    """Keep a version loaded that another alias names: its promotion takes no time, and it takes its memory."""
    engine: str = "auto"
    """`onnx`, `sklearn`, or `auto`: onnxruntime where the version has an ONNX file that gave the same answers."""
    ignore_extra: bool = False
    """Columns that the model does not know are stepped over; else they are refused by name."""
    poll_seconds: float = 0.1
    """How often the store is asked whether anything changed."""


def check_spec(spec: ServingSpec) -> ServingSpec:
    """The spec, if it can be served; else Invalid naming the field."""
    if not spec.id or not spec.model or not spec.place:
        raise Invalid("a server needs id, model and place", "id")
    check_targets(spec.targets)
    check_workers(spec.workers)
    if spec.engine not in ENGINES:
        raise Invalid(f"engine is one of {', '.join(ENGINES)}, not {spec.engine!r}", "engine")
    if not 0 <= spec.port < 65_536:
        raise Invalid(f"port {spec.port} is none; 0 takes a free one", "port")
    if not 0 <= spec.log.sample <= 1:
        raise Invalid(f"log.sample is a share from 0 to 1, not {spec.log.sample:g}", "log.sample")
    if spec.host not in LOOPBACK and not spec.token_file:
        raise Invalid(
            f"host {spec.host} is open to others than this machine, and no token is set; name a file of mode 0600 that "
            "holds one as token_file, or serve on 127.0.0.1",
            "host",
        )
    return spec


def check_workers(workers: int) -> int:
    """The number, if it is one of workers; else Invalid."""
    if not 1 <= workers <= MOST_WORKERS:
        raise Invalid(f"workers: 1 to {MOST_WORKERS} are possible, not {workers}", "workers")
    return workers


def check_targets(targets: tuple[Target, ...]) -> tuple[Target, ...]:
    """The targets, if they are a split; else Invalid."""
    names = [target.name for target in targets]
    for target in targets:
        if bool(target.alias) == bool(target.version):
            raise Invalid("a target names either an alias or a version", "targets")
        if not 0 <= target.share <= 1:
            raise Invalid(f"{target.name}: a share is from 0 to 1, not {target.share:g}", "share")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Invalid(f"{twice[0]} is named twice; give it one share", "targets")
    total = sum(target.share for target in targets if not target.shadow)
    if abs(total - 1) > 1e-6:
        raise Invalid(f"the shares come to {total:g}, wanted 1: every request is answered by one version", "share")
    return targets


def read_spec(path: Path) -> ServingSpec:
    """A spec from its file."""
    try:
        return check_spec(msgspec.json.decode(path.read_bytes(), type=ServingSpec))
    except FileNotFoundError as error:
        raise Invalid(f"there is no spec {path}", "spec") from error
    except msgspec.DecodeError as error:
        raise Invalid(f"{path.name} is no serving spec: {error}", "spec") from error


def read_token(path: str) -> str:
    """The token in a file that only its owner may read."""
    if not path:
        return ""
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            said = file.read(4097)
    except OSError as error:
        raise Invalid(f"token file {path} cannot be read: {error.strerror}", "token_file") from error
    if stat.S_IMODE(mode) & 0o077:
        raise Invalid(f"token file {path} can be read by others (mode {stat.S_IMODE(mode):o}); chmod 600", "token_file")
    token = said.decode("ascii", "replace").strip()
    if not 8 <= len(token) <= 4096 or not token.isascii() or any(letter.isspace() for letter in token):
        raise Invalid(f"token file {path} holds no token: wanted 8 to 4096 ASCII letters without spaces", "token_file")
    return token
