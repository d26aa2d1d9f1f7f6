"""A deployment's server as a process: started detached, found again by a later agent, asked to end, ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from backends.entities import Record
from backends.local.command_process import PROGRESS_FD
from backends.local.process_identity import ProcessIdentity, identify, is_alive, send_signal
from backends.local.process_tree import RUN_MARK
from backends.local.run_folder import write_whole
from console.serving.deployment.place import MARK
from console.serving.spec import ServingSpec

LOG: Final = "server.log"
LARGEST: Final = 4 * 1024 * 1024
"""Bytes of a log; a fuller one becomes `server.log.1`, in place of the one before."""
TAIL: Final = 12
"""Lines of a dead server's log that are kept with its state."""


class ServerRecord(Record, frozen=True, kw_only=True):
    """`server.json`: written before the start without a process, and after it with one."""

    socket: str
    launched: str
    """`launched_with` of what it was told at its start."""
    process: ProcessIdentity | None = None


def record_of(folder: Path) -> ServerRecord | None:
    try:
        return msgspec.json.decode((folder / "server.json").read_bytes(), type=ServerRecord)
    except (FileNotFoundError, msgspec.DecodeError):  # none yet, or another version's
        return None


def spawn(spec: ServingSpec, folder: Path, launched: str) -> tuple[subprocess.Popen[bytes], ServerRecord]:
    """Start it in its own session: neither the agent's end nor a hang-up ends it."""
    record = ServerRecord(socket=spec.admin_socket, launched=launched)
    spec = _where_it_was(spec, folder)
    write_whole(folder / "spec.json", msgspec.json.format(msgspec.json.encode(spec), indent=1))
    write_whole(folder / "server.json", msgspec.json.encode(record))
    rotate(folder)
    environment = {key: value for key, value in os.environ.items() if key not in (RUN_MARK, PROGRESS_FD)}
    environment[MARK] = str(folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
    output = os.open(folder / "server.out", flags | os.O_TRUNC, 0o600)
    log = os.open(folder / LOG, flags | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "console.serving", str(folder / "spec.json")],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=log,
            start_new_session=True,
        )
    finally:
        os.close(output)
        os.close(log)
    record = msgspec.structs.replace(record, process=identify(process.pid))
    write_whole(folder / "server.json", msgspec.json.encode(record))
    return process, record


def _where_it_was(spec: ServingSpec, folder: Path) -> ServingSpec:
    """Whoever may take any port takes the one it had, if that is free: callers find it again after a crash."""
    if spec.port:
        return spec
    port = ready_url(folder).rpartition(":")[2]
    try:
        before = int(port) if port else msgspec.json.decode((folder / "spec.json").read_bytes(), type=ServingSpec).port
    except (OSError, ValueError, msgspec.DecodeError):
        return spec
    return msgspec.structs.replace(spec, port=before) if before and _free(spec.host, before) else spec


def _free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def find(folder: Path) -> ServerRecord | None:
    """The living server of a deployment that an earlier agent started, or None."""
    record = record_of(folder)
    if record is None:
        return None
    if record.process is not None:
        return record if is_alive(record.process) else None
    # The agent died between the start and the note of it: the mark tells its process.
    roots = roots_of(marked(folder))
    if not roots:
        return None
    record = msgspec.structs.replace(record, process=roots[0])
    write_whole(folder / "server.json", msgspec.json.encode(record))
    return record


def marked(folder: Path) -> list[ProcessIdentity]:
    """Living processes that carry a deployment's mark: its server and its workers."""
    import psutil

    found, mark = [], str(folder)
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) != mark or process.pid == os.getpid():
                continue
        except (psutil.Error, OSError):  # another user's, or gone meanwhile
            continue
        identity = identify(process.pid)
        if identity is not None:
            found.append(identity)
    return found


def roots_of(processes: list[ProcessIdentity]) -> list[ProcessIdentity]:
    """Those whose parent is not among them."""
    import psutil

    pids = {each.pid for each in processes}
    roots = []
    for each in processes:
        try:
            if psutil.Process(each.pid).ppid() not in pids:
                roots.append(each)
        except psutil.Error:
            continue
    return roots


def end_leftovers(folder: Path) -> int:
    """SIGKILL what a dead server left behind; it may hold the port. How many there were."""
    return sum(send_signal(each, signal.SIGKILL) for each in marked(folder))


def ready_url(folder: Path) -> str:
    """Where the server says that it answers; empty while it does not say so."""
    said = _said(folder)
    return str(said.get("url", "")) if said.get("ready") else ""


def why_not(folder: Path) -> str:
    """Why it could not get ready, as it said at its end; empty where it said nothing."""
    return str(_said(folder).get("error", ""))[:1000]


def _said(folder: Path) -> dict[str, Any]:
    try:
        lines = (folder / "server.out").read_bytes().splitlines()
    except OSError:
        return {}
    for line in lines:
        try:
            said: Any = msgspec.json.decode(line)
        except msgspec.DecodeError:
            continue
        if isinstance(said, dict) and "ready" in said:
            return said
    return {}


def last_lines(folder: Path, count: int = TAIL) -> tuple[str, ...]:
    """The end of its log, as it is."""
    try:
        with (folder / LOG).open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 8192))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ()
    return tuple(line[:400] for line in text.splitlines() if line.strip())[-count:]


def rotate(folder: Path) -> None:
    """Before a start. A living server appends, so what it writes after `shrink` is written from the beginning."""
    path = folder / LOG
    try:
        if path.stat().st_size > LARGEST:
            path.replace(path.with_name(f"{LOG}.1"))
    except FileNotFoundError:
        pass


def shrink(folder: Path) -> None:
    """Of a living server: its log is copied away and emptied when it is full."""
    import shutil

    path = folder / LOG
    try:
        if path.stat().st_size > LARGEST:
            shutil.copyfile(path, path.with_name(f"{LOG}.1"))
            os.truncate(path, 0)
    except OSError:  # a full disk: the server goes on, and so does its log
        pass


def ended_words(process: subprocess.Popen[bytes] | None) -> str:
    """How it ended, as far as anybody saw."""
    code = process.poll() if process is not None else None
    if code is None:
        return "its server is gone (killed, or the machine ended it)"
    if code >= 0:
        return f"its server ended with exit code {code}"
    try:
        return f"its server was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"its server was killed by signal {-code}"
