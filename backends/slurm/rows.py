"""What `squeue` and `sacct` print, as rows. Their shapes differ between versions of Slurm; all of them are read here.

Numbers come plain (22.05) or as `{"set": …, "infinite": …, "number": …}` (23.02 on), states as a word or as a list of
words with flags behind the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from backends.contract import Invalid, Unreachable
from backends.entities import Millis, Record
from backends.slurm.words import base_state

TEXT_FORM: Final = "%A|%F|%K|%T|%r|%N|%k"
"""Of squeue where it knows no JSON: job, array, task, state, reason, machines, comment."""
SACCT_FORM: Final = "JobID,State,ExitCode,Start,End,NodeList"


class JobRow(Record, frozen=True, kw_only=True):
    """One job, or those tasks of an array that have not begun and stand in one line."""

    job: str
    """`123`; of a task of an array `123_4`."""
    tasks: str = ""
    """Of an array's waiting tasks: `2-5,9`; then `job` is the array."""
    state: str
    reason: str = ""
    description: str = ""
    where: str = ""
    comment: str = ""
    exit_code: int | None = None
    began_at: Millis | None = None
    ended_at: Millis | None = None


class Jobs:
    """All that one squeue told."""

    def __init__(self, rows: Iterable[JobRow]) -> None:
        self._named: dict[str, JobRow] = {}
        self._waiting: dict[str, list[tuple[JobRow, frozenset[int] | None]]] = {}
        self._commented: dict[str, str] = {}
        self._bases: set[str] = set()
        for row in rows:
            if row.comment:
                self._commented[row.comment] = row.job.partition("_")[0]
            self._bases.add(row.job.partition("_")[0])
            if row.tasks:
                self._waiting.setdefault(row.job, []).append((row, tasks_in(row.tasks)))
            else:
                self._named[row.job] = row

    def __len__(self) -> int:
        return len(self._named) + len(self._waiting)

    def get(self, job: str) -> JobRow | None:
        """The job's row; a waiting task's is its array's."""
        found = self._named.get(job)
        array, _, task = job.partition("_")
        if found is not None or not task:
            return found
        for row, tasks in self._waiting.get(array, ()):
            if tasks is None or int(task) in tasks:
                return row
        return None

    def left_out(self, job: str) -> bool:
        """Whether it is a task that its array's lines leave out: one that was cancelled before it began has none."""
        array, _, task = job.partition("_")
        return bool(task) and array in self._bases and self.get(job) is None

    def commented(self, comment: str) -> str:
        """The job, or the array, with this comment; empty for none."""
        return self._commented.get(comment, "")


def tasks_in(text: str) -> frozenset[int] | None:
    """`0-2,7%4` → 0, 1, 2, 7. None for one that was cut short: any task that has no row of its own is meant."""
    if "..." in text:
        return None
    found: set[int] = set()
    for part in text.partition("%")[0].split(","):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        if not first.isdigit() or (last and not last.isdigit()) or (step and not step.isdigit()):
            return None
        found.update(range(int(first), int(last or first) + 1, int(step or 1) or 1))
    return frozenset(found)


# ---------------------------------------------------------------- squeue


class _Job(msgspec.Struct):
    job_id: Any = 0
    array_job_id: Any = None
    array_task_id: Any = None
    array_task_string: Any = ""
    job_state: Any = ""
    state_reason: Any = ""
    state_description: Any = ""
    comment: Any = ""
    nodes: Any = ""
    start_time: Any = None
    end_time: Any = None
    exit_code: Any = None


class _Squeue(msgspec.Struct):
    jobs: list[_Job] = []
    errors: list[Any] = []


_SQUEUE: Final = msgspec.json.Decoder(_Squeue)


def read_squeue_json(text: bytes) -> list[JobRow]:
    """Of `squeue --json`. Invalid where it is none; Unreachable where the controller is away: with JSON squeue then
    lists no job, and its exit code is 0."""
    try:
        answer = _SQUEUE.decode(text)
    except msgspec.DecodeError as error:
        raise Invalid(f"squeue --json gave what cannot be read: {error}") from error
    if answer.errors and not answer.jobs:
        told = [each.get("description") or each.get("error") for each in answer.errors if isinstance(each, dict)]
        raise Unreachable(f"squeue: {'; '.join(str(each) for each in told if each) or 'failed'}")
    return [_row(each) for each in answer.jobs]


