from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.terminal.stage import add_run, add_version, on_stage, press, screen, session, until


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize(
    ("key", "end"),
    [
        ("2", "mlops-console dataset import FILE"),
        ("3", "mlops-console run start RECIPE.toml"),
        ("4", "mlops-console model register RUN"),
    ],
)
async def test_an_empty_list_says_the_whole_of_its_sentence(
    tmp_path: Path, size: tuple[int, int], key: str, end: str
) -> None:
    async with on_stage(session(tmp_path), size) as (app, pilot):
        await press(app, pilot, key)
        await app.idle()
        await pilot.pause()
        words = re.sub(r"[\s│]+", " ", screen(app))
    assert end in words


async def test_details_come_with_the_first_row(tmp_path: Path) -> None:
    opened = session(tmp_path)
    async with on_stage(opened, (120, 40)) as (app, pilot):
        await press(app, pilot, "4")
        await until(app, pilot, "No models yet")
        assert "│" not in screen(app)
        add_version(opened.backend, "churn", add_run(opened.backend))
        assert "│" in await until(app, pilot, "churn")
