"""Hostile texts as the name of everything, in every pane, at every level, in every dialog: nothing breaks, nothing is
obeyed, nothing can be clicked."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from textual import events

from backends.contract import Backend
from console.tui.dialogs import Choose, Confirm, Dialog
from tests.hostile import HOSTILE, on_screen_is_harmless
from tests.hostile_workspace import LOG, TEXTS, WATCHED, fill
from tests.terminal.stage import on_stage, press, session, until_so

ROWS = len(TEXTS) + 2


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "ws"
    fill(folder).close()
    return folder


def look(app) -> str:
    """The screen as text, after every cell of it was found harmless and nowhere a link or an action."""
    lines = []
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            assert on_screen_is_harmless(segment.text), ascii(segment.text)
            style = segment.style
            if style is not None:
                assert style.link is None, segment
                assert "@click" not in style.meta, segment
        lines.append("".join(segment.text for segment in strip).rstrip())
    assert app.is_running
    assert app._exception is None
    return "\n".join(lines)


async def settled(app, pilot, seconds: float = 60) -> str:
    """Once the pane has its answer; a dialog keeps its action's worker, so the app itself may not be idle."""
    end = time.monotonic() + seconds
    while app.pane is None or app.pane.busy:
        assert time.monotonic() < end, "the pane never answers"
        await asyncio.sleep(0.01)
    await pilot.pause()
    return look(app)


async def dialog(app, pilot, seconds: float = 60) -> str:
    """Once a dialog is there."""
    end = time.monotonic() + seconds
    while not isinstance(app.screen, Dialog):
        assert time.monotonic() < end, f"no dialog came:\n{look(app)}"
        await asyncio.sleep(0.01)
        await pilot.pause()
    return look(app)


async def closed(app, pilot) -> None:
    """Back on the frame, whatever was laid over it."""
    for _ in range(5):
        if len(app.screen_stack) == 1:
            break
        await press(app, pilot, "escape")
        await asyncio.sleep(0.01)
    await app.idle()
    await pilot.pause()
    assert len(app.screen_stack) == 1
    look(app)


def row_count(app) -> int:
    counted = app.pane.table.count
    return counted.value if counted else 0


