"""The Runs pane over a real store: columns, filter, order, details, log, comparison."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot  # noqa: TC002

from backends.contract import Backend, Mutation
from backends.entities import DatasetInput, MetricPoint, Progress, Run, RunStatus
from backends.local import open_local
from console.config import Context, Session
from console.tui.panes.compare import CompareScreen
from console.tui.panes.runs import RunsPane
from tests.hostile import HOSTILE
from tests.terminal.stage import Staged


def by(key: str) -> Mutation:
    return Mutation(actor="me@here", key=key)


def finished(backend: Backend, name: str, metrics: dict[str, float], params: dict[str, str], **more: object) -> Run:
    assert backend.runs is not None
    run = backend.runs.create(name=name, mutation=by(name), params=params, **more)  # type: ignore[arg-type]
    backend.runs.start(run.id)
    backend.runs.log_points(run.id, [MetricPoint(key=key, value=value) for key, value in metrics.items()])
    return backend.runs.end(run.id, RunStatus.FINISHED) or run


@asynccontextmanager
async def console_on(
    backend: Backend, home: Path, size: tuple[int, int] = (120, 40)
) -> AsyncIterator[tuple[Pilot[int], RunsPane]]:
    session = Session(
        context=Context(name="local", workspace=str(home)), backend=backend, actor="me@here", workspace=home
    )
    app = Staged(session=session, pane="runs")
    async with app.run_test(size=size, notifications=True, tooltips=True) as pilot:
        await app.idle()
        pane = app.pane
        assert isinstance(pane, RunsPane)
        yield pilot, pane  # type: ignore[misc]


async def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "still waiting"
        await asyncio.sleep(0.01)


def rows(pane: RunsPane) -> list[str]:
    table = pane.table
    return ["".join(s.text for s in table.render_line(y)).rstrip() for y in range(table.size.height)]


def facts(pane: RunsPane) -> str:
    return pane.detail.facts.text()


async def test_runs_show_metrics_first_and_only_parameters_that_differ(tmp_path: Path) -> None:
    backend = open_local(tmp_path)
    for at in range(3):
        finished(backend, f"run {at}", {"auc": 0.7 + at / 10, "train.auc": 0.9}, {"depth": str(at), "seed": "7"})
    async with console_on(backend, tmp_path, (160, 40)) as (_, pane):
        head = rows(pane)[0].split()
        assert head[:5] == ["status", "name", "age", "▼", "auc"]
        assert "depth" in head
        assert "seed" not in head
        assert "train.auc" not in head
        assert "0.9000" in rows(pane)[1]
        assert "run 2" in rows(pane)[1]
    backend.close()


async def test_details_follow_the_cursor_once_it_rests(tmp_path: Path) -> None:
    backend = open_local(tmp_path)
    used = DatasetInput(dataset="flights", version="4", digest="9f31" * 16)
    for at in range(3):
        finished(backend, f"run {at}", {"auc": 0.5}, {"depth": str(at)}, inputs=[used])
    async with console_on(backend, tmp_path) as (pilot, pane):
        await pilot.press("down", "down")
        await until(lambda: "run 0" in facts(pane))
        assert "flights@4" in facts(pane)
        assert pane.crumbs() == ("Runs", "run 0")
    backend.close()


async def test_sort_key_orders_by_the_next_column_and_back(tmp_path: Path) -> None:
    backend = open_local(tmp_path)
    for name, auc in (("b", 0.6), ("c", 0.9), ("a", 0.7)):
        finished(backend, name, {"auc": auc}, {})
    async with console_on(backend, tmp_path) as (pilot, pane):
        pane.sort(column="auc")
        await pilot.app.idle()  # type: ignore[attr-defined]
        assert [next(n for n in ("a", "b", "c") if f" {n} " in line) for line in rows(pane)[1:4]] == ["c", "a", "b"]
        await pilot.press("S")
        await pilot.app.idle()  # type: ignore[attr-defined]
        assert [next(n for n in ("a", "b", "c") if f" {n} " in line) for line in rows(pane)[1:4]] == ["b", "a", "c"]
        assert "order by metrics.auc" in pane.plain()
    backend.close()


async def test_filter_shows_what_it_matches_and_escape_takes_it_away(tmp_path: Path) -> None:
    backend = open_local(tmp_path)
    for at in range(30):
        finished(backend, f"run {at}", {"auc": at / 30}, {})
    async with console_on(backend, tmp_path) as (pilot, pane):
        assert pane.app.apply_filter(pane, "metrics.auc > 0.9") == ""
        await pilot.app.idle()  # type: ignore[attr-defined]
        assert len([line for line in rows(pane)[1:] if "run" in line]) == 2
        await pilot.press("escape")
        await pilot.app.idle()  # type: ignore[attr-defined]
        assert len([line for line in rows(pane)[1:] if "run" in line]) == 30
        pane.app.apply_filter(pane, "name = nobody")
        await pilot.app.idle()  # type: ignore[attr-defined]
        assert "No run matches" in "".join(rows(pane))
    backend.close()


async def test_running_run_tells_its_progress_and_new_runs_appear_by_themselves(tmp_path: Path) -> None:
    backend = open_local(tmp_path)
    assert backend.runs is not None
    async with console_on(backend, tmp_path) as (_, pane):
        assert "No runs yet. Press t" in "".join(rows(pane))
        run = backend.runs.create(name="live", mutation=by("live"))
        backend.runs.start(run.id)
        await until(lambda: "▶ running" in rows(pane)[1])
        backend.runs.set_progress(run.id, Progress(at=1, fraction=0.62, stage="fold 4 of 5", eta_s=41))
        await until(lambda: "▶ 62 %" in rows(pane)[1])
        await until(lambda: "fold 4 of 5" in facts(pane) and "eta 0:41" in facts(pane))
    backend.close()


async def test_full_screen_of_a_run_follows_its_log_and_draws_its_courses(tmp_path: Path) -> None:
    backend = open_local(tmp_path)
    assert backend.runs is not None
    run = backend.runs.create(name="live", mutation=by("live"))
    backend.runs.start(run.id)
    points = [MetricPoint(key="auc", value=1 - math.exp(-step / 30), step=step) for step in range(200)]
    backend.runs.log_points(run.id, points)
    folder = tmp_path / "runs" / run.id
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "out.log"
    log.write_text("".join(f"line {n} \x1b]52;c;QQ==\x07\x1b[31mred\n" for n in range(30_000)))
    async with console_on(backend, tmp_path) as (pilot, pane):
        await pilot.press("l")
        view = pane.detail.log_view
        await until(
            lambda: "line 29999 red" in "".join(s.text for y in range(view.size.height) for s in view.render_line(y))
        )
        assert view.has_focus
        assert len(view._text.lines) < 4000
        with log.open("a") as stream:
            stream.write("and one more\n")
        await until(lambda: "and one more" in view.plain())
        await until(lambda: any("\u2801" <= c <= "\u28ff" for c in _text(pane, "#run-chart-0")))
        await pilot.press("home")
        await until(lambda: "line 0 " in "".join(s.text for s in view.render_line(0)))
        assert not view.following
        await pilot.press("G")
        await until(lambda: view.following and "and one more" in view.plain())
        await pilot.press("slash", *"LINE", "space", *"29990", "enter")
        await until(
            lambda: any("29990" in "".join(s.text for s in view.render_line(y)) for y in range(view.size.height))
        )
        assert "\x1b" not in view.plain()
        await pilot.press("escape")
        await until(lambda: pane.table.has_focus)
    backend.close()


def _text(pane: RunsPane, chart: str) -> str:
    widget = pane.query_one(chart)
    return "".join(s.text for y in range(widget.size.height) for s in widget.render_line(y))


async def test_two_marks_and_c_compare(tmp_path: Path) -> None:
    backend = open_local(tmp_path)
    finished(backend, "one", {"auc": 0.7}, {"depth": "3", "seed": "7"})
    finished(backend, "two", {"auc": 0.8}, {"depth": "4", "seed": "7"})
    async with console_on(backend, tmp_path) as (pilot, _):
        await pilot.press("space", "space", "c")
        await until(lambda: isinstance(pilot.app.screen, CompareScreen))
        text = pilot.app.screen.body.text()  # type: ignore[attr-defined]
        assert text.index("depth") < text.index("seed")
        assert "0.8000 ●" in text
        await pilot.press("escape")
    backend.close()


async def test_hostile_names_and_values_reach_no_pane_raw(tmp_path: Path) -> None:
    backend = open_local(tmp_path)
    assert backend.runs is not None
    for at, text in enumerate(HOSTILE.values()):
        clean = "".join(c for c in text[:180] if c.isprintable()) or "x"
        for name in (text[:200], clean):
            try:
                backend.runs.create(name=name, mutation=by(f"{at}{name == clean}"), params={"p": text[:900]})
                break
            except Exception:  # what the store refuses cannot come to the screen from it
                continue
    async with console_on(backend, tmp_path) as (pilot, pane):
        for _ in range(pane.table.count.value if pane.table.count else 0):
            await pilot.press("down")
            await pilot.app.idle()  # type: ignore[attr-defined]
            assert all(line.isprintable() for line in rows(pane))
            assert all(line.isprintable() for line in facts(pane).split("\n"))
        await pilot.press("enter")
        await pilot.app.idle()  # type: ignore[attr-defined]
    backend.close()


async def test_pane_fits_eighty_columns(tmp_path: Path) -> None:
    backend = open_local(tmp_path)
    finished(backend, "a-run-with-a-name-that-is-far-too-long-for-a-column", {"auc": 0.7, "log_loss": 0.4}, {"p": "1"})
    async with console_on(backend, tmp_path, (80, 24)) as (pilot, pane):
        assert all(
            pane.table.render_line(y).cell_length == pane.table.size.width for y in range(pane.table.size.height)
        )
        assert "0.7000" in rows(pane)[1]
        await pilot.press("enter")
        await until(lambda: pane.detail.log_view.has_focus and pane.detail.log_view.size.height > 5)
        await pilot.press("tab")
        await until(lambda: "log_loss" in facts(pane) and pane.detail.facts.has_focus)
        assert not pane.detail.log_view.display
    backend.close()
