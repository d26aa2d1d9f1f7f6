"""Transforming a version from the screen: a look at a sample first, then the versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.terminal.stage import on_stage, press, screen, session, until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

RECIPE = """
[[step]]
do = "split"
key = ["id"]
parts = { learn = 0.5, held = 0.5 }
[[step]]
do = "normalise"
columns = ["x"]
"""


async def test_a_preview_comes_before_the_versions_and_escape_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.csv").write_text("id,x\n" + "".join(f"{n},{n}\n" for n in range(40)))
    (tmp_path / "scale.toml").write_text(RECIPE)
    async with on_stage(session(tmp_path / "w")) as (app, pilot):
        await press(app, pilot, "2", "i", *"old.csv", "ctrl+s")
        await until(app, pilot, "old@1")
        await press(app, pilot, "T", *"absent.toml", "ctrl+s")
        assert "no such file" in screen(app)
        await press(app, pilot, "escape", "T", "down")
        assert "scale.toml" in screen(app)
        await press(app, pilot, "ctrl+s")
        await until(app, pilot, "normalise")
        assert "→ learn" in screen(app)
        assert "→ held" in screen(app)
        await press(app, pilot, "enter")
        await until(app, pilot, "PART learn")
        await press(app, pilot, "escape", "escape")
        assert app.session is not None
        datasets = app.session.backend.need("datasets")
        assert [each.name for each in datasets.page().items] == ["old"]
        await press(app, pilot, "T", "down", "ctrl+s")
        await until(app, pilot, "normalise")
        await press(app, pilot, "y")
        await until(app, pilot, "old-scale-held")
        assert {each.name for each in datasets.page().items} == {"old", "old-scale-learn", "old-scale-held"}
        assert datasets.version("old-scale-learn").made_by == "transform:scale@1"
