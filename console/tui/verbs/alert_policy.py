"""The alert policy of a monitor: read, edited, replayed on history, and saved once the person has seen what it does."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from backends.contract import Invalid, Refused
from console.safe import safe_text
from console.tui.dialogs import Confirm, sentences
from console.tui.verbs.editing import in_editor
from console.tui.verbs.models import session_of
from console.tui.verbs.segments import READ_ONLY, monitor_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.entities import Monitor, Progress
    from console.monitoring.alarms.replaying import Replay
    from console.tui.here import Here
    from console.tui.policy_screen import Draft


async def show(here: Here) -> None:
    """The rules, until they are left; a draft that is not saved is not lost without a yes."""
    from console.monitoring.alarms.replaying import replay_offloaded
    from console.tui.policy_screen import PolicyScreen

    name = monitor_name(here)
    draft = await here.app.look_up(lambda: _draft(here.backend.need("monitors").get(name)))
    while True:
        text = draft.text

        def search(progress: Callable[[Progress], None], stopped: Callable[[], bool], rules: str = text) -> Replay:
            return replay_offloaded(here.backend, name, rules, on_progress=progress, cancel=stopped)

        wish: str | None = await here.app.push_screen_wait(PolicyScreen(name, draft, search))  # type: ignore[arg-type]
        if wish is None:
            if not draft.changed or await _dropped(here, name):
                return
        elif here.read_only:
            here.app.tell(READ_ONLY, severity="warning")
        elif wish == "edit":
            draft = await _edited(here, name, draft)
        elif wish == "default":
            draft = await _defaults(here, name, draft)
        elif wish == "save":
            draft = await _saved(here, name, draft)


def _draft(monitor: Monitor) -> Draft:
    from console.monitoring.alarms.alerts import rules_of
    from console.monitoring.alarms.rules import write_rules
    from console.tui.policy_screen import Draft

    rules = rules_of(monitor)
    text = monitor.rules or write_rules(rules)
    return Draft(text=text, rules=rules, saved=text, default=not monitor.rules)


async def _edited(here: Here, name: str, draft: Draft) -> Draft:
    """The draft as the editor left it; what is not understood is told with its line, and edited again."""
    from console.monitoring.alarms.rule_lines import numbered
    from console.monitoring.alarms.rules import read_rules
    from console.tui.policy_screen import Draft

    text = draft.text
    instead = f"mlops-console monitor policy {name} > policy.toml, edit that, then … --file policy.toml"
    while True:
        try:
            text = in_editor(here, text, "policy.toml", instead)
        except Refused as error:
            here.app.tell(error, severity="warning")
            return draft
        if text == draft.text:
            here.app.tell("nothing was changed")
            return draft
        try:
            rules = read_rules(text)
        except Invalid as error:
            said = str(numbered(text, error))
            again = await here.app.ask(Confirm("The policy is not understood", sentences(said), "edit again"))
            if again is None:
                here.app.tell("the rules are as they were before that", severity="warning")
                return draft
            continue
        return Draft(text=text, rules=rules, saved=draft.saved, default=draft.default)


async def _saved(here: Here, name: str, draft: Draft) -> Draft:
    """What the replay found is said once more, and one yes puts the rules in force."""
    from console.monitoring.alarms.replaying import told
    from console.monitoring.create import set_rules
    from console.tui.policy_screen import policy_lines

    lines = []
    if draft.replay is not None:
        for item in draft.replay.rules:
            lines += sentences(f"{item.rule.name}: {told(item, draft.replay.days)}")
    else:
        lines += sentences(draft.trouble or "nobody replayed these rules")
    lines += sentences(
        "In force from the next batch on. An open alert of a rule that is gone stays until somebody resolves it."
    )
    title = f"Save the policy of {safe_text(name, 40)}"
    yes = await here.app.ask(
        Confirm(title, lines, "save", reason=True, more=lambda: policy_lines(draft, here.app.size.width))
    )
    if yes is None:
        return draft
    session = session_of(here)
    mutation = session.mutation(yes.reason, uuid.uuid4().hex)
    after = await here.app.carry_out(lambda: set_rules(session.backend, name, draft.text, mutation))
    here.app.tell(f"{name}: policy saved")
    kept = _draft(after)
    kept.replay = draft.replay
    _refresh(here)
    return kept


async def _defaults(here: Here, name: str, draft: Draft) -> Draft:
    from console.monitoring.create import set_rules

    if draft.default and not draft.changed:
        here.app.tell("the default rules are in force already")
        return draft
    text = "The rules of its own are taken away: performance decides, drift warns, as the monitor's knobs say."
    yes = await here.app.ask(
        Confirm(f"Default rules for {safe_text(name, 40)}", sentences(text), "go back", reason=True)
    )
    if yes is None:
        return draft
    session = session_of(here)
    mutation = session.mutation(yes.reason, uuid.uuid4().hex)
    after = await here.app.carry_out(lambda: set_rules(session.backend, name, "", mutation))
    here.app.tell(f"{name}: the default rules")
    _refresh(here)
    return _draft(after)


async def _dropped(here: Here, name: str) -> bool:
    text = "The rules were changed and not saved; what is in force stays as it is."
    yes = await here.app.ask(Confirm(f"Leave the policy of {safe_text(name, 40)}", sentences(text), "leave"))
    return yes is not None


def _refresh(here: Here) -> None:
    if here.view is not None:
        here.view.refresh_data()
