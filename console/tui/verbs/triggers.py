"""Triggers on the screen, and the remedies from an alert. Each asks first and says what would be done."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backends.contract import BackendError, Refused, all_pages
from backends.entities import Deployment, Trigger, TriggerState
from console.safe import safe_text
from console.tui.dialogs import Choose, Confirm, Field, Form, sentences
from console.tui.triggers_screen import Kept, TriggersScreen, Wish, history_lines
from console.tui.verbs.models import session_of
from console.tui.verbs.with_agent import carry_with_agent

if TYPE_CHECKING:
    from backends.contract import Backend
    from console.tui.here import Here

NEWEST = 20
UNDO = "The challenger answers nobody until it is promoted; rolling back takes a promotion back."


async def show(here: Here) -> None:
    """The list, until it is left; what is asked for there is done, and the list shown again."""
    from console.triggers.clock import real_now

    at = ""
    while True:
        found = await here.app.look_up(lambda: _kept(here.backend))
        wish: Wish | None = await here.app.push_screen_wait(
            TriggersScreen(found, at, real_now())  # type: ignore[arg-type]
        )
        if wish is None:
            return
        at = f"trigger:{wish.kept.trigger.name}" if wish.kept is not None else at
        if wish.do not in ("history", "dry", "again") and here.read_only:
            here.app.tell("this console is read-only; nothing was changed", severity="warning")
            continue
        try:
            await _do(here, wish)
        except BackendError as error:
            here.app.tell(error, severity="warning")


def _kept(backend: Backend) -> tuple[Kept, ...]:
    store = backend.need("triggers")
    order = {TriggerState.STOPPED: 0, TriggerState.ACTIVE: 1, TriggerState.PAUSED: 2}
    whole = all_pages(lambda at: store.page(at=at, limit=500))
    return tuple(
        Kept(each, store.firings(each.name, limit=NEWEST))
        for each in sorted(whole, key=lambda each: (order[each.status.state], each.name))
    )


async def _do(here: Here, wish: Wish) -> None:
    if wish.do == "new":
        await _new(here)
    elif wish.kept is not None:
        trigger = wish.kept.trigger
        if wish.do == "turn":
            await _turn(here, trigger)
        elif wish.do == "run":
            await _fire(here, trigger)
        elif wish.do == "dry":
            await _try(here, trigger)
        elif wish.do == "edit":
            await _edit(here, trigger)
        elif wish.do == "delete":
            await _delete(here, trigger)
        elif wish.do == "history":
            from console.tui.reading import ReadingScreen

            lines = history_lines(wish.kept, here.app.size.width)
            await here.app.push_screen_wait(ReadingScreen(f"History of {safe_text(trigger.name, 60)}", lines))


async def _turn(here: Here, trigger: Trigger) -> None:
    from console.triggers.create import pause, resume

    active = trigger.status.state is TriggerState.ACTIVE
    verb, deed = ("pause", pause) if active else ("resume", resume)
    text = (
        f"{trigger.name} begins nothing further; what is under way goes on. p lets it act again."
        if active
        else f"{trigger.name} is {trigger.status.state}: {trigger.status.reason or 'no reason given'}. It acts on what "
        "comes from now on, and its failures are counted anew."
    )
    yes = await here.app.ask(
        Confirm(f"{verb.capitalize()} {safe_text(trigger.name, 40)}", sentences(text), verb, reason=True)
    )
    if yes is None:
        return
    mutation = session_of(here).mutation(yes.reason, uuid.uuid4().hex)
    await carry_with_agent(here, lambda: deed(here.backend, trigger.name, mutation))
    here.app.tell(f"{trigger.name} is {'paused' if active else 'active'}")


async def _fire(here: Here, trigger: Trigger) -> None:
    """By hand, once it was said what it would do."""
    from console.triggers.create import fire, told
    from console.triggers.telling import limit_words

    would = await here.app.look_up(lambda: told(here.backend, trigger.name))
    text = f"It would {would}. Limits: {limit_words(trigger)}; rate and quiet do not hold for a person."
    yes = await here.app.ask(
        Confirm(
            f"Run {safe_text(trigger.name, 40)}", sentences(text), "run",
            word=trigger.name if here.production else "", reason=True,
        )
    )  # fmt: skip
    if yes is None:
        return
    mutation = session_of(here).mutation(yes.reason, uuid.uuid4().hex)
    await carry_with_agent(here, lambda: fire(here.backend, trigger.name, mutation))
    here.app.tell(f"{trigger.name} has been fired; enter shows its steps")


async def _try(here: Here, trigger: Trigger) -> None:
    from console.triggers.create import told
    from console.tui.reading import ReadingScreen

    would = await here.app.look_up(lambda: told(here.backend, trigger.name))
    lines = sentences(f"{trigger.name} would {would}.", max(40, here.app.size.width - 4))
    await here.app.push_screen_wait(ReadingScreen(f"Dry run of {safe_text(trigger.name, 60)}", lines))


async def _edit(here: Here, trigger: Trigger) -> None:
    """What one changes from day to day; the whole is a file: trigger edit NAME."""
    from console.triggers.create import set_keys

    keys = ("per_day", "cooldown", "run_minutes", "cpu_hours", "failures", "dry_run")
    notes = {
        "per_day": "times in 24 hours; 0 for no limit",
        "cooldown": "quiet after it began: 30 min, 6 h; 0 for none",
        "run_minutes": "a run past this is stopped; 0 for no limit",
        "cpu_hours": "a run that took more is stopped; 0 for no limit",
        "failures": "in a row, after which it stops itself; 0 for never",
        "dry_run": "true: say what it would do, and do nothing",
    }
    held = {key: str(getattr(trigger.limits, key)) for key in keys} | {"note": trigger.note}
    held["dry_run"] = held["dry_run"].lower()
    if trigger.when.schedule:
        held = {"when.schedule": trigger.when.schedule, "when.timezone": trigger.when.timezone} | held
        notes |= {"when.schedule": "0 3 * * *, every day at 03:00", "when.timezone": "such as Europe/Berlin"}
    fields = [
        Field(key, key.rpartition(".")[2].replace("_", " "), value, notes.get(key, ""),
              choices=("true", "false") if key == "dry_run" else ())
        for key, value in held.items()
    ]  # fmt: skip
    values = await here.app.ask(
        Form(f"Edit {safe_text(trigger.name, 40)}", fields, "change",
             lines=sentences("The whole of it, in an editor: mlops-console trigger edit NAME"))
    )  # fmt: skip
    if values is None:
        return
    changed = {key: value for key, value in values.items() if value != held[key]}
    if not changed:
        here.app.tell("nothing was changed")
        return
    mutation = session_of(here).mutation(key=uuid.uuid4().hex)
    await carry_with_agent(here, lambda: set_keys(here.backend, trigger.name, changed, mutation))
    here.app.tell(f"{trigger.name}: {', '.join(f'{key} {value}' for key, value in changed.items())}")


async def _delete(here: Here, trigger: Trigger) -> None:
    from console.triggers.create import delete_trigger

    yes = await here.app.ask(
        Confirm(
            f"Delete {safe_text(trigger.name, 40)}",
            sentences("It goes with its history, for good; the journal keeps what it did."),
            "delete",
            word=trigger.name,
            reason=True,
        )
    )
    if yes is None:
        return
    mutation = session_of(here).mutation(yes.reason, uuid.uuid4().hex)
    await carry_with_agent(here, lambda: delete_trigger(here.backend, trigger.name, mutation))
    here.app.tell(f"{trigger.name}: deleted")


WITH = {
    "rollback": "the model that goes back", "retrain": "the recipe file",
    "scale": "the deployment", "check": "the dataset", "command": "the command line", "run": "the recipe file",
}  # fmt: skip


async def _new(here: Here) -> None:
    """The causes and deeds that are one word each; a recipe's trigger is made from its file."""
    from console.training.toml_text import to_toml
    from console.triggers.create import create_trigger
    from console.triggers.definition import parse_trigger

    fields = [
        Field("name", "name", "", "letters, digits, '.', '_', '-'"),
        Field("cause", "when", "alert", "what it waits for",
              choices=("alert", "schedule", "dataset", "folder", "hand")),
        Field("of", "of", "*", "the monitor (* is any), the schedule, the dataset, the folder; true by hand"),
        Field("deed", "do", "rollback", "what it does",
              choices=("rollback", "retrain", "scale", "check", "command", "run")),
        Field("what", "with", "", "the model, recipe file, deployment, dataset or command line"),
        Field("model", "model", "", "of a retrain, where its recipe registers none; else empty"),
        Field("workers", "workers", "+1", "of a scaling: 4, or +1"),
        Field("dry_run", "dry run", "true", "true: it only says what it would do", choices=("true", "false")),
    ]  # fmt: skip

    def wanted(values: dict[str, str]) -> Trigger:
        cause, deed = values["cause"], values["deed"]
        do: dict[str, Any] = {deed: values["what"]}
        if deed == "scale":
            do["workers"] = values["workers"]
        if deed == "retrain" and values["model"]:
            do["model"] = values["model"]
        tables = {
            "name": values["name"],
            "when": {cause: True if cause == "hand" else values["of"]},
            "do": do,
            "limits": {"dry_run": values["dry_run"] == "true"},
        }
        return parse_trigger(to_toml(tables), "trigger")

    def check(values: dict[str, str]) -> str:
        if not values["name"].strip():
            return "a name is wanted: letters, digits, '.', '_' and '-'"
        if not values["what"].strip():
            return f"with: a {values['deed']} wants {WITH[values['deed']]}"
        try:
            wanted(values)
        except BackendError as error:
            return str(error)
        return ""

    values = await here.app.ask(Form("New trigger", fields, "make", check=check))
    if values is None:
        return
    trigger = wanted(values)
    mutation = session_of(here).mutation(key=uuid.uuid4().hex)
    await carry_with_agent(here, lambda: create_trigger(here.backend, trigger, mutation))
    here.app.tell(f"{trigger.name} is made; it acts on what comes from now on")


