"""Saying no to a promotion that waits: nothing is promoted, and the journal keeps who said so and why."""

from __future__ import annotations

import msgspec

from backends.contract import Backend, Mutation, Refused
from console.promotion.approvals import Waiting, close, must_wait, note_answer, now_ms, request_named
from console.promotion.approve import carried_out
from console.promotion.deciding import alone


def reject(backend: Backend, name: str, mutation: Mutation) -> Waiting:
    """Say no; the asker withdraws by it. Refused where it waits no more, or was carried out already."""
    with alone(backend, request_named(backend, name).asked.model):
        return _reject(backend, name, mutation)


def _reject(backend: Backend, name: str, mutation: Mutation) -> Waiting:
    request = request_named(backend, name)
    if request.rejected is not None:
        close(backend, request)
        return msgspec.structs.replace(request, closed=True)
    done = carried_out(backend, request)
    if done is not None:  # by somebody who died before saying so
        close(backend, request)
        raise Refused(
            f"{request.what()} was carried out by {done.actor}, so it cannot be rejected; nothing was changed. Roll "
            "back instead."
        )
    if request.closed or request.state(now_ms()) != "expired":
        must_wait(request, "rejected")
    request = note_answer(backend, request, mutation, agreed=False)
    close(backend, request)
    return msgspec.structs.replace(request, closed=True)
