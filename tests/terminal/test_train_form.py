"""The form that starts a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.tui.dialogs import Form
from tests.terminal.stage import on_stage, press, screen, session, until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_a_mistake_in_the_form_is_told_in_the_form_and_nothing_typed_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.csv").write_text("x,y\n1,a\n2,b\n")
    async with on_stage(session(tmp_path / "w")) as (app, pilot):
        await press(app, pilot, "2", "i", *"small.csv", "ctrl+s")
        await until(app, pilot, "small@1")
        await press(app, pilot, "t")
        await until(app, pilot, "a new recipe")
        await press(app, pilot, "enter")
        await until(app, pilot, "predict")
        await press(app, pilot, "enter")
        await until(app, pilot, "leave out")
        await press(app, pilot, "tab", "tab", *"absent", "ctrl+s")
        assert isinstance(app.screen, Form)
        assert "absent" in screen(app)
        assert "exclude 'absent' is not a column of small@1" in screen(app)
        assert app.session is not None
        assert not app.session.backend.need("runs").page(limit=1).items
