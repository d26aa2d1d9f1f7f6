"""The form that adds a context: what cannot be meant is said in it, what does not answer asks once more."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.capacity import CapacityTable
from console.config import Context, load_config
from console.contexts.fields import SAID
from console.tui.dialogs import InputLine
from tests.ports import free_port
from tests.terminal.stage import add_run, on_stage, press, screen, session, until, until_so


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "config.toml"


def down_to(key: str) -> list[str]:
    """Keys that lead from the address to a line of the form."""
    asked = [each.key for each in SAID if each.label]
    return ["enter"] * (asked.index(key) - asked.index("url"))


async def test_a_workspace_is_added_with_its_care_and_opened(config: Path, tmp_path: Path) -> None:
    other = session(tmp_path / "other")
    add_run(other.backend, "fraud-hgb")
    other.backend.close()
    async with on_stage(session(tmp_path / "w")) as (app, pilot):
        await press(app, pilot, "colon", *"context-add lab", "enter")
        await until(app, pilot, "Add a context")
        await press(app, pilot, "tab", "ctrl+s")
        await until(app, pilot, "a name and an address are wanted")
        await press(app, pilot, *str(tmp_path / "other"), *down_to("production"), "down", "ctrl+s")
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
        await press(app, pilot, "tab", *str(tmp_path / "v"), *down_to("metrics_options"), *"tenent=ml", "ctrl+s")
        await until(app, pilot, "did you mean tenant")
    assert not config.exists()


async def test_the_form_asks_for_all_that_the_command_takes(config: Path, tmp_path: Path) -> None:
    said = {
        "name": "", "url": str(tmp_path / "v"), "launcher": "slurm:",
        "launcher_options": "token_env=RAY partition=work", "retention": 'keep_deleted="30 d", monitors.minutes="2 d"',
        "capacity": "runs=2 memory='32 GB'", "read_only": "yes", "approvals": "2", "note": "ours",
    }  # fmt: skip
    async with on_stage(session(tmp_path / "w")) as (app, pilot):
        await press(app, pilot, "colon", *"context-add all", "enter")
        await until(app, pilot, "Add a context")
        for each in SAID:
            if each.label and said.get(each.key):
                await press(app, pilot, *said[each.key])
            if each.label and each.key != "note":
                await press(app, pilot, "enter")
        for wrong in ("22", "two"):
            form = app.screen
            line = form.query_one(f"#field-{[e.key for e in SAID if e.label].index('approvals')}", InputLine)
            line.value = wrong
            await press(app, pilot, "ctrl+s")
            await until(app, pilot, "a number up to 20 is wanted")
            line.value = "2"
        await press(app, pilot, "ctrl+s")
        await until_so(pilot, lambda: "It does not answer" in screen(app) or config.exists())
        if not config.exists():
            await press(app, pilot, "y")
        await until_so(pilot, config.exists)
    found = load_config().context("all")
    assert (found.launcher, found.launcher_token_env) == ("slurm:", "RAY")
    assert found.launcher_options == {"partition": "work"}
    assert found.retention is not None
    assert (found.retention.keep_deleted, found.retention.monitors) == ("30 d", {"minutes": "2 d"})
    assert found.capacity == CapacityTable(runs=2, memory="32 GB")
    assert (found.read_only, found.approvals, found.note) == (True, 2, "ours")


def test_nothing_of_a_context_is_left_out() -> None:
    asked = {each.key for each in SAID}
    assert all(len(each.note) <= 76 for each in SAID if each.label), "a form shows it whole in 80 columns"
    assert {field for field in Context.__struct_fields__ if field != "registry"} <= asked
    assert all(each.option or each.key in ("name", "url", "read_only") for each in SAID)
    assert {each.key for each in SAID if not each.label} == {
        "launcher_token_env", "launcher_token_file", "launcher_token_command"
    }, "those are pairs of the launcher's options in the form"  # fmt: skip
