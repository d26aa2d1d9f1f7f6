"""What a cluster is handed for a run: its command in the words of a machine that has other paths, and its files."""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

import backends.cluster
import console
from backends.connect import remote_of, server_of_runs
from backends.contract import Backend, Engine, Refused
from backends.entities import Job, LauncherRef, LaunchSpec, Run
from backends.local.run_folder import RunFolder, write_whole
from backends.local.tracking import TRACKING_VARIABLES
from console.training.command import INHERITED

HERE: Final = "@mlops-job@"
"""In the manifest: the job's folder, which only the job knows."""
PYTHON: Final = "@mlops-python@"
TICKET: Final = "ticket.json"


class Ticket(msgspec.Struct, kw_only=True):
    """What a job shows once to be told the secrets it needs. Only its digest is kept."""

    digest: str
    used_at: int = 0
    used_by: str = ""


def job_of(backend: Backend, engine: Engine, ref: LauncherRef, folder: RunFolder, spec: LaunchSpec, run: Run) -> Job:
    """The job of a run. Refused where the cluster could not tell us of it."""
    manifest = _manifest(backend, engine, ref, folder, spec)
    jobside = Path(backends.cluster.__file__).with_name("jobside.py").read_text(encoding="utf-8")
    files = {"manifest.json": msgspec.json.encode(manifest).decode(), "jobside.py": jobside}
    entry: tuple[str, ...] = (engine.python, "jobside.py", "manifest.json")
    parts: dict[str, str] = {}
    if engine.shared:
        for name, text in files.items():
            write_whole(folder.path / name, text.encode())
            (folder.path / name).chmod(0o600)
        entry = (engine.python, str(folder.path / "jobside.py"), str(folder.path / "manifest.json"))
    else:
        files |= spec.files
        parts |= {f"inputs/{name}": path for path, name in spec.inputs.items()}
        if spec.cwd:
            parts["work"] = spec.cwd
        if _is_ours(spec):
            parts |= {"code/console": str(_home() / "console"), "code/backends": str(_home() / "backends")}
    return Job(
        run=run.id, name=run.name, folder=str(folder.path), entry=entry, files=files, parts=parts, needs=spec.needs,
        options=spec.options, max_seconds=spec.max_seconds, sweep=run.parent,
    )  # fmt: skip


def _manifest(
    backend: Backend, engine: Engine, ref: LauncherRef, folder: RunFolder, spec: LaunchSpec
) -> dict[str, Any]:
    there = _There(spec, engine)
    tracking = _tracking(backend, ref, folder)
    hidden = {key: tracking[key] for key in tracking if key not in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID")}
    ticket = ""
    if hidden and not engine.shared:
        ticket = _ticket(ref, folder)
        tracking = {key: value for key, value in tracking.items() if key not in hidden}
    remote = remote_of(folder.workspace)
    return {
        "run": spec.run,
        "argv": [there.word(word, program=place == 0) for place, word in enumerate(spec.argv)],
        "env": there.environment(),
        "withheld": sorted(TRACKING_VARIABLES | ({remote.login.env} if remote and remote.login.env else set())),
        "cwd": there.word(spec.cwd) if spec.cwd else "",
        "shared": engine.shared,
        "logs": spec.tracking,
        "tracking": tracking,
        "ticket": ticket,
        "agent": ref.options.get("agent", "").rstrip("/"),
        "grace_s": spec.grace_s,
        "max_seconds": spec.max_seconds,
        "max_memory": spec.max_memory,
        "nice": spec.nice,
    }


def _tracking(backend: Backend, ref: LauncherRef, folder: RunFolder) -> dict[str, str]:
    """Where the job logs to, its token included; as the job reaches it."""
    if backend.tracking is None:
        return {}
    found = backend.tracking(folder.run)
    agent = ref.options.get("agent", "").rstrip("/")
    if server_of_runs(folder.workspace) is None and agent:
        found["MLFLOW_TRACKING_URI"] = agent
    return found


def _ticket(ref: LauncherRef, folder: RunFolder) -> str:
    if not ref.options.get("agent"):
        raise Refused(
            f"run {folder.run[:8]}: its job needs a token to log, which is not put where others on the cluster read "
            "it; the job fetches it from this workspace's agent: say where it is reached, by "
            'launcher_options = { agent = "http://HOST:PORT" }'
        )
    ticket = secrets.token_urlsafe(32)
    kept = Ticket(digest=hashlib.sha256(ticket.encode()).hexdigest())
    write_whole(folder.path / TICKET, msgspec.json.encode(kept))
    return ticket


def redeem(folder: RunFolder, ticket: str, by: str, at: int) -> bool:
    """True once, for the run's ticket."""
    try:
        kept = msgspec.json.decode((folder.path / TICKET).read_bytes(), type=Ticket)
    except FileNotFoundError:
        return False
    digest = hashlib.sha256(ticket.encode()).hexdigest()
    if kept.used_at or not secrets.compare_digest(digest, kept.digest):
        return False
    kept.used_at, kept.used_by = at, by
    write_whole(folder.path / TICKET, msgspec.json.encode(kept))
    return True


def _home() -> Path:
    return Path(console.__file__).resolve().parent.parent


def _is_ours(spec: LaunchSpec) -> bool:
    """Whether the command is a module of this program."""
    return len(spec.argv) > 2 and spec.argv[1] == "-m" and spec.argv[2].startswith(("console.", "backends."))


class _There:
    """Paths of this machine, said in the job's."""

    def __init__(self, spec: LaunchSpec, engine: Engine) -> None:
        self._spec = spec
        self._shared = engine.shared
        self._paths = {path: f"{HERE}/inputs/{name}" for path, name in spec.inputs.items()}
        if spec.cwd:
            self._paths[spec.cwd.rstrip("/")] = f"{HERE}/work"

    def word(self, word: str, *, program: bool = False) -> str:
        if self._shared:
            return word
        if program and (word == sys.executable or Path(word).name.startswith("python")):
            return PYTHON
        for path in sorted(self._paths, key=len, reverse=True):
            if word == path or path + os.sep in word or word.endswith(path):
                return word.replace(path, self._paths[path])
        # A program outside of the folder that is shipped: the machine there has its own.
        return Path(word).name if program and Path(word).is_absolute() else word

    def environment(self) -> dict[str, str]:
        env = self._spec.env
        if self._shared:
            return dict(env)
        found = {key: self.word(value) for key, value in env.items() if key not in INHERITED or key in ("LANG", "TZ")}
        search = [
            self.word(each) for each in env.get("PYTHONPATH", "").split(os.pathsep) if each and self.word(each) != each
        ]
        if _is_ours(self._spec):
            search.insert(0, f"{HERE}/code")
        if search:
            found["PYTHONPATH"] = os.pathsep.join(search)
        return found
