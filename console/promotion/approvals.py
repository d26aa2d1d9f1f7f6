"""Promotions that wait for others to agree: what is asked is kept as a request, who agreed is kept in the journal.

The request says which version should replace which, by whom and why, and the digest of the file that was looked at. An
answer is a journal entry that names the request. Whoever dies between an answer and what follows from it leaves a
request that says so; approving again, or asking again, goes on from there.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from backends.alias_changes import ends
from backends.contract import Backend, Mutation, NotFound, Refused
from backends.entities import (
    AliasChange,
    GateResult,
    GateStatus,
    JournalEntry,
    Millis,
    ModelVersion,
    Outcome,
    Record,
    Request,
    RequestState,
)
from backends.query import And, Compare, In, Key, Query
from console.promotion.deciding import alone
from console.promotion.moves import named
from console.promotion.person import person

if TYPE_CHECKING:
    from console.promotion.policy import Policy

KIND: Final = "promotion"
ASK, APPROVE, REJECT = "promotion.ask", "promotion.approve", "promotion.reject"
_MOST: Final = 200


class Asked(Record, frozen=True, kw_only=True):
    """The payload of a request: a promotion as its asker saw it."""

    model: str
    alias: str
    version: str
    expected: str | None
    """What the alias was at."""
    digest: str
    """sha256 of the candidate's model file."""
    approvals: int
    expires_at: Millis
    reason: str = ""
    override: bool = False
    overridden: tuple[str, ...] = ()
    """Gates that failed when it was asked with an override."""
    others: tuple[AliasChange, ...] = ()
    """What moves with it, all or none."""
    title: str = ""
    step: str = ""

    @property
    def changes(self) -> tuple[AliasChange, ...]:
        """The whole change, the alias first."""
        return (AliasChange(alias=self.alias, version=self.version, expected=self.expected), *self.others)


class Answer(Record, frozen=True, kw_only=True):
    """Somebody's word on a request."""

    actor: str
    at: Millis
    reason: str = ""
    agreed: bool = True


class Waiting(Record, frozen=True, kw_only=True):
    """A promotion that was asked for, and what was said of it."""

    id: str
    asked: Asked
    by: str
    at: Millis
    answers: tuple[Answer, ...] = ()
    """Oldest first; a person counts once."""
    closed: bool = False
    """Carried out, rejected or withdrawn."""

    @property
    def agreed(self) -> tuple[str, ...]:
        """Who agreed, each once, without the asker."""
        seen = {person(self.by)}
        found = []
        for answer in self.answers:
            if answer.agreed and person(answer.actor) not in seen:
                seen.add(person(answer.actor))
                found.append(answer.actor)
        return tuple(found)

    @property
    def rejected(self) -> Answer | None:
        return next((answer for answer in self.answers if not answer.agreed), None)

    def state(self, now: Millis) -> str:
        """`waiting`, `approved` (and not carried out yet), `expired`, `rejected` or `done`."""
        if self.rejected is not None:
            return "rejected"
        enough = len(self.agreed) >= self.asked.approvals
        if self.closed:
            return "done" if enough else "expired"
        if now > self.asked.expires_at:
            return "expired"
        return "approved" if enough else "waiting"

    def what(self) -> str:
        """`churn v8 → champion (over v7)`."""
        asked = self.asked
        along = f", with {', '.join(each.alias for each in asked.others)}" if asked.others else ""
        return f"{asked.model} v{asked.version} → {asked.alias} (over {named(asked.expected)}{along})"


def now_ms() -> Millis:
    return time.time_ns() // 1_000_000


# ---------------------------------------------------------------- reading


def waiting(backend: Backend, *, everything: bool = False) -> tuple[Waiting, ...]:
    """What waits, the oldest first; with `everything` also what is closed or void."""
    if backend.requests is None:
        return ()
    states = (RequestState.WAITING, RequestState.CANCELLED) if everything else (RequestState.WAITING,)
    found = backend.requests.list(states=states, kind=KIND, limit=_MOST)
    told = [_told(backend, request) for request in found]
    now = now_ms()
    return tuple(each for each in told if everything or each.state(now) in ("waiting", "approved"))


def request_named(backend: Backend, name: str) -> Waiting:
    """By its id or what it begins with."""
    queue = backend.need("requests")
    everything = queue.list(states=(RequestState.WAITING, RequestState.CANCELLED), kind=KIND, limit=10_000)
    found = [request for request in everything if name and request.id.startswith(name)]
    if len(found) == 1:
        return _told(backend, found[0])
    known = ", ".join(each.id[:8] for each in everything if each.state is RequestState.WAITING) or "none"
    said = f"{len(found)} requests begin with {name}" if found else f"there is no promotion request {name}"
    raise NotFound(f"{said}; waiting are: {known}.")


def same_asked(backend: Backend, model: str, changes: Sequence[AliasChange]) -> Waiting | None:
    """An open request for the very same."""
    for each in waiting(backend):
        if each.asked.model == model and each.asked.changes == tuple(changes):
            return each
    return None


def _told(backend: Backend, request: Request) -> Waiting:
    asked = msgspec.convert(request.payload, Asked)
    return Waiting(
        id=request.id,
        asked=asked,
        by=request.created_by,
        at=request.created_at,
        answers=answers_of(backend, asked.model).get(request.id, ()),
        closed=request.state is not RequestState.WAITING,
    )


