"""Two marked versions held against each other on the screen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from console.tui.diff_screen import DiffScreen
from tests.terminal.stage import drawn, on_stage, press, screen, session, until_so
from tests.unit.test_data_profile import keep


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_worst_column_comes_first_and_is_drawn(tmp_path: Path, size: tuple[int, int]) -> None:
    opened = session(tmp_path / "w")
    rng = np.random.default_rng(0)
    for shift in (0, 3):
        day = np.datetime64("2013-01-01") + rng.integers(0, 30, 900)
        carrier = rng.choice(["AA", "[red]UA\x1b[31m"], 900)
        table = pa.table({"same": rng.normal(size=900), "moved": rng.normal(shift, 1, 900), "day": day, "by": carrier})
        keep(opened.backend, table, "flights")
    async with on_stage(opened, size=size) as (app, pilot):
        await press(app, pilot, "2", "enter")
        await until_so(pilot, lambda: app.pane.level.dataset == "flights" and app.pane.table.cursor_row is not None)
        await press(app, pilot, "space", "space", "c")
        await until_so(pilot, lambda: isinstance(app.screen, DiffScreen))
        shown = screen(app).splitlines()
        assert "flights@1 → flights@2" in shown[0]
        (line,) = [line for line in shown if "moved far" in line]
        assert line.split()[1] == "moved"
        assert "0 %" in line.replace("\u2009", " "), "the share of missing values fits"
        assert any("█" in line for line in shown)
        app.screen.body.select("day")
        await drawn(app)
        assert "2013-01-30" in screen(app)
        app.screen.body.select("by")
        await drawn(app)
        assert "\x1b" not in screen(app)
        await press(app, pilot, "escape")
        assert not isinstance(app.screen, DiffScreen)
