"""Changing what the agent acts on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from console.tui.verbs.models import session_of

if TYPE_CHECKING:
    from console.tui.here import Here

T = TypeVar("T")


async def carry_with_agent(here: Here, deed: Callable[[], T]) -> T:
    """Do it in a thread, with an agent there afterwards that acts on it."""
    workspace = session_of(here).workspace

    def whole() -> T:
        done = deed()
        if workspace is not None:
            from console.agent import ensure_agent

            ensure_agent(workspace)
        return done

    found: T = await here.app.carry_out(whole)
    return found
