"""The card of a version, to read, to copy and to write into a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from console.promotion.card_sections import title_of
from console.tui.card_lines import card_lines
from console.tui.reading import ReadingScreen

if TYPE_CHECKING:
    from console.promotion.card import Card
    from console.tui import ink


class CardScreen(ReadingScreen):
    """esc goes back, y copies, e writes it as Markdown, HTML or JSON."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "export", "export", id="card.export", tooltip="Write the card into a file."),
    ]

    def __init__(self, card: Card, width: int) -> None:
        super().__init__(f"card of {title_of(card)}", card_lines(card, width))
        self.card = card

    def on_resize(self) -> None:
        self.show(card_lines(self.card, self.app.size.width))

    def keys(self) -> ink.Spans:
        return [*super().keys(), ("   e", "key"), (" export", "dim")]

    def action_export(self) -> None:
        self.run_worker(self._export(), exclusive=True)

    async def _export(self) -> None:
        from pathlib import Path

        from backends.contract import BackendError
        from console.tui.dialogs import Ask
        from console.tui.exporting import export_text

        name = f"{self.card.model}-v{self.card.version}".replace("/", "_")
        target = await self.app.push_screen_wait(
            Ask("Write the card", "file", f"{name}.html", note=".html, .md or .json")
        )
        if not target:
            return
        from console.promotion.card_text import card_text

        try:
            written = await self.app.look_up(
                lambda: export_text(
                    target, (".html", ".md", ".json"), lambda path: card_text(self.card, Path(path).suffix.lower()[1:])
                )
            )
        except (BackendError, OSError) as error:
            self.app.tell(str(error), severity="error")
            return
        self.app.tell(f"card in {written}")
