"""Retraining asked for by a person, from an alert or a model: the trigger that does it, made where there is none."""

from __future__ import annotations

import re

from backends.contract import Backend, Mutation, NotFound, Refused, all_pages
from backends.entities import Trigger, TriggerDo, TriggerLimits, TriggerWhen
from console.triggers.create import create_trigger
from console.triggers.definition import checked, model_of


def retrainer(backend: Backend, model: str, alias: str = "champion") -> tuple[Trigger, bool]:
    """The trigger that retrains this model, and whether it is kept already. Where none is, one that only a person
    fires, from the recipe of the version that holds the alias, on the newest version of its dataset.

    Refused where that version's run has no recipe.
    """
    store = backend.need("triggers")
    kept = [
        each
        for each in all_pages(lambda at: store.page(at=at, limit=500))
        if each.do.retrain and model_of(each.do) == model
    ]
    if kept:
        # One that only a person fires before one that also acts by itself.
        return min(kept, key=lambda each: (not each.when.hand, each.name)), True
    version = backend.need("registry").version(model, f"@{alias}")
    from console.training.start import recipe_of

    try:
        recipe = recipe_of(backend, backend.need("runs").get(version.run))
    except NotFound as error:
        raise Refused(
            f"{version.ref} cannot be trained again as it was: {error} Make a trigger with a recipe file: "
            f"mlops-console trigger create retrain-{model} --by-hand --retrain RECIPE --model {model}"
        ) from None
    trigger = Trigger(
        name=f"retrain-{re.sub(r'[^A-Za-z0-9._-]', '-', model)}"[:100],
        when=TriggerWhen(hand=True),
        do=TriggerDo(retrain=recipe, model=model, alias=alias),
        limits=TriggerLimits(per_day=0, cooldown="0"),
        note=f"made to retrain {model} by hand",
    )
    return checked(trigger), False


def would_retrain(backend: Backend, model: str, alias: str = "champion") -> tuple[Trigger, bool, str]:
    """The same two, and what it would do now, in words; nothing is done."""
    from console.triggers.carry import plan
    from console.triggers.causes import firing_of
    from console.triggers.clock import real_now

    trigger, kept = retrainer(backend, model, alias)
    return trigger, kept, plan(backend, trigger, firing_of(trigger, real_now(), "", "plan", dry=True))


def kept_retrainer(backend: Backend, model: str, mutation: Mutation, alias: str = "champion") -> Trigger:
    """The same, kept."""
    trigger, kept = retrainer(backend, model, alias)
    if kept:
        return trigger
    return create_trigger(backend, trigger, mutation)
