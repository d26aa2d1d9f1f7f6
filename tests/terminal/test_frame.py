from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from backends.contract import Unreachable
from backends.entities import RunStatus
from console.tui.actions import ACTIONS
from console.tui.dialogs import Ask, Choose, Confirm, Field, Form, Yes, sentences
from console.tui.errors import ErrorLine
from console.tui.keymap import Keymap, default_keys
from console.tui.theme import PALETTES
from tests.hostile import HOSTILE, on_screen_is_harmless
from tests.terminal.stage import (
    Staged,
    add_run,
    add_version,
    by,
    drawn,
    on_stage,
    press,
    screen,
    session,
    until,
    until_so,
)


async def settle(app, pilot) -> None:
    await app.idle()
    await pilot.pause()


async def test_an_empty_workspace_says_how_to_begin(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path), size=(80, 24)) as (app, _):
        text = screen(app)
    assert "Welcome" in text
    assert "Nothing runs. Press t to train" in text
    assert "t train" in text.splitlines()[-1]


async def test_the_overview_shows_what_needs_you_and_what_is_in_production(tmp_path: Path) -> None:
    opened = session(tmp_path)
    run = add_run(opened.backend)
    add_run(opened.backend, "broken", RunStatus.FAILED)
    add_run(opened.backend, "busy", RunStatus.RUNNING)
    version = add_version(opened.backend, "churn", run)
    opened.backend.registry.set_alias("churn", "champion", version.version, expected=None, mutation=by("first"))
    async with on_stage(opened) as (app, _):
        text = screen(app)
    assert "Welcome" not in text
    assert "✕ failed" in text
    assert "it broke" in text
    assert "v1 champion" in text
    assert "▶ running" in text
    assert "1 running" in text.splitlines()[0]


async def test_a_change_elsewhere_arrives_by_itself(tmp_path: Path) -> None:
    opened, other = session(tmp_path), session(tmp_path)
    async with on_stage(opened) as (app, pilot):
        add_run(other.backend, "from-elsewhere", RunStatus.RUNNING)
        await until(app, pilot, "from-elsewhere")


async def test_the_cursor_stays_on_its_run_when_others_come(tmp_path: Path) -> None:
    opened = session(tmp_path)
    for name in ("one", "two", "three"):
        add_run(opened.backend, name, RunStatus.RUNNING)
    async with on_stage(opened) as (app, pilot):
        await press(app, pilot, "j")
        held = app.pane.selected()
        for number in range(4):
            add_run(opened.backend, f"new-{number}", RunStatus.RUNNING)
        app.ask_again()
        await settle(app, pilot)
        assert "new-3" in screen(app)
        assert app.pane.selected().id == held.id


async def test_production_is_seen_without_colour(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path, production=True, name="prod")) as (app, _):
        lines = screen(app).splitlines()
    assert "‹prod› PRODUCTION" in lines[0]
    assert set(lines[2]) == {"═"}


async def test_a_small_terminal_says_so(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path), size=(60, 20)) as (app, pilot):
        assert "60x20 is too small" in screen(app)
        await pilot.resize_terminal(80, 24)
        await settle(app, pilot)
        assert "RUNNING" in screen(app)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
async def test_no_line_is_wider_than_the_terminal(tmp_path: Path, size: tuple[int, int]) -> None:
    async with on_stage(session(tmp_path), size=size) as (app, _):
        assert all(len(line) <= size[0] for line in screen(app).splitlines())


@pytest.mark.parametrize("theme", PALETTES)
async def test_every_theme_draws(tmp_path: Path, theme: str) -> None:
    async with on_stage(session(tmp_path), theme=theme) as (app, _):
        assert app.theme == theme
        assert app.ink.theme == theme
        assert "NEEDS YOU" in screen(app)


async def test_no_color_selects_the_colourless_theme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with on_stage(session(tmp_path)) as (app, _):
        assert app.theme == "ansi"
        colours = {
            segment.style.color
            for strip in app.screen._compositor.render_strips()
            for segment in app_filtered(app, strip)
            if segment.style
        }
    assert colours <= {None} or all(color is None or color.is_default for color in colours)


def app_filtered(app, strip):
    from textual.color import Color

    background = Color.parse("black")
    for each in app._filters:
        strip = strip.apply_filter(each, background) if each.enabled else strip
    return strip


# ---------------------------------------------------------------- actions


async def test_a_greyed_action_says_its_reason(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path)) as (app, pilot):
        await press(app, pilot, "x")
        assert "stop: select a run first" in screen(app)


