"""`mlops-console keys`: the cheat-sheet, from what bindings and help are made of, with the person's own keys."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from console.cli.output import Col, narrate
from console.cli.verb import Invocation, Verb
from console.config import keymap_path


@click.command("keys", cls=Verb)
@click.option("--markdown", is_flag=True, help="As a Markdown table, for a wiki or a printer.")
@click.pass_obj
def keys(invocation: Invocation, markdown: bool) -> None:
    """The cheat-sheet of the console's keys."""
    # By name, as nouns are: the declarations are plain data without Textual, but they belong to the screen, and nothing
    # else of the command line may lean on that.
    actions = import_module("console.tui.actions")
    keymap = import_module("console.tui.keymap").load_keymap(keymap_path())
    for problem in keymap.problems:
        narrate(problem)
    if markdown and not invocation.json:
        click.echo(actions.cheatsheet(keymap.keys), nl=False)
        return
    items = [
        {
            "id": action.id,
            "keys": [actions.shown_key(key.strip()) for key in keymap.keys[action.id].split(",") if key.strip()],
            "command": f":{action.command[0]}" if action.command else "",
            "where": list(action.panes),
            "help": action.help,
            "cli": action.cli,
        }
        for action in actions.ACTIONS
    ]
    columns: list[Col[dict[str, Any]]] = [
        Col("key", lambda item: " ".join(item["keys"])),
        Col("command", lambda item: item["command"]),
        Col("what", lambda item: item["help"], widest=76),
        Col("where", lambda item: ", ".join(item["where"]) or "everywhere"),
        Col("on the command line", lambda item: item["cli"], widest=60),
    ]
    invocation.show_items(items, columns, empty="")
