"""What is typed in one breath after `:` or `/` belongs to the line, and never to the actions behind it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from textual import events
from textual.binding import Binding, BindingType

from console.tui.lines import Line
from console.tui.reading import ReadingScreen
from tests.terminal.stage import add_run, on_stage, press, session, until, until_so

NAMES = {":": "colon", "/": "slash", "=": "equals_sign", " ": "space", "\r": "enter"}


def keys(text: str) -> list[events.Key]:
    return [events.Key(NAMES.get(character, character), character) for character in text]


@pytest.mark.parametrize("typed", [":runs status=failed\r", ":runs name = tbx\r"])
async def test_a_command_typed_in_one_breath_arrives_whole(tmp_path: Path, typed: str) -> None:
    opened = session(tmp_path / "ws")
    add_run(opened.backend)
    async with on_stage(opened, pane="datasets") as (app, pilot):
        for key in keys(typed):
            app.post_message(key)
        await pilot.pause()
        await app.idle()
        assert app.pane is not None
        assert (app.pane.PANE, app.pane.query_text) == ("runs", typed.strip()[6:])
        assert len(app.screen_stack) == 1, "a letter of the command opened a dialog"


async def test_a_filter_typed_in_one_breath_arrives_whole(tmp_path: Path) -> None:
    opened = session(tmp_path / "ws")
    add_run(opened.backend)
    async with on_stage(opened, pane="runs") as (app, pilot):
        for key in keys("/tbxu"):
            app.post_message(key)
        await pilot.pause()
        await app.idle()
        assert getattr(app.focused, "value", None) == "tbxu"
        assert len(app.screen_stack) == 1


class BeingLaid(ReadingScreen):
    """One that does not stand yet, until it is said so: as on a machine that is busy."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "agree", "agree")]

    def __init__(self) -> None:
        super().__init__("slow", [Line([("here it is", "")])])
        self.stands = False
        self.agreed = False

    @property
    def is_mounted(self) -> bool:
        return self.stands and super().is_mounted

    def action_agree(self) -> None:
        self.agreed = True


async def test_a_key_on_its_way_to_the_list_is_none_for_a_screen_that_is_being_laid(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path)) as (app, pilot):
        laid = BeingLaid()
        app.push_screen(laid)
        await until(app, pilot, "here it is")
        await press(app, pilot, "y", "escape")
        assert app.screen is laid, "taken away before it stands it could not stand at all"
        assert not laid.agreed, "nobody has seen what they agree to"
        laid.stands = True
        await press(app, pilot, "y", "escape")
        assert laid.agreed
        await until_so(pilot, lambda: app.screen is not laid)
