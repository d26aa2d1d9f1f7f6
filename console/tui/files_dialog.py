"""One of a list of files: enter goes in or looks, ctrl+s saves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from console.tui import ink
from console.tui.dialogs import Choose
from console.tui.lines import LineList


class ChooseFile(Choose):
    """As `Choose`; `saving` says that the file is not to be looked at but to be saved."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", "save", id="files.save", tooltip="Save the file or folder.", priority=True),
    ]

    def __init__(self, title: str, options: Sequence[tuple[str, str, str]], at: str = "") -> None:
        super().__init__(title, options)
        self.saving = False
        self.at = at
        """The option that the cursor begins on."""

    def on_mount(self) -> None:
        super().on_mount()
        if self.at:
            self.query_one("#choose-list", LineList).select(self.at)

    def keys(self) -> ink.Spans:
        return [
            ("enter", "key"),
            (" open    ", "dim"),
            ("ctrl+s", "key"),
            (" save    ", "dim"),
            ("esc", "key"),
            (" leave", "dim"),
        ]

    def action_save(self) -> None:
        self.saving = True
        self.action_take()
