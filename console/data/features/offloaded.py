"""Feature sets worked on in a process of their own. Light to import."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from backends.connect import place_of
from backends.contract import Backend, Mutation, Refused
from backends.entities import Definition, Progress
from console.data.features.grammar import AppliedTo, load_features
from console.data.transform.result import MadePart
from console.offload import run_offloaded

MODULE = "console.data.worker"


def define_offloaded(backend: Backend, path: Path, mutation: Mutation) -> tuple[Definition, bool]:
    """As `apply.define_features`, of a file."""
    load_features(path)  # what is wrong with it is said before a process is started
    found = _run(backend, ["define", *_flags(backend, mutation, path.name), "--", str(path)], None, None)
    return msgspec.convert(found["definition"], Definition), bool(found["created"])


def apply_offloaded(
    backend: Backend,
    job: AppliedTo,
    mutation: Mutation,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> MadePart:
    """As `apply.apply_features`."""
    args = ["features", *_flags(backend, mutation, job.use), "--", msgspec.json.encode(job).decode()]
    return msgspec.convert(_run(backend, args, on_progress, cancel), MadePart)


def _flags(backend: Backend, mutation: Mutation, what: str) -> list[str]:
    backend.need("datasets")
    backend.need("definitions")
    if backend.features.read_only:
        raise Refused(f"context {backend.name} is read-only: nothing was made of {what}. Open it without --read-only.")
    options = {"actor": mutation.actor, "reason": mutation.reason, "key": mutation.key}
    return [f"--{key}={value}" for key, value in options.items() if value]


def _run(
    backend: Backend,
    args: list[str],
    on_progress: Callable[[Progress], None] | None,
    cancel: Callable[[], bool] | None,
) -> dict[str, object]:
    found: dict[str, object] = run_offloaded(MODULE, [place_of(backend), *args], on_progress=on_progress, cancel=cancel)
    return found
