"""Keys that a person types while the line they are meant for is still being laid.

Between `:` and the line that it opens, keys would be taken for actions: `:b…` typed in one breath would ask to roll
back. They are held and given to the line in the order they were typed. A dialog gets none of them: nobody may confirm
what they have not seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual import events

if TYPE_CHECKING:
    from textual.app import App
    from textual.timer import Timer
    from textual.widget import Widget

LONGEST_S = 2.0
"""A line that never comes must not keep the keyboard."""


class TypeAhead:
    """Holds keys and pasted text from `hold` until `give`."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._held: list[events.Key | events.Paste] | None = None
        self._patience: Timer | None = None

    @property
    def holding(self) -> bool:
        return self._held is not None

    def hold(self) -> None:
        if self._held is None:
            self._held = []
            self._patience = self._app.set_timer(LONGEST_S, self.drop)

    def takes(self, event: events.Event) -> bool:
        """Whether the event was held; then nobody else may have it."""
        if self._held is None or not isinstance(event, events.Key | events.Paste):
            return False
        self._held.append(event)
        return True

    def give(self, widget: Widget) -> None:
        """Let go, and let the widget have what was typed."""
        # A key that had been on its way to the list comes back up later than one that had not set out.
        held = sorted(self._held or (), key=lambda event: event.time)
        self.drop()
        for event in held:
            again = (
                events.Key(event.key, event.character) if isinstance(event, events.Key) else events.Paste(event.text)
            )
            widget._forward_event(again)

    def drop(self) -> None:
        """Let go, and forget what was typed."""
        self._held = None
        if self._patience is not None:
            self._patience.stop()
            self._patience = None
