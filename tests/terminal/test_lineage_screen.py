"""`o`: where what is under the cursor comes from, and what was made from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.terminal.stage import on_stage, press, session, until
from tests.unit.test_lineage import chain


@pytest.mark.parametrize("pane", ["2", "3", "4"])
async def test_the_tree_is_shown_from_datasets_runs_and_models(tmp_path: Path, pane: str) -> None:
    opened = session(tmp_path / "w")
    run = chain(opened.backend)
    async with on_stage(opened, size=(80, 24)) as (app, pilot):
        await press(app, pilot, pane)
        await app.idle()
        if pane == "2":
            await press(app, pilot, "down")  # to clean, after airports
        await press(app, pilot, "o")
        shown = await until(app, pilot, "made into")
        assert "dataset clean@1" in shown
        assert "definition transform:tidy@3" in shown
        assert f"run fit {run[:8]}" in shown
        assert "monitor watch" in shown
        assert len(shown.splitlines()) <= 24
