"""The form that adds a context: what cannot be meant is said in it, what does not answer asks once more."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.config import load_config
from tests.mlflow_server import free_port
from tests.terminal.stage import add_run, on_stage, press, screen, session, until, until_so


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "config.toml"


async def test_a_workspace_is_added_with_its_care_and_opened(config: Path, tmp_path: Path) -> None:
    other = session(tmp_path / "other")
    add_run(other.backend, "fraud-hgb")
    other.backend.close()
    async with on_stage(session(tmp_path / "w")) as (app, pilot):
        await press(app, pilot, "colon", *"context-add lab", "enter")
        await until(app, pilot, "Add a context")
        await press(app, pilot, "tab", "ctrl+s")
        await until(app, pilot, "a name and an address are wanted")
        await press(app, pilot, *str(tmp_path / "other"), *["enter"] * 8, "down", "ctrl+s")
        await until(app, pilot, "PRODUCTION")
        assert app.session is not None
        assert app.session.context.name == "lab"
    found = load_config().context("lab")
    assert (found.workspace, found.production) == (str(tmp_path / "other"), True)


async def test_a_registry_that_does_not_answer_is_added_only_with_a_yes(config: Path, tmp_path: Path) -> None:
    url = f"oci+http://127.0.0.1:{free_port()}/team"
    for answer in ("n", "y"):
        async with on_stage(session(tmp_path / "w")) as (app, pilot):
            await press(app, pilot, "colon", *"context-add team", "enter")
            await until(app, pilot, "Add a context")
            await press(app, pilot, "tab", *url, "ctrl+s")
            await until(app, pilot, "It does not answer")
            assert "127.0.0.1" in screen(app)
            assert not config.exists()
            await press(app, pilot, answer)
            if answer == "y":
                await until_so(pilot, config.exists)
    assert load_config().context("team").registry == url


async def test_what_cannot_be_meant_is_said_in_the_form(config: Path, tmp_path: Path) -> None:
    async with on_stage(session(tmp_path / "w")) as (app, pilot):
        await press(app, pilot, "colon", *"context-add team", "enter")
        await until(app, pilot, "Add a context")
        await press(app, pilot, "tab", *str(tmp_path / "v"), *["enter"] * 4, "enter", *"tenent=ml", "ctrl+s")
        await until(app, pilot, "did you mean tenant")
    assert not config.exists()
