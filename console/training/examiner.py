"""Judging trained models in a process of its own: `python -m console.training.examiner URL ACTOR KIND JOB`.

URL names the backend; KIND says what is looked at, JOB how, as JSON. Speaks the JSON lines of `console.offload` on
stdout.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from backends.connect import place_of
from backends.contract import Backend, Mutation
from backends.entities import Progress, Record, Report
from console.offload import run_offloaded
from console.speaker import Speaker, speak_of
from console.training.explain.figures import KIND as EXPLAIN
from console.training.explain.figures import ExplainJob

if TYPE_CHECKING:
    from console.training.bias import ModelBiasJob

Follow = Callable[[Progress], None] | None
Stop = Callable[[], bool] | None


def bias_of_model(
    backend: Backend, job: ModelBiasJob, actor: str, *, on_progress: Follow = None, cancel: Stop = None
) -> Report:
    """As `bias.examine_model`, in a process of its own."""
    return _offloaded(backend, "bias", job, actor, on_progress, cancel)


def held_out_of_model(
    backend: Backend, model: str, version: str, actor: str, *, on_progress: Follow = None, cancel: Stop = None
) -> Report:
    """As `held_out_facts.examine_held_out`, in a process of its own."""
    job = {"model": model, "version": version}
    return _offloaded(backend, "held-out", job, actor, on_progress, cancel)


def explained(
    backend: Backend, job: ExplainJob, actor: str, *, on_progress: Follow = None, cancel: Stop = None
) -> Report:
    """As `explain.explain`, in a process of its own; what was kept of this very file is given back at once."""
    if job.row is None and not (job.file or job.prediction or job.columns) and backend.reports is not None:
        version = backend.need("registry").version(job.model, job.version)
        kept = backend.reports.latest(EXPLAIN, version.ref)
        if kept is not None and kept.digest == version.file.sha256:
            return kept
    return _offloaded(backend, "explain", job, actor, on_progress, cancel)


def _offloaded(
    backend: Backend, kind: str, job: Record | dict[str, Any], actor: str, on_progress: Follow, cancel: Stop
) -> Report:
    arguments = [place_of(backend), actor, kind, msgspec.json.encode(job).decode()]
    # A few thousand rows are asked again and again: native threads wait for each other longer than they help.
    env = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    found = run_offloaded("console.training.examiner", arguments, on_progress=on_progress, cancel=cancel, env=env)
    return msgspec.convert(found, Report)


def _examine(backend: Backend, kind: str, job: str, mutation: Mutation, progress: Follow) -> Report:
    # Each brings libraries of its own: only what is asked for is loaded.
    if kind == "held-out":
        from console.training.held_out_facts import HeldOutJob, examine_held_out

        return examine_held_out(backend, msgspec.json.decode(job, type=HeldOutJob), mutation, progress=progress)
    if kind == "explain":
        from console.training.explain.explain import explain

        return explain(backend, msgspec.json.decode(job, type=ExplainJob), mutation, progress=progress)
    from console.training.bias import ModelBiasJob, examine_model

    return examine_model(backend, msgspec.json.decode(job, type=ModelBiasJob), mutation, progress=progress)


def main(argv: list[str]) -> int:
    def work(backend: Backend, speaker: Speaker) -> Report:
        return _examine(backend, argv[2], argv[3], Mutation(actor=argv[1]), speaker.progress)

    return speak_of(argv[0], work)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