# ---------------------------------------------------------------- the lists


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
@pytest.mark.parametrize("pane", ["runs", "models", "datasets", "monitor", "journal"])
async def test_each_row_of_each_list_is_shown_and_described(home: Path, pane: str, size: tuple[int, int]) -> None:
    async with on_stage(session(home), size=size, pane=pane) as (app, pilot):
        look(app)
        assert row_count(app) >= len(TEXTS) - 2
        for number in range(min(row_count(app), ROWS) // (3 if size[0] == 80 else 1)):
            await press(app, pilot, *(["pagedown"] if size[0] == 80 else ["j"]))
            look(app)
            if size[0] == 80 or number % 4:
                continue
            await press(app, pilot, "d")
            look(app)
            await press(app, pilot, "escape")


async def test_the_overview_shows_them_all(home: Path) -> None:
    async with on_stage(session(home), size=(120, 40)) as (app, pilot):
        for _ in range(45):
            await press(app, pilot, "j")
            look(app)
            assert app.pane.PANE == "overview"
        await press(app, pilot, "d")
        look(app)


async def test_a_click_on_a_link_of_somebody_does_nothing(home: Path) -> None:
    """`[@click=app.quit]press me[/]` is on the screen as it is written, and the app does not end when it is clicked."""
    async with on_stage(session(home), size=(160, 50), pane="models") as (app, pilot):
        await press(app, pilot, "g")
        app.apply_filter(app.pane, "name ~ 'press me'")
        await app.idle()
        await pilot.pause()
        found = [
            (line.index("press me"), number)
            for number, line in enumerate(look(app).splitlines())
            if "[@click=app.quit]press me[/]" in line
        ]
        assert found
        for column, line in found:
            await pilot.click(offset=(column, line))
            await pilot.hover(offset=(column, line))
            await pilot.pause()
            look(app)
        assert app.return_value is None


# ---------------------------------------------------------------- deeper


async def test_columns_and_rows_of_a_dataset(home: Path) -> None:
    async with on_stage(session(home), size=(120, 40), pane="datasets") as (app, pilot):
        app.show_pane("datasets", "wide@1")
        await settled(app, pilot)
        assert row_count(app) == len(TEXTS)
        for _ in range(len(TEXTS)):
            await press(app, pilot, "j")
            look(app)
        await press(app, pilot, "enter")
        await settled(app, pilot)
        await press(app, pilot, "escape")
        app.pane.view_rows()
        await until_so(pilot, lambda: not app.pane.busy and app.pane.table.cursor_row is not None)
        assert app.pane.crumbs()[-1] == f"row 1 of {len(TEXTS)}"
        for key in [*["j"] * len(TEXTS), *["right"] * 12]:
            await press(app, pilot, key)
            look(app)
        await press(app, pilot, "d")
        look(app)


async def test_the_versions_of_every_dataset_and_model(home: Path) -> None:
    opened = session(home)
    names = {
        "datasets": [each.name for each in opened.backend.datasets.page(limit=200).items],
        "models": [each.name for each in opened.backend.registry.page(limit=200).items],
    }
    async with on_stage(opened, size=(120, 40), pane="models") as (app, pilot):
        for pane, found in names.items():
            app.show_pane(pane)
            await settled(app, pilot)
            for name in found[::4]:
                app.pane.table.go_to(name)
                await press(app, pilot, "enter")
                await settled(app, pilot)
                assert len(app.pane.crumbs()) == 2
                await press(app, pilot, "escape")
                await settled(app, pilot)


async def test_the_features_of_a_monitor(home: Path) -> None:
    async with on_stage(session(home), size=(120, 40), pane="monitor") as (app, pilot):
        app.pane.enter(WATCHED)
        await settled(app, pilot)
        assert row_count(app) >= len(TEXTS) - 1
        for _ in range(len(TEXTS)):
            await press(app, pilot, "j")
            look(app)
        await press(app, pilot, "enter")
        await settled(app, pilot)
        await press(app, pilot, "d")
        look(app)


async def test_a_run_on_the_full_screen_and_its_log(home: Path) -> None:
    async with on_stage(session(home), size=(120, 40), pane="runs") as (app, pilot):
        for text in (WATCHED, HOSTILE["clipboard"], HOSTILE["long wide"], HOSTILE["combining"]):
            run = next(r for r in app.session.backend.runs.page(limit=500).items if r.name == text)
            app.show_pane("runs", f"id = '{run.id}'")
            await settled(app, pilot)
            await press(app, pilot, "enter")
            await settled(app, pilot)
            await closed(app, pilot)
            await press(app, pilot, "escape", "escape")
        app.show_pane("runs", f"name = '{LOG}'")
        await settled(app, pilot)
        await press(app, pilot, "l")
        await app.idle()
        await pilot.pause()
        assert "hostile log" in look(app)
        for key in ("g", "w", "pagedown", "pagedown", "right", "G", "slash", "x", "enter", "n"):
            await press(app, pilot, key)
            look(app)


async def test_runs_are_compared(home: Path) -> None:
    async with on_stage(session(home), size=(120, 40), pane="runs") as (app, pilot):
        app.apply_filter(app.pane, "status = finished")
        await settled(app, pilot)
        await press(app, pilot, *["space", "j"] * 8, "c")
        await until_so(pilot, lambda: len(app.screen_stack) > 1)
        look(app)
        await press(app, pilot, "pagedown", "pagedown")
        look(app)


# ---------------------------------------------------------------- questions


@pytest.mark.parametrize("production", [False, True])
async def test_every_model_is_asked_about(home: Path, production: bool) -> None:
    """Promotion with its choice of a version and its case, rollback, and the note: asked, read, and left."""
    opened = session(home, production=production)
    backend: Backend = opened.backend
    held = len(backend.registry.history(WATCHED))
    async with on_stage(opened, size=(110, 40), pane="models") as (app, pilot):
        for model in backend.registry.page(limit=200).items[production::6]:
            app.pane.table.go_to(model.name)
            await press(app, pilot, "p")
            await dialog(app, pilot)
            assert isinstance(app.screen, Choose)
            await press(app, pilot, "1", "enter")
            await until_so(pilot, lambda: isinstance(app.screen, Confirm) or app.problem is not None)
            look(app)
            await closed(app, pilot)
            await press(app, pilot, "n")
            await dialog(app, pilot)
            await closed(app, pilot)
        assert len(backend.registry.history(WATCHED)) == held


async def test_every_run_and_alert_is_asked_about(home: Path) -> None:
    async with on_stage(session(home), size=(110, 40), pane="runs") as (app, pilot):
        app.apply_filter(app.pane, "status = finished")
        await settled(app, pilot)
        for number in range(10):
            await press(app, pilot, "r" if number % 2 else "n")
            await dialog(app, pilot)
            await closed(app, pilot)
            await press(app, pilot, "j", "j", "j")
        app.show_pane("overview")
        await settled(app, pilot)
        asked = 0
        for _ in range(5):
            await press(app, pilot, "a")
            look(app)
            asked += isinstance(app.screen, Dialog)
            await closed(app, pilot)
            await press(app, pilot, "j", "j")
        assert asked > 2


# ---------------------------------------------------------------- typed


async def paste(app, pilot, text: str) -> None:
    app.screen.focused.post_message(events.Paste(text))
    await pilot.pause()


@pytest.mark.parametrize("key", ["colon", "slash", "question_mark", "ctrl+p"])
async def test_what_is_pasted_into_a_bar_is_harmless(home: Path, key: str) -> None:
    async with on_stage(session(home), size=(110, 30), pane="runs") as (app, pilot):
        await press(app, pilot, key)
        for text in TEXTS.values():
            app.screen.focused.value = ""
            await paste(app, pilot, text)
            look(app)
        for name in ("closing markup", "clipboard"):
            app.screen.focused.value = ""
            await paste(app, pilot, TEXTS[name])
            await press(app, pilot, "enter")
            look(app)
            await press(app, pilot, "escape", "escape", key)


@pytest.mark.parametrize("scope", ["params.", "metrics.", "tags.", ""])
async def test_completion_offers_hostile_keys_harmlessly(home: Path, scope: str) -> None:
    async with on_stage(session(home), size=(110, 30), pane="runs") as (app, pilot):
        await press(app, pilot, "slash", *scope)
        for _ in range(12):
            await asyncio.sleep(0.02)
            await pilot.pause()
            look(app)
        for _ in range(3):
            await press(app, pilot, "tab")
            look(app)


async def test_toasts_and_errors_say_what_was_done_to_whom(home: Path) -> None:
    async with on_stage(session(home), size=(110, 30)) as (app, pilot):
        for text in HOSTILE.values():
            app.tell(text, severity="warning")
            app.show_problem(ValueError(text), text)
            await pilot.pause()
            look(app)
        await press(app, pilot, "enter")
        look(app)