async def test_read_only_greys_every_change(tmp_path: Path) -> None:
    session(tmp_path).backend.close()
    async with on_stage(session(tmp_path, read_only=True)) as (app, pilot):
        assert "READ-ONLY" in screen(app)
        for action in ACTIONS:
            if action.mutates:
                assert "read-only" in action.reason(app.here()), action.id
        await press(app, pilot, "i")
        assert "read-only" in screen(app)


async def test_keys_of_the_person_take_the_place_of_ours(tmp_path: Path) -> None:
    keys = default_keys() | {"help": "f9"}
    async with on_stage(session(tmp_path), keymap=Keymap(keys)) as (app, pilot):
        await press(app, pilot, "question_mark")
        assert "What can be done" not in screen(app)
        await press(app, pilot, "f9")
        assert "What can be done" in screen(app)


async def test_problems_of_the_keymap_are_told(tmp_path: Path) -> None:
    keymap = Keymap(default_keys(), ("keymap.toml: no action promot; did you mean promote?",))
    async with on_stage(session(tmp_path), keymap=keymap) as (app, _):
        assert "keymap.toml: no action promot" in screen(app)


async def test_help_finds_and_does(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path)) as (app, pilot):
        await press(app, pilot, "question_mark", *"journal")
        assert "Every change: who, when, what, why." in screen(app)
        await press(app, pilot, "enter")
        await settle(app, pilot)
        assert app.pane.PANE == "journal"


async def test_the_command_bar_goes_to_a_pane_with_a_filter(tmp_path: Path) -> None:
    opened = session(tmp_path)
    add_run(opened.backend, "good")
    add_run(opened.backend, "bad", RunStatus.FAILED)
    async with on_stage(opened) as (app, pilot):
        await press(app, pilot, "colon", *"runs status=failed", "enter")
        await settle(app, pilot)
        assert app.pane.PANE == "runs"
        assert app.pane.query_text == "status=failed"
        assert "bad" in screen(app)
        assert "good" not in screen(app)


async def test_a_wrong_command_names_the_nearest_and_stays(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path)) as (app, pilot):
        await press(app, pilot, "colon", *"jounral", "enter")
        assert "did you mean :journal?" in screen(app)
        await press(app, pilot, "escape")
        assert "jounral" not in screen(app)


async def test_a_filter_previews_esc_restores_enter_keeps(tmp_path: Path) -> None:
    opened = session(tmp_path)
    add_run(opened.backend, "good")
    add_run(opened.backend, "bad", RunStatus.FAILED)
    async with on_stage(opened, pane="runs") as (app, pilot):
        await press(app, pilot, "slash", *"status = failed")
        await until_so(pilot, lambda: "good" not in screen(app))
        await press(app, pilot, "escape")
        await until(app, pilot, "good")
        await press(app, pilot, "slash", *"status = failed", "enter")
        await until_so(pilot, lambda: "good" not in screen(app))
        assert app.pane.query_text == "status = failed"
        await press(app, pilot, "escape")
        await settle(app, pilot)
        assert app.pane.query_text == ""


async def test_a_wrong_filter_points_at_the_place(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path), pane="runs") as (app, pilot):
        await press(app, pilot, "slash", *"statsu = failed", "enter")
        text = await until(app, pilot, "^")
        assert "status" in text.splitlines()[-2]


async def test_q_steps_back_and_then_quits(tmp_path: Path) -> None:
    opened = session(tmp_path)
    add_run(opened.backend)
    async with on_stage(opened, pane="runs") as (app, pilot):
        await press(app, pilot, "enter")
        assert app.pane.opened
        await press(app, pilot, "q")
        assert not app.pane.opened
        assert app.is_running
        await press(app, pilot, "q")
        async with asyncio.timeout(60):
            while app.return_value is None:
                await asyncio.sleep(0.01)
        assert app.return_value == 0


# ---------------------------------------------------------------- errors and absence


async def test_an_error_stays_until_dismissed_and_gives_its_whole(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path)) as (app, pilot):
        app.show_problem(Unreachable("mlflow at 10.0.0.5 does not answer\nsecond line"), "reading")
        await pilot.pause()
        assert "does not answer␤second line" in screen(app)
        await press(app, pilot, "enter")
        assert "second line" in screen(app)
        await press(app, pilot, "escape")
        assert app.query_one(ErrorLine).display
        await press(app, pilot, "escape")
        assert not app.query_one(ErrorLine).display


async def test_other_keys_pass_the_error_line(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path)) as (app, pilot):
        app.show_problem(ValueError("boom"), "testing")
        await pilot.pause()
        await press(app, pilot, "3")
        await settle(app, pilot)
        assert app.pane.PANE == "runs"


