"""Monitors made, held, deleted, and told how long to keep what, all on the screen."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from backends.contract import NotFound
from backends.entities import Alert, AlertState, Monitor
from console.config import Session
from console.monitoring.alarms.ack import ack_alert
from console.monitoring.read import MonitorView
from console.monitoring.reference import read_profile
from console.tui import dialogs, ink
from console.tui.monitor_head import headline_lines
from tests.monitored import deliveries
from tests.terminal.stage import by, on_stage, press, screen, session, until, until_so
from tests.unit.test_monitoring_ranges import window_at

DAY, HOUR, MINUTE = 86_400_000, 3_600_000, 60_000
BEGIN = 1_699_833_600_000
WAIT = 120.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tmp_path_factory.mktemp("forms") / "w"
    backend = deliveries(place)
    profile = read_profile(backend, backend.need("registry").version("deliveries", "@champion"))
    store = backend.need("monitors")
    store.put(Monitor(name="live", model="deliveries", window="minute"), by())
    for start, length in [(BEGIN, HOUR), *((BEGIN + HOUR + at * MINUTE, MINUTE) for at in range(3))]:
        made = window_at(profile, start, length, 150, start % 97)
        store.add_window(msgspec.structs.replace(made, monitor="live"))
    backend.close()
    return place


@pytest.fixture
def opened(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("console.agent.ensure_agent", lambda workspace: None)
    found = session(home)
    yield found
    found.backend.close()


async def test_a_window_that_retention_has_merged_says_so(opened: Session) -> None:
    async with on_stage(opened, size=(150, 40), pane="monitor") as (app, pilot):
        await until(app, pilot, "minute 13 Nov 2023 01:02", WAIT)
        await until(app, pilot, "1 hour of these are merged", WAIT)
        await press(app, pilot, *["left_square_bracket"] * 3)
        await until(app, pilot, "hour 13 Nov 2023 00:00 UTC, merged from minutes", WAIT)


async def test_how_long_is_kept_is_shown_and_changed(opened: Session) -> None:
    async with on_stage(opened, size=(110, 36), pane="monitor") as (app, pilot):
        await until(app, pilot, "minute 13 Nov 2023", WAIT)
        await press(app, pilot, "K")
        await until(app, pilot, "What live keeps", WAIT)
        assert "the context's times" in screen(app)
        await press(app, pilot, "e")
        await until(app, pilot, "keep it so", WAIT)
        await pilot.press(*["backspace"] * 3, *"1 m")
        await press(app, pilot, "ctrl+s")
        await until(app, pilot, "is wanted", WAIT)
        await pilot.press(*["backspace"] * 3, *"6 h")
        await press(app, pilot, "ctrl+s")
        await until(app, pilot, "the monitor's own times", WAIT)
        assert opened.backend.need("monitors").get("live").keep == {"minutes": "6 h"}
        await press(app, pilot, "D")
        await until(app, pilot, "the context's times", WAIT)
        assert opened.backend.need("monitors").get("live").keep == {}


async def test_a_monitor_of_a_ranking_is_made_held_and_deleted(opened: Session, tmp_path: Path) -> None:
    async with on_stage(opened, size=(110, 40), pane="monitor") as (app, pilot):
        await until(app, pilot, "minute 13 Nov 2023", WAIT)
        await press(app, pilot, "M")
        await until(app, pilot, "New monitor", WAIT)
        form = app.screen
        assert isinstance(form, dialogs.Form)
        spots = {field.name: at for at, field in enumerate(form.fields)}
        assert form._line(spots["model"]).value == "deliveries"
        form._line(spots["name"]).value = "search"
        form._line(spots["id_column"]).value = "order"
        form._line(spots["group_column"]).value = "order"
        await press(app, pilot, "ctrl+s")
        await until(app, pilot, "is the id, label or time column too", WAIT)
        form = app.screen
        assert isinstance(form, dialogs.Form)
        form._line(spots["group_column"]).value = "query"
        form._line(spots["top"]).value = "five"
        await press(app, pilot, "ctrl+s")
        await until(app, pilot, "a whole number, such as 5", WAIT)
        form._line(spots["top"]).value = "5"
        await press(app, pilot, "ctrl+s")
        await until(app, pilot, "Nothing counted yet", WAIT)
        store = opened.backend.need("monitors")
        assert (store.get("search").group_column, store.get("search").model) == ("query", "deliveries")
        assert store.get("search").top == 5
        await press(app, pilot, "colon")
        await pilot.press(*"hold", "enter")
        await until_so(pilot, lambda: store.get("search").paused, WAIT)
        await press(app, pilot, "D")
        await until(app, pilot, "Delete monitor search", WAIT)
        await pilot.press(*"search", "enter")
        await until(app, pilot, "search: deleted", WAIT)
        with pytest.raises(NotFound):
            store.get("search")


async def test_what_is_muted_or_taken_is_given_back_though_another_alert_is_more_urgent(tmp_path: Path) -> None:
    opened = session(tmp_path)
    store = opened.backend.need("monitors")
    store.put(Monitor(name="churn[/red]", model="churn"), by())
    for name, metric, severity in (("a", "auc", "critical"), ("d", "drift", "warn")):
        alert = Alert(
            id=name, monitor="churn[/red]", metric=metric, state=AlertState.FIRING, opened_at=5_000,
            text=f"{metric} off", severity=severity, rule=metric,
        )  # fmt: skip
        store.put_alert(alert)
    async with on_stage(opened, size=(80, 24), pane="monitor") as (app, pilot):
        await until(app, pilot, "Nothing counted yet", WAIT)
        await until_so(pilot, lambda: getattr(app.here().selected, "id", "") == "a", WAIT)
        await press(app, pilot, ":", *"mute 2h", "enter")
        await until(app, pilot, "AUC muted until", WAIT)
        await until_so(pilot, lambda: getattr(app.here().selected, "id", "") == "d", WAIT)
        await press(app, pilot, ":", *"unmute", "enter")
        await until_so(pilot, lambda: not store.mutes("churn[/red]"), WAIT)
        await until_so(pilot, lambda: getattr(app.here().selected, "id", "") == "a", WAIT)
        ack_alert(opened.backend, "a", by())
        await until(app, pilot, "AUC acked by user1", WAIT)
        await press(app, pilot, ":", *"unack", "enter")
        await until_so(pilot, lambda: store.alerts("churn[/red]", open_only=True)[0].acked_by == "", WAIT)
        await until_so(pilot, lambda: all(not each.acked_by for each in store.alerts("churn[/red]")), WAIT)
    opened.backend.close()


async def test_a_headline_of_two_lines_is_whole_on_the_smallest_screen() -> None:
    text = (
        "AUC 0.664 [0.621, 0.707] within days, over 7 days: 0.040 worse than the reference 0.705 of v3, 3 of the last"
    )
    view = MonitorView(monitor=Monitor(name="churn", model="churn"), headline=text)
    lines = headline_lines(view, 78, low=True)
    assert " ".join(" ".join(ink.plain(line.spans) for line in lines).split()) == text
