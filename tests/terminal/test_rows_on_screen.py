"""Rows of a version on the screen: to a number, from hit to hit, by columns; and what a column means."""

from __future__ import annotations

from pathlib import Path

from tests.terminal.stage import on_stage, press, screen, session, until, until_so


def made(tmp_path: Path, columns: int = 30, rows: int = 3000) -> Path:
    names = ",".join(["number", *(f"column{at:02d}" for at in range(1, columns))])
    lines = [
        ",".join([str(n), *("rare" if n in (700, 2500) else f"v{n}" for _ in range(1, columns))]) for n in range(rows)
    ]
    path = tmp_path / "wide.csv"
    path.write_text(names + "\n" + "\n".join(lines) + "\n")
    return path


async def test_rows_are_reached_by_number_by_search_and_by_column(tmp_path: Path) -> None:
    path = made(tmp_path)
    async with on_stage(session(tmp_path / "w"), size=(80, 24)) as (app, pilot):

        def row() -> int:
            found = app.pane.table.cursor_row
            return found[0] if isinstance(found, tuple) else -1

        await press(app, pilot, "2", "i", *str(path), "ctrl+s")
        await until(app, pilot, "wide@1")
        await press(app, pilot, "v")
        await until_so(pilot, lambda: row() == 0)
        await press(app, pilot, "number_sign", *"2000", "enter")
        await until_so(pilot, lambda: row() == 1999)
        await press(app, pilot, "slash", *"rare", "enter")
        await until_so(pilot, lambda: row() == 2500)
        await press(app, pilot, "F")
        await until_so(pilot, lambda: row() == 700)
        await press(app, pilot, "f")
        await until_so(pilot, lambda: row() == 2500)
        assert "column20" not in screen(app)
        await press(app, pilot, *["right"] * 19)
        await until(app, pilot, "column20")
        assert "    #  " in screen(app), "the row's number stays"
        await press(app, pilot, *["left"] * 19)
        await until(app, pilot, "number")


async def test_n_on_a_column_says_what_it_means_and_is_measured_in(tmp_path: Path) -> None:
    path = made(tmp_path, columns=3, rows=50)
    async with on_stage(session(tmp_path / "w"), size=(120, 40)) as (app, pilot):
        await press(app, pilot, "2", "i", *str(path), "ctrl+s")
        await until(app, pilot, "wide@1")
        await press(app, pilot, "enter")
        await until_so(pilot, lambda: app.pane.level.dataset == "wide" and app.pane.table.cursor_row is not None)
        await app.idle()
        await press(app, pilot, "enter")
        await until_so(pilot, lambda: app.pane.profile is not None)
        await until(app, pilot, "quantiles")
        await press(app, pilot, "n", *"km", "tab", *"how far", "ctrl+s")
        await until(app, pilot, "how far")
        column = app.session.backend.need("datasets").version("wide@1").columns[0]
        assert (column.name, column.unit, column.note) == ("number", "km", "how far")