def _row(job: _Job) -> JobRow:
    array, task = _number(job.array_job_id), _number(job.array_task_id)
    tasks = str(job.array_task_string or "")
    name = str(_number(job.job_id))
    if array and task is not None:
        name, tasks = f"{array}_{task}", ""
    elif array and tasks:
        name = str(array)
    state = _state(job.job_state)
    over = state not in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED")
    return JobRow(
        job=name, tasks=tasks, state=state, reason=str(job.state_reason or ""),
        description=str(job.state_description or ""), where=str(job.nodes or ""), comment=_comment(job.comment),
        exit_code=_exit_code(job.exit_code) if over else None, began_at=_millis(job.start_time),
        ended_at=_millis(job.end_time) if over else None,
    )  # fmt: skip


def _number(given: Any) -> int | None:
    if isinstance(given, dict):
        return int(given.get("number") or 0) if given.get("set", True) and not given.get("infinite") else None
    return int(given) if isinstance(given, int | float) and not isinstance(given, bool) else None


def _state(given: Any) -> str:
    words = [str(each) for each in given] if isinstance(given, list) else [str(given)]
    flags = set(words[1:])
    if "COMPLETING" in flags:
        return "COMPLETING"
    return base_state(words[0]) if words else ""


def _comment(given: Any) -> str:
    return str(given.get("job") or "") if isinstance(given, dict) else str(given or "")


def _millis(given: Any) -> Millis | None:
    seconds = _number(given)
    return seconds * 1000 if seconds else None


def _exit_code(given: Any) -> int | None:
    """Plain it is what wait() gives: the code in the upper byte, the signal in the lower."""
    if isinstance(given, dict):
        if "return_code" not in given and "signal" not in given:
            return _exit_code(_number(given))
        signal = given.get("signal")
        by = _number(signal.get("id", signal.get("signal_id"))) if isinstance(signal, dict) else None
        return 128 + by if by else _number(given.get("return_code"))
    raw = _number(given)
    if raw is None:
        return None
    return 128 + (raw & 0x7F) if raw & 0x7F else raw >> 8


def read_squeue_text(text: str) -> list[JobRow]:
    """Of `squeue -h -o` with `TEXT_FORM`."""
    rows = []
    for line in text.splitlines():
        parts = line.split("|", 6)
        if len(parts) != 7:
            continue
        job, array, task, state, reason, where, comment = parts
        name, tasks = job, ""
        if task.isdigit() and base_state(state) == "PENDING" and job == array:
            name, tasks = array, task  # the last of an array's waiting tasks goes by the array's own number
        elif task.isdigit():
            name = f"{array}_{task}"
        elif task not in ("N/A", ""):
            name, tasks = array, task
        rows.append(
            JobRow(
                job=name,
                tasks=tasks,
                state=base_state(state),
                reason=reason,
                where=where,
                comment="" if comment == "(null)" else comment,
            )
        )
    return rows


# ---------------------------------------------------------------- sacct


def read_sacct(text: str) -> dict[str, JobRow]:
    """Of `sacct -n -P -X -o` with `SACCT_FORM`: job → its row, `17_[2,5-7]` as those four tasks."""
    found = {}
    for line in text.splitlines():
        parts = line.split("|")
        if len(parts) != 6 or "." in parts[0]:
            continue
        job, state, code, start, end, where = parts
        value, _, signal = code.partition(":")
        number = int(value) if value.isdigit() else None
        if signal.isdigit() and int(signal):
            number = 128 + int(signal)
        array, _, tasks = job.partition("_[")
        names = [f"{array}_{task}" for task in sorted(tasks_in(tasks.rstrip("]")) or ())] if tasks else [job]
        for name in names:
            found[name] = JobRow(
                job=name, state=base_state(state), where="" if where == "None assigned" else where, exit_code=number,
                began_at=_stamp(start), ended_at=_stamp(end),
            )  # fmt: skip
    return found


def _stamp(text: str) -> Millis | None:
    """`%s` seconds, as SLURM_TIME_FORMAT=%s has sacct print them."""
    return int(text) * 1000 if text.isdigit() else None
