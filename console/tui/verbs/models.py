"""Registering and promoting. Each asks first, and says what was, what will be and the way back."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from backends.contract import Refused
from backends.entities import AliasMove, Model, ModelVersion, Run
from console.safe import safe_text
from console.tui.dialogs import Ask, Choose, Confirm, sentences
from console.tui.lines import Line
from console.tui.verbs.swapping import following, moved, swapping
from console.wording import in_weight

if TYPE_CHECKING:
    from backends.contract import Backend
    from console.config import Session
    from console.tui.here import Here

ALIAS = "champion"


async def register(here: Here) -> None:
    """The run's model becomes the next version of a model."""
    from console.promotion.register import register_run

    run, session = here.selected, session_of(here)
    assert isinstance(run, Run)  # noqa: S101 or the action were not available
    proposed = run.tags.get("console.register", "")
    name = here.argument or await here.app.ask(
        Ask(f"Register {safe_text(run.name, 40)} {run.id[:4]} as a version of", "model", proposed)
    )
    if not name:
        return
    mutation = session.mutation(key=uuid.uuid4().hex)
    model = name
    version = await here.app.carry_out(lambda: register_run(session.backend, run.id, model, mutation))
    here.app.welcome = False
    here.app.tell(f"{version.model} v{version.version} from run {run.id[:4]}; p in Models promotes it")


async def promote(here: Here) -> None:
    """The case first; then, if its gates pass and the person agrees, the alias moves from what the person saw.

    `:promote champion blue` names several, which move together or not at all.
    """
    from console.promotion.along import said as along
    from console.promotion.case_facts import facts_of
    from console.promotion.promote import case_for
    from console.promotion.promote import promote as promote_version
    from console.tui.case_lines import CaseDetails, case_lines

    session = session_of(here)
    backend, chosen = session.backend, here.selected
    named, *also = here.argument.split() or [""]
    alias = named or await meant_alias(here, backend, chosen)
    if alias is None:
        return
    if isinstance(chosen, Model):
        version = await which_version(here, backend, chosen)
        if version is None:
            return
    else:
        assert isinstance(chosen, ModelVersion)  # noqa: S101 or the action were not available
        version = chosen
    case = await here.app.look_up(lambda: case_for(backend, version.model, version.version, alias, also=also))
    wanted = case.policy.approvals
    if case.expected == case.candidate.version:
        raise Refused(f"{version.model} v{version.version} is {alias} already; there is nothing to promote")
    before = f"v{case.expected}" if case.expected else "nothing"
    back = f"Undo: u, or b for {before}." if case.expected else "Undo: u."
    followers = await here.app.look_up(lambda: following(backend, version.model, alias))
    said = case_lines(case)
    lines = [
        *said,
        Line([("", "")]),
        *sentences(f"{along(case.changes)}. {back}"),
        *swapping(followers, case.candidate.version),
        *(sentences(f"Others agree first: {wanted} besides you, as the policy says.") if wanted else ()),
    ]
    facts = await here.app.look_up(lambda: facts_of(backend, case, pairs=False))
    details = CaseDetails(backend, case, facts, here.app.size.width)
    refused = ""
    if case.refusal:
        refused = f"a gate fails: {safe_text(case.refusal, 200)}. o overrides it, with a reason"
    yes = await here.app.ask(
        Confirm(
            f"Promote {safe_text(version.model, 32)} v{safe_text(version.version, 6)} → {safe_text(alias, 16)}",
            lines,
            "ask for the promotion" if wanted else "promote",
            word=version.model if here.production else "",
            reason=True,
            refused=refused,
            overridable=True,
            more=details.everything,
            late=(len(said), details.late) if case.comparable else None,
            late_word="on the same rows: comparing …",
        )
    )
    if yes is None:
        return
    mutation = session.mutation(yes.reason, uuid.uuid4().hex)
    outcome = await moved(
        here,
        lambda tell: promote_version(
            backend,
            version.model,
            case.candidate.version,
            alias,
            mutation,
            expected=case.expected,
            override=yes.override,
            also=also,
            seen=case.changes,
            tell=tell,
        ),
    )
    if isinstance(outcome, AliasMove):
        say_moved(here, outcome)
    else:
        here.app.tell(f"{outcome.what()}: waits for {wanted} to agree; it stands in everybody's Overview.")


def session_of(here: Here) -> Session:
    assert here.session is not None  # noqa: S101 these actions need a registry, so there is a session
    return here.session


def _named(version: Any) -> str:
    return f"v{version}" if version else "nothing"


def say_moved(here: Here, move: AliasMove) -> None:
    here.app.welcome = False
    along = f", with {', '.join(move.along)}" if move.along else ""
    here.app.tell(
        f"{move.model} {move.alias}: {_named(move.previous)} → {_named(move.version)}{along}. u takes it back."
    )


async def which_version(
    here: Here, backend: Backend, model: Model, question: str = "Promote which version of"
) -> ModelVersion | None:
    """The one that the person picks; None where they leave."""
    page = await here.app.look_up(lambda: backend.need("registry").versions(model.name, limit=50))
    options = [
        (each.version, f"v{each.version}  {' '.join(in_weight(each.aliases))}", each.note or f"run {each.run[:8]}")
        for each in page.items
    ]
    picked = await here.app.ask(Choose(f"{question} {safe_text(model.name, 40)}", options))
    return next((each for each in page.items if each.version == picked), None)


async def meant_alias(here: Here, backend: Backend, chosen: object) -> str | None:
    """Champion of a model; of a prompt the one that it has, or that the person names. None where they leave."""
    from console.promotion.prompts import KIND
    from console.tui.verbs.prompts import which_alias

    if not isinstance(chosen, Model | ModelVersion):
        return ALIAS
    name = chosen.name if isinstance(chosen, Model) else chosen.model
    found: Model = await here.app.look_up(lambda: backend.need("registry").get(name))
    return await which_alias(here, found) if found.kind == KIND else ALIAS
