"""Contexts: one is switched to, one is added."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from backends.contract import BackendError
from console.safe import safe_text
from console.tui.dialogs import Choose, Confirm, Field, Form, sentences

if TYPE_CHECKING:
    from console.config import Context
    from console.contexts.asked import Answer, Silent
    from console.tui.here import Here

FIELDS = (
    ("name", "name", "a word for it: letters, digits, - and _"),
    ("url", "address", "https://… of MLflow, oci+https://…, gto+ssh://…, or a directory"),
    ("token_env", "token in", "the environment variable that holds it; empty: none is wanted"),
    ("username", "user", "where the token is this user's password"),
    ("options", "options", "NAME=VALUE …: ca_file, timeout, models, flavor, …"),
    ("metrics", "metrics", "prometheus+https://…; empty: none"),
    ("metrics_options", "of metrics", "NAME=VALUE …: token_env, username, tenant, ca_file, timeout"),
    ("launcher", "launcher", "ray+https://head:8265, slurm:, slurm+ssh://login; empty: this machine"),
    ("launcher_options", "of launcher", "NAME=VALUE …: token_env, partition, python, …"),
    ("care", "care", "production: a badge, typed confirmation;  read only: nothing is changed"),
    ("note", "note", "a word about it"),
)
CARE = ("", "production", "read only", "production, read only")
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
    from console.contexts.written import add_context as write_down

    fields = [
        Field(key, label, here.argument if key == "name" else "", note, CARE if key == "care" else ())
        for key, label, note in FIELDS
    ]
    about = sentences("It is written at the end of config.toml. No secret is: only the place where it is.")
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
    except (BackendError, ValueError) as wrong:
        return safe_text(str(wrong), 400)
    return ""


def _made(values: dict[str, str]) -> Context:
    from console.contexts.made import made_context, pairs_of

    launcher = pairs_of(shlex.split(values["launcher_options"]), what="of launcher")
    secret = {f"launcher_{key}": launcher.pop(key) for key in ("token_env", "token_file") if key in launcher}
    measured = pairs_of(shlex.split(values["metrics_options"]), what="of metrics")
    return made_context(
        values["name"],
        values["url"],
        token_env=values["token_env"],
        username=values["username"],
        options=pairs_of(shlex.split(values["options"]), what="options"),
        metrics={"url": values["metrics"], **measured} if values["metrics"] or measured else {},
        launcher=values["launcher"],
        launcher_options=launcher,
        production="production" in values["care"],
        read_only="read only" in values["care"],
        note=values["note"],
        **secret,
    )


def _asked(made: Context) -> tuple[Answer, ...] | Silent:
    from console.contexts.asked import Silent, ask_context

    try:
        return tuple(ask_context(made))
    except Silent as silent:
        return silent