async def test_an_absent_server_leaves_the_rows_and_recovers(tmp_path: Path) -> None:
    import msgspec

    opened = session(tmp_path)
    add_run(opened.backend, "kept", RunStatus.RUNNING)
    away = False
    real = opened.backend.changed

    def changed() -> object:
        if away:
            raise Unreachable("mlflow at 10.0.0.5 does not answer")
        return real()

    opened = msgspec.structs.replace(opened, backend=msgspec.structs.replace(opened.backend, changed=changed))

    async with on_stage(opened) as (app, pilot):
        away = True
        text = await until(app, pilot, "retry in")
        assert "◌ stale" in text
        assert "does not answer" in text
        assert "kept" in text
        away = False
        app.ask_again()
        await until_so(pilot, lambda: "retry in" not in screen(app))
        assert "● live" in screen(app).splitlines()[0]


async def test_a_context_that_cannot_be_opened_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config.toml"))
    app = Staged(context="nowhere", keymap=Keymap(default_keys()))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await app.idle()
        await pilot.pause()
        assert "context nowhere" in screen(app)


# ---------------------------------------------------------------- dialogs


async def answer_of(app, pilot, dialog, *keys: str):
    given = []
    app.push_screen(dialog, given.append)
    await pilot.pause()
    await drawn(app)
    await press(app, pilot, *keys)
    return given[0] if given else "still open"


async def test_yes_is_y_and_never_enter(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path)) as (app, pilot):
        dialog = Confirm("Stop it", sentences("It stops."), "stop", reason=True)
        assert await answer_of(app, pilot, dialog, "enter") == "still open"
        await press(app, pilot, "escape")
        assert await answer_of(app, pilot, Confirm("Stop", [], "stop"), "y") == Yes()
        assert await answer_of(app, pilot, Confirm("Stop", [], "stop"), "n") is None


async def test_why_is_asked_and_y_in_it_is_a_letter(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path)) as (app, pilot):
        dialog = Confirm("Stop", [], "stop", reason=True)
        assert await answer_of(app, pilot, dialog, "w", *"why", "enter", "y") == Yes("why")


async def test_production_wants_the_name(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path, production=True)) as (app, pilot):
        dialog = Confirm("Promote", sentences("v3"), "promote", word="churn", reason=True)
        assert await answer_of(app, pilot, dialog, "y", *"urn", "enter") == "still open"
        assert "this is not the name" in screen(app)
        assert "PRODUCTION" in screen(app)
        await press(app, pilot, "escape")
        again = Confirm("Promote", sentences("v3"), "promote", word="churn")
        assert await answer_of(app, pilot, again, *"churn", "enter") == Yes()


async def test_what_is_refused_cannot_be_confirmed(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path)) as (app, pilot):
        dialog = Confirm("Promote", [], "promote", word="churn", refused="the accuracy gate failed")
        assert await answer_of(app, pilot, dialog, "y", "enter") == "still open"
        assert "the accuracy gate failed" in screen(app)


async def test_a_line_is_asked_for_and_checked(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path)) as (app, pilot):
        dialog = Ask("Name", "name", check=lambda text: "too short" if len(text) < 3 else "")
        assert await answer_of(app, pilot, dialog, "a", "enter") == "still open"
        assert "too short" in screen(app)
        await press(app, pilot, "escape")
        assert await answer_of(app, pilot, Ask("Name", "name"), *"abc", "enter") == "abc"


async def test_one_of_many_is_chosen_by_letters(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path)) as (app, pilot):
        options = [(f"id{n}", f"option {n}", "") for n in range(12)]
        assert await answer_of(app, pilot, Choose("Which", options), *"11", "enter") == "id11"
        assert await answer_of(app, pilot, Choose("Which", options[:3]), "down", "enter") == "id1"


async def test_a_form_gives_its_values(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path)) as (app, pilot):
        fields = [Field("task", "task", "a", choices=("a", "b")), Field("seed", "seed", "0")]
        given = await answer_of(app, pilot, Form("Train", fields, "start"), "down", "enter", "7", "enter")
    assert given == {"task": "b", "seed": "7"}


# ---------------------------------------------------------------- hostile text


