"""Slurm as an engine: what the agent hands it becomes jobs, and what it tells of them becomes the runs' states."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Final

from backends.contract import BackendError, Invalid, Refused, Unreachable
from backends.entities import ClusterRoom, Job, JobState, LauncherRef, Needs, RunStatus
from backends.slurm.address import read_address
from backends.slurm.ledger import Ledger, Standing
from backends.slurm.login_node import LoginNode
from backends.slurm.parcels import Packer, Parcel, send, texts_tar
from backends.slurm.room import FIELDS, fits, read_sinfo
from backends.slurm.rows import JobRow
from backends.slurm.script import COMMENT, SCRIPT, command_line, job_name, resources, sbatch, site_options
from backends.slurm.watch import Watch
from backends.slurm.words import how_ended, why_waiting

OWN: Final = ("agent", "listen", "python", "ssh", "shared", "keep_days", "array")
"""Of a launcher's options those that are ours; the others are sbatch's, as in a recipe's `[launch]`."""
MOST_TASKS: Final = 1_000
"""Of one array, as far as the cluster's MaxArraySize lets us: 1001 is what a Slurm has by itself."""
SETTLE_S: Final = 30.0
"""How long a job whose end is not wholly known yet (a file that the shared file system has not shown, a state that
Slurm has not told) is taken for running."""
ACCOUNTS_S: Final = 900.0
"""How long Slurm's database may be down before a job that the controller has forgotten counts as unknown."""
STOPPED_AT_ONCE: Final = 200
SIGNALLED: Final = 128
"""An exit code beyond it tells of a signal."""


def open_slurm(ref: LauncherRef) -> SlurmEngine:
    """The entry point. Invalid says what is wrong with url or options."""
    return SlurmEngine(ref)


