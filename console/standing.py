"""A process of ours that stays and answers one question after another, for what would be slow to start each time.

The module is run as `python -m module args…`; a question is a line of JSON on its stdin, and its answer comes as the
lines of `console.offload`: any progress, then one result or error. It ends when its stdin does.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

import msgspec

from backends.contract import BackendError
from backends.entities import Progress
from console import offload


class Standing:
    """One such process, started at the first question and again after it has ended. Safe to use from threads."""

    def __init__(self, module: str, args: Sequence[str]) -> None:
        self._module = module
        self._args = tuple(args)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    def ask(
        self,
        question: object,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> Any:
        """The result, decoded from JSON. Blocking. Errors arrive as the contract's own; a `cancel` that becomes True
        ends the process with Cancelled."""
        with self._lock:
            try:
                for said in self._said(question, cancel or (lambda: False)):
                    if "progress" in said and on_progress is not None:
                        on_progress(msgspec.convert(said["progress"], Progress))
                    elif "error" in said:
                        raise offload.error_of(said["error"])
                    elif "result" in said:
                        return said["result"]
            except offload.Cancelled:
                self._end()
                raise
            words = offload.last_words(self._errors) if self._errors is not None else ""
            self._end()
        raise BackendError(f"{self._module} ended without an answer: {words}")

    def close(self) -> None:
        """End it, after the question that is out."""
        with self._lock:
            self._end()

    def _said(self, question: object, cancelled: Callable[[], bool]) -> Iterator[dict[str, Any]]:
        line = msgspec.json.encode(question) + b"\n"
        process = self._started()
        try:
            offload.written(process, line)
        except BrokenPipeError:  # it had ended meanwhile
            self._end()
            process = self._started()
            offload.written(process, line)
        for answer in offload.lines_of(process, cancelled):
            yield offload.decoded(answer)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module, *self._args],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=offload.environment(),
                start_new_session=True,
            )
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            offload.end(process)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        if self._errors is not None:
            self._errors.close()
            self._errors = None
