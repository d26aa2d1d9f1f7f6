"""The keys of charts, beside a run and over a comparison."""

from __future__ import annotations

import math
from pathlib import Path

from textual.pilot import Pilot  # noqa: TC002

from backends.contract import Backend
from backends.entities import MetricPoint, Run, RunStatus
from console.tui.app import ConsoleApp
from console.tui.chart import Chart
from console.tui.chart_view import View
from console.tui.panes.compare import CompareScreen
from tests.terminal.stage import by, on_stage, press, screen, session, until


def trained(backend: Backend, name: str, shift: float = 0.25, steps: int = 3_000) -> Run:
    runs = backend.need("runs")
    run = runs.create(name=name, mutation=by(), params={"lr": str(shift)})
    runs.start(run.id)
    runs.log_points(
        run.id,
        [
            MetricPoint(key=key, value=shift + math.exp(-step / 900), step=step, at=1_000 * step + 1)
            for step in range(steps)
            for key in ("loss", "other")
        ],
    )
    return runs.end(run.id, RunStatus.FINISHED) or run


async def opened(app: ConsoleApp, pilot: Pilot[int], text: str) -> None:
    await press(app, pilot, "3")
    await app.idle()
    await press(app, pilot, "enter")
    await app.idle()
    await until(app, pilot, text)


async def test_keys_turn_the_chart_of_a_run_and_each_metric_keeps_its_view(tmp_path: Path) -> None:
    here = session(tmp_path)
    trained(here.backend, "one")
    async with on_stage(here, (80, 24)) as (app, pilot):
        await opened(app, pilot, "loss")
        await press(app, pilot, "E", "L", "T")
        assert "loss  log · ema 0.6 · time" in screen(app)
        await press(app, pilot, "T", "plus", "plus")
        await until(app, pilot, "1\u2009125 … 1\u2009874")
        await app.idle()
        chart = app.screen.query_one("#run-chart-0", Chart)
        assert (
            len([x for x, _ in chart.series[0].points if 1_125 <= x <= 1_874]) > 40
        )  # read anew: the whole course has 20
        await press(app, pilot, "right_square_bracket")
        await until(app, pilot, "1\u2009312 … 2\u2009062")
        await press(app, pilot, "m")
        await app.idle()
        assert app.screen.query_one("#run-chart-0", Chart).plotted.title == "other"
        assert app.screen.query_one("#run-chart-0", Chart).plotted.view == View()
        await press(app, pilot, "m")
        await app.idle()
        await until(app, pilot, "loss  log · ema 0.6 · 1\u2009312 … 2\u2009062")
        await press(app, pilot, "0")
        await app.idle()
        assert app.screen.query_one("#run-chart-0", Chart).plotted.view.window is None
        assert "…" not in screen(app)


async def test_crosshair_takes_the_arrows_from_the_log_and_gives_them_back(tmp_path: Path) -> None:
    here = session(tmp_path)
    trained(here.backend, "one", steps=30)
    async with on_stage(here, (80, 24)) as (app, pilot):
        await opened(app, pilot, "loss")
        held = app.focused
        await press(app, pilot, "i", "home")
        assert "step 0  1.25" in screen(app)
        await press(app, pilot, "end")
        assert "step 29  1.218" in screen(app)
        await press(app, pilot, "escape")
        assert "step" not in screen(app)
        assert app.focused is held
        assert app.pane is not None
        assert app.pane.opened


async def test_chart_keys_say_why_not_where_no_chart_is_in_sight(tmp_path: Path) -> None:
    here = session(tmp_path)
    trained(here.backend, "one")
    async with on_stage(here, (80, 24)) as (app, pilot):
        await press(app, pilot, "3")
        await app.idle()
        await press(app, pilot, "E")
        await until(app, pilot, "open a run first")


async def test_runs_over_each_other_are_named_and_read(tmp_path: Path) -> None:
    here = session(tmp_path)
    for at in range(3):
        trained(here.backend, f"run-{at}", at + 0.25, steps=30)
    async with on_stage(here, (80, 24)) as (app, pilot):
        await press(app, pilot, "3")
        await app.idle()
        await press(app, pilot, "space", "space", "space", "c")
        await until(app, pilot, "Compare 3 runs")
        assert isinstance(app.screen, CompareScreen)
        await until(app, pilot, "└─")
        await press(app, pilot, "i", "home")
        said = screen(app)
        assert "step 0" in said
        for value in ("1.25", "2.25", "3.25"):
            assert value in said
        await press(app, pilot, "escape", "T", "plus")
        await until(app, pilot, "time · 0:07 …")
        await press(app, pilot, "escape")
        assert not isinstance(app.screen, CompareScreen)


async def test_baseline_is_chosen_by_key_and_the_comparison_goes_to_a_file(tmp_path: Path) -> None:
    here = session(tmp_path)
    for at in range(3):
        trained(here.backend, f"run-{at}", float(at), steps=3)
    async with on_stage(here, (100, 40)) as (app, pilot):
        await press(app, pilot, "3")
        await app.idle()
        await press(app, pilot, "space", "space", "space", "c")
        await until(app, pilot, "Compare 3 runs")
        await until(app, pilot, "METRICS")
        assert " -1" in screen(app), screen(app)
        await press(app, pilot, "b")
        await until(app, pilot, "+1")
        target = tmp_path / "found.csv"
        await press(app, pilot, "e")
        await until(app, pilot, "Export the comparison")
        await press(app, pilot, "ctrl+u", *str(target), "enter")
        await until(app, pilot, "3 runs compared")
        assert "difference,loss,yes" in target.read_text()


async def test_what_the_machine_did_is_walked_to_after_the_metrics_and_drawn_over_time(tmp_path: Path) -> None:
    here = session(tmp_path)
    run = trained(here.backend, "one", steps=30)
    names = ("system/cpu_utilization_percentage", "system/run_memory_usage_megabytes")
    here.backend.need("runs").log_points(
        run.id, [MetricPoint(key=key, value=step, step=step, at=1_000 * step + 1) for step in range(9) for key in names]
    )
    async with on_stage(here, (200, 40)) as (app, pilot):
        await opened(app, pilot, "loss")

        def titles() -> list[str]:
            charts = (app.screen.query_one(f"#run-chart-{at}", Chart) for at in range(3))
            return [chart.plotted.title for chart in charts if chart.display and chart.plotted]

        assert titles() == ["loss", "other"], "nothing of the machine beside the run's own"
        await press(app, pilot, "m")
        await app.idle()
        assert titles() == ["other", "loss"]
        await press(app, pilot, "m")
        await app.idle()
        await until(app, pilot, "system/cpu_utilization_percentage  time")
        assert titles() == list(names), "a group of its own"
        await press(app, pilot, "m", "m")
        await app.idle()
        assert titles()[0] == "loss"
