"""The preview of a clean-up on the screen: tiers, sizes, what may be left out, and the typed name before it goes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from console.tui.clean_screen import CleanScreen
from console.tui.dialogs import Confirm, Form
from tests.terminal.stage import add_run, by, on_stage, press, screen, session, until, until_so

HOSTILE = "[red]evil\x1b[31m\u202e"


def fill(opened) -> None:
    backend, home = opened.backend, opened.workspace
    for name in ("gone", HOSTILE, "back", "old"):
        run = add_run(backend, name).id
        (home / "tmp" / "m").write_bytes(name.encode() + b"x" * 5_000)
        backend.need("artifacts").put(run, "model", home / "tmp" / "m")
        (home / "tmp" / "m").unlink()
        if name != "old":
            backend.need("runs").delete(run, by())
    (home / "tmp" / "draft").write_bytes(b"d" * 1_000)
    os.utime(home / "tmp" / "draft", (time.time() - 7_200,) * 2)
    time.sleep(0.01)


async def command(app, pilot, text: str) -> None:
    await press(app, pilot, "colon", *(("space" if letter == " " else letter) for letter in text), "enter")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_what_goes_is_seen_left_out_restored_and_removed_by_the_typed_name(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    opened = session(tmp_path / "w")
    fill(opened)
    runs = opened.backend.need("runs")
    async with on_stage(opened, size=size) as (app, pilot):
        await command(app, pilot, "clean 0d")
        await until_so(pilot, lambda: isinstance(app.screen, CleanScreen))
        shown = screen(app)
        assert "3 deleted runs" in shown
        assert "left over · asks for a yes" in shown
        assert "1.0 kB" in shown
        assert "5.0 kB" in shown
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "[red]evil" in shown
        keys = [line.key for line in app.screen.body.lines if line.key.startswith("run:")]
        named = {line.value.name.split(" ")[0]: line.key for line in app.screen.body.lines if line.key in keys}

        first = app.screen
        app.screen.body.select(named["back"])
        await press(app, pilot, "D")
        await until_so(pilot, lambda: isinstance(app.screen, Confirm))
        await press(app, pilot, "y")
        await until_so(pilot, lambda: isinstance(app.screen, CleanScreen) and app.screen is not first)
        assert "2 deleted runs" in screen(app)

        first = app.screen
        app.screen.body.select(
            next(line.key for line in first.body.lines if line.value and line.value.name.startswith("old "))
        )
        await press(app, pilot, "space")
        await until_so(pilot, lambda: isinstance(app.screen, CleanScreen) and app.screen is not first)
        assert "left out by you" in app.screen.body.text()

        await press(app, pilot, "r")
        await until_so(pilot, lambda: isinstance(app.screen, Confirm))
        await press(app, pilot, "y", "enter")
        assert isinstance(app.screen, Confirm), "y alone does not do it"
        assert runs.count(deleted=True).value == 2
        app.screen.query_one("#confirm-word").value = ""
        await press(app, pilot, *"local", "enter")
        await until_so(pilot, lambda: runs.count(deleted=True).value == 0)
        await until_so(pilot, lambda: app.screen is app.frame)
    assert sorted(run.name for run in runs.page().items) == ["back", "old"]
    kept = next(run for run in runs.page().items if run.name == "old")
    assert opened.backend.need("artifacts").open(kept.id, "model").is_file(), "it was left out"
    purged = [each for each in opened.backend.need("journal").page().items if each.action == "run.purge"]
    assert len(purged) == 2
    assert all("clean up: keep_deleted = 0d" in each.reason for each in purged)


async def test_without_a_rule_a_form_asks_and_a_read_only_console_removes_nothing(tmp_path: Path) -> None:
    whole = session(tmp_path / "w")
    fill(whole)
    whole.backend.close()
    opened = session(tmp_path / "w", read_only=True)
    async with on_stage(opened, size=(80, 24)) as (app, pilot):
        await command(app, pilot, "clean")
        await until_so(pilot, lambda: isinstance(app.screen, Form))
        await press(app, pilot, *"soon", "ctrl+s")
        await until(app, pilot, "a time such as 30 d")
        app.screen.query_one("#field-0").value = "0 d"
        await press(app, pilot, "ctrl+s")
        await until_so(pilot, lambda: isinstance(app.screen, CleanScreen))
        assert "3 deleted runs" in screen(app)
        await press(app, pilot, "r")
        await pilot.pause()
        assert not isinstance(app.screen, Confirm)
    assert opened.backend.need("runs").count(deleted=True).value == 3
