"""The form that brings a file in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.tui.file_names import complete_file, data_files
from tests.terminal.stage import on_stage, press, screen, session, until

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
        await until(app, pilot, "old@1", timeout=20.0)
        await press(app, pilot, "2", "i", *"fr")
        await press(app, pilot, "tab")
        assert "fresh.csv" in screen(app)
        await press(app, pilot, "tab", "tab", *"noted", "ctrl+s")
        await until(app, pilot, "fresh@1", timeout=20.0)
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
        assert "did you mean big.csv?" in screen(app)
