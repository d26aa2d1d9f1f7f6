"""Everything a person can do, declared once, in one module a room.

Key bindings, footer, help, palette, command bar, keymap file and cheat-sheet are all made from `ACTIONS`: what is not
here cannot be bound. Imports nothing of Textual, so that the command line can print the cheat-sheet.
"""

from console.tui.actions.action import ALWAYS, COMMON, OWN, Action, Reason, Situation, Tier
from console.tui.actions.cheatsheet import cheatsheet, shown_key
from console.tui.actions.registry import ACTIONS, BY_ID, COMMANDS

__all__ = [
    "ACTIONS", "ALWAYS", "BY_ID", "COMMANDS", "COMMON", "OWN", "Action", "Reason", "Situation", "Tier", "cheatsheet",
    "shown_key",
]  # fmt: skip
