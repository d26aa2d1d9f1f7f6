"""Rolling back and undoing. Each asks first, and says what was, what will be, who notices, and the way back."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from backends.contract import Refused
from backends.entities import Alert, Deployment, Model, ModelVersion, Monitor
from backends.entities.triggers import ACTOR
from console.safe import safe_text
from console.tui.dialogs import Choose, Confirm, Yes, sentences
from console.tui.verbs.models import ALIAS, meant_alias, say_moved, session_of
from console.tui.verbs.swapping import following, moved, swapping
from console.wording import local_time

if TYPE_CHECKING:
    from backends.contract import Backend
    from console.promotion.rollback_case import RollbackCase
    from console.tui import ink
    from console.tui.here import Here


@dataclass(frozen=True)
class Another(Yes):
    """Not to this version: to one that the person chooses."""


class RollBack(Confirm):
    """Where it goes, and a key for another earlier holder."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "another", "earlier", id="confirm.earlier", tooltip="Choose another earlier version."),
    ]

    def keys(self) -> ink.Spans:
        return [("e", "key"), (" earlier    ", "dim"), *super().keys()]

    def action_another(self) -> None:
        self.dismiss(Another())


async def roll_back(here: Here) -> None:
    """Back to the holder before, to another that `e` chooses, or to an earlier one by `:rollback VERSION`."""
    from console.promotion.rollback import rollback
    from console.promotion.rollback_case import rollback_case
    from console.tui.describing import record_lines
    from console.tui.rollback_lines import rollback_lines

    session = session_of(here)
    backend = session.backend
    model, alias = await here.app.look_up(lambda: _model_of(backend, here.selected))
    if alias == ALIAS:
        meant = await meant_alias(here, backend, here.selected)
        if meant is None:
            return
        alias = meant
    to = here.argument.removeprefix("v") or None
    while True:
        case = await here.app.look_up(partial(rollback_case, backend, model, alias, to=to))
        refused = f"its {case.artifact.gate} is {safe_text(case.artifact.value, 60)}: e chooses another"
        yes = await here.app.ask(
            RollBack(
                f"Roll back {safe_text(model, 32)} {safe_text(alias, 16)}",
                rollback_lines(case),
                "roll back",
                word=model if here.production else "",
                reason=True,
                refused="" if case.whole else refused,
                more=record_lines(case),
            )
        )
        if not isinstance(yes, Another):
            break
        to = await _which_holder(here, case) or to
    if yes is None:
        return
    mutation = session.mutation(yes.reason, uuid.uuid4().hex)
    made = await moved(
        here,
        lambda tell: rollback(
            backend,
            model,
            alias,
            mutation,
            to=case.target.version,
            expected=case.held.version if case.held is not None else None,
            tell=tell,
        ),
    )
    say_moved(here, made)


async def _which_holder(here: Here, case: RollbackCase) -> str | None:
    options = [
        (
            each.version,
            f"v{each.version}  until {local_time(each.until)[:16]}",
            " ".join(part for part in (f"by {each.by}" if each.by else "", each.reason) if part),
        )
        for each in case.holders
    ]
    return await here.app.ask(
        Choose(f"Back to which {safe_text(case.alias, 16)} of {safe_text(case.model, 40)}", options)
    )


async def take_back(here: Here) -> None:
    """One's own latest move of an alias, while it still is what counts."""
    from backends.alias_changes import changes_in, turned
    from console.promotion.along import said
    from console.promotion.undo import undo, undoable

    session = session_of(here)
    backend = session.backend
    entry = await here.app.look_up(lambda: undoable(backend, session.actor))
    if entry is None:
        raise Refused(
            f"there is nothing to undo: {session.actor} has moved no alias that is still where it was put. "
            "To put an earlier version back, use roll back (b)"
        )
    model = str(entry.before.get("model", entry.target))
    first, *others = turned(changes_in(entry))
    followers = await here.app.look_up(lambda: following(backend, model, first.alias))
    was, will = (f"v{each}" if each else "nothing" for each in (first.expected, first.version))
    text = (
        f"Your {entry.action.partition('.')[2]} of {model} is taken back: {first.alias} goes from {was} to {will}"
        f"{f', with {said(others)}' if others else ''}."
    )
    yes = await here.app.ask(
        Confirm(
            f"Undo: {safe_text(model, 40)}",
            [*sentences(text), *(swapping(followers, first.version) if first.version else [])],
            "undo",
            word=model if here.production else "",
            reason=True,
        )
    )
    if yes is None:
        return
    mutation = session.mutation(yes.reason, uuid.uuid4().hex)
    say_moved(here, await moved(here, lambda tell: undo(backend, entry, mutation, tell=tell)))


def _model_of(backend: Backend, chosen: object) -> tuple[str, str]:
    """The model and alias that a record is about."""
    match chosen:
        case ModelVersion():
            # A version that holds an alias other than champion is rolled back there.
            held = [alias for alias in chosen.aliases if alias != ALIAS]
            return chosen.model, held[0] if held and ALIAS not in chosen.aliases else ALIAS
        case Model():
            return chosen.name, ALIAS
        case Monitor():
            return chosen.model, chosen.alias
        case Deployment():
            return chosen.model, chosen.targets[0].alias or ALIAS
        case Alert() if not chosen.monitor.startswith(ACTOR):
            monitor = backend.need("monitors").get(chosen.monitor)
            return monitor.model, monitor.alias
    raise Refused("select a model, a version, a monitor or an alert first")
