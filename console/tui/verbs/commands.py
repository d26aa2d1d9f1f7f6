"""The form of a command recipe's parameters; a run of a plain command again."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from backends.contract import Invalid
from backends.entities import Run
from console.safe import safe_text
from console.tui import ink
from console.tui.dialogs import Confirm, Field, Form, sentences
from console.tui.lines import Line, wrapped

if TYPE_CHECKING:
    from console.training.command_recipe import Param
    from console.tui.here import Here


async def ask_parameters(here: Here, text: str, source: str, pinned: Run | None) -> tuple[str, dict[str, Any]] | None:
    """(name of the run, what is set anew), as a form made of the recipe's parameters gives it; None when given up.

    `pinned` is the run whose recipe it is: it stays on the dataset version of that one.
    """
    from console.training.command_recipe import override_command_recipe, parse_command_recipe
    from console.training.toml_text import param_text
    from console.tui.verbs.runs import dataset_names, pairs

    recipe = parse_command_recipe(text, source)
    fields = [
        Field(
            key,
            key,
            "" if param.default is None else param_text(param.default),
            in_words(param),
            tuple(param_text(each) for each in param.choices) or (("false", "true") if param.kind == "bool" else ()),
        )
        for key, param in recipe.params.items()
    ]
    dataset = recipe.dataset
    if dataset and pinned is not None and pinned.inputs and "@" not in dataset:
        dataset = f"{pinned.inputs[0].dataset}@{pinned.inputs[0].version}"
    if dataset:
        names = await here.app.look_up(lambda: dataset_names(here.backend))
        fields.append(Field("dataset", "dataset", dataset, "name or name@version", names))
    fields += [
        Field("name", "run name", pinned.name if pinned else recipe.name, "empty: made from the command"),
        Field("more", "more", "", "limits.minutes=10 retries=1 env.SEED=3"),
    ]
    about = [
        Line([(ink.fit("command", 16), "dim"), (safe_text(recipe.command, 200), "")]),
        Line([(ink.fit("folder", 16), "dim"), (safe_text(recipe.workdir or "the recipe's own", 200), "")]),
    ]

    def changed(values: dict[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = {
            field.name: values[field.name]
            for field in fields
            if field.name not in ("name", "more") and values[field.name] != field.value
        }
        if dataset != recipe.dataset:
            found.setdefault("dataset", dataset)
        return found | pairs(values["more"])

    def check(values: dict[str, str]) -> str:
        try:
            parse_command_recipe(override_command_recipe(text, changed(values), source), source).values()
        except (ValueError, Invalid) as error:
            return str(error)
        return ""

    values = await here.app.ask(Form(f"Run: {source}", fields, "start", lines=about, check=check))
    return None if values is None else (values["name"], changed(values))


def in_words(param: Param) -> str:
    """What may stand in its line: its help, then its type and range."""
    words = param.kind
    if param.low is not None and param.high is not None:
        words += f" from {param.low} to {param.high}"
    elif param.low is not None:
        words += f" from {param.low}"
    elif param.high is not None:
        words += f" up to {param.high}"
    return f"{param.help}; {words}" if param.help else words


async def command_again(here: Here, run: Run) -> bool:
    """Whether the run was of a plain command, which has no parameters: then it is offered as it was."""
    from console.training.command import command_of
    from console.training.command_run import texts_of
    from console.training.start import retry_run

    command, texts = await here.app.look_up(lambda: (command_of(here.backend, run), texts_of(here.backend, run)))
    if command is None or texts:
        return False
    lines = [*wrapped(safe_text(shlex.join(command.argv), 500), 70), *wrapped(safe_text(f"in {command.cwd}", 300), 70)]
    lines += sentences("The same command again, as a new run. For another one: run start -- COMMAND.")
    yes = await here.app.ask(Confirm(f"Start {safe_text(run.name, 40)} again", lines, "start"))
    if yes is None:
        return True
    assert here.session is not None  # noqa: S101 the action needs a launcher, so there is a session
    session = here.session

    def begin() -> Run:
        started = retry_run(session.backend, run.id, session.mutation())
        if session.workspace is not None:
            from console.agent import ensure_tracking

            ensure_tracking(session.workspace)
        return started

    started = await here.app.carry_out(begin)
    here.app.tell(f"{started.name} {started.id[:4]} is {started.status}; l follows its log")
    return True
