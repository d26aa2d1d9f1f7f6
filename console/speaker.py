"""The other side of `console.offload` and `console.standing`: what a module says that was started for some work.

A module that does one thing returns `speak(work)` from its main, one that works on a backend `speak_of(url, work)`, and
one that stays and answers questions `answer(work)`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from backends import contract
from backends.contract import BackendError
from backends.entities import Progress
from console.offload import TIED

if TYPE_CHECKING:
    from backends.contract import Backend

Q = TypeVar("Q")


class Speaker:
    """The other side: what an offloaded module says on its stdout. It ends with the process that started it."""

    def __init__(self) -> None:
        self._told = 0.0
        if os.environ.pop(TIED, ""):
            threading.Thread(target=_end_with_parent, daemon=True).start()

    def progress(self, progress: Progress) -> None:
        if time.monotonic() - self._told > 0.2:
            self._told = time.monotonic()
            self._say({"progress": progress})

    def result(self, value: Any) -> None:
        self._say({"result": value})

    def error(self, error: BaseException) -> None:
        # the nearest of the contract's own: the other side knows no others
        kind = next(
            (each.__name__ for each in type(error).__mro__ if each.__module__.startswith(contract.__name__)),
            "BackendError",
        )
        message = str(error) if isinstance(error, BackendError) else f"{type(error).__name__}: {error}"
        self._say({"error": {"kind": kind, "message": message, "field": getattr(error, "field", "")}})

    def _say(self, line: Any) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
        sys.stdout.buffer.flush()


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)  # as if it were cancelled: what was begun is cleaned away


def speak(work: Callable[[Speaker], Any]) -> int:
    """Do it and say its result, or what kept it from one: the exit code."""
    speaker = Speaker()
    try:
        speaker.result(work(speaker))
    except BrokenPipeError:  # nobody is left who would hear it
        return 1
    except (BackendError, MemoryError) as error:
        speaker.error(error)
        return 1
    except Exception as error:
        speaker.error(error)
        raise
    return 0


def speak_of(url: str, work: Callable[[Backend, Speaker], Any]) -> int:
    """As `speak`, with the backend that the url names."""

    def on_backend(speaker: Speaker) -> Any:
        from backends.connect import connect

        backend = connect("worker", url)
        try:
            return work(backend, speaker)
        finally:
            backend.close()

    return speak(on_backend)


def answer(question: type[Q], work: Callable[[Q, Speaker], Any]) -> int:
    """Answer each line of stdin, until there are no more. What keeps one from an answer keeps not the next."""
    try:
        for line in sys.stdin.buffer:
            speaker = Speaker()
            try:
                speaker.result(work(msgspec.json.decode(line, type=question), speaker))
            except (BackendError, MemoryError, OSError, ValueError) as error:
                if isinstance(error, BrokenPipeError):
                    raise
                speaker.error(error)
    except BrokenPipeError:
        return 1
    return 0