# ---------------------------------------------------------------- from an alert


async def retrain(here: Here) -> None:
    """The trigger that retrains this model, fired by hand; made where there is none."""
    from console.triggers.create import fire
    from console.triggers.remedy import kept_retrainer, would_retrain
    from console.tui.verbs.going_back import _model_of

    backend = here.backend

    def look() -> tuple[str, str, Trigger, bool, str]:
        model, alias = _model_of(backend, here.selected)
        return model, alias, *would_retrain(backend, model, alias)

    model, alias, trigger, kept, would = await here.app.look_up(look)
    made = "" if kept else f" The trigger {trigger.name} is made for it: only a person fires it."
    yes = await here.app.ask(
        Confirm(
            f"Retrain {safe_text(model, 40)}",
            sentences(f"{trigger.name} would {would}.{made} {UNDO}"),
            "retrain",
            word=model if here.production else "",
            reason=True,
        )
    )
    if yes is None:
        return
    session = session_of(here)
    why = yes.reason or f"asked for from {_said(here.selected)}"

    def carry() -> None:
        held = kept_retrainer(backend, model, session.mutation(why), alias)
        fire(backend, held.name, session.mutation(why, uuid.uuid4().hex))

    await carry_with_agent(here, carry)
    here.app.tell(f"{model} is retrained; T shows the steps, 3 its run")


