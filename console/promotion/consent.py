"""Who asked for a promotion and who agreed or did not, when and why, beside the move that came of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from backends.contract import Backend
from backends.entities import AliasMove, Millis, Record, RequestState
from console.promotion.approvals import KIND, Answer, Asked, Waiting, answers_of, now_ms

CARRIED_OUT: Final = "promotion:carried-out:"
"""Begins the key of a move that a request became; the request's id ends it."""
_MOST: Final = 10_000


class Consent(Record, frozen=True, kw_only=True):
    """A promotion that others were asked about."""

    request: str
    version: str
    alias: str
    over: str | None
    """What the alias was at."""
    along: tuple[str, ...] = ()
    by: str
    at: Millis
    reason: str = ""
    wanted: int
    """How many had to agree besides who asked."""
    state: str
    """`waiting`, `approved` (and not carried out yet), `expired`, `rejected` or `done`."""
    answers: tuple[Answer, ...] = ()
    """Oldest first."""

    @property
    def agreed(self) -> tuple[Answer, ...]:
        return tuple(each for each in self.answers if each.agreed)


def consents(backend: Backend, model: str) -> tuple[Consent, ...]:
    """Of every version of the model, the latest asked first."""
    if backend.requests is None:
        return ()
    states = (RequestState.WAITING, RequestState.CANCELLED)
    found = backend.requests.list(states=states, kind=KIND, limit=_MOST)
    mine = [(each, msgspec.convert(each.payload, Asked)) for each in found if each.payload.get("model") == model]
    if not mine:
        return ()
    answers, now = answers_of(backend, model), now_ms()
    told = []
    for request, asked in mine:
        waiting = Waiting(
            id=request.id,
            asked=asked,
            by=request.created_by,
            at=request.created_at,
            answers=answers.get(request.id, ()),
            closed=request.state is not RequestState.WAITING,
        )
        told.append(
            Consent(
                request=request.id,
                version=asked.version,
                alias=asked.alias,
                over=asked.expected,
                along=tuple(change.alias for change in asked.others),
                by=request.created_by,
                at=request.created_at,
                reason=asked.reason,
                wanted=asked.approvals,
                state=waiting.state(now),
                answers=waiting.answers,
            )
        )
    return tuple(sorted(told, key=lambda each: each.at, reverse=True))


def consents_to(backend: Backend, model: str, moves: Iterable[AliasMove]) -> dict[str, Consent]:
    """By the journal entry of a move the request that it came of; moves of which nobody was asked are left out."""
    known = {each.request: each for each in consents(backend, model)}
    if not known or backend.journal is None:
        return {}
    found: dict[str, Consent] = {}
    for entry in dict.fromkeys(move.entry for move in moves if move.entry):
        key = backend.journal.get(entry).key
        if key.startswith(CARRIED_OUT) and key.removeprefix(CARRIED_OUT) in known:
            found[entry] = known[key.removeprefix(CARRIED_OUT)]
    return found


def words(consent: Consent) -> str:
    """`asked by ann, bob agreed (fine)`."""
    said = [
        f"{each.actor} {'agreed' if each.agreed else 'said no'}{f' ({each.reason})' if each.reason else ''}"
        for each in consent.answers
    ]
    return ", ".join([f"asked by {consent.by}", *said])
