"""Triggers on the screen: an empty list that says what to press, one that is tried and paused; remedies of an alert."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from backends.contract import Backend
from backends.entities import Alert, AlertState, Deployment, Monitor, RunStatus, Target, TriggerState
from console.triggers.create import create_trigger
from console.triggers.definition import parse_trigger
from console.triggers.stopped import alert_of
from console.tui import ink
from console.tui.triggers_screen import Kept, trigger_lines
from tests.terminal.stage import add_run, add_version, by, on_stage, press, screen, session, until

if TYPE_CHECKING:
    from pathlib import Path

SCALE = 'name = "more"\n[when]\nalert = "live"\n[do]\nscale = "live"\nworkers = "+1"\n'


@pytest.fixture(autouse=True)
def without_an_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the agent does is tried elsewhere."""
    monkeypatch.setattr("console.agent.ensure_agent", lambda *_, **__: None)


def furnish(backend: Backend) -> str:
    """A model in production, watched and served, with an alert; the run of its champion."""
    run = add_run(backend, "churn-run", RunStatus.FINISHED)
    version = add_version(backend, "churn", run)
    registry = backend.need("registry")
    registry.set_alias("churn", "champion", version.version, expected=None, mutation=by())
    monitors = backend.need("monitors")
    monitors.put(Monitor(name="live", model="churn"), by())
    monitors.put_alert(
        Alert(id="a1", monitor="live", metric="auc", state=AlertState.FIRING, opened_at=1, text="AUC 0.61",
              severity="critical")
    )  # fmt: skip
    backend.need("deployments").create(
        Deployment(name="live", model="churn", targets=(Target(alias="champion"),), desired="stopped"), by()
    )
    return run.id


async def test_an_empty_list_says_what_to_press_and_n_makes_one(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path / "w"), size=(120, 34)) as (app, pilot):
        assert app.session is not None
        furnish(app.session.backend)
        await press(app, pilot, ":", *"triggers", "enter")
        await until(app, pilot, "No trigger yet. n makes one")
        await press(app, pilot, "n")
        await until(app, pilot, "New trigger")
        await press(app, pilot, *"back", "ctrl+s")
        await until(app, pilot, "with: a rollback wants the model that goes back")
        await press(app, pilot, "enter", "enter", "enter", "enter", *"churn", "ctrl+s")
        await until(app, pilot, "roll back champion of churn")
        made = app.session.backend.need("triggers").get("back")
        assert (made.when.alert, made.do.rollback, made.limits.dry_run) == ("*", "churn", True)


async def test_a_trigger_is_tried_edited_paused_and_resumed(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path / "w"), size=(120, 34)) as (app, pilot):
        assert app.session is not None
        backend = app.session.backend
        furnish(backend)
        create_trigger(backend, parse_trigger(SCALE), by())
        store = backend.need("triggers")
        await press(app, pilot, ":", *"triggers", "enter")
        await until(app, pilot, "alert on live → scale live +1")
        assert "has not fired yet · at most 3 a day, 1 h apart" in screen(app)
        await press(app, pilot, "t")
        await until(app, pilot, "more would scale live: 1 → 2 worker(s)")
        await press(app, pilot, "escape")
        await until(app, pilot, "alert on live → scale live +1")
        await press(app, pilot, "e")
        await until(app, pilot, "Edit more")
        await press(app, pilot, "backspace", "7", "ctrl+s")
        await until(app, pilot, "at most 7 a day")
        assert store.get("more").limits.per_day == 7
        await press(app, pilot, "p")
        await until(app, pilot, "Pause more")
        await press(app, pilot, "y")
        await until(app, pilot, "paused")
        assert store.get("more").status.state is TriggerState.PAUSED
        await press(app, pilot, "r")
        await until(app, pilot, "It would scale live: 1 → 2")
        await press(app, pilot, "y")
        await until(app, pilot, "waiting")
        assert [each.by for each in store.firings("more")] == ["user1@box"]
        await press(app, pilot, "enter")
        await until(app, pilot, "History of more")
        assert "by user1@box" in screen(app)


async def test_a_stopped_trigger_calls_for_somebody_on_the_overview(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path / "w"), size=(120, 34)) as (app, pilot):
        assert app.session is not None
        backend = app.session.backend
        furnish(backend)
        create_trigger(backend, parse_trigger(SCALE), by())
        backend.need("triggers").turn("more", TriggerState.STOPPED, by("it failed 3 times in a row"))
        await press(app, pilot, "1", "ctrl+r")
        await until(app, pilot, "trigger: it failed 3 times in a row")
        # Of one whose alert tells of it, that one alone.
        alert = alert_of(backend.need("triggers").get("more"), "f1", "it gave up.")
        backend.need("monitors").put_alert(alert)
        await press(app, pilot, "ctrl+r")
        await until(app, pilot, "stopped itself: it gave up. It")
        assert "trigger: it failed 3 times" not in screen(app)
        backend.need("monitors").put_alert(
            msgspec.structs.replace(alert, state=AlertState.RESOLVED, resolved_at=alert.opened_at)
        )
        await press(app, pilot, "ctrl+r")
        await until(app, pilot, "trigger: it failed 3 times in a row")


async def test_from_an_alert_one_scales_opens_the_run_and_is_told_why_not_to_retrain(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path / "w"), size=(120, 34)) as (app, pilot):
        assert app.session is not None
        backend = app.session.backend
        furnish(backend)
        await press(app, pilot, "1", "ctrl+r")
        await until(app, pilot, "AUC 0.61")
        await press(app, pilot, "W")
        await until(app, pilot, "Workers of live")
        await press(app, pilot, "backspace", "3", "enter")
        await until(app, pilot, "1 → 3 worker(s)")
        await press(app, pilot, "y")
        await until(app, pilot, "has 3 worker(s) soon")
        assert backend.need("deployments").get("live").workers == 3
        await press(app, pilot, "R")
        await until(app, pilot, "cannot be trained again as it was")
        await press(app, pilot, "escape", "o")
        await until(app, pilot, "churn-run")
        assert app.pane is not None
        assert app.pane.PANE == "runs"


def test_nothing_of_a_trigger_is_cut_off_on_the_smallest_screen() -> None:
    trigger = parse_trigger(
        'name = "nightly"\nnote = ""\n[when]\nschedule = "every day at 03:00"\ntimezone = "Europe/Berlin"\n'
        '[do]\nrollback = "a-model-with-quite-a-long-name"\n'
    )
    lines = [ink.plain(line.spans) for line in trigger_lines([Kept(trigger, ())], 80, 1_700_000_000_000)]
    assert all(len(line) <= 80 for line in lines)
    whole = " ".join(" ".join(lines).split())
    assert "…" not in whole
    assert "a-model-with-quite-a-long-name" in whole
    assert "stops after 3 failures in a row" in whole
