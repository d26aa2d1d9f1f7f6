"""The case for a promotion on the screen: opened by a key, read to its end, and promoted from."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.contract import NotFound
from backends.entities import Report
from console.promotion.promote import promote
from tests.terminal.stage import by, on_stage, press, screen, session, until
from tests.unit.registry import version_of


@pytest.fixture
def opened(tmp_path: Path):
    made = session(tmp_path / "ws")
    for at, auc in enumerate((0.70, 0.80)):
        version_of(made.backend, tmp_path, auc=auc, content=f"model {at}".encode())
    promote(made.backend, "churn", "1", "champion", by("first"), expected=None)
    return made


async def open_case(app, pilot, *keys: str) -> str:
    await until(app, pilot, "v2")
    await press(app, pilot, *keys)
    return await until(app, pilot, "case for churn v2")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_c_shows_the_case_with_its_gates_and_what_was_not_examined(opened, size) -> None:
    async with on_stage(opened, size=size, pane="models", argument="churn") as (app, pilot):
        text = await open_case(app, pilot, "c")
        assert "verdict" in text
        assert "holder" in text
        assert "no interval of the difference" in text  # its held-out predictions were not kept
        said = app.screen.body.text()
        for heading in ("data checks", "bias", "latency and size", "signature and callers", "model file", "lineage"):
            assert heading in said
        assert "mlops-console model replay churn 2" in said
        await press(app, pilot, "end")
        assert "lineage" in screen(app)
        await press(app, pilot, "escape")
        await until(app, pilot, "alias")


async def test_p_in_the_case_promotes_the_very_version(opened) -> None:
    async with on_stage(opened, size=(120, 40), pane="models", argument="churn") as (app, pilot):
        await open_case(app, pilot, "c")
        await press(app, pilot, "p")
        await until(app, pilot, "Promote churn v2")
        await press(app, pilot, "enter")
        assert "latency and size" in await until(app, pilot, "verdict")
        await press(app, pilot, "escape", "y")
        await until(app, pilot, "v1 → v2")
    assert opened.backend.registry.get("churn").aliases["champion"] == "2"


async def test_replay_says_why_there_is_nothing_to_replay(opened) -> None:
    async with on_stage(opened, size=(120, 40), pane="models", argument="churn") as (app, pilot):
        await until(app, pilot, "v2")
        await press(app, pilot, "R")
        await until(app, pilot, "no deployment serves it", 90)


async def test_after_a_replay_its_part_of_the_case_stands_first(opened, monkeypatch) -> None:
    asked = []

    def replayed(_backend, job, actor, **_: object) -> Report:
        asked.append((job.version, job.rows, actor))
        if job.rows == 7:
            raise NotFound("nothing there")
        return Report(kind="replay", subject="churn@2", status="pass", at=1)

    monkeypatch.setattr("console.serving.replayer.replayed", replayed)
    async with on_stage(opened, size=(80, 24), pane="models", argument="churn") as (app, pilot):
        await until(app, pilot, "v2")
        await press(app, pilot, "R")
        await until(app, pilot, "case for churn v2")
        text = await until(app, pilot, "lineage")
        assert "verdict" not in text
        assert asked == [("2", 1_000, "user1@box")]
        await press(app, pilot, "r")  # again, from the case
        await until(app, pilot, "lineage")
        await press(app, pilot, "escape", "colon", *"replay 7", "enter")
        await until(app, pilot, "nothing there")
        assert asked[-1][:2] == ("2", 7)
