"""Answering promotions that wait: agree, or say no."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from backends.contract import Refused
from backends.entities import AliasMove, Model, ModelVersion
from console.promotion.along import said as along
from console.promotion.approvals import Waiting
from console.safe import safe_text
from console.tui.dialogs import Choose, Confirm, sentences
from console.tui.lines import Line
from console.tui.verbs.swapping import moved
from console.wording import local_time

if TYPE_CHECKING:
    from backends.contract import Backend
    from console.config import Session
    from console.tui.here import Here


async def approve(here: Here) -> None:
    """The case as it stands today; then the person agrees, and the last one who is wanted carries it out."""
    from console.promotion.approve import approve as agree
    from console.promotion.approve import not_ones_own
    from console.promotion.case_facts import facts_of
    from console.promotion.promote import case_for
    from console.tui.case_lines import CaseDetails, case_lines

    session = _session(here)
    backend = session.backend
    request = await _which(here, backend)
    if request is None:
        return
    not_ones_own(request, session.actor)
    asked = request.asked
    also = [change.alias for change in asked.others if change.version == asked.version]
    case = await here.app.look_up(lambda: case_for(backend, asked.model, asked.version, asked.alias, also=also))
    facts = await here.app.look_up(lambda: facts_of(backend, case, pairs=False))
    details = CaseDetails(backend, case, facts, here.app.size.width)
    said = case_lines(case)
    yes = await here.app.ask(
        Confirm(
            f"Approve {safe_text(request.what(), 60)}",
            [*said, Line([("", "")]), *_said(request)],
            "approve",
            word=asked.model if here.production else "",
            reason=True,
            more=details.everything,
            late=(len(said), details.late) if case.comparable else None,
            late_word="on the same rows: comparing …",
        )
    )
    if yes is None:
        return
    mutation = session.mutation(yes.reason, uuid.uuid4().hex)
    outcome = await moved(here, lambda tell: agree(backend, request.id, mutation, tell=tell))
    if isinstance(outcome, AliasMove):
        was = f"v{outcome.previous}" if outcome.previous else "nothing"
        along = f", with {', '.join(outcome.along)}" if outcome.along else ""
        here.app.tell(f"{outcome.model} {outcome.alias}: {was} → v{outcome.version}{along}. u takes it back.")
    else:
        here.app.tell(f"{outcome.what()}: {len(outcome.agreed)} of {outcome.asked.approvals} agreed")


async def reject(here: Here) -> None:
    """Nothing is promoted; who asked sees who said no, and why, in the journal."""
    from console.promotion.reject import reject as refuse

    session = _session(here)
    backend = session.backend
    request = await _which(here, backend)
    if request is None:
        return
    yes = await here.app.ask(Confirm(f"Reject {safe_text(request.what(), 60)}", _said(request), "reject", reason=True))
    if yes is None:
        return
    mutation = session.mutation(yes.reason, uuid.uuid4().hex)
    await here.app.carry_out(lambda: refuse(backend, request.id, mutation))
    here.app.tell(f"{request.what()}: rejected")


def _said(request: Waiting) -> list[Line]:
    """Who asked and why, who has agreed, until when it holds."""
    why = f", “{request.asked.reason}”" if request.asked.reason else ""
    agreed = ", ".join(request.agreed) or "nobody yet"
    return [
        *sentences(f"{along(request.asked.changes)}."),
        *sentences(f"Asked by {request.by} {local_time(request.at)}{why}."),
        *sentences(
            f"{len(request.agreed)} of {request.asked.approvals} agreed: {agreed}. "
            f"Void after {local_time(request.asked.expires_at)}."
        ),
    ]


async def _which(here: Here, backend: Backend) -> Waiting | None:
    """The one under the cursor, or of the model under the cursor; None where the person leaves."""
    from console.promotion.approvals import waiting

    chosen = here.selected
    if isinstance(chosen, Waiting):
        return chosen
    assert isinstance(chosen, Model | ModelVersion)  # noqa: S101 or the action were not available
    name = chosen.name if isinstance(chosen, Model) else chosen.model
    found = [each for each in await here.app.look_up(lambda: waiting(backend)) if each.asked.model == name]
    if not found:
        raise Refused(f"no promotion of {name} waits for anybody; p asks for one")
    if len(found) == 1:
        return found[0]
    options = [(each.id, each.what(), f"by {each.by}") for each in found]
    picked = await here.app.ask(Choose(f"Which promotion of {safe_text(name, 40)}", options))
    return next((each for each in found if each.id == picked), None)


def _session(here: Here) -> Session:
    assert here.session is not None  # noqa: S101 these actions need a registry, so there is a session
    return here.session