class SlurmEngine:
    """One cluster as the agent uses it, from one thread."""

    name = "slurm"

    def __init__(self, ref: LauncherRef) -> None:
        self._address = read_address(ref.url)
        self._site = site_options({key: value for key, value in ref.options.items() if key not in OWN}, _source())
        self._node = LoginNode(self._address, ref.options)
        self._ledger = Ledger(self._node)
        self._watch = Watch(self._node)
        self._packer = Packer()
        self.place = self._address.place
        self.shared = _yes(ref.options, "shared", self._node.local)
        self.python = ref.options.get("python") or (sys.executable if self.shared else "python3")
        self.look_s = 1.0 if self._node.local else 3.0  # the files; squeue at most every 5 s, see Watch
        self._most_tasks = _count(ref.options, "array", MOST_TASKS)
        self._keep_days = _count(ref.options, "keep_days", 14)
        self._cleaned_at = 0.0
        self._gone: dict[str, float] = {}
        """run → since when Slurm knows nothing of it, on the monotonic clock."""
        self._ending: dict[str, float] = {}

    def probe(self) -> str:
        # Not by squeue: whoever looks at a context asks, besides the one squeue every five seconds of its agent.
        answer = self._node.ask('sbatch --version && mkdir -p "$B" && [ -w "$B" ] && sinfo -h >/dev/null')
        return f"{answer.out.decode('utf-8', 'replace').strip()}, {self.place}"

    def close(self) -> None:
        self._node.close()

    # ------------------------------------------------------------ submitting

    def submit(self, jobs: Sequence[Job]) -> Mapping[str, str | BackendError]:
        """run → the job's number, of a trial that went as part of an array with the task behind it: `17_4`."""
        found: dict[str, str | BackendError] = {}
        fresh: list[Job] = []
        begun = time.monotonic()
        held = self._ledger.held([job.run for job in jobs])
        for job in jobs:
            known = held.get(job.run)
            there = known.job if known is not None else ""
            if not there and known is not None and known.batch:
                there = self._seen(known, begun)  # submitted perhaps, by an agent that died before it heard the number
            if there:
                found[job.run] = there
            else:
                fresh.append(job)
        groups: dict[tuple[str, ...], list[Job]] = {}
        for job in fresh:
            try:
                needs = resources(job, self._site)
            except BackendError as error:
                found[job.run] = error
                continue
            alone = () if job.sweep and self._most_tasks > 1 else (job.run,)
            groups.setdefault((*needs, f"sweep={job.sweep}", *alone), []).append(job)
        parcels = self._sent([job for members in groups.values() for job in members], found)
        for members in groups.values():
            members = [job for job in members if job.run not in found]
            if not members:
                continue
            needs = resources(members[0], self._site)
            for at in range(0, len(members), self._most_tasks):
                found.update(self._submit_batch(members[at : at + self._most_tasks], needs, parcels))
        self._clean()
        return found

    def _seen(self, known: Standing, since: float) -> str:
        base = self._watch.find(f"{COMMENT}{known.batch}", since)
        if base:
            self._ledger.note(known.batch, base)
        return _task_of(base, known.index, known.count) if base else ""

    def _sent(self, jobs: Sequence[Job], found: dict[str, str | BackendError]) -> dict[str, list[Parcel]]:
        """run → its files and folders, which are there now. What cannot be sent is its run's answer, in `found`."""
        if self.shared:
            return {}
        packed: dict[str, list[Parcel]] = {}
        seen: dict[str, Parcel] = {}
        for job in jobs:
            try:
                packed[job.run] = self._packer.pack(job.parts, seen)
            except Invalid as error:
                found[job.run] = error
        send(self._node, (each for parcels in packed.values() for each in parcels))
        return packed

    def _submit_batch(
        self, jobs: Sequence[Job], needs: tuple[str, ...], parcels: Mapping[str, Sequence[Parcel]]
    ) -> dict[str, str | BackendError]:
        """All of them as one job, an array where they are several."""
        batch = (
            jobs[0].run
            if len(jobs) == 1
            else hashlib.sha256("".join(job.run for job in jobs).encode()).hexdigest()[:32]
        )
        texts = {
            f"batches/{batch}/job.sh": SCRIPT,
            f"batches/{batch}/runs": "".join(f"{job.run}\n" for job in jobs),
        }
        places: list[str] = []
        try:
            for index, job in enumerate(jobs):
                texts |= self._laid(job, parcels.get(job.run, ()))
                places.append(f"{job.run} {batch} {index} {len(jobs)}\n")
            texts[f"batches/{batch}/places"] = "".join(places)
            name = job_name(jobs[0]) if len(jobs) == 1 else f"{job_name(jobs[0]).rpartition('-')[0]}-x{len(jobs)}"
            answer = self._node.ask(
                'umask 077; mkdir -p "$B" && cd "$B" && tar -xf - || exit 1\n'
                f'while read -r run rest; do echo "$rest" >"runs/$run/batch" || exit 1; done <batches/{batch}/places\n'
                # A job's number is its own file's last word: one that was cut short is none.
                f"job=$({sbatch(batch, name, len(jobs), needs)}) || exit\n"
                f'echo "$job" >batches/{batch}/job.new && mv batches/{batch}/job.new batches/{batch}/job; echo "$job"',
                texts_tar(texts),
            )
        except (Refused, Invalid) as refused:
            return dict.fromkeys((job.run for job in jobs), refused)
        base = answer.out.decode("utf-8", "replace").split(";")[0].strip()
        if not base.isdigit():
            raise Unreachable(f"sbatch at {self.place} printed no job number but {base[:80]!r}; it is looked for again")
        return {job.run: _task_of(base, index, len(jobs)) for index, job in enumerate(jobs)}

    def _laid(self, job: Job, parcels: Sequence[Parcel]) -> dict[str, str]:
        here = f"runs/{job.run}"
        folder = job.folder if self.shared else "work"
        if "\n" in folder:
            raise Invalid(f"{folder!r}: a folder with a line break in its name cannot be used", "folder")
        texts = {
            f"{here}/folder": f"{folder}\n",
            f"{here}/parts": "".join(f"{each.digest} {each.kind} {each.name}\n" for each in parcels),
            f"{here}/command": command_line(job.entry, self.python),
        }
        if not self.shared:
            texts |= {f"{here}/{folder}/{name}": text for name, text in job.files.items()}
            texts.setdefault(f"{here}/{folder}/.job", "")
        return texts

    # ------------------------------------------------------------ following

    def look(self, jobs: Mapping[str, str]) -> Mapping[str, JobState]:
        """From the runs' files, and squeue's last answer, which is asked for anew at most every five seconds."""
        files = self._ledger.standings(list(jobs))
        names = {run: files[run].job or name for run, name in jobs.items()}
        rows = self._watch.rows(set(names.values()))
        untold = [
            name for run, name in names.items()
            if name not in rows and _open(files[run].exit_code)
        ]  # fmt: skip
        told = self._watch.accounted(untold, {name for run, name in names.items() if not files[run].begun})
        states = {
            run: self._state(run, name, files[run], rows.get(name) or told.get(name)) for run, name in names.items()
        }
        return {run: state for run, state in states.items() if state is not None}

    def _state(self, run: str, name: str, files: Standing, row: JobRow | None) -> JobState | None:
        ended = how_ended(row.state) if row is not None else None
        if files.exit_code is not None:
            return self._ended(run, files, row, ended)
        if row is None:
            since = self._gone.setdefault(run, time.monotonic())
            if not files.begun and self._watch.left_out(name) and self._watch.told_since(since, 1.0):
                return JobState(status=RunStatus.STOPPED, reason="cancelled at Slurm before it began")
            away = self._watch.accounts_away and time.monotonic() - since < ACCOUNTS_S
            if self._watch.told_since(since, SETTLE_S) and not away:
                return None
            return JobState(
                status=RunStatus.RUNNING if files.begun else RunStatus.QUEUED, where=files.where,
                began_at=files.began_at, reason="" if files.begun else self._watch.trouble,
            )  # fmt: skip
        self._gone.pop(run, None)
        if ended is not None:
            return self._ended_untold(run, files, row, ended)
        if files.begun or row.state != "PENDING":
            words = why_waiting(row.reason, row.description) if row.state == "SUSPENDED" else ""
            return JobState(
                status=RunStatus.RUNNING, reason=words, where=files.where or row.where,
                began_at=files.began_at or row.began_at,
            )  # fmt: skip
        return JobState(status=RunStatus.QUEUED, reason=self._watch.trouble or why_waiting(row.reason, row.description))

    def _ended(self, run: str, files: Standing, row: JobRow | None, ended: tuple[RunStatus, str] | None) -> JobState:
        """Its exit code is there. Where a signal ended it, that was Slurm, perhaps: what it says is waited for."""
        code = files.exit_code or 0
        status, why = RunStatus.FINISHED if code == 0 else RunStatus.FAILED, ""
        if code > SIGNALLED and ended is None:
            since = self._ending.setdefault(run, time.monotonic())
            forgotten = row is None and self._watch.told_since(since, 0.0)
            if not forgotten and time.monotonic() - since < SETTLE_S:
                return JobState(status=RunStatus.RUNNING, where=files.where, began_at=files.began_at)
        if code and ended is not None and ended[0] is not RunStatus.FINISHED and (row is None or row.state != "FAILED"):
            status, why = ended
        elif code:
            why = f"exit code {code}" if code <= SIGNALLED else f"killed by signal {code - SIGNALLED}"
        self._ending.pop(run, None)
        return JobState(
            status=status, reason=why, exit_code=code, began_at=files.began_at, ended_at=files.ended_at,
            where=files.where,
        )  # fmt: skip

    def _ended_untold(self, run: str, files: Standing, row: JobRow, ended: tuple[RunStatus, str]) -> JobState:
        """Slurm says that it ended, and no exit code is there: killed outright, never begun, or not to be seen yet."""
        status, why = ended
        since = self._ending.setdefault(run, time.monotonic())
        if status in (RunStatus.FINISHED, RunStatus.FAILED) and row.state in ("COMPLETED", "FAILED"):
            if time.monotonic() - since < SETTLE_S:
                return JobState(status=RunStatus.RUNNING, where=files.where or row.where, began_at=files.began_at)
            said = self._ledger.said_by_slurm(run)
            status = RunStatus.FAILED
            why = f"it ended without telling how ({row.state})" + (f": {said}" if said else "")
        self._ending.pop(run, None)
        return JobState(
            status=status, reason=why, exit_code=row.exit_code or None, began_at=files.began_at or row.began_at,
            ended_at=row.ended_at, where=files.where or row.where,
        )  # fmt: skip

    def log(self, run: str, job: str, start: int) -> bytes:  # noqa: ARG002 the run's file has the same name whatever its job
        return self._ledger.log(run, start)

    def stop(self, jobs: Mapping[str, str]) -> None:
        """scancel. Of a run whose job is not known here (its name is the run's own) it is looked up."""
        begun = time.monotonic()
        unknown = [run for run, job in jobs.items() if not job[:1].isdigit() or len(job) == 32]
        held = self._ledger.held(unknown) if unknown else {}
        names = [job for run, job in jobs.items() if run not in unknown]
        for run in unknown:
            known = held.get(run)
            job = (known.job or (self._seen(known, begun) if known.batch else "")) if known is not None else ""
            if job:
                names.append(job)
        for at in range(0, len(names), STOPPED_AT_ONCE):
            some = " ".join(names[at : at + STOPPED_AT_ONCE])
            answer = self._node.run(f"scancel -Q {some}")
            if self._node.away(answer):
                raise self._node.trouble(answer)

    def room(self) -> ClusterRoom:
        answer = self._node.ask(f"sinfo -h -N -O '{FIELDS}'")
        return read_sinfo(answer.out.decode("utf-8", "replace"))

    def fits(self, needs: Needs, options: Mapping[str, str], room: ClusterRoom) -> int:
        return fits(needs, {**self._site, **options}, room)

    def _clean(self) -> None:
        """Once a day: what runs left that ended long ago, and files that no run took since."""
        if time.monotonic() - self._cleaned_at < 86_400 and self._cleaned_at:
            return
        self._cleaned_at = time.monotonic()
        self._ledger.clean(self._keep_days)


def _open(code: int | None) -> bool:
    """Whether the exit code alone does not tell how it ended."""
    return code is None or code > SIGNALLED


def _task_of(base: str, index: int, count: int) -> str:
    return f"{base}_{index}" if count > 1 else base


def _source() -> str:
    return f"launcher_options of slurm (besides {', '.join(OWN)})"


def _yes(options: Mapping[str, str], key: str, otherwise: bool) -> bool:
    value = options.get(key, "")
    if value not in ("", "yes", "no"):
        raise Invalid(f"launcher_options: {key} = {value!r}: yes or no is wanted", key)
    return value == "yes" if value else otherwise


def _count(options: Mapping[str, str], key: str, otherwise: int) -> int:
    value = options.get(key, "")
    if value and (not value.isdigit() or not int(value)):
        raise Invalid(f"launcher_options: {key} = {value!r}: a number from 1 on is wanted", key)
    return int(value) if value else otherwise
