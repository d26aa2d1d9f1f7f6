"""A job's log as it comes from a cluster: what the command printed goes to the run's log, what it said to its spool.

`backends/cluster/jobside.py` writes both to one stream; this parts them again. Each byte is taken once, also when the
agent is killed in the middle: `Handed` says how far was read, and what is beyond that in log and spool is passed over.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

from backends.contract import Backend
from backends.local.handed import Handed, note_handed
from backends.local.progress_intake import ProgressIntake
from backends.local.progress_spool import SpoolWriter
from backends.local.run_folder import RunFolder
from backends.local.run_log import LogWriter
from backends.local.said import Said, last_fail

MARK: Final = b"\x1emlops "
LONGEST: Final = 1024 * 1024 + 64
"""Bytes of one line of ours; what is longer was none."""
_OURS: Final = re.compile(rb'^\{"(begun|end)": ')


class JobLog:
    """The taking half: `take` what the engine gave, from byte `told.log_at` on."""

    def __init__(self, folder: RunFolder, backend: Backend, told: Handed) -> None:
        self._folder = folder
        self.told = told
        self.log = LogWriter(folder.log)
        self._spool = SpoolWriter(folder.spool)
        self._said = Said(self._spool, self.log.note)
        self._said.fail = last_fail(folder.spool)
        self.intake = ProgressIntake(folder, backend, self.log.note)
        self._partial = b""
        self._skip_printed = max(0, self.log.end - told.printed)
        self._skip_said = max(0, _lines(folder) - told.said)
        self.ended: dict[str, Any] | None = None
        """What the job said of its own end."""
        self.heard = 0

    @property
    def read_to(self) -> int:
        """The byte of the job's log that is wanted next."""
        return self.told.log_at + len(self._partial)

    @property
    def fail(self) -> str:
        """Why the command said that it fails."""
        return self._said.fail

    def take(self, data: bytes) -> None:
        """The next bytes. What belongs to an unfinished line of ours is kept until the rest comes."""
        if not data:
            return
        data = self._partial + data
        printed = said = 0
        at = 0
        while at < len(data):
            mark = data.find(b"\x1e", at)
            if mark < 0:
                printed += self._print(data[at:])
                at = len(data)
                break
            printed += self._print(data[at:mark])
            at = mark
            if not data.startswith(MARK[: len(data) - mark], mark):
                printed += self._print(b"?")
                at += 1
                continue
            end = data.find(b"\n", mark)
            if end < 0:
                if len(data) - mark < LONGEST:
                    break
                end = len(data) - 1
            said += self._say(data[mark + len(MARK) : end])
            at = end + 1
        self._partial = data[at:]
        self.told = msgspec.structs.replace(
            self.told, log_at=self.told.log_at + at, printed=self.told.printed + printed, said=self.told.said + said
        )
        note_handed(self._folder, self.told)

    def _print(self, data: bytes) -> int:
        fresh = data[self._skip_printed :]
        self._skip_printed -= len(data) - len(fresh)
        if fresh:
            self.log.write(fresh)
        return len(data)

    def _say(self, line: bytes) -> int:
        """How many lines of the spool it became."""
        if _OURS.match(line):
            try:
                told = json.loads(line)
            except ValueError:
                return 0
            if "end" in told:
                self.ended = told
            return 0
        if self._skip_said:
            self._skip_said -= 1
            return 1
        before = self._said.bad_lines
        self._said.take(line + b"\n")
        return 1 if self._said.bad_lines == before else 0

    def note(self, text: str) -> None:
        """A line of our own in the run's log."""
        before = self.log.end
        self.log.note(text)
        self.told = msgspec.structs.replace(self.told, printed=self.told.printed + self.log.end - before)
        note_handed(self._folder, self.told)

    def keep(self) -> None:
        """Bring what was said into the store. Raises what passes by itself."""
        self.intake.drain()

    def close(self) -> None:
        self._spool.close()
        self.log.close()


def _lines(folder: RunFolder) -> int:
    try:
        with folder.spool.open("rb") as spool:
            return sum(part.count(b"\n") for part in iter(lambda: spool.read(1 << 20), b""))
    except FileNotFoundError:
        return 0