@pytest.mark.parametrize("name", [key for key in HOSTILE if key not in ("surrogate", "empty", "spaces")])
async def test_hostile_names_are_harmless_in_every_pane_and_dialog(tmp_path: Path, name: str) -> None:
    text = HOSTILE[name]
    opened = session(tmp_path)
    run = add_run(opened.backend, text[:200], RunStatus.RUNNING, params={"p": text[:200]}, tags={"t": text[:200]})
    add_run(opened.backend, text[:200], RunStatus.FAILED)
    async with on_stage(opened, size=(80, 24)) as (app, pilot):
        for keys in (
            ["d"],
            ["escape", "y"],
            ["escape", "n"],
            ["escape", "x"],
            ["escape", "3"],
            ["d"],
            ["escape", "6"],
            ["escape", "7"],
            ["d"],
            ["escape"],
        ):
            await press(app, pilot, *keys)
            await settle_quietly(app, pilot)
            assert all(on_screen_is_harmless(line) for line in screen(app).split("\n"))
        app.tell(text)
        app.show_problem(ValueError(text), text)
        await pilot.pause()
        assert all(on_screen_is_harmless(line) for line in screen(app).split("\n"))
        await answer_of(app, pilot, Choose(text, [(text, text, text)]))
        assert all(on_screen_is_harmless(line) for line in screen(app).split("\n"))
        assert app.is_running
    assert run.name == text[:200]


async def settle_quietly(app, pilot) -> None:
    """A dialog keeps its action's worker: wait for the pane alone."""
    for _ in range(50):
        if app.pane is not None and not app.pane.busy:
            break
        await asyncio.sleep(0.01)
    await pilot.pause()


async def test_a_slow_question_is_shown_and_esc_stops_it(tmp_path: Path) -> None:
    import threading

    answer = threading.Event()
    async with on_stage(session(tmp_path)) as (app, pilot):
        pane = app.pane
        pane.fetch = lambda: answer.wait(300) and None
        pane.refresh_data()
        try:
            assert "NEEDS YOU" in await until(app, pilot, "esc stops")
            await press(app, pilot, "escape")
            assert "asking" not in screen(app)
            assert not pane.busy
        finally:
            answer.set()


# ---------------------------------------------------------------- without a context


@asynccontextmanager
async def on_a_bad_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "config.toml"
    path.write_text("contexts = 3\n", encoding="utf-8")
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(path))
    app = Staged(keymap=Keymap(default_keys()))
    async with app.run_test(size=(100, 30), notifications=True, tooltips=True) as pilot:
        await settle(app, pilot)
        yield app, pilot, path


async def test_a_context_that_cannot_be_opened_is_not_opening_for_ever(tmp_path: Path, monkeypatch) -> None:
    async with on_a_bad_configuration(tmp_path, monkeypatch) as (app, _, _path):
        text = screen(app)
    assert "opening …" not in text
    assert "no context is open" in text.splitlines()[0]
    assert "opening the context: " in text


async def test_keys_that_need_no_context_work_without_one(tmp_path: Path, monkeypatch) -> None:
    async with on_a_bad_configuration(tmp_path, monkeypatch) as (app, pilot, _path):
        await press(app, pilot, "question_mark")
        assert "What can be done" in screen(app)
        await press(app, pilot, "escape", "4")
        assert "no context is open" in screen(app)
        await press(app, pilot, "escape", "q")
        await settle(app, pilot)
        assert not app.is_running or app._exit


async def test_a_mended_configuration_opens_without_a_restart(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MLOPS_CONSOLE_WORKSPACE", str(tmp_path / "ws"))
    async with on_a_bad_configuration(tmp_path, monkeypatch) as (app, pilot, path):
        path.write_text("", encoding="utf-8")
        await press(app, pilot, "ctrl+r")
        await settle(app, pilot)
        text = screen(app)
    assert "NEEDS YOU" in text
    assert "opening the context" not in text


# ---------------------------------------------------------------- mouse


async def test_a_click_on_a_tab_goes_there(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path), (80, 24)) as (app, pilot):
        x = screen(app).splitlines()[1].index("Models")
        await pilot.click(offset=(x + 2, 1))
        await settle(app, pilot)
        assert app.pane.PANE == "models"


async def test_a_click_on_a_line_puts_the_cursor_there(tmp_path: Path) -> None:
    opened = session(tmp_path)
    for name in ("one", "two", "three"):
        add_run(opened.backend, name, RunStatus.RUNNING)
    async with on_stage(opened, (80, 24)) as (app, pilot):
        lines = screen(app).splitlines()
        y = next(number for number, line in enumerate(lines) if "  two " in line)
        await pilot.click(offset=(12, y))
        await settle(app, pilot)
        assert app.pane.selected().name == "two"


async def test_a_theme_is_named_short(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path)) as (app, pilot):
        await press(app, pilot, "colon", *"theme light", "enter")
        await settle(app, pilot)
        assert app.theme == "console-light"