def answers_of(backend: Backend, model: str) -> dict[str, tuple[Answer, ...]]:
    """By request of the model what was said of it, oldest first."""
    where = And((Compare(Key("attribute", "target"), "=", model), In(Key("attribute", "action"), (APPROVE, REJECT))))
    entries: tuple[JournalEntry, ...] = backend.need("journal").page(Query(where=where), limit=10_000).items
    found: dict[str, tuple[Answer, ...]] = {}
    for entry in reversed(entries):
        if entry.outcome is Outcome.DONE:
            answer = Answer(actor=entry.actor, at=entry.at, reason=entry.reason, agreed=entry.action == APPROVE)
            request = str(entry.after.get("request", ""))
            found[request] = (*found.get(request, ()), answer)
    return found


# ---------------------------------------------------------------- writing


def ask(
    backend: Backend,
    candidate: ModelVersion,
    changes: Sequence[AliasChange],
    policy: Policy,
    mutation: Mutation,
    *,
    overridden: tuple[str, ...],
) -> Waiting:
    """Keep the promotion until others have agreed. The same asked twice, or by two at once, is one request."""
    with alone(backend, candidate.model):
        return _ask(backend, candidate, changes, policy, mutation, overridden)


def _ask(
    backend: Backend,
    candidate: ModelVersion,
    changes: Sequence[AliasChange],
    policy: Policy,
    mutation: Mutation,
    overridden: tuple[str, ...],
) -> Waiting:
    model, version = candidate.model, candidate.version
    alias, expected = changes[0].alias, changes[0].expected
    found = same_asked(backend, model, changes)
    if found is None:
        _close_expired(backend)
        asked = Asked(
            model=model,
            alias=alias,
            version=version,
            expected=expected,
            digest=candidate.file.sha256,
            approvals=policy.approvals,
            expires_at=now_ms() + policy.expires_ms,
            reason=mutation.reason,
            override=bool(overridden),
            overridden=overridden,
            others=tuple(changes[1:]),
            title=f"promote {model} v{version}",
            step=f"waits for {policy.approvals} to agree",
        )
        request = backend.need("requests").add(
            KIND,
            msgspec.to_builtins(asked),
            key=f"promotion:{mutation.key or uuid.uuid4().hex}",
            created_by=mutation.actor,
        )
        found = _told(backend, request)
    note_asked(backend, found, mutation.gates if person(found.by) == person(mutation.actor) else ())
    return found


def note_asked(backend: Backend, request: Waiting, gates: tuple[GateResult, ...] = ()) -> None:
    """Write down that it was asked, once: by whoever asked, or, where they died before, by who comes next."""
    before, after = ends(request.asked.model, request.asked.changes)
    backend.need("journal").record(
        ASK,
        request.asked.model,
        Mutation(actor=request.by, reason=request.asked.reason, key=f"{ASK}:{request.id}", action=ASK, gates=gates),
        before=before,
        after={**after, "request": request.id},
        detail=f"wants {request.asked.approvals} to agree",
    )


def _close_expired(backend: Backend) -> None:
    for request in backend.need("requests").list(states=(RequestState.WAITING,), kind=KIND, limit=_MOST):
        if msgspec.convert(request.payload, Asked).expires_at < now_ms():
            backend.need("requests").cancel(request.id)


def note_answer(backend: Backend, request: Waiting, mutation: Mutation, *, agreed: bool) -> Waiting:
    """Write an answer down, each person's once, and read the request anew."""
    note_asked(backend, request)
    action = APPROVE if agreed else REJECT
    backend.need("journal").record(
        action,
        request.asked.model,
        msgspec.structs.replace(mutation, key=f"{action}:{request.id}:{person(mutation.actor)}", action=action),
        after={"request": request.id, "alias": request.asked.alias, "version": request.asked.version},
        detail=request.what(),
    )
    answers = answers_of(backend, request.asked.model).get(request.id, ())
    return msgspec.structs.replace(request, answers=answers)


def close(backend: Backend, request: Waiting) -> None:
    """It waits no more."""
    backend.need("requests").cancel(request.id)


def agreement(request: Waiting, wanted: int) -> GateResult:
    """All names, as they stand in the journal beside the gates."""
    return GateResult(
        gate="approvals",
        status=GateStatus.PASS,
        value=f"{len(request.agreed)} of {wanted}",
        rule=f"{wanted} besides who asked agree",
        detail=f"asked by {request.by}; approved by {', '.join(request.agreed)}",
    )


def must_wait(request: Waiting, verb: str) -> None:
    """Refused, with the reason, where nothing can be said any more."""
    state = request.state(now_ms())
    if state == "rejected" and request.rejected is not None:
        raise Refused(
            f"{request.what()} was rejected by {request.rejected.actor}, so it cannot be {verb}; nothing was changed. "
            "Ask anew."
        )
    if state == "expired":
        raise Refused(
            f"{request.what()} was asked by {request.by} and has expired, so it cannot be {verb}; nothing was "
            "changed. Ask anew."
        )
    if state == "done":
        raise Refused(f"{request.what()} waits no more, so it cannot be {verb}; nothing was changed.")
