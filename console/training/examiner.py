"""Judging trained models in a process of its own: `python -m console.training.examiner URL ACTOR JOB`.

URL names the backend; JOB is a `ModelBiasJob` as JSON. Speaks the JSON lines of `console.offload` on stdout.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import msgspec

from backends.connect import connect, place_of
from backends.contract import Backend, BackendError, Mutation
from backends.entities import Progress, Report
from console.offload import Speaker, run_offloaded
from console.training.bias import ModelBiasJob, examine_model


def bias_of_model(
    backend: Backend,
    job: ModelBiasJob,
    actor: str,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Report:
    """As `bias.examine_model`, in a process of its own."""
    arguments = [place_of(backend), actor, msgspec.json.encode(job).decode()]
    return msgspec.convert(
        run_offloaded("console.training.examiner", arguments, on_progress=on_progress, cancel=cancel), Report
    )


def main(argv: list[str]) -> int:
    speaker = Speaker()
    try:
        backend = connect("examiner", argv[0])
        try:
            job = msgspec.json.decode(argv[2], type=ModelBiasJob)
            speaker.result(examine_model(backend, job, Mutation(actor=argv[1]), progress=speaker.progress))
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