async def scale(here: Here) -> None:
    """Workers of the deployment that serves this model."""
    from console.tui.verbs import deployments
    from console.tui.verbs.going_back import _model_of

    def look() -> tuple[str, list[Deployment]]:
        model, _ = _model_of(here.backend, here.selected)
        page = here.backend.need("deployments").page(limit=1000).items
        return model, [each for each in page if each.model == model]

    if isinstance(here.selected, Deployment):
        await deployments.scale(here)
        return
    model, found = await here.app.look_up(look)
    if not found:
        raise Refused(f"no deployment serves {model}, so there is nothing to scale; w in Models serves it")
    chosen: Deployment | None = found[0]
    if len(found) > 1:
        options = [(each.name, each.name, f"{each.workers} worker(s)") for each in found]
        picked = await here.app.ask(Choose(f"Scale which deployment of {safe_text(model, 40)}", options))
        chosen = next((each for each in found if each.name == picked), None)
    if chosen is not None:
        await deployments.scale(replace(here, selected=chosen))


async def open_run(here: Here) -> None:
    """The run that trained what is in production."""
    from console.tui.verbs.going_back import _model_of

    def look() -> str:
        model, alias = _model_of(here.backend, here.selected)
        version = here.backend.need("registry").version(model, f"@{alias}")
        if not version.run:
            raise Refused(f"{version.ref} was registered without a run, so there is none to open")
        return str(version.run)

    run = await here.app.look_up(look)
    here.app.show_pane("runs", f"id = '{run}'")


def _said(chosen: object) -> str:
    name = getattr(chosen, "monitor", "") or getattr(chosen, "name", "") or "the screen"
    metric = getattr(chosen, "metric", "")
    return f"alert {metric} on {name}" if metric else str(name)
