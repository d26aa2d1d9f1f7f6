"""Any command as a run: the caller's program, folder and environment, its log and its exit code kept."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from backends.contract import Backend, BackendError, Invalid, Mutation, NotFound
from backends.entities import LaunchSpec, Run, RunStatus
from console.training.origin import DIFF, capture_origin

COMMAND: Final = "command.json"
"""Artifact of a run that was started from a command: what it takes to start it again."""
INHERITED: Final = (
    "PATH", "HOME", "LANG", "LC_ALL", "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "PYTHONPATH",
    "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ", "CUDA_VISIBLE_DEVICES",
)  # fmt: skip
"""Variables that say where programs and libraries are: the agent's own may be another login's."""
_SECRET: Final = re.compile(r"(TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|CREDENTIAL|PRIVATE)", re.IGNORECASE)


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command as it was given."""

    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str] = {}


def command_here(
    argv: Sequence[str], variables: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> Command:
    """The command as this process would run it. `variables` are further ones to pass: `NAME` or `NAME=VALUE`.

    Invalid where there is no such program, or where a variable looks like a secret: it would be kept with the run.
    """
    found = os.environ if environ is None else environ
    if not argv:
        raise Invalid("a command is wanted after --, such as: run start -- python train.py", "command")
    cwd = Path.cwd()
    program = shutil.which(argv[0], path=found.get("PATH"))
    if program is None:
        raise Invalid(
            f"there is no program {argv[0]} in the PATH, and none at that path; nothing was started", "command"
        )
    env = {name: found[name] for name in INHERITED if name in found}
    for variable in variables:
        name, equals, value = variable.partition("=")
        if _SECRET.search(name):
            raise Invalid(
                f"--env {name}: it looks like a secret, and what is passed is kept with the run; let the command read "
                "it from a file or a key ring",
                "env",
            )
        if not equals and name not in found:
            raise Invalid(f"--env {name}: it is not set here; give it as {name}=VALUE", "env")
        env[name] = value if equals else found[name]
    # Not resolved: the python of a virtual environment is a link, and is told by where the link lies.
    return Command(argv=(str(Path(program).absolute()), *argv[1:]), cwd=str(cwd), env=env)


def start_command(
    backend: Backend,
    command: Command,
    mutation: Mutation,
    *,
    name: str = "",
    experiment: str = "default",
    tags: Mapping[str, str] | None = None,
) -> Run:
    """A new run of this command, queued with the backend's launcher; its end is the command's exit code.

    The command is given where to log over the MLflow protocol; whether it does is its own affair.
    """
    runs, launcher = backend.need("runs"), backend.need("launcher")
    source, diff = capture_origin(_script(command) or command.cwd)
    if not source.entry:
        source = msgspec.structs.replace(source, entry=shlex.join(command.argv[:3]))
    run: Run = runs.create(
        name=name or default_name(command),
        experiment=experiment,
        mutation=mutation,
        tags=dict(tags or {}),
        source=source,
    )
    if run.status is not RunStatus.QUEUED:
        return run  # the same key came again
    try:
        kept = {COMMAND: msgspec.json.format(msgspec.json.encode(command)).decode()}
        keep_texts(backend, run.id, kept | ({DIFF: diff} if diff else {}))
        launcher.submit(
            LaunchSpec(run=run.id, argv=command.argv, cwd=command.cwd, env=command.env, tracking=True), mutation
        )
    except BackendError as error:
        runs.end(run.id, RunStatus.FAILED, reason=f"it could not be launched: {error}")
        raise
    found: Run = runs.get(run.id)
    return found


def command_of(backend: Backend, run: Run) -> Command | None:
    """The command that a run was started with, or None for a run of another kind."""
    if backend.artifacts is None:
        return None
    try:
        path = backend.artifacts.open(run.id, COMMAND)
        return msgspec.json.decode(path.read_bytes(), type=Command)
    except (NotFound, OSError):
        return None
    except msgspec.DecodeError as error:
        raise Invalid(f"{COMMAND} of run {run.name} ({run.id[:4]}) cannot be read: {error}", "command") from error


def default_name(command: Command) -> str:
    """The script's name where there is one, else the program's."""
    script = _script(command)
    return Path(script).stem if script else Path(command.argv[0]).name


def _script(command: Command) -> str:
    """The first argument that is a file in the command's folder: `train.py` of `python train.py`."""
    for word in command.argv[1:4]:
        path = Path(command.cwd, word)
        if not word.startswith("-") and path.is_file():
            return str(path)
    return ""


def keep_texts(backend: Backend, run: str, texts: Mapping[str, str]) -> None:
    """Small texts as artifacts of the run."""
    import tempfile

    if backend.artifacts is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            file = Path(folder) / name
            file.write_text(text, encoding="utf-8", errors="surrogateescape")
            backend.artifacts.put(run, name, file)
