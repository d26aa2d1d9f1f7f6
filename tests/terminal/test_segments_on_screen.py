"""Segments, protected columns and the alert policy of a monitor, set on the screen."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backends.entities import Estimate, Monitor, Segment
from console.config import Session
from console.monitoring.alarms import replaying
from console.monitoring.counted.segments import add_segment
from console.monitoring.reference import read_profile
from console.offload import Cancelled
from console.tui.verbs.segments import named
from tests.monitored import deliveries
from tests.terminal.stage import by, on_stage, press, screen, session, until
from tests.unit.test_monitoring_ranges import window_at

DAY = 86_400_000
BEGIN = 1_699_833_600_000
WAIT = 120.0
RULES = """[[rule]]
name = "weights"
metric = "drift.weight.psi"
above = 0.2
k = {k}
n = 2
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tmp_path_factory.mktemp("segments") / "w"
    backend = deliveries(place)
    profile = read_profile(backend, backend.need("registry").version("deliveries", "@champion"))
    store = backend.need("monitors")
    store.put(Monitor(name="live", model="deliveries", window="day"), by())
    for day in range(10):
        made = window_at(profile, BEGIN + day * DAY, DAY, 150, day, shift=0.0 if day < 7 else 2.5)
        bias = {"carrier.demographic_parity": Estimate(value=0.125)}
        store.add_window(msgspec.structs.replace(made, monitor="live", bias=bias))
    backend.close()
    return place


@pytest.fixture
def opened(home: Path):
    found = session(home)
    yield found
    found.backend.close()


async def test_a_segment_is_made_in_a_form_that_says_what_is_wrong(opened: Session) -> None:
    async with on_stage(opened, size=(110, 36), pane="monitor") as (app, pilot):
        await until(app, pilot, "AUC by day", WAIT)
        await press(app, pilot, "B")
        await until(app, pilot, "none yet: n writes a condition", WAIT)
        await press(app, pilot, "n")
        await until(app, pilot, "Another segment of live", WAIT)
        assert "weight, distance, carrier" in screen(app)
        await pilot.press(*"heavy", "enter", *"wieght > 7")
        await press(app, pilot, "ctrl+s")
        await until(app, pilot, "wieght", WAIT)
        await until(app, pilot, "weight?", WAIT)  # what was probably meant
        await pilot.press(*["backspace"] * 10, *"weight > 7", "enter")
        await press(app, pilot, "ctrl+s")
        await until(app, pilot, "0 rows, 0 labels", WAIT)
        assert "weight > 7" in screen(app)
        (segment,) = opened.backend.need("monitors").get("live").segments
        assert segment == Segment(name="heavy", where="weight > 7")
        await press(app, pilot, "D")
        await until(app, pilot, "Remove segment heavy", WAIT)
        await press(app, pilot, "y")
        await until(app, pilot, "none yet", WAIT)
        assert opened.backend.need("monitors").get("live").segments == ()


async def test_protected_columns_are_named_in_a_form(opened: Session) -> None:
    async with on_stage(opened, size=(110, 36), pane="monitor") as (app, pilot):
        await until(app, pilot, "AUC by day", WAIT)
        await press(app, pilot, "B")
        await until(app, pilot, "p names columns", WAIT)
        await press(app, pilot, "p")
        await until(app, pilot, "Protected columns of live", WAIT)
        await pilot.press(*"carier")
        await press(app, pilot, "ctrl+s")
        await until(app, pilot, "did you mean carrier", WAIT)
        await pilot.press("end", *["backspace"] * 6, *"carrier")
        await press(app, pilot, "ctrl+s")
        await until(app, pilot, "demographic parity 0.125", WAIT)
        assert opened.backend.need("monitors").get("live").protected == ("carrier",)


async def test_enter_shows_the_rows_of_the_segment(opened: Session) -> None:
    add_segment(opened.backend, "live", Segment(name="far", where="distance > 400"), by())
    async with on_stage(opened, size=(110, 36), pane="monitor") as (app, pilot):
        await until(app, pilot, "AUC by day", WAIT)
        await press(app, pilot, "B")
        await until(app, pilot, "distance > 400", WAIT)
        await press(app, pilot, "enter")
        await until(app, pilot, "No row of segment far", WAIT)


