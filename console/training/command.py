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
from backends.entities import DatasetInput, LaunchSpec, Needs, Run, RunStatus
from console.training.needs import check_fits
from console.training.origin import DIFF, capture_origin

COMMAND: Final = "command.json"
"""Artifact of a run that was started from a command: what it takes to start it again."""
INHERITED: Final = (
    "PATH", "HOME", "LANG", "LC_ALL", "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "PYTHONPATH",
    "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ", "CUDA_VISIBLE_DEVICES",
)  # fmt: skip
"""Variables that say where programs and libraries are: the agent's own may be another login's."""
THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
"""Variables by which numeric libraries are told how many threads to use."""
_SECRET: Final = re.compile(r"(TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|CREDENTIAL|PRIVATE)", re.IGNORECASE)


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command as it was given."""

    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str] = {}
    params: dict[str, str] = {}
    """Logged as parameters of the run."""
    max_seconds: float = 0.0
    max_memory: int = 0
    """Bytes; 0 for no limit, as with the seconds."""
    nice: int = 0
    sample_s: float | None = None
    """As `LaunchSpec.sample_s`."""
    needs: Needs = Needs()
    inputs: dict[str, str] = {}
    """As `LaunchSpec.inputs`."""
    launch: dict[str, str] = {}
    """As `LaunchSpec.options`."""
    retries: int = 0
    """How often it is started again when it failed."""


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
    found_at = program(argv[0], str(cwd), found.get("PATH"))
    env = inherited(found)
    for variable in variables:
        name, equals, value = variable.partition("=")
        if looks_secret(name):
            raise Invalid(
                f"--env {name}: it looks like a secret, and what is passed is kept with the run; let the command read "
                "it from a file or a key ring",
                "env",
            )
        if not equals and name not in found:
            raise Invalid(f"--env {name}: it is not set here; give it as {name}=VALUE", "env")
        env[name] = value if equals else found[name]
    return Command(argv=(found_at, *argv[1:]), cwd=str(cwd), env=env)


def looks_secret(name: str) -> bool:
    """Whether a variable of this name would hold what must not be kept."""
    return _SECRET.search(name) is not None


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: environ[name] for name in INHERITED if name in environ}


def program(word: str, folder: str, path: str | None) -> str:
    """Where the program of a command is that runs in `folder`; Invalid says why there is none."""
    if os.sep in word:
        # Not resolved: the python of a virtual environment is a link, and is told by where the link lies.
        file = Path(os.path.normpath(Path(folder, word).expanduser()))
        if file.is_dir():
            raise Invalid(f"{file} is a folder, and a program is wanted; nothing was started", "command")
        if not file.exists():
            raise Invalid(f"there is no program {file}; nothing was started", "command")
        if not os.access(file, os.X_OK):
            raise Invalid(f"{file} is not executable; chmod u+x it, or name its interpreter before it", "command")
        return str(file)
    found = shutil.which(word, path=path)
    if found is None:
        here = Path(folder, word)
        way = f"; {here} is there: write ./{word}" if here.is_file() else ", and none at that path"
        raise Invalid(f"there is no program {word} in the PATH{way}; nothing was started", "command")
    return str(Path(found).absolute())


def start_command(
    backend: Backend,
    command: Command,
    mutation: Mutation,
    *,
    name: str = "",
    experiment: str = "default",
    tags: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    inputs: Sequence[DatasetInput] = (),
    parent: str = "",
    texts: Mapping[str, str] | None = None,
    note: str = "",
) -> Run:
    """A new run of this command, queued with the backend's launcher; its end is the command's exit code.

    The command is given where to log over the MLflow protocol; whether it does is its own affair. `texts` are kept as
    artifacts of the run.
    """
    runs, launcher = backend.need("runs"), backend.need("launcher")
    check_fits(backend, command.needs)
    source, diff = capture_origin(_script(command) or command.cwd)
    if not source.entry:
        source = msgspec.structs.replace(source, entry=shlex.join(command.argv[:3]))
    run: Run = runs.create(
        name=name or default_name(command),
        experiment=experiment,
        mutation=mutation,
        params=dict(command.params if params is None else params),
        tags=dict(tags or {}),
        inputs=list(inputs),
        source=source,
        parent=parent,
        engine=launcher.engine,
    )
    if run.status is not RunStatus.QUEUED:
        return run  # the same key came again
    try:
        kept = {COMMAND: msgspec.json.format(msgspec.json.encode(command)).decode()}
        keep_texts(backend, run.id, {**kept, **(texts or {}), **({DIFF: diff} if diff else {})})
        if note:
            runs.set_note(
                run.id, note, msgspec.structs.replace(mutation, key=f"{mutation.key}:note" * bool(mutation.key))
            )
        launcher.submit(
            LaunchSpec(
                run=run.id, argv=command.argv, cwd=command.cwd, env=command.env, tracking=True,
                max_seconds=command.max_seconds, max_memory=command.max_memory, nice=command.nice, needs=command.needs,
                sample_s=command.sample_s, inputs=command.inputs, options=command.launch,
            ),
            mutation,
        )  # fmt: skip
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
