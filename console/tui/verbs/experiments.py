"""Experiments: choose one, see its runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.tui.dialogs import Choose
from console.wording import plural, since

if TYPE_CHECKING:
    from console.tui.here import Here

MOST = 500


async def choose_experiment(here: Here) -> None:
    """The runs of one experiment."""
    store = here.backend.experiments
    page = await here.app.look_up(lambda: store.page(limit=MOST))
    if not page.items:
        here.app.tell("no experiments yet; a run makes its own")
        return
    options = [
        (
            each.name,
            each.name,
            "  ".join(
                part
                for part in (
                    "" if each.runs is None else plural(each.runs, "run"),
                    since(each.updated_at or each.created_at),
                    each.note,
                )
                if part
            ),
        )
        for each in page.items
    ]
    picked = await here.app.ask(Choose("Runs of which experiment", options))
    if picked is not None:
        quote = "'" if '"' in picked else '"'
        here.app.show_pane("runs", f"experiment = {quote}{picked}{quote}")
