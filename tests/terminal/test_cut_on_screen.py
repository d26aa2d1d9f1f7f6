"""A list that scrolls: what is cut ends beside the scroll bar, not beneath it."""

from __future__ import annotations

from pathlib import Path

from console.tui.lines import LineList, text_lines
from console.tui.reading import ReadingScreen
from tests.terminal.stage import on_stage, screen, session, until


async def test_a_cut_line_shows_its_ellipsis_beside_a_scroll_bar(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path), size=(80, 24)) as (app, pilot):
        app.push_screen(ReadingScreen("long", text_lines(f"line {number} " + "x" * 100 for number in range(60))))
        await until(app, pilot, "line 5 ")
        assert app.screen.query_one(LineList).show_vertical_scrollbar
        rows = [row for row in screen(app).splitlines() if row.startswith("line ")]
        assert len(rows) > 10
        assert all("…" in row for row in rows)
