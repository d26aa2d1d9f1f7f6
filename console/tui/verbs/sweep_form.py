"""The form of a sweep: its space, its sampler, its budget."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from backends.contract import Invalid
from backends.entities import Run
from console.safe import safe_text
from console.tui import ink
from console.tui.dialogs import Field, Form
from console.tui.lines import Line

if TYPE_CHECKING:
    from console.training.sweep.space import SweepPlan
    from console.tui.here import Here

BUDGET = (
    ("trials", "trials", "how many at most"),
    ("parallel", "at once", "0: one here; on a cluster as many as fit"),
    ("patience", "patience", "ends after so many trials without anything better; 0: never"),
    ("max_minutes", "minutes", "ends after so many; 0: never"),
    ("seed", "seed", "the same seed asks the same trials"),
)
SPACE = "space."


async def sweep_again(here: Here, sweep: Run) -> None:
    """The sweep's recipe, on the very data it had."""
    from console.training.start import recipe_of

    text = await here.app.look_up(lambda: recipe_of(here.backend, sweep))
    await sweep_form(here, text, f"recipe of sweep {sweep.id[:4]}", name=sweep.name)


async def sweep_form(here: Here, text: str, source: str, *, origin: str = "", name: str = "") -> None:
    """Ask what is to be searched and how long, and begin."""
    from console.training.sweep.goal import any_recipe, override_any
    from console.training.sweep.space import SweepPlan
    from console.training.sweep.telling import dimension_text

    recipe = any_recipe(text, source)
    plan = recipe.sweep or SweepPlan()
    types = {field.name: field.type for field in msgspec.structs.fields(SweepPlan)}
    fields = [
        *(
            Field(f"{SPACE}{key}", key, dimension_text(each), "LOW to HIGH, log   or   a | b | c")
            for key, each in plan.space.items()
        ),
        Field("sampler", "sampler", plan.sampler, "", tuple(map(str, get_args(types["sampler"])))),
        Field("pruner", "pruner", plan.pruner, "ends trials behind the others", tuple(get_args(types["pruner"]))),
        *(Field(key, label, f"{getattr(plan, key):g}", note) for key, label, note in BUDGET),
        Field("name", "sweep name", name, "empty: made from the recipe"),
    ]
    about = [
        Line([(ink.fit("recipe", 16), "dim"), (safe_text(source, 200), "")]),
        Line([(ink.fit("judged by", 16), "dim"), (safe_text(recipe.primary(), 60), "")]),
    ]

    def check(values: dict[str, str]) -> str:
        try:
            changed = overrides(plan, values)
            any_recipe(override_any(text, changed, source), source)
        except (ValueError, Invalid) as error:
            return str(error)
        return ""

    values = await here.app.ask(Form(f"Sweep: {source}", fields, "start", lines=about, check=check))
    if values is None:
        return
    await _begin(here, text, overrides(plan, values), values["name"], source, origin)


def overrides(plan: SweepPlan, values: dict[str, str]) -> dict[str, Any]:
    """What a filled form sets anew in the recipe; ValueError names the line that will not do."""
    from console.training.sweep.telling import dimension_text, read_dimension

    found: dict[str, Any] = {}
    space: dict[str, dict[str, Any]] = {}
    for key, each in plan.space.items():
        said = values[f"{SPACE}{key}"]
        try:
            changed = {} if said == dimension_text(each) else read_dimension(said, each)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None
        if changed:
            found["sweep.space"] = space
        space[key] = {
            field.name: value
            for field in msgspec.structs.fields(each)
            if (value := changed.get(field.name, getattr(each, field.name))) != field.default
        }
    for key in ("sampler", "pruner", *(key for key, _, _ in BUDGET)):
        before = getattr(plan, key)
        said = values[key]
        if said != (before if isinstance(before, str) else f"{before:g}"):
            found[f"sweep.{key}"] = said
    return found


async def _begin(here: Here, text: str, changed: dict[str, Any], name: str, source: str, origin: str) -> None:
    from console.training.sweep.begin import start_sweep
    from console.tui.verbs.sweeps import ready

    assert here.session is not None  # noqa: S101 the action needs a launcher, so there is a session
    session, mutation = here.session, here.session.mutation("", uuid.uuid4().hex)

    def begin() -> Run:
        run = start_sweep(
            session.backend, text, mutation, overrides=changed, source=source, name=name, origin=origin
        )  # fmt: skip
        ready(session)
        return run

    run = await here.app.carry_out(begin)
    here.app.welcome = False
    here.app.tell(f"sweep {run.name} {run.id[:4]} is {run.status}; enter on its row shows its trials")
