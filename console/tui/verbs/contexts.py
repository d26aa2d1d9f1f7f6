"""Contexts: one is switched to, one is added."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.contract import BackendError
from console.safe import safe_text
from console.tui.dialogs import Choose, Confirm, Field, Form, sentences

if TYPE_CHECKING:
    from console.config import Context
    from console.contexts.asked import Answer, Silent
    from console.tui.here import Here

_SHOWN = 6
"""Capabilities that are said to be missing, in the message; `context test` tells all."""


async def switch_context(here: Here) -> None:
    from console.config import load_config

    config = load_config()
    name = here.argument
    if not name:
        options = [
            (each.name, each.name + ("  PRODUCTION" if each.production else ""), each.note or each.url)
            for each in config.contexts.values()
        ]
        name = await here.app.ask(Choose("Switch to context", options)) or ""
    if name:
        config.context(name)  # an unknown name is told with the names there are
        here.app.open_context(name, None, here.app.wanted[2])


async def add_context(here: Here) -> None:
    """A form, one question to each part, and the context is written down and opened."""
    from console.contexts.fields import SAID
    from console.contexts.written import add_context as write_down

    fields = [
        Field(
            each.key,
            each.label,
            here.argument if each.key == "name" else "",
            each.note,
            ("", "yes") if each.kind == "yes" else (),
        )
        for each in SAID
        if each.label
    ]
    about = sentences("Written at the end of config.toml; of a secret only where it is found.")
    values = await here.app.ask(Form("Add a context", fields, "add", lines=about, check=_trouble))
    if values is None:
        return
    made = _made(values)
    here.app.tell(f"asking {safe_text(made.url, 60)}…")
    found = await here.app.look_up(lambda: _asked(made))
    missing: tuple[str, ...] = ()
    if isinstance(found, tuple):
        missing = tuple(what for each in found for what in each.missing)
    else:
        told = sentences(str(found.told("y adds it all the same")))
        if (
            await here.app.ask(Confirm("It does not answer", told, f"add {safe_text(made.name, 30)} all the same"))
            is None
        ):
            return
    await here.app.look_up(lambda: write_down(made))
    without = f"; without {', '.join(missing[:_SHOWN])}" if missing else ""
    here.app.tell(f"context {safe_text(made.name, 40)} added{without}")
    here.app.open_context(made.name, None, here.app.wanted[2])


def _trouble(values: dict[str, str]) -> str:
    """Why it could not be added, as far as can be told without asking anybody."""
    from console.contexts.written import check_new

    if not values["name"] or not values["url"]:
        return "a name and an address are wanted"
    try:
        check_new(_made(values))
    except BackendError as wrong:
        return safe_text(str(wrong), 400)
    return ""


def _made(values: dict[str, str]) -> Context:
    from console.contexts.fields import SAID, context_of, read_line

    return context_of({each.key: read_line(each, values[each.key]) for each in SAID if each.label})


def _asked(made: Context) -> tuple[Answer, ...] | Silent:
    from console.contexts.asked import Silent, ask_context

    try:
        return tuple(ask_context(made))
    except Silent as silent:
        return silent
