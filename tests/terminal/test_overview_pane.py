from __future__ import annotations

import math
from pathlib import Path

from backends.entities import Alert, AlertState, MetricPoint, Monitor, RunStatus
from console.tui.overview_look import SHOWN
from console.tui.panes import overview
from tests.terminal.stage import add_run, add_version, by, on_stage, press, screen, session, until, until_so


def add_monitor(backend, *alerts: tuple[str, str]) -> None:
    """A champion with a monitor, and one open alert for each (severity, text)."""
    version = add_version(backend, "churn", add_run(backend))
    backend.registry.set_alias("churn", "champion", version.version, expected=None, mutation=by("first"))
    backend.monitors.put(Monitor(name="churn", model="churn"), by())
    for number, (severity, text) in enumerate(alerts):
        backend.monitors.put_alert(
            Alert(
                id=f"a{number}",
                monitor="churn",
                metric=f"m{number}",
                state=AlertState.FIRING,
                opened_at=1_000 + number,
                text=text,
                severity=severity,
            )
        )


async def test_drift_warns_and_does_not_fire(tmp_path: Path) -> None:
    opened = session(tmp_path)
    add_monitor(opened.backend, ("warn", "2 features drifted"))
    async with on_stage(opened) as (app, pilot):
        text = await until(app, pilot, "◐ 1 warn")
    assert "◐ warn     churn" in text
    assert "◐ 1 warn" in text.splitlines()[0]
    assert "firing" not in text


async def test_what_fires_stands_before_what_warns(tmp_path: Path) -> None:
    opened = session(tmp_path)
    add_monitor(opened.backend, ("critical", "AUC fell"), ("warn", "2 features drifted"))
    async with on_stage(opened) as (app, pilot):
        text = await until(app, pilot, "◐ 1 warn")
    assert "▲ 1 firing" in text.splitlines()[0]
    assert "◐ 1 warn" in text.splitlines()[0]
    assert text.index("AUC fell") < text.index("2 features drifted")


async def test_work_that_is_no_run_is_seen_with_its_step(tmp_path: Path) -> None:
    opened = session(tmp_path)
    opened.backend.requests.add(
        "flights.fetch", {"title": "fetching", "step": "day 3", "fraction": 0.5}, key="", created_by="x"
    )
    async with on_stage(opened, (80, 24)) as (app, pilot):
        assert "fetching" in screen(app)
        assert "… queued  day 3" in screen(app)
        assert "mlops-console demo" not in screen(app)
        claimed = opened.backend.requests.claim("x")
        await until(app, pilot, " 50 %   day 3")
        opened.backend.requests.finish(claimed.id)
        await until(app, pilot, "mlops-console demo")
        assert "fetching" not in screen(app)


async def test_a_new_workspace_says_what_to_press_next(tmp_path: Path) -> None:
    opened = session(tmp_path)
    async with on_stage(opened, (80, 24)) as (app, pilot):
        assert "Press i import a file" in screen(app)
        run = add_run(opened.backend)
        await until(app, pilot, "Press 3 then r registers")
        version = add_version(opened.backend, "churn", run)
        await until(app, pilot, "p promotes a version")
        opened.backend.registry.set_alias("churn", "champion", version.version, expected=None, mutation=by("first"))
        await until(app, pilot, "mlops-console monitor create")
        opened.backend.monitors.put(Monitor(name="churn", model="churn"), by())
        await until(app, pilot, "Press 5 watch what its model sees")
        app.welcome = False
        app.ask_again()
        await app.idle()
        assert "Press 5" not in screen(app)


