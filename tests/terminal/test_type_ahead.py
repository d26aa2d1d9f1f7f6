"""What is typed in one breath after `:` or `/` belongs to the line, and never to the actions behind it."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events

from tests.terminal.stage import add_run, on_stage, session

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
