"""Checks on the screen: the state of a version, the report, running, editing, suggestions, and the gate of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from console.data.checks.asked import check_as_asked, keep_checks
from console.data.importing import import_file
from console.tui.dialogs import Confirm
from tests.terminal.stage import by, on_stage, press, screen, session, until

if TYPE_CHECKING:
    from pathlib import Path

    from console.config import Session

STRICT = '[columns.x]\nmax = 10\nowner = "ann"\nnote = "sensor"\n[columns.name]\nlength = 3\nseverity = "warn"\n'
HOSTILE = "[red]boo\x1b[31m"


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    found = session(tmp_path / "w")
    table = tmp_path / "t.csv"
    table.write_text("x,name,y\n" + "".join(f'{i},"{HOSTILE}",{i % 2}\n' for i in range(60)))
    import_file(found.backend.need("datasets"), table, "t", by())
    return found


async def test_a_version_shows_how_it_stands_and_its_report_names_failing_rows(opened: Session) -> None:
    keep_checks(opened.backend, "t", STRICT, by(), "here")
    check_as_asked(opened.backend, "t", by())
    async with on_stage(opened, (130, 40)) as (app, pilot):
        await press(app, pilot, "2")
        await app.idle()
        await press(app, pilot, "enter")
        await app.idle()
        await until(app, pilot, "✕ 1 fail")
        assert "range x" in screen(app)
        await press(app, pilot, "C")
        shown = await until(app, pilot, "Checks of t@1")
        assert "✕ fail   2 checks: 1 fail, 1 warn" in shown
        assert "found 49 of 60 rows fail, 81.7 %" in shown
        assert "wanted at most 10" in shown
        assert "row 11: 11" in shown
        assert "owner ann · sensor" in shown
        assert "row 0: [red]boo" in shown
        assert "\x1b" not in shown


async def test_checks_are_run_from_the_screen(opened: Session) -> None:
    keep_checks(opened.backend, "t", STRICT, by(), "here")
    async with on_stage(opened, (130, 40)) as (app, pilot):
        await press(app, pilot, "2")
        await app.idle()
        await press(app, pilot, "enter")
        await until(app, pilot, "not run")
        await press(app, pilot, "K")
        await until(app, pilot, "Checks of t@1")
        await press(app, pilot, "escape")
        await until(app, pilot, "✕ 1 fail")
        kept = opened.backend.need("reports").latest("checks", "t@1")
        assert kept is not None
        assert kept.actor == "user1@box"


async def test_without_checks_the_way_to_some_is_told(opened: Session) -> None:
    async with on_stage(opened, (130, 40)) as (app, pilot):
        await press(app, pilot, "2")
        await app.idle()
        await press(app, pilot, "enter")
        await until(app, pilot, "none yet: :suggest proposes some, E writes them")
        await press(app, pilot, "K")
        await until(app, pilot, "there are no checks for t yet")


async def test_suggestions_are_kept_by_a_yes(opened: Session) -> None:
    async with on_stage(opened, (130, 40)) as (app, pilot):
        await press(app, pilot, "2")
        await app.idle()
        await press(app, pilot, "enter")
        await app.idle()
        await press(app, pilot, "colon", *"suggest y", "enter")
        await until(app, pilot, "Checks suggested from t@1")
        await press(app, pilot, "enter")
        assert "[columns.x]" in screen(app)
        await press(app, pilot, "escape")
        await press(app, pilot, "y")
        await until(app, pilot, "kept as checks t@1")
        assert 'column = "y"' in opened.backend.need("definitions").get("checks", "t").text


async def test_the_editor_is_asked_again_until_the_checks_are_understood(
    opened: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "editor"
    script.write_text(
        '#!/bin/sh\nif grep -q mxa "$1"; then printf "[columns.x]\\nmax = 99\\n" > "$1"; '
        'else printf "[columns.x]\\nmxa = 99\\n" > "$1"; fi\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(script))
    monkeypatch.delenv("VISUAL", raising=False)
    async with on_stage(opened, (130, 40)) as (app, pilot):
        from contextlib import nullcontext

        monkeypatch.setattr(app, "suspend", nullcontext)  # there is no terminal to give away
        await press(app, pilot, "2")
        await app.idle()
        await press(app, pilot, "E")
        shown = await until(app, pilot, "The checks are not understood")
        assert "'mxa' is not a key in" in shown
        assert "checks.toml:2" in shown
        await press(app, pilot, "y")
        await until(app, pilot, "kept as checks t@1")
        assert opened.backend.need("definitions").get("checks", "t").text == "[columns.x]\nmax = 99\n"


async def test_training_on_failing_data_wants_a_reason(opened: Session, tmp_path: Path) -> None:
    keep_checks(opened.backend, "t", STRICT, by(), "here")
    (tmp_path / "r.toml").write_text(
        'dataset = "t"\ntarget = "y"\ntask = "classification"\n[estimator]\nclass = "sklearn.dummy.DummyClassifier"\n'
    )
    async with on_stage(opened, (130, 40)) as (app, pilot):
        await press(app, pilot, "2")
        await app.idle()
        await press(app, pilot, "colon", *"train r.toml", "enter")
        await until(app, pilot, "Train: r.toml")
        await press(app, pilot, "ctrl+s")
        shown = await until(app, pilot, "The data do not pass their checks")
        assert "✕ fail  range x" in shown
        await press(app, pilot, "y")
        assert isinstance(app.screen, Confirm)
        await press(app, pilot, "o", *"known", "enter", "y")
        await until(app, pilot, "l follows its log")
        (run,) = opened.backend.need("runs").page(limit=5).items
        assert run.tags["console.checks_overridden"] == "known"
        actions = [entry.action for entry in opened.backend.need("journal").page(limit=20).items]
        assert "dataset.override_checks" in actions
    assert opened.workspace is not None
    from console.agent.control import stop_agent

    stop_agent(opened.workspace)


def test_the_editor_has_the_terminal_to_itself_and_gives_it_back(tmp_path: Path) -> None:
    from tests.terminal.terminal import Terminal

    found = session(tmp_path / "w")
    table = tmp_path / "t.csv"
    table.write_text("x\n1\n2\n")
    import_file(found.backend.need("datasets"), table, "t", by())
    script = tmp_path / "editor"
    script.write_text('#!/bin/sh\nprintf "IN THE EDITOR\\n"; read answer; printf "[columns.x]\\nmax = 99\\n" > "$1"\n')
    script.chmod(0o755)
    env = {
        "MLOPS_CONSOLE_WORKSPACE": str(tmp_path / "w"),
        "MLOPS_CONSOLE_CONFIG": str(tmp_path / "config.toml"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "EDITOR": str(script),
        "VISUAL": "",
    }
    with Terminal("datasets", env=env) as terminal:
        terminal.wait("@1")
        terminal.press("E")
        terminal.wait("IN THE EDITOR")
        terminal.press("done\r")
        terminal.wait("kept as checks t@1")
        terminal.press("q")
        assert terminal.end() == 0
    assert found.backend.need("definitions").get("checks", "t").text == "[columns.x]\nmax = 99\n"
    found.backend.close()
