"""Ray's jobs as an engine's: the run's id is the submission id, so that a repeat is the same job."""

from __future__ import annotations

import io
import json
import shlex
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from typing import IO, Any, Final

from backends.cluster.bundles import Bundle, Packer
from backends.contract import BackendError, Invalid, NotFound, Unauthorized, Unreachable
from backends.entities import ClusterRoom, Job, JobState, LauncherRef, Needs, RunStatus
from backends.ray.head import Head
from backends.ray.tail import Tail

STATUS: Final = {
    "PENDING": RunStatus.QUEUED, "RUNNING": RunStatus.RUNNING, "STOPPED": RunStatus.STOPPED,
    "SUCCEEDED": RunStatus.FINISHED, "FAILED": RunStatus.FAILED,
}  # fmt: skip
LOST: Final = ("JOB_SUPERVISOR_ACTOR_DIED", "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE")
"""Failures of a machine, not of the command."""
NOT_BEGUN: Final = "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"
"""Of a job that waited for room longer than Ray lets one wait, 15 minutes by default."""
ASKED_AT_ONCE: Final = 40
"""Jobs that one look asks after, each by its id: a head that has seen thousands takes seconds to list them."""
FOLLOWED: Final = 200
"""Logs that are followed at a time; those beyond are read when their job has ended."""
RESOURCE: Final = "resource."
ROOM: Final = ("entrypoint_num_cpus", "entrypoint_num_gpus", "entrypoint_memory", "entrypoint_resources")
KNOWN_OPTIONS: Final = ("agent", "listen", "python", "ca_file", "pip", "shared")


def open_ray(ref: LauncherRef) -> RayEngine:
    """The entry point. Invalid says what is wrong with url or options; nothing is asked."""
    return RayEngine(ref)


