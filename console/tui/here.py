"""The situation that actions are judged by and run in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from console.config import Session
    from console.tui.app import ConsoleApp
    from console.tui.pane import Pane


@dataclass(frozen=True)
class Here:
    """The situation an action is judged by and run in.

    It holds the session it began with: a dialog that stays open over a change of context still acts on what it named.
    """

    app: ConsoleApp
    session: Session | None
    view: Pane | None
    pane: str
    selected: object
    marked: tuple[object, ...]
    argument: str = ""

    @property
    def backend(self) -> Any:
        return self.session.backend if self.session else None

    @property
    def read_only(self) -> bool:
        if self.session is None:
            return False
        return self.session.context.read_only or self.session.backend.features.read_only

    @property
    def production(self) -> bool:
        return self.session is not None and self.session.context.production
