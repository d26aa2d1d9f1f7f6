"""Runs of a command recipe: filled, checked, started; and the next attempt of one that failed."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from backends.contract import Backend, Invalid, Mutation, NotFound
from backends.entities import CheckResult, DatasetInput, Progress, Run, RunStatus
from console.training.admit import OVERRIDDEN_TAG, admit, note_override
from console.training.command import (
    THREADS,
    Command,
    command_of,
    inherited,
    program,
    start_command,
)
from console.training.command_recipe import CommandRecipe, fill, override_command_recipe, parse_command_recipe
from console.training.flags import stalled_tag
from console.training.job import RECIPE
from console.training.measured import PRIMARY_TAG
from console.training.recipe_chain import CHAIN, lengthened
from console.training.toml_text import param_text
from console.training.watching import sample_s

ATTEMPT_TAG: Final = "console.retry"
"""`1 of 2`: which of the retries that its recipe allows a run is."""
RETRY_TAG: Final = "console.retry_of"


def start_recipe(
    backend: Backend,
    recipe_text: str,
    mutation: Mutation,
    *,
    name: str = "",
    overrides: Mapping[str, Any] | None = None,
    origin: str = "",
    source: str = "recipe",
    tags: Mapping[str, str] | None = None,
    parent: str = "",
    override_checks: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Run:
    """A new run of this command recipe, queued with the backend's launcher. Arguments as those of `start.start_run`.

    `environ` is what variables and programs are taken from, this process's own by default. The recipe is kept with its
    values as its defaults and its folder absolute, so that the same can be started from the run alone.
    """
    text = settled(override_command_recipe(recipe_text, overrides or {}, source), origin, source)
    recipe = parse_command_recipe(text, source)
    values = recipe.values()
    inputs: list[DatasetInput] = []
    path = ""
    failed: tuple[CheckResult, ...] = ()
    version = None
    if recipe.dataset:
        datasets = backend.need("datasets")
        version = datasets.version(recipe.dataset)
        failed = admit(backend, version, mutation, override=override_checks, on_progress=on_progress)
        inputs = [DatasetInput(dataset=version.dataset, version=version.version, digest=version.digest)]
        path = str(datasets.path(version.ref))
    around = os.environ if environ is None else environ
    chain = lengthened(recipe, os.environ, source)  # of this process: `environ` may be that of a run of before
    command = _command(recipe, path, around, source, chain)
    given = {
        "console.register": recipe.register,
        PRIMARY_TAG: recipe.primary(),
        **stalled_tag(recipe.stalled_after),
        **(tags or {}),
    }
    if failed:
        given[OVERRIDDEN_TAG] = mutation.reason
    run = start_command(
        backend,
        command,
        mutation,
        name=name or recipe.name,
        experiment=recipe.experiment,
        tags={key: value for key, value in given.items() if value},
        params={name: param_text(value) for name, value in values.items()},
        inputs=inputs,
        parent=parent,
        texts={RECIPE: text},
        note=recipe.note,
    )
    if version is not None and failed:
        note_override(backend, version, run, failed, mutation)
    return run


def settled(text: str, origin: str, source: str = "recipe") -> str:
    """The recipe with its folder absolute; a relative one is from the folder of the recipe file, `origin`."""
    recipe = parse_command_recipe(text, source)
    base = Path(origin).expanduser().absolute() if origin else Path.cwd()
    folder = Path(os.path.normpath((base.parent if base.is_file() else base) / Path(recipe.workdir).expanduser()))
    if not folder.is_dir():
        raise Invalid(f"{source}: workdir: {folder} is not a folder; nothing was started.", "workdir")
    return text if recipe.workdir == str(folder) else override_command_recipe(text, {"workdir": str(folder)}, source)


def program_of(text: str, source: str) -> None:
    """Invalid where the settled recipe's program is not there, before anything is begun with it."""
    recipe = parse_command_recipe(text, source)
    first = shlex.split(recipe.command)[0]
    if "{" not in first:
        program(first, recipe.workdir, recipe.env.get("PATH", os.environ.get("PATH")))


def _command(recipe: CommandRecipe, dataset: str, environ: Mapping[str, str], source: str, chain: str) -> Command:
    (first, *rest), variables = fill(recipe, dataset)
    env = inherited(environ)
    threads = recipe.limits.threads or recipe.needs.threads
    if threads:
        env |= dict.fromkeys(THREADS, str(threads))
    if dataset:
        env["MLOPS_DATASET"] = dataset
    env |= variables | {CHAIN: chain}
    try:
        found = program(first, recipe.workdir, env.get("PATH"))
    except Invalid as error:
        raise Invalid(f"{source}: {error}", "command") from None
    return Command(
        argv=(found, *rest),
        cwd=recipe.workdir,
        env=env,
        params={name: param_text(value) for name, value in recipe.values().items()},
        max_seconds=recipe.limits.minutes * 60,
        max_memory=int(recipe.limits.memory_mb * 1_000_000),
        nice=recipe.limits.nice,
        needs=recipe.needs.needs,
        sample_s=sample_s(recipe.system_metrics),
        retries=recipe.retries,
        inputs={dataset: Path(dataset).name} if dataset else {},
        launch={key: str(value) for key, value in recipe.launch.items()},
    )


def attempt_again(backend: Backend, run: Run) -> Run | None:
    """The next attempt of a run that failed, where its recipe allows one. Repeating it starts nothing twice."""
    if run.status is not RunStatus.FAILED or backend.artifacts is None:
        return None
    command = command_of(backend, run)
    if command is None or not command.retries:
        return None
    done = int(run.tags.get(ATTEMPT_TAG, "0").split(" ")[0])
    if done >= command.retries:
        return None
    passed = {key: value for key, value in run.tags.items() if not key.startswith("mlflow.")}
    return start_command(
        backend,
        command,
        Mutation(actor=run.created_by, reason=f"run {run.id[:8]} failed: {run.reason}"[:500], key=f"retry:{run.id}"),
        name=run.name,
        experiment=run.experiment,
        tags=passed | {ATTEMPT_TAG: f"{done + 1} of {command.retries}", RETRY_TAG: run.id},
        params=command.params,
        inputs=[each for each in run.inputs if not each.source_type],
        parent=run.parent,
        texts=texts_of(backend, run),
    )


def texts_of(backend: Backend, run: Run) -> dict[str, str]:
    """The recipe that a run of a command was started with, by its name, where there was one."""
    try:
        return {RECIPE: backend.need("artifacts").open(run.id, RECIPE).read_text(encoding="utf-8")}
    except (NotFound, OSError):
        return {}
