"""Prompts: the same pane as models, of the other kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.safe import safe_text
from console.tui.dialogs import Ask

if TYPE_CHECKING:
    from backends.entities import Model
    from console.tui.here import Here


def show_prompts(here: Here) -> None:
    """The list of prompts, or one by `:prompts NAME`."""
    from console.promotion.prompts import KIND
    from console.tui.panes.models import ModelsPane

    here.app.show_pane("models")
    if isinstance(here.app.pane, ModelsPane):
        here.app.pane.choose(KIND, here.argument)


async def which_alias(here: Here, prompt: Model) -> str | None:
    """The alias that is meant: the only one, else the one that the person names; None where they leave."""
    from console.promotion.prompts import USUAL_ALIAS, only_alias

    known = only_alias(prompt)
    if known:
        return known
    proposed = USUAL_ALIAS if not prompt.aliases or USUAL_ALIAS in prompt.aliases else sorted(prompt.aliases)[0]
    return await here.app.ask(Ask(f"Which alias of {safe_text(prompt.name, 40)} moves", "alias", proposed))
