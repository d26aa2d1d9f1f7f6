"""Replaying logged requests in a process of its own: `python -m console.serving.replayer URL ACTOR JOB`.

URL names the backend, JOB is a `replay.figures.ReplayJob` as JSON. Speaks the JSON lines of `console.offload` on
stdout.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

import msgspec

from backends.connect import place_of
from backends.contract import Backend, Mutation
from backends.entities import Progress, Report
from console.offload import run_offloaded
from console.serving.replay.figures import ReplayJob
from console.serving.spec import THREADS
from console.speaker import Speaker, speak_of

AS_SERVED: Final = dict.fromkeys(THREADS, "1")
"""A server's worker has one native thread unless it is told otherwise; times are to be its times."""


def replayed(
    backend: Backend,
    job: ReplayJob,
    actor: str,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Report:
    """As `replay.replay.replay`, in a process of its own; `cancel` ends it with Cancelled, and nothing is kept."""
    words = [place_of(backend), actor, msgspec.json.encode(job).decode()]
    return msgspec.convert(
        run_offloaded("console.serving.replayer", words, on_progress=on_progress, cancel=cancel, env=AS_SERVED), Report
    )


def main(argv: list[str]) -> int:
    job = msgspec.json.decode(argv[2], type=ReplayJob)

    def work(backend: Backend, speaker: Speaker) -> Report:
        from console.serving.replay.replay import replay  # scikit-learn and pandas: some seconds

        return replay(backend, job, Mutation(actor=argv[1]), progress=speaker.progress)

    return speak_of(argv[0], work)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
