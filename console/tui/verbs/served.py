"""A deployment beyond its traffic: started again, forgotten, packed for a container, looked into."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from backends.contract import Refused
from console.safe import safe_text
from console.serving.deployment import change
from console.tui.deployment_columns import summary
from console.tui.dialogs import Ask
from console.tui.verbs.deployments import chosen, confirmed, session_of
from console.wording import plural

if TYPE_CHECKING:
    from console.tui.here import Here

ROWS = 200
"""Predictions that are shown; a monitor reads all of them."""


async def restart(here: Here) -> None:
    held = chosen(here)
    serving = held.desired == "serving"
    text = (
        f"{summary(held)} answers what it has, ends, and is started again as it was: callers are refused for the "
        "seconds between."
        if serving
        else f"{held.name} serves {held.model} again, as it did."
    )
    await confirmed(
        here,
        held,
        f"Restart {safe_text(held.name, 40)}",
        text,
        "restart",
        lambda mutation: change.restart(session_of(here).backend, held.name, mutation),
        "is started again",
    )


async def delete(here: Here) -> None:
    held = chosen(here)
    await confirmed(
        here,
        held,
        f"Delete deployment {safe_text(held.name, 40)}",
        f"{held.name} is forgotten for good, with its split, guard and note; the journal keeps what it was. Model "
        f"{held.model} stays, and so do its kept predictions and its log in the workspace.",
        "delete",
        lambda mutation: session_of(here).backend.need("deployments").delete(held.name, mutation),
        "is deleted",
        for_good=True,
    )


async def context(here: Here) -> None:
    """What a container is built from, written into a folder of this machine."""
    from console.serving.deployment.context import build_context, label

    held = chosen(here)
    backend = session_of(here).backend
    target = held.targets[0]
    said = here.argument or await here.app.ask(
        Ask(f"Container context of {safe_text(held.name, 30)}", "new folder", f"{label(held.name)}-{target.label}")
    )
    if not said:
        return
    directory = Path(said).expanduser().absolute()
    which = f"@{target.alias}" if target.alias else target.version
    built = await here.app.carry_out(lambda: build_context(backend, held.model, which, directory))
    here.app.tell(f"{built.model} v{built.version} is in {built.directory}; build it with: {built.build}")


async def predictions(here: Here) -> None:
    """The newest of its log, and beside each what a shadow said."""
    from console.serving.deployment.predictions import latest
    from console.tui.prediction_lines import prediction_lines
    from console.tui.reading import ReadingScreen

    held = chosen(here)
    home = session_of(here).backend.home
    if home is None:
        raise Refused("this context has no folder on this machine, so no predictions are kept here")
    found = await here.app.look_up(lambda: latest(home, held.name, ROWS))
    if not found:
        why = "keeps none" if not held.log or not held.sample else "has kept none yet; it writes them within seconds"
        here.app.tell(f"{held.name} {why}", severity="warning")
        return
    title = f"{safe_text(held.name, 40)}: the newest {plural(len(found), 'prediction')}"
    here.app.push_screen(ReadingScreen(title, prediction_lines(found, here.app.size.width - 2)))
