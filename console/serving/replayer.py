"""Replaying logged requests in a process of its own: `python -m console.serving.replayer URL ACTOR JOB`.

URL names the backend, JOB is a `replay.figures.ReplayJob` as JSON. Speaks the JSON lines of `console.offload` on
stdout.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

import msgspec

from backends.connect import connect, place_of
from backends.contract import Backend, BackendError, Mutation
from backends.entities import Progress, Report
from console.offload import Speaker, run_offloaded
from console.serving.replay.figures import ReplayJob
from console.serving.spec import THREADS

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
    speaker = Speaker()
    try:
        job = msgspec.json.decode(argv[2], type=ReplayJob)
        backend = connect("replayer", argv[0])
        try:
            from console.serving.replay.replay import replay  # scikit-learn and pandas: some seconds

            speaker.result(replay(backend, job, Mutation(actor=argv[1]), progress=speaker.progress))
        finally:
            backend.close()
    except BrokenPipeError:
        return 1
    except (BackendError, MemoryError) as error:
        speaker.error(error)
        return 1
    except Exception as error:
        speaker.error(error)
        raise
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
