"""Models that a run wanted registered when it finished: `console.register=<model>` among its tags."""

from __future__ import annotations

from collections.abc import Callable

from backends.contract import Backend, BackendError, Mutation
from backends.entities import Request, Run, RunStatus
from backends.local.progress_intake import passes_by_itself
from console.agent.retry import Backoff

REGISTER = "run.register"
"""Kind of the durable request; its payload is {"run": id, "model": name}."""
TAG = "console.register"
ATTEMPTS = 6


def request_registration(backend: Backend, run: Run) -> None:
    """Put a finished run's wish into the queue; once, however often it is called."""
    model = run.tags.get(TAG, "")
    if run.status is RunStatus.FINISHED and model:
        backend.need("requests").add(
            REGISTER,
            {"run": run.id, "model": model},
            key=f"{REGISTER}:{run.id}:{model}",
            created_by=run.created_by or "agent",
        )


class Registrations:
    """Works through the wishes, one after the other."""

    def __init__(self, backend: Backend, me: str, say: Callable[[str], None]) -> None:
        self._backend = backend
        self._requests = backend.need("requests")
        self._me = me
        self._say = say
        self._current: Request | None = None
        self._backoff = Backoff()

    @property
    def waiting(self) -> bool:
        """Whether one has to be tried again."""
        return self._current is not None

    def step(self) -> None:
        while self._backoff.due:
            self._current = self._current or self._requests.claim(self._me, (REGISTER,))
            if self._current is None or not self._attempt(self._current):
                return
            self._current = None
            self._backoff.succeeded()

    def _attempt(self, request: Request) -> bool:
        """True when the request is done with, well or not."""
        run, model = str(request.payload["run"]), str(request.payload["model"])
        mutation = Mutation(
            actor=request.created_by or "agent",
            reason=f"the run asked for it with the tag {TAG}",
            key=f"{REGISTER}:{run}:{model}",
        )
        try:
            from console.promotion.register import register_run

            version = register_run(self._backend, run, model, mutation)
        except Exception as error:
            if passes_by_itself(error) and self._backoff.failures < ATTEMPTS:
                pause = self._backoff.failed()
                self._say(f"run {run} as {model}: {error}; tried again in {pause:.0f} s")
                return False
            self._give_up(request, model, mutation, error)
            return True
        self._requests.finish(request.id)
        self._say(f"run {run} registered as {version.ref}")
        return True

    def _give_up(self, request: Request, model: str, mutation: Mutation, error: Exception) -> None:
        said = str(error) if isinstance(error, BackendError) else f"{type(error).__name__}: {error}"
        self._say(f"run {request.payload['run']} not registered as {model}: {said}")
        if self._backend.journal is not None:
            unkeyed = Mutation(actor=mutation.actor, reason=mutation.reason)
            self._backend.journal.record("model.register", model, unkeyed, outcome="failed", detail=said)
        self._requests.finish(request.id, error=said)