async def test_a_stuck_run_needs_somebody_until_it_moves_on(tmp_path: Path) -> None:
    opened = session(tmp_path)
    runs = opened.backend.need("runs")
    run = runs.create(name="trial", mutation=by(), tags={"console.stalled_after": "0.0001"})
    runs.start(run.id)
    runs.log_points(run.id, [MetricPoint(key="loss", value=value, step=at) for at, value in enumerate((1.0, math.nan))])
    async with on_stage(opened) as (app, pilot):
        text = await until(app, pilot, "◌ stalled  trial")
        assert "▲ NaN      trial            loss is NaN since step 1" in text
        assert text.index("NEEDS YOU") < text.index("▲ NaN") < text.index("RUNNING")
        await press(app, pilot, "3")
        await until(app, pilot, "▲ NaN")
        await press(app, pilot, "1")
        runs.set_tags(run.id, {"console.stalled_after": "30"}, by())
        runs.log_points(run.id, [MetricPoint(key="loss", value=0.5, step=2)])
        await until(app, pilot, "nothing: no alert is firing")


async def test_a_new_alert_is_told_and_rings_and_a_mute_keeps_it_quiet(tmp_path: Path, monkeypatch) -> None:
    opened = session(tmp_path)
    add_monitor(opened.backend, ("warn", "2 features drifted"))
    store = opened.backend.need("monitors")
    async with on_stage(opened) as (app, pilot):
        rung = []
        monkeypatch.setattr(app, "bell", lambda: rung.append(1))
        await until(app, pilot, "◐ 1 warn")
        assert not app._notifications  # what was open at the start is on the screen already
        store.put_alert(
            Alert(
                id="new", monitor="churn", metric="auc", state=AlertState.FIRING, opened_at=5_000,
                text="AUC [bold]fell", severity="critical", rule="performance",
            )
        )  # fmt: skip
        await until(app, pilot, "▲ 1 firing")
        await until_so(pilot, lambda: bool(rung))
        assert rung == [1]
        assert [note.severity for note in app._notifications] == ["error"]
        await until(app, pilot, "AUC [bold]fell")
        await press(app, pilot, "up", "m")  # the cursor stayed with what it was on
        await until(app, pilot, "for how long")
        await press(app, pilot, "enter")  # 2h, as proposed
        await until(app, pilot, "muted until")
        (made,) = store.mutes("churn")
        assert made.rule == "performance"
        text = await until(app, pilot, "◐ 1 warn")
        assert "firing" not in text.splitlines()[0]
        assert rung == [1]


async def test_runs_that_wait_for_an_agent_which_is_not_there_need_somebody(tmp_path: Path, monkeypatch) -> None:
    opened = session(tmp_path)
    add_run(opened.backend, "waits", RunStatus.QUEUED)
    monkeypatch.setattr(overview, "TAKEN_UP_MS", 3_600_000)
    async with on_stage(opened, (80, 24)) as (app, pilot):
        await until(app, pilot, "agent ○ off")
        assert "mlops-console agent start" not in screen(app)  # it is perhaps about to start
        monkeypatch.setattr(overview, "TAKEN_UP_MS", 0)
        await until(app, pilot, "1 run is left alone: mlops-console agent start")


async def test_a_sweep_is_seen_whose_trials_are_more_than_there_are_rows(tmp_path: Path) -> None:
    opened = session(tmp_path)
    sweep = add_run(opened.backend, "the sweep", RunStatus.RUNNING, tags={"console.sweep": "1"})
    for number in range(SHOWN + 5):
        add_run(
            opened.backend, f"trial {number}", RunStatus.QUEUED, parent=sweep.id, tags={"console.trial": str(number)}
        )
    async with on_stage(opened, (100, 60)) as (app, pilot):
        text = await until(app, pilot, "the sweep")
    assert text.count("  trial ") == SHOWN - 1
    assert f"trial {SHOWN + 4} " in text


async def test_a_lost_trial_needs_nobody_and_a_lost_run_does(tmp_path: Path) -> None:
    opened = session(tmp_path)
    sweep = add_run(opened.backend, "the sweep", RunStatus.RUNNING, tags={"console.sweep": "1"})
    add_run(opened.backend, "alone", RunStatus.FAILED)
    for number in range(6):
        add_run(
            opened.backend, f"trial {number}", RunStatus.FAILED, parent=sweep.id, tags={"console.trial": str(number)}
        )
    async with on_stage(opened, (100, 40)) as (app, pilot):
        text = await until(app, pilot, "alone")
    assert "trial " not in text.partition("LATELY")[0]
