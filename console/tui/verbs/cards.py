"""The card of a version on the screen."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from backends.entities import Model, ModelVersion
from console.safe import safe_text

if TYPE_CHECKING:
    from console.tui.here import Here


async def version_of(here: Here) -> ModelVersion:
    """The selected version; of a model its champion, or its latest."""
    chosen = here.selected
    if isinstance(chosen, Model):
        held = chosen.aliases.get("champion", chosen.latest)
        found: ModelVersion = await here.app.look_up(lambda: here.backend.need("registry").version(chosen.name, held))
        return found
    assert isinstance(chosen, ModelVersion)  # noqa: S101 or the action were not available
    return chosen


async def show_card(here: Here) -> None:
    """Intervals and slices are measured where they were not, in a process of its own; then everything is gathered."""
    from backends.contract import BackendError
    from console.promotion.card_facts import card_of, held_out_report
    from console.training.examiner import held_out_of_model
    from console.tui.card_screen import CardScreen

    version, backend = await version_of(here), here.backend
    actor = here.session.actor if here.session is not None else ""
    if version.run and await here.app.look_up(lambda: held_out_report(backend, version)) is None:
        progress = here.app.report(f"measuring intervals of {safe_text(version.ref, 30)}")
        gone = threading.Event()
        try:
            await here.app.look_up(
                lambda: held_out_of_model(
                    backend, version.model, version.version, actor, on_progress=progress, cancel=gone.is_set
                )
            )
        except BackendError:
            pass  # the card itself says what is not known
        finally:
            gone.set()
            here.app.say_work(())
    card = await here.app.look_up(lambda: card_of(backend, version.model, version.version))
    here.app.push_screen(CardScreen(card, here.app.size.width))
