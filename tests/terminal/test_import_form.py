"""The form that brings a file in."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from console.tui.file_names import complete_file, data_files
from tests.held import hold_at
from tests.terminal.stage import on_stage, press, session, until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_name_is_completed_to_a_file_that_can_be_read_or_to_a_folder(tmp_path: Path) -> None:
    (tmp_path / "flights.csv").write_text("a\n1\n")
    (tmp_path / "flights.py").write_text("")
    (tmp_path / "months").mkdir()
    assert complete_file(f"{tmp_path}/fl") == f"{tmp_path}/flights.csv"
    assert complete_file(f"{tmp_path}/mo") == f"{tmp_path}/months/"
    assert complete_file(f"{tmp_path}/flights.csv") is None
    assert complete_file(f"{tmp_path}/absent/x") is None
    assert data_files(str(tmp_path)) == ("flights.csv",)


async def test_tab_completes_the_file_then_goes_on_and_the_dataset_is_named_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.csv").write_text("a,b\n1,2\n")
    (tmp_path / "fresh.csv").write_text("a,b\n3,4\n")
    async with on_stage(session(tmp_path / "w")) as (app, pilot):
        await press(app, pilot, "2", "i", *"old.csv", "ctrl+s")
        await until(app, pilot, "old@1")
        await press(app, pilot, "2", "i", *"fr")
        await press(app, pilot, "tab")
        await until(app, pilot, "fresh.csv")
        await press(app, pilot, "tab", "tab", *"noted", "ctrl+s")
        await until(app, pilot, "fresh@1")
        assert app.session is not None
        found = app.session.backend.need("datasets").version("fresh@1")
        assert found.note == "noted"


async def test_a_file_that_is_not_there_is_told_with_the_one_that_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "big.csv").write_text("a\n1\n")
    async with on_stage(session(tmp_path / "w")) as (app, pilot):
        await press(app, pilot, "2", "i", *"big", "ctrl+s")
        await until(app, pilot, "did you mean big.csv?")


async def test_a_folder_and_a_query_come_in_by_the_same_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for month in (1, 2):
        (tmp_path / f"flights/month={month}").mkdir(parents=True)
        (tmp_path / f"flights/month={month}/a.csv").write_text(f"a\n{month}\n")
    with closing(sqlite3.connect(tmp_path / "f.db")) as connection:
        connection.execute("CREATE TABLE f (id INTEGER)")
        connection.executemany("INSERT INTO f VALUES (?)", [(number,) for number in range(7)])
        connection.commit()
    async with on_stage(session(tmp_path / "w"), size=(120, 30)) as (app, pilot):
        await press(app, pilot, "2", "i", *"flights", "ctrl+s")
        await until(app, pilot, "flights@1: 2 rows, 2 columns. 2 files")
        await press(app, pilot, "i", *"sqlite:///f.db", "tab", *"rows", "ctrl+s")
        await until(app, pilot, "this is a database: write the query")
        await press(app, pilot, "tab", "tab", *"SELECT id FROM f ORDER BY id", "enter")
        await until(app, pilot, "rows@1: 7 rows")
        assert app.session is not None
        assert "SELECT id FROM f" in app.session.backend.need("datasets").version("rows@1").source


async def test_a_password_is_not_taken_from_the_form(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path / "w"), size=(120, 30)) as (app, pilot):
        await press(app, pilot, "2", "i", *"postgresql://ann:geheim@db/f", "tab", *"x", "ctrl+s")
        await until(app, pilot, "$NAME")
        await press(app, pilot, "escape", "i", *"$NO_SUCH_URL", "tab", *"x", "ctrl+s")
        await until(app, pilot, "NO_SUCH_URL, which is not set")


async def test_an_import_under_way_is_stopped_by_its_key_and_a_yes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_at("", tmp_path, monkeypatch)
    long = tmp_path / "long.csv"
    long.write_text("a,b\n" + "".join(f"{number},{number}\n" for number in range(100_000)))
    async with on_stage(session(tmp_path / "w"), size=(120, 30)) as (app, pilot):
        await press(app, pilot, "2", "x")
        await until(app, pilot, "no import or transform is under way")
        await press(app, pilot, "i", *str(long), "ctrl+s")
        shown = await until(app, pilot, "x stops")
        assert "importing long.csv" in shown
        assert "eta" in shown
        await press(app, pilot, "x")
        await until(app, pilot, "Stop importing long.csv")
        await press(app, pilot, "y")
        await until(app, pilot, "nothing of it was kept")
        assert app.session is not None
        assert not app.session.backend.need("datasets").page().items
        assert not list((tmp_path / "w" / "tmp").iterdir())
