"""A transform as it is asked for, and asking for it in a process of its own. Light to import."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from backends.connect import place_of
from backends.contract import Backend, Invalid, Mutation, Refused
from backends.entities import Progress, Record
from console.data.transform.reading import load_recipe
from console.data.transform.result import Preview, Transformed
from console.offload import run_offloaded

if TYPE_CHECKING:
    from console.data.transform.grammar import Recipe

MODULE = "console.data.worker"


class TransformJob(Record, frozen=True, kw_only=True):
    """What to do to `ref`: the recipe in `file`, or the fitted transform `use`."""

    ref: str
    file: str = ""
    use: str = ""
    name: str = ""
    """Of the new versions; empty: the dataset's with the recipe's."""
    preview: int = 0
    """Rows to show of a preview; 0: carry it out."""

    @property
    def recipe(self) -> Recipe:
        return load_recipe(Path(self.file))


def transform_offloaded(
    backend: Backend,
    job: TransformJob,
    mutation: Mutation,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Transformed:
    """As `run.transform_version` and `run.apply_transform`."""
    if backend.features.read_only:
        raise Refused(
            f"context {backend.name} is read-only: {job.ref} was not transformed. Open it without --read-only, "
            "or look at a preview."
        )
    found = _run(backend, job, mutation, on_progress, cancel)
    return msgspec.convert(found, Transformed)


def preview_offloaded(backend: Backend, job: TransformJob, *, cancel: Callable[[], bool] | None = None) -> Preview:
    """As `preview.preview_transform`."""
    return msgspec.convert(_run(backend, job, Mutation(actor="preview"), None, cancel), Preview)


def _run(
    backend: Backend,
    job: TransformJob,
    mutation: Mutation,
    on_progress: Callable[[Progress], None] | None,
    cancel: Callable[[], bool] | None,
) -> Any:
    if bool(job.file) == bool(job.use):
        raise Invalid("give a recipe file to fit, or a fitted transform to use: one of the two.", "recipe")
    backend.need("datasets")
    backend.need("definitions")
    if job.file:
        job.recipe  # noqa: B018  what is wrong with it is said before a process is started
    options = {"actor": mutation.actor, "reason": mutation.reason, "key": mutation.key}
    flags = [f"--{key}={value}" for key, value in options.items() if value]
    args = [place_of(backend), "transform", *flags, "--", msgspec.json.encode(job).decode()]
    return run_offloaded(MODULE, args, on_progress=on_progress, cancel=cancel)
