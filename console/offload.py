"""Heavy work in a process of its own, so that the console stays light and one key stops it.

The module is run as `python -m module args…` in its own session and speaks JSON lines on stdout:

    {"progress": {…}}                                          an `entities.Progress`, any number of them
    {"result": …}                                              once, at the end
    {"error": {"kind": "Invalid", "message": …, "field": …}}   instead of a result; kind is a class of
    `backends.contract`
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from backends import contract
from backends.contract import BackendError
from backends.entities import Progress

TIED = "MLOPS_CONSOLE_TIED"
"""Set for a module that is to end when its stdin closes: nobody is left who would hear it."""

PATIENCE_S = 5.0
"""Between asking a stopped process to end and making it."""


class Cancelled(BackendError):
    """It was stopped by the one who asked for it. What it had begun is not kept."""


def run_offloaded(
    module: str,
    args: Sequence[str],
    *,
    on_progress: Callable[[Progress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
    env: Mapping[str, str] | None = None,
) -> Any:
    """The result of `python -m module args…`, decoded from JSON. Blocking: call it from a thread.

    Errors arrive as the contract's own; `cancel` is asked ten times a second, and True ends the process tree with
    Cancelled, unless it had come to its end by then: what was done is told as done.
    """
    with tempfile.TemporaryFile() as errors, _started(module, args, errors, env) as process:
        outcome: dict[str, Any] = {}
        try:
            for line in lines_of(process, cancel or (lambda: False)):
                said = decoded(line)
                if "progress" in said and on_progress is not None:
                    with contextlib.suppress(msgspec.ValidationError):
                        on_progress(msgspec.convert(said["progress"], Progress))
                elif "result" in said or "error" in said:
                    outcome = said
        except Cancelled:
            if "result" not in outcome:
                raise
        code = process.wait()
        if "error" in outcome:
            raise error_of(outcome["error"])
        if "result" not in outcome:
            raise BackendError(f"{module} ended without a result ({_ending(code)}): {last_words(errors)}")
        return outcome["result"]


@contextlib.contextmanager
def _started(module: str, args: Sequence[str], errors: IO[bytes], env: Mapping[str, str] | None) -> Any:
    process = subprocess.Popen(
        [sys.executable, "-m", module, *args],
        stdin=subprocess.PIPE,  # nothing is written to it: that it closes says that we are gone
        stdout=subprocess.PIPE,
        stderr=errors,
        env={**environment(), TIED: "1", **(env or {})},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        end(process)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def environment() -> dict[str, str]:
    """Ours, for a child that is to find this very package."""
    return {**os.environ, "PYTHONPATH": python_path()}


def written(process: subprocess.Popen[bytes], line: bytes) -> None:
    assert process.stdin is not None  # noqa: S101  (asked for when it was started)
    process.stdin.write(line)
    process.stdin.flush()


def python_path() -> str:
    """A `PYTHONPATH` under which a child finds this very package, wherever it is started."""
    here = str(Path(__file__).resolve().parent.parent)
    known = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part and part != here]
    return os.pathsep.join([here, *known])


def lines_of(process: subprocess.Popen[bytes], cancelled: Callable[[], bool]) -> Any:
    assert process.stdout is not None  # noqa: S101  (asked for above)
    rest, stopped = b"", False
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not stopped and cancelled():
                end(process)
                stopped = True  # what it said before it heard of that is heard still
            if not selector.select(0 if stopped else 0.1):
                if stopped:
                    break
                continue
            data = os.read(process.stdout.fileno(), 1 << 16)
            if not data:
                break
            *whole, rest = (rest + data).split(b"\n")
            yield from whole
    if rest.strip():
        yield rest
    if stopped:
        raise Cancelled("stopped at your request; nothing of it was kept.")


def decoded(line: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return {}  # a library's print: no concern of ours
    return said if isinstance(said, dict) else {}


def end(process: subprocess.Popen[bytes]) -> None:
    for wish in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, wish)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_S)


def error_of(said: Any) -> BackendError:
    fields = said if isinstance(said, dict) else {"message": said}
    kind = getattr(contract, str(fields.get("kind")), BackendError)
    if not (isinstance(kind, type) and issubclass(kind, BackendError)):
        kind = BackendError
    message = str(fields.get("message"))
    return contract.Invalid(message, str(fields.get("field") or "")) if kind is contract.Invalid else kind(message)


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def last_words(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read()[-4000:].decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
