"""Start, stop and repeat training runs. Light: it writes down what to do; the worker imports what it takes to do it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from backends.contract import Backend, BackendError, Conflict, Invalid, Mutation, NotFound
from backends.entities import DatasetInput, LaunchSpec, Progress, Run, RunStatus
from console.offload import python_path
from console.training.admit import OVERRIDDEN_TAG, admit, note_override
from console.training.command import THREADS, command_of, keep_texts, start_command
from console.training.command_recipe import is_command, parse_command_recipe
from console.training.command_run import RETRY_TAG, start_recipe, texts_of
from console.training.feature_set import pin_features
from console.training.flags import stalled_tag
from console.training.job import RECIPE, Job
from console.training.measured import PRIMARY_TAG
from console.training.needs import check_fits
from console.training.origin import DIFF, capture_origin
from console.training.recipe import check_columns, flat_params, override_recipe, parse_recipe
from console.training.watching import sample_s

REGISTER_TAG = "console.register"


def start_run(
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
    """A new run of this recipe, queued with the backend's launcher.

    A recipe that holds a command is `command_run.start_recipe`'s; `environ` is for that one.

    Checked before anything is made: the recipe's keys and values, that its dataset is there, that its columns are,
    and that the version passes its checks (`admit.ChecksFailed`; `override_checks` needs the mutation's reason, which
    the journal and a tag of the run keep). `on_progress` follows checks that are run for that.
    `overrides` set recipe keys or parameters anew; `origin` is the folder (or recipe file) whose git state is
    recorded; `source` names the recipe in error messages. With the mutation's key, a second call gives the first
    call's run.
    """
    if is_command(recipe_text):
        return start_recipe(
            backend, recipe_text, mutation, name=name, overrides=overrides, origin=origin, source=source, tags=tags,
            parent=parent, override_checks=override_checks, on_progress=on_progress, environ=environ,
        )  # fmt: skip
    runs, launcher, datasets = backend.need("runs"), backend.need("launcher"), backend.need("datasets")
    text = pin_features(backend, override_recipe(recipe_text, overrides or {}, source), source)
    recipe = parse_recipe(text, source)
    check_fits(backend, recipe.needs.needs)
    version = datasets.version(recipe.dataset)
    check_columns(recipe, version.columns, version.ref)
    failed = admit(backend, version, mutation, override=override_checks, on_progress=on_progress)
    code, diff = capture_origin(origin)
    job = Job(
        dataset=version.dataset, version=version.version, digest=version.digest, path=str(datasets.path(version.ref))
    )
    given = {
        REGISTER_TAG: recipe.register,
        PRIMARY_TAG: recipe.primary(),
        **stalled_tag(recipe.stalled_after),
        **(tags or {}),
    }
    if failed:
        given[OVERRIDDEN_TAG] = mutation.reason
    run: Run = runs.create(
        name=name or recipe.name or _default_name(version.dataset, recipe.estimator.class_),
        experiment=recipe.experiment,
        params=flat_params(recipe),
        tags={key: value for key, value in given.items() if value},
        inputs=[DatasetInput(dataset=version.dataset, version=version.version, digest=version.digest)],
        source=code,
        parent=parent,
        engine=launcher.engine,
        mutation=mutation,
    )
    if run.status is not RunStatus.QUEUED:
        return run  # the same key came again
    if failed:
        note_override(backend, version, run, failed, mutation)
    try:
        keep_texts(backend, run.id, {RECIPE: text, **({DIFF: diff} if diff else {})})
        if recipe.note:
            runs.set_note(run.id, recipe.note, _part(mutation, "note"))
        launcher.submit(
            LaunchSpec(
                run=run.id,
                argv=(sys.executable, "-m", "console.training.worker"),
                env=worker_environment(launcher.capacity().slots, recipe.seed, recipe.needs.threads),
                files={RECIPE: text, "job.json": msgspec.json.encode(job).decode()},
                inputs={job.path: job.shipped},
                options={key: str(value) for key, value in recipe.launch.items()},
                needs=recipe.needs.needs,
                sample_s=sample_s(recipe.system_metrics),
            ),
            mutation,
        )
    except BackendError as error:
        runs.end(run.id, RunStatus.FAILED, reason=f"it could not be launched: {error}")
        raise
    found: Run = runs.get(run.id)
    return found


def stop_run(backend: Backend, run: str, mutation: Mutation) -> Run:
    """Ask for the end of a run. Conflict when it has ended already."""
    runs = backend.need("runs")
    found: Run = runs.get(run)
    if found.status.ended:
        raise Conflict(f"run {found.name} ({found.id[:4]}) is {found.status.value} already; there is nothing to stop.")
    backend.need("launcher").cancel(found.id, mutation)
    stopped: Run = runs.get(found.id)
    return stopped


def retry_run(
    backend: Backend,
    run: str,
    mutation: Mutation,
    overrides: Mapping[str, Any] | None = None,
    *,
    override_checks: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Run:
    """A new run of another run's recipe on the same dataset version, with some keys or parameters set anew."""
    found: Run = backend.need("runs").get(run)
    command = command_of(backend, found)
    changed = dict(overrides or {})
    kept = texts_of(backend, found)
    if command is not None and not kept:
        if overrides:
            raise Invalid("a run of a command has no recipe to change; start the command again as you want it", "set")
        tags = {RETRY_TAG: found.id}
        return start_command(backend, command, mutation, name=found.name, experiment=found.experiment, tags=tags)
    text = recipe_of(backend, found)
    if command is not None and parse_command_recipe(text).dataset == "":
        pass  # what it logged itself as its data is no key of its recipe
    elif "dataset" not in changed and found.inputs:
        changed["dataset"] = f"{found.inputs[0].dataset}@{found.inputs[0].version}"
    return start_run(
        backend,
        text,
        mutation,
        name=found.name,
        overrides=changed,
        source=f"recipe of run {found.id[:4]}",
        tags={RETRY_TAG: found.id},
        override_checks=override_checks,
        on_progress=on_progress,
        environ=command.env if command is not None else None,
    )


def recipe_of(backend: Backend, run: Run) -> str:
    """The recipe that a run was started with. NotFound for runs that came from elsewhere."""
    try:
        path: Path = backend.need("artifacts").open(run.id, RECIPE)
        return path.read_text(encoding="utf-8")
    except (NotFound, OSError):
        raise NotFound(
            f"run {run.name} ({run.id[:4]}) has no {RECIPE}: it was not started by the console. "
            "Start from a recipe file instead."
        ) from None


def worker_environment(slots: int, seed: int, cores: int = 0) -> dict[str, str]:
    """Each of `slots` parallel runs gets its share of the cores, or what it says it needs: threads beyond them only
    fight for the same ones."""
    threads = str(cores or max(1, (os.cpu_count() or 1) // max(slots, 1)))
    env = dict.fromkeys(THREADS, threads)
    # threads that wait must sleep: spinning ones slow each other down tenfold where a box is shared
    env["OMP_WAIT_POLICY"] = "PASSIVE"
    return env | {"PYTHONPATH": python_path(), "PYTHONUNBUFFERED": "1", "PYTHONHASHSEED": str(seed % 4294967296)}


def _part(mutation: Mutation, part: str) -> Mutation:
    """The same mutation for a second change: its key must not be taken for the first one's."""
    return msgspec.structs.replace(mutation, key=f"{mutation.key}:{part}" if mutation.key else "")


def _default_name(dataset: str, estimator: str) -> str:
    return f"{dataset}-{estimator.rpartition('.')[2]}"
