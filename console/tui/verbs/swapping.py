"""What a move of an alias does to what is served, for the dialogs that ask for it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

from console.safe import safe_text
from console.tui.deployment_columns import summary
from console.tui.dialogs import sentences

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.contract import Backend
    from backends.entities import Deployment
    from console.tui.here import Here
    from console.tui.lines import Line

T = TypeVar("T")
NAMED = 3


def following(backend: Backend, model: str, alias: str) -> tuple[Deployment, ...]:
    """Deployments that swap when this alias moves."""
    from console.serving.deployment.change import following as followers

    return followers(backend, model, alias)


async def moved(here: Here, change: Callable[[Callable[[str], object]], T]) -> T:
    """Carry out a move of aliases, and say meanwhile what the servers that follow are at."""

    def tell(text: str) -> None:
        # A screen that is gone hears nothing of it, and the move goes on.
        with contextlib.suppress(RuntimeError):
            here.app.call_from_thread(here.app.say_work, [(safe_text(text, 200), "dim")])

    try:
        return await here.app.carry_out(lambda: change(tell))
    finally:
        here.app.say_work([])


def swapping(deployments: tuple[Deployment, ...], version: str) -> list[Line]:
    """Which deployments swap; nothing where none follows the alias."""
    if not deployments:
        return []
    names = ", ".join(summary(each) for each in deployments[:NAMED])
    more = f" and {len(deployments) - NAMED} more" if len(deployments) > NAMED else ""
    word = "swaps" if len(deployments) == 1 else "swap"
    return sentences(f"Served: {names}{more} {word} to v{version} within half a second; no request is dropped.")