async def test_a_read_only_console_changes_nothing(home: Path) -> None:
    opened = session(home, read_only=True)
    async with on_stage(opened, size=(110, 36), pane="monitor") as (app, pilot):
        await until(app, pilot, "AUC by day", WAIT)
        await press(app, pilot, "B")
        await until(app, pilot, "GROUPS THAT ARE COMPARED", WAIT)
        await press(app, pilot, "n")
        await until(app, pilot, "read-only", WAIT)
        assert "Another segment" not in screen(app)


async def test_rules_are_edited_replayed_and_saved(
    opened: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The editor first writes a k that n never reaches, then one that it does."""
    script = tmp_path / "editor"
    (tmp_path / "wrong").write_text(RULES.format(k=3))
    (tmp_path / "right").write_text(RULES.format(k=2))
    script.write_text(
        f'#!/bin/sh\nif grep -q weights "$1"; then cp {tmp_path}/right "$1"; else cp {tmp_path}/wrong "$1"; fi\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(script))
    monkeypatch.delenv("VISUAL", raising=False)
    async with on_stage(opened, size=(110, 40), pane="monitor") as (app, pilot):
        monkeypatch.setattr(app, "suspend", nullcontext)  # there is no terminal to give away
        await until(app, pilot, "AUC by day", WAIT)
        await press(app, pilot, "P")
        await until(app, pilot, "in force: the default rules", WAIT)
        await press(app, pilot, "e")
        await until(app, pilot, "line 5: rule 'weights': k is 3", WAIT)
        await press(app, pilot, "y")
        await until(app, pilot, "changed, not saved", WAIT)
        await until(app, pilot, "would have fired 1 time in 10 days", WAIT)
        assert "drift.weight.psi above 0.2" in screen(app)
        await press(app, pilot, "s")
        await until(app, pilot, "Save the policy of live", WAIT)
        assert "expected false alarms" in screen(app)
        await press(app, pilot, "y")
        await until(app, pilot, "in force: the monitor's own rules", WAIT)
    assert opened.backend.need("monitors").get("live").rules == RULES.format(k=2)
    newest = opened.backend.need("journal").page(limit=1).items[0]
    assert (newest.action, newest.target) == ("monitor.policy", "live")


async def test_rules_that_are_not_saved_are_not_lost_without_a_yes(
    opened: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The replay goes on until it is ended: it would take a moment only."""

    def endless(*_: Any, cancel: Callable[[], bool], **__: Any) -> Any:
        while not cancel():
            time.sleep(0.02)
        raise Cancelled("stopped at your request")

    monkeypatch.setattr(replaying, "replay_offloaded", endless)
    script = tmp_path / "editor"
    (tmp_path / "text").write_text(RULES.format(k=1))
    script.write_text(f'#!/bin/sh\ncp {tmp_path}/text "$1"\n')
    script.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(script))
    monkeypatch.delenv("VISUAL", raising=False)
    before = opened.backend.need("monitors").get("live").rules
    async with on_stage(opened, size=(110, 40), pane="monitor") as (app, pilot):
        monkeypatch.setattr(app, "suspend", nullcontext)
        await until(app, pilot, "AUC by day", WAIT)
        await press(app, pilot, "P")
        await until(app, pilot, "in force", WAIT)
        await press(app, pilot, "e")
        await until(app, pilot, "esc stops", WAIT)
        await press(app, pilot, "escape")
        await until(app, pilot, "the replay was ended", WAIT)
        await press(app, pilot, "escape")
        await until(app, pilot, "Leave the policy of live", WAIT)
        await press(app, pilot, "n")
        await until(app, pilot, "changed, not saved", WAIT)
        await press(app, pilot, "escape")
        await until(app, pilot, "Leave the policy of live", WAIT)
        await press(app, pilot, "y")
        await until(app, pilot, "AUC by day", WAIT)
    assert opened.backend.need("monitors").get("live").rules == before


def test_a_condition_suggests_a_name() -> None:
    assert named("carrier = hermes and weight > 5") == "carrier hermes weight 5"
    assert named("pressure is null") == "pressure is null"
    assert len(named("x" * 90)) == 60
