"""What people do with triggers: make, change, pause, resume, fire by hand, delete."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from backends.contract import Backend, Conflict, Invalid, Mutation, NotFound, Refused
from backends.entities import Firing, FiringState, Trigger, TriggerLimits, TriggerState, TriggerWhen
from console.triggers.causes import baseline, firing_of
from console.triggers.clock import Clock
from console.triggers.definition import checked, data_of, known_key, model_of, parse_trigger, to_toml
from console.triggers.stopped import fall_silent


def create_trigger(backend: Backend, trigger: Trigger, mutation: Mutation) -> Trigger:
    """Make it. It acts on what comes from now on: alerts that are open and data that is there are left alone.

    Conflict where the name is taken; NotFound, by its name, where what it is about is not there.
    """
    store = backend.need("triggers")
    checked(trigger)
    check_parts(backend, trigger)
    try:
        held = store.get(trigger.name)
    except NotFound:
        pass
    else:
        if mutation.key:
            return store.put(trigger, mutation)  # type: ignore[no-any-return]  # asked again
        raise Conflict(
            f"there is a trigger {held.name} already, made by {held.created_by}; nothing was changed. Edit it "
            "(trigger edit), or take another name."
        )
    begun = msgspec.structs.replace(trigger, status=baseline(backend, trigger, Clock()()))
    made: Trigger = store.put(begun, mutation)
    return made


def change_trigger(backend: Backend, trigger: Trigger, mutation: Mutation, *, expected: int = 0) -> Trigger:
    """Put this definition in place of the one of its name. Conflict where that was changed since `expected` (its
    `changed_at`), Refused while a firing is under way and what it does would be another."""
    store = backend.need("triggers")
    held: Trigger = store.get(trigger.name)
    checked(trigger)
    check_parts(backend, trigger)
    if expected and held.changed_at != expected:
        raise Conflict(
            f"trigger {held.name} was changed while you were looking; nothing was changed. Look again and repeat."
        )
    busy = store.firings(held.name, states=(FiringState.RUNNING,), limit=1)
    if busy and trigger.do != held.do:
        raise Refused(
            f"trigger {held.name} is at work (firing {busy[0].id[:8]}), so what it does is not changed. Wait for its "
            "end, or stop its run."
        )
    made: Trigger = store.put(trigger, mutation)
    if trigger.when != held.when:
        store.observe(made.name, baseline(backend, made, Clock()()))
        made = store.get(made.name)
    return made


def set_keys(backend: Backend, name: str, given: Mapping[str, str], mutation: Mutation) -> Trigger:
    """Change single keys, such as `limits.per_day` or `per_day`. Invalid names what will not do."""
    held: Trigger = backend.need("triggers").get(name)
    plain: dict[str, Any] = msgspec.to_builtins(held)
    for word, text in given.items():
        key = known_key(word)
        table, _, field = key.rpartition(".")
        part = plain[table] if table else plain
        part[field] = _as(part[field], text, key)
    named: dict[str, Any] = {key: plain[key] for key in ("when", "do", "limits")}
    # Through the text, so that a recipe's file is read and every fault is told as in a file.
    wanted = msgspec.structs.replace(
        held,
        note=plain["note"],
        when=msgspec.convert(named["when"], TriggerWhen),
        do=msgspec.convert(named["do"], type(held.do)),
        limits=msgspec.convert(named["limits"], TriggerLimits),
    )
    read = parse_trigger(to_toml(wanted), f"trigger {name}")
    return change_trigger(
        backend, msgspec.structs.replace(held, note=read.note, when=read.when, do=read.do, limits=read.limits), mutation
    )


def pause(backend: Backend, name: str, mutation: Mutation) -> Trigger:
    """Nothing further begins; what is under way goes on."""
    paused: Trigger = backend.need("triggers").turn(name, TriggerState.PAUSED, mutation)
    fall_silent(backend, name)
    return paused


def resume(backend: Backend, name: str, mutation: Mutation) -> Trigger:
    """It acts again, on what comes from now on; failures are counted anew."""
    store = backend.need("triggers")
    held: Trigger = store.get(name)
    if held.status.state is not TriggerState.ACTIVE:
        store.observe(name, baseline(backend, held, Clock()()))
    resumed: Trigger = store.turn(name, TriggerState.ACTIVE, mutation)
    fall_silent(backend, name)
    return resumed


def fire(backend: Backend, name: str, mutation: Mutation, *, dry: bool = False) -> Firing:
    """Fire it by hand: rate and cooldown do not hold for a person, cost and one at a time do. The agent carries it
    out. With the mutation's key, a second call is the first one's firing."""
    store = backend.need("triggers")
    trigger: Trigger = store.get(name)
    why = f": {mutation.reason}" if mutation.reason else ""
    firing = firing_of(
        trigger,
        Clock()(),
        f"by {mutation.actor}{why}",
        f"hand\0{mutation.key or uuid.uuid4().hex}",
        by=mutation.actor,
        dry=dry,
    )
    store.fire(firing, trigger.status)
    found: Firing = store.firing(firing.id)
    return found


def told(backend: Backend, name: str) -> str:
    """What it would do if it fired now, without a firing. Raises what would refuse it."""
    from console.triggers.carry import plan

    trigger: Trigger = backend.need("triggers").get(name)
    return plan(backend, trigger, firing_of(trigger, Clock()(), "asked what it would do", "plan", dry=True))


def delete_trigger(backend: Backend, name: str, mutation: Mutation) -> None:
    """With its firings; the journal keeps what it did."""
    backend.need("triggers").delete(name, mutation)
    fall_silent(backend, name)


def check_parts(backend: Backend, trigger: Trigger) -> None:
    """NotFound, by its name, where something that it names is not there."""
    when, do = trigger.when, trigger.do
    monitors = [each for each in (when.alert, when.monitor, do.rows_of) if each and not set(each) & set("*?[")]
    for monitor in monitors:
        backend.need("monitors").get(monitor)
    if do.rows_of:
        from console.triggers.gather import check_keeps_rows

        check_keeps_rows(backend.need("monitors").get(do.rows_of))
    for dataset in (when.dataset, do.check):
        if dataset:
            backend.need("datasets").get(dataset)
    if do.retrain and not do.rows_of:
        backend.need("datasets").get(data_of(do))
    if do.rollback:
        backend.need("registry").get(model_of(do))
    if do.scale:
        backend.need("deployments").get(do.scale)
    if when.folder:
        from pathlib import Path

        if not Path(when.folder).is_dir():
            raise NotFound(f"there is no folder {when.folder} to watch; make it first, or check the path.")


def _as(before: Any, text: str, key: str) -> Any:
    try:
        if isinstance(before, bool):
            return {"true": True, "yes": True, "false": False, "no": False}[text.strip().lower()]
        if isinstance(before, int):
            return int(text)
        if isinstance(before, float):
            return float(text)
    except (KeyError, ValueError):
        wanted = {bool: "true or false", int: "a whole number"}.get(type(before), "a number")
        raise Invalid(f"{key}: {text!r} is not {wanted}.", key) from None
    return text