class RayEngine:
    """One cluster, as the agent uses it."""

    name = "ray"
    look_s = 0.5

    def __init__(self, ref: LauncherRef) -> None:
        unknown = [key for key in ref.options if key not in KNOWN_OPTIONS and not key.startswith(RESOURCE)]
        if unknown:
            raise Invalid(
                f"launcher_options: {unknown[0]}: ray knows {', '.join(KNOWN_OPTIONS)} and {RESOURCE}NAME", unknown[0]
            )
        self._head = Head(ref)
        self._options = ref.options
        self.place = self._head.place
        self.shared = ref.options.get("shared", "") in ("yes", "true", "1")
        self.python = ref.options.get("python", "") or "python3"
        self._packer = Packer()
        self._there: set[str] = set()
        self._tails: dict[str, Tail] = {}
        self._states: dict[str, JobState] = {}
        self._asked_at: dict[str, float] = {}
        self._told_to_stop: set[str] = set()

    # ------------------------------------------------------------ asking

    def probe(self) -> str:
        """Version and how it is guarded. Unauthorized says what is wanted."""
        mode = self._head.ask("GET", "/api/authentication_mode")
        guarded = mode.status_code == 200 and "token" in mode.text
        told = self._head.json("GET", "/api/version")
        if "ray_version" not in told:
            raise BackendError(f"{self.place} answers, and is not Ray: it names no ray_version")
        words = "by token" if guarded else "open to whoever reaches it"
        return f"Ray {told['ray_version']}, jobs API {told.get('version', '?')}, {words}"

    def room(self) -> ClusterRoom:
        """What its living nodes have, and how much is taken."""
        told = self._head.json("GET", "/api/v0/nodes", params={"detail": "true", "limit": "10000"})
        nodes = [each for each in told["data"]["result"]["result"] if each.get("state") == "ALIVE"]
        total: dict[str, float] = {}
        for node in nodes:
            for key, value in (node.get("resources_total") or {}).items():
                total[key] = total.get(key, 0.0) + float(value)
        taken, waiting = self._usage()
        others = {
            key: f"{taken.get(_plain(key), 0.0):g} of {value:g}"
            for key, value in sorted(total.items())
            if key not in ("CPU", "GPU", "memory", "object_store_memory")
            and not key.startswith(("node:", "accelerator_type:"))
        }
        return ClusterRoom(
            nodes=len(nodes), total=_needs({_plain(key): value for key, value in total.items()}), taken=_needs(taken),
            others=others, totals={key: total[key] for key in others},
            note=f"{waiting} waiting for room" if waiting else "",
        )  # fmt: skip

    def fits(self, needs: Needs, options: Mapping[str, str], room: ClusterRoom) -> int:
        custom = _custom({**self._options, **options})
        if not custom and needs == Needs():
            needs = Needs(cpu=1)  # as in `asked`
        return int(
            min(
                [
                    needs.times_in(room.total),
                    *(room.totals.get(key, 0.0) // custom[key] for key in custom if custom[key]),
                ]
            )
        )

    def _usage(self) -> tuple[dict[str, float], int]:
        """(taken, how many wait), as its autoscaler says; nothing where it does not."""
        try:
            told = self._head.json("GET", "/api/cluster_status")["data"]["clusterStatus"]
        except (BackendError, KeyError, TypeError):
            return {}, 0
        report = (told or {}).get("loadMetricsReport") or {}
        usage = {_plain(key): float(pair[0]) for key, pair in (report.get("usage") or {}).items()}
        waiting = sum(int(each[1]) for each in report.get("resourceDemand") or ())
        return usage, waiting

    # ------------------------------------------------------------ handing over

    def submit(self, jobs: Sequence[Job]) -> Mapping[str, str | BackendError]:
        """Each by itself; a job that is there under the run's id is that one."""
        found: dict[str, str | BackendError] = {}
        for job in jobs:
            try:
                found[job.run] = self._submit(job)
            except (Unreachable, Unauthorized):
                if not found:
                    raise
                break  # the others are tried again
            except BackendError as refused:
                found[job.run] = refused
        return found

    def _submit(self, job: Job) -> str:
        known = self._ask(job.run)
        if known is not None and not known.given_up:
            return job.run
        if known is not None:  # its id is taken by what never began
            self._head.ask("DELETE", f"/api/jobs/{job.run}")
        asked = self.asked(job, self._environment(job))
        answer = self._head.ask("POST", "/api/jobs/", json=asked, timeout=60.0)
        if answer.is_error:
            if self._ask(job.run) is not None:  # another was first, or the answer before was lost
                return job.run
            lines = [line.strip() for line in answer.text.splitlines() if line.strip()]
            raise BackendError(f"{answer.status_code} {lines[-1][-300:] if lines else ''}".strip())
        return job.run

    def _environment(self, job: Job) -> dict[str, Any]:
        """The runtime environment, its files sent."""
        environment: dict[str, Any] = {}
        if not self.shared:
            bundles = self._packer.bundles(job.parts)
            uploaded = [self._upload(each) for each in bundles]
            own = {**job.files, "bundles.json": json.dumps({"all": [each.name for each in bundles]})}
            environment["working_dir"] = self._upload_files(job.run, own)
            if uploaded:
                environment["py_modules"] = uploaded
            environment["env_vars"] = {"MLOPS_JOB": job.run}
        if self._options.get("pip"):
            environment["pip"] = shlex.split(self._options["pip"])
        return environment

    def asked(self, job: Job, environment: Mapping[str, Any]) -> dict[str, Any]:
        """The body by which a job is submitted. It is shown to everybody: nothing secret is in it."""
        needs = job.needs
        asked: dict[str, Any] = {
            "entrypoint": "exec " + shlex.join(job.entry),
            "submission_id": job.run,
            "runtime_env": dict(environment),
            "metadata": {"name": job.name[:100], "by": "mlops-console"},
        }
        if needs.cpu:
            asked["entrypoint_num_cpus"] = needs.cpu
        if needs.gpu:
            asked["entrypoint_num_gpus"] = needs.gpu
        if needs.memory:
            asked["entrypoint_memory"] = needs.memory
        custom = _custom({**self._options, **job.options})
        if custom:
            asked["entrypoint_resources"] = custom
        if not any(key in asked for key in ROOM):
            asked["entrypoint_num_cpus"] = 1  # one that asks for nothing Ray keeps on its head, with all others
        return asked

    def _upload(self, bundle: Bundle) -> str:
        """Its uri at the head; sent where it is not there. Asking also keeps it there for some minutes."""
        path = f"/api/packages/gcs/_ray_pkg_{bundle.name}.zip"
        if self._head.ask("GET", path).status_code != 200:
            with tempfile.TemporaryFile() as file:
                bundle.write(file)
                file.seek(0)
                self._put(path, file)
        return f"gcs://_ray_pkg_{bundle.name}.zip"

    def _upload_files(self, run: str, files: Mapping[str, str]) -> str:
        """The run's own small files, by its id: they hold a ticket, which is no good a second time."""
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in sorted(files.items()):
                archive.writestr(zipfile.ZipInfo(name, date_time=(2020, 1, 1, 0, 0, 0)), text)
        out.seek(0)
        self._put(f"/api/packages/gcs/_ray_pkg_{run}.zip", out)
        return f"gcs://_ray_pkg_{run}.zip"

    def _put(self, path: str, file: IO[bytes]) -> None:
        answer = self._head.ask("PUT", path, content=file.read(), timeout=300.0)
        if answer.is_error:
            raise BackendError(f"it does not take the run's files: {answer.status_code} {answer.text[-300:]}")

    # ------------------------------------------------------------ asking after

    def look(self, jobs: Mapping[str, str]) -> Mapping[str, JobState]:
        """At most so many are asked after as are due; of the others the last answer stands."""
        for run in [run for run in self._tails if run not in jobs and self._tails[run].complete]:
            self._let_go(run)  # nobody asks after it any more
        due = sorted(jobs, key=lambda run: self._asked_at.get(run, 0.0))[:ASKED_AT_ONCE]
        for run in due:
            state = self._ask(jobs[run])
            self._asked_at[run] = time.monotonic()
            if state is not None and state.status is RunStatus.QUEUED and run in self._told_to_stop:
                # Ray says `stopped` of a job that waits for room, and lists it as waiting on: were there room, it
                # would end before it begins.
                state = JobState(status=RunStatus.STOPPED)
            if state is None:
                self._states.pop(run, None)
            else:
                self._states[run] = state
        waiting = JobState(status=RunStatus.QUEUED)
        asked = set(due)
        return {
            run: self._states.get(run, waiting) for run in jobs if run in self._states or run not in asked
        }  # fmt: skip

    def _ask(self, job: str) -> JobState | None:
        try:
            told = self._head.json("GET", f"/api/jobs/{job}")
        except NotFound:
            return None
        status = STATUS.get(str(told.get("status")), RunStatus.QUEUED)
        if status is RunStatus.FAILED and told.get("error_type") in LOST:
            status = RunStatus.LOST
        message = str(told.get("message") or "")
        code = told.get("driver_exit_code")
        begun = told.get("driver_agent_http_address")
        given_up = status is RunStatus.FAILED and told.get("error_type") == NOT_BEGUN and not begun
        if given_up:
            status, message = RunStatus.QUEUED, "it waited for room longer than Ray lets a job wait; handed over anew"
        return JobState(
            status=status, reason=message, given_up=given_up, exit_code=code if isinstance(code, int) else None,
            began_at=told.get("start_time") or None, ended_at=told.get("end_time") or None,
            where=str(begun or "").removeprefix("http://").partition(":")[0],
        )  # fmt: skip

    def log(self, run: str, job: str, start: int) -> bytes:
        """What its tail has; all of it at once when the job has ended and the tail did not tell all of it."""
        state = self._states.get(run)
        tail = self._tails.get(run)
        if state is not None and state.status.ended:
            if tail is not None:
                rest = tail.take(start) if tail.complete else b""
                if rest:
                    return rest
                self._let_go(run)
            return self._whole(job)[start:] if state.where else b""  # of one that never began the head would wait
        if tail is None:
            if state is None or state.status is RunStatus.QUEUED or len(self._tails) >= FOLLOWED:
                return b""
            tail = self._tails[run] = Tail(self._head, job, start)
            tail.start()
        return tail.take(start)

    def _let_go(self, run: str) -> None:
        self._tails.pop(run).end()

    def _whole(self, job: str) -> bytes:
        try:
            told = self._head.json("GET", f"/api/jobs/{job}/logs", timeout=30.0)
        except (NotFound, Unreachable, Unauthorized):
            raise
        except BackendError:  # its machine is gone, and the log with it
            return b""
        return str(told.get("logs") or "").encode("utf-8", "surrogatepass")

    def stop(self, jobs: Mapping[str, str]) -> None:
        for run, job in jobs.items():
            answer = self._head.ask("POST", f"/api/jobs/{job}/stop")
            if answer.is_success:
                self._told_to_stop.add(run)
                self._asked_at[run] = 0.0

    def close(self) -> None:
        for tail in self._tails.values():
            tail.end()
        self._head.close()


def _needs(amounts: Mapping[str, float]) -> Needs:
    return Needs(cpu=amounts.get("cpu", 0.0), memory=int(amounts.get("memory", 0.0)), gpu=int(amounts.get("gpu", 0.0)))


def _plain(name: str) -> str:
    """A resource's name as both of Ray's lists say it: one of them spells `my_slot` as `mySlot`."""
    return name.replace("_", "").lower()


def _custom(options: Mapping[str, str]) -> dict[str, float]:
    """`resource.NAME` → how much of it."""
    found = {}
    for key, value in options.items():
        if key.startswith(RESOURCE):
            try:
                found[key.removeprefix(RESOURCE)] = float(value)
            except ValueError:
                raise Invalid(f"{key} = {value!r}: wanted a number", key) from None
    return found
