"""The form that is made of a command recipe's parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.entities import RunStatus
from console.agent import stop_agent
from console.tui.dialogs import Form
from tests.terminal.stage import on_stage, press, screen, session, until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

RECIPE = """
command = "sh -c 'echo lr is $0' {lr}"
name = "small"
[params.lr]
type = "float"
default = 0.1
high = 1
help = "step of the descent"
[params.kind]
default = "tree"
choices = ["tree", "line"]
[env]
KIND = "{kind}"
"""


async def test_a_recipe_s_parameters_are_a_form_and_a_run_offers_them_again_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(RECIPE)
    try:
        async with on_stage(session(tmp_path / "w")) as (app, pilot):
            assert app.session is not None
            runs = app.session.backend.need("runs")
            await press(app, pilot, "3", "t")
            await until(app, pilot, "small.toml")
            await press(app, pilot, "down", "enter")
            await until(app, pilot, "step of the descent; float up to 1")
            assert "sh -c 'echo lr is $0' {lr}" in screen(app)
            await press(app, pilot, "ctrl+u", *"7", "ctrl+s")
            await until(app, pilot, "is 7, wanted a value up to 1")
            assert isinstance(app.screen, Form)
            assert not runs.page(limit=1).items
            await press(app, pilot, "ctrl+u", *"0.5", "ctrl+s")
            await until(app, pilot, "finished", 240.0)  # an agent starts first
            (run,) = runs.page(limit=5).items
            assert (run.status, run.params) == (RunStatus.FINISHED, {"lr": "0.5", "kind": "tree"})
            await press(app, pilot, "t")
            await until(app, pilot, "again, with changes")
            await press(app, pilot, "enter")
            assert "0.5" in await until(app, pilot, "step of the descent")
    finally:
        stop_agent(tmp_path / "w")
