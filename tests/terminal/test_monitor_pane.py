"""Inside a monitor: its figures, its stretches of time, what it is held against, and the charts below."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from backends.entities import Alert, AlertState, Estimate, Monitor, ServiceWindow
from console.config import Session
from console.monitoring.reference import read_profile
from console.tui.panes.monitor import MonitorPane
from tests.monitored import deliveries
from tests.terminal.stage import by, on_stage, press, screen, session, until, until_so
from tests.unit.test_monitoring_ranges import window_at

DAY, HOUR, MINUTE = 86_400_000, 3_600_000, 60_000
BEGIN = 1_699_833_600_000  # Monday, 13 November 2023
WAIT = 120.0


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Session:
    home: Path = tmp_path_factory.mktemp("pane") / "w"
    backend = deliveries(home)
    profile = read_profile(backend, backend.need("registry").version("deliveries", "@champion"))
    store = backend.need("monitors")
    store.put(Monitor(name="live", model="deliveries", window="day"), by())
    for day in range(10):
        made = window_at(profile, BEGIN + day * DAY, DAY, 150 + day, day, shift=0.0 if day < 7 else 2.5)
        bias = {"carrier.parity": Estimate(value=0.1 + day / 100)}
        expected = {"auc": Estimate(value=0.99, low=0.985, high=0.995)}
        store.add_window(msgspec.structs.replace(made, monitor="live", bias=bias, estimated=expected, label_lag=7200.0))
    store.put_alert(
        Alert(
            id="a1", monitor="live", metric="drift", state=AlertState.FIRING, opened_at=BEGIN + 7 * DAY, text="it moved"
        )
    )
    for hour in range(48):
        start = BEGIN + 8 * DAY + hour * HOUR
        store.add_service(
            ServiceWindow(
                source="monitor:live", start=start, end=start + HOUR, requests=3600 * (1 + hour % 3), errors=9
            )
        )
    backend.close()
    return session(home)


async def test_the_headline_tells_quality_estimate_gap_and_lag(opened: Session) -> None:
    async with on_stage(opened, size=(160, 45), pane="monitor") as (app, pilot):
        shown = await until(app, pilot, "estimated without labels 0.990", WAIT)
        assert "2 h late" in shown
        assert "gap" in shown
        assert "the reference" in shown
        assert "a alert drift 20 Nov" in shown
        assert "labels" in shown
        assert "weight" in shown


async def test_longer_stretches_hold_the_counts_of_shorter_ones(opened: Session) -> None:
    async with on_stage(opened, size=(160, 45), pane="monitor") as (app, pilot):
        await until(app, pilot, "day 22 Nov 2023: 159 predictions", WAIT)
        await press(app, pilot, "minus")
        await until(app, pilot, f"week 20 Nov 2023: {157 + 158 + 159} predictions", WAIT)
        await press(app, pilot, "v")
        await until(app, pilot, "against the week before", WAIT)
        await press(app, pilot, "left_square_bracket")
        await until(app, pilot, "week 13 Nov 2023", WAIT)
        await until(app, pilot, "against training, for there is nothing of this version before", WAIT)
        await press(app, pilot, "0", "v", "minus")
        await until(app, pilot, "all of it: 1", WAIT)
        assert "545 predictions" in screen(app)
        await press(app, pilot, "plus", "plus")
        await until(app, pilot, "day 22 Nov 2023: 159 predictions", WAIT)


async def test_the_charts_below_go_round(opened: Session) -> None:
    async with on_stage(opened, size=(160, 45), pane="monitor") as (app, pilot):
        await until(app, pilot, "AUC by day", WAIT)
        for title in (
            "share of features that drift",
            "bias by group",
            "requests a second",
            "share of requests that fail",
            "AUC by day",
        ):
            await press(app, pilot, "c")
            await until(app, pilot, title, WAIT)


async def test_on_a_small_screen_a_chart_takes_the_place_of_the_features(opened: Session) -> None:
    async with on_stage(opened, size=(80, 24), pane="monitor") as (app, pilot):
        await until(app, pilot, "distance", WAIT)
        assert "AUC by day  " in screen(app)  # its course in one line
        await press(app, pilot, "c")
        await until(app, pilot, "reference", WAIT)
        assert "carrier" not in screen(app)
        await press(app, pilot, "escape")
        await until(app, pilot, "carrier", WAIT)


async def test_a_monitor_without_segments_says_how_one_is_made(opened: Session) -> None:
    async with on_stage(opened, size=(120, 40), pane="monitor") as (app, pilot):
        await until(app, pilot, "AUC by day", WAIT)
        await press(app, pilot, "z")
        await until(app, pilot, "no segments yet", WAIT)


async def test_why_ranks_features_and_lays_the_histograms_over_each_other(opened: Session) -> None:
    async with on_stage(opened, size=(120, 40), pane="monitor") as (app, pilot):
        await until(app, pilot, "AUC by day", WAIT)
        await press(app, pilot, "w")
        shown = await until(app, pilot, "WHAT CHANGED AROUND THAT TIME", WAIT)
        assert "importance × drift" in shown or "importance x drift" in shown
        await until(app, pilot, "training, ", WAIT)
        rows = [line for line in screen(app).splitlines() if "weight" in line and "%" in line]
        assert rows
        await until(app, pilot, "0 labelled rows were sampled", WAIT)  # only windows were put here, and no rows
        await press(app, pilot, "escape")
        await until(app, pilot, "AUC by day", WAIT)


async def test_rows_that_pour_in_are_shown_once_in_a_while(opened: Session) -> None:
    store = opened.backend.need("monitors")
    async with on_stage(opened, size=(120, 40), pane="monitor") as (app, pilot):
        await until(app, pilot, "AUC by day", WAIT)
        pane = app.pane
        app._last_input -= 60  # nobody is there
        assert isinstance(pane, MonitorPane)
        shown: list[object] = []
        show = pane.show
        pane.show = lambda data: (shown.append(data), show(data))[1]  # type: ignore[method-assign]
        for count in range(8):
            held = store.get("live")
            store.put(msgspec.structs.replace(held, note=f"change {count}"), by())
            pane.dirty = True
            pane.noticed()
        assert len(shown) <= 2
        await until_so(pilot, lambda: pane.view is not None and pane.view.monitor.note == "change 7")
