"""What the console asks of an MLflow server, counted by a proxy before a real one: little, and never a storm of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.mlflow import client_pages, client_room
from console.config import Session
from console.tui.app import ConsoleApp
from console.tui.keymap import Keymap, default_keys
from tests.counting_proxy import CountingProxy
from tests.mlflow_fill import fill_models, fill_runs
from tests.mlflow_server import MlflowServer, start_mlflow
from tests.remote_views import SIZE, View, looking, open_session, refreshed, views
from tests.terminal.stage import screen, until

RUNS = 600
REQUESTS, BYTES = 3, 200_000


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    server = start_mlflow(tmp_path_factory.mktemp("mlflow-requests"))
    fill_runs(server.folder / "mlflow.db", RUNS)
    fill_models(server.folder / "mlflow.db", 12, 260, champions=6, runs=RUNS - 20)
    yield server
    server.stop()


@pytest.fixture
def proxy(filled: MlflowServer) -> Iterator[CountingProxy]:
    found = CountingProxy(filled.url)
    yield found
    found.stop()


@pytest.fixture
def opened(proxy: CountingProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setattr(client_room, "POLL_S", 3_600.0)  # a look at the server is the test's to ask for
    made = open_session(proxy.url, tmp_path / "sidecar")
    yield made
    made.backend.close()


@pytest.mark.parametrize("view", views(RUNS - 5), ids=lambda view: view.name)
async def test_a_refresh_of_what_is_seen_is_three_questions_and_200_kb_at_most(
    opened: Session, proxy: CountingProxy, view: View
) -> None:
    async with looking(opened, view) as (app, pilot):
        await refreshed(app, pilot)
        proxy.taken()
        for _ in range(2):
            await refreshed(app, pilot)
            tally = proxy.taken()
            assert tally.requests <= REQUESTS, str(tally)
            assert tally.bytes <= BYTES, str(tally)


@pytest.mark.parametrize(
    ("view", "text", "chain"),
    [
        (View("Overview", "overview"), "model-00", 2),
        (View("Runs", "runs"), f"run-{RUNS - 1}", 2),
        (View("Models", "models"), "model-00", 1),
    ],
    ids=lambda each: each.name if isinstance(each, View) else "",
)
async def test_the_first_rows_are_there_after_two_answers(
    opened: Session, proxy: CountingProxy, view: View, text: str, chain: int
) -> None:
    proxy.delay = lambda *_: 0.5
    app = ConsoleApp(session=opened, keymap=Keymap(default_keys()), pane=view.pane)
    async with app.run_test(size=SIZE, notifications=True, tooltips=True) as pilot:
        await until(app, pilot, text)
        assert proxy.taken().chain <= chain + 1, "one more may have ended while the screen was drawn"
        await app.idle(60)
    assert proxy.most_at_once <= 4


async def test_typing_a_filter_sends_no_search_for_each_key_and_never_two_at_once(
    opened: Session, proxy: CountingProxy
) -> None:
    async with looking(opened, View("Runs", "runs")) as (app, pilot):
        proxy.taken()
        together: list[int] = []

        def slowly(what: str, body: str) -> float:
            together.append(sum(each.endswith("runs/search") for each in proxy.under_way))
            return 0.4

        proxy.delay = slowly
        await pilot.press("slash")
        for key in "params.optimizer = '9'":
            await pilot.press({" ": "space", ".": "full_stop", "=": "equals_sign", "'": "apostrophe"}.get(key, key))
            assert f"run-{RUNS - 1}" in screen(app), "the rows before stay until the new ones come"
        await pilot.press("enter")
        await app.idle(60)
        searches = [one for one in proxy.taken().passed if one.what.endswith("runs/search")]
        assert len(searches) <= 4, [one.body for one in searches]
        assert "params.`optimizer`" in searches[-1].body
        assert max(together) <= 1


async def test_a_server_too_slow_at_sorting_is_left_alone_and_the_screen_says_so(
    opened: Session, proxy: CountingProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(client_pages, "LIMIT_S", 0.5)
    monkeypatch.setattr(client_pages, "SORTED", 200)
    monkeypatch.setattr(client_pages, "NEWEST", 200)
    proxy.delay = lambda what, body: 3.0 if "order_by" in body and what.endswith("runs/search") else 0.0
    async with looking(opened, View("Runs", "runs")) as (app, pilot):
        assert app.pane is not None
        app.pane.sort(column="metrics.auc")
        while not any(each.endswith("runs/search") for each in proxy.under_way):
            await asyncio.sleep(0.01)
        await pilot.press("down", "down")  # keys are answered while the server is at it
        assert app.pane.table.position == 2
        text = await until(app, pilot, "only the newest")
        assert "sorting all takes this server too long" in text
        await app.idle(60)
        app.pane.sort(column="metrics.loss")
        await app.idle(60)
        app.pane.sort(column="metrics.auc")
        await app.idle(60)
        assert app.pane.table.cursor_row is not None
    tried = [one for one in proxy.taken().passed if "metrics" in one.body and "order_by" in one.body]
    assert len(tried) <= 1, [one.body for one in tried]
    again = open_session(proxy.url, tmp_path / "sidecar")
    page = again.backend.need("runs").page(_by_metric(), limit=10)
    again.backend.close()
    assert "too long" in page.note, "another console on this sidecar knows it too"


def _by_metric() -> object:
    from backends.query import RUN_FIELDS, parse

    return parse("order by metrics.auc desc", RUN_FIELDS)


async def test_a_quick_server_sorts_all_its_runs(opened: Session, proxy: CountingProxy) -> None:
    runs = opened.backend.need("runs")
    page = runs.page(_by_metric(), limit=20)
    assert page.note == ""
    best = [run.metrics["auc"] for run in page.items]
    assert best == sorted(best, reverse=True)
    every = [run.metrics["auc"] for at in range(0, RUNS, 100) for run in runs.page(at=f"#{at}", limit=100).items]
    assert best[0] == max(every)
    proxy.taken()
    runs.page(_by_metric(), limit=20)
    assert proxy.taken().requests == 1


async def test_a_list_worked_out_here_is_kept_up_to_date_by_little_questions(
    opened: Session, proxy: CountingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backends.contract import Mutation
    from backends.mlflow import client_held
    from backends.query import RUN_FIELDS, parse

    monkeypatch.setattr(client_held, "FRESH_S", 0.0)
    runs = opened.backend.need("runs")
    wanted = parse("duration > 10s or name ~ 'late'", RUN_FIELDS)
    before = runs.page(wanted, limit=20)
    proxy.taken()
    made = runs.create(name="late-comer", mutation=Mutation("user1"))
    proxy.taken()
    after = runs.page(wanted, limit=20)
    tally = proxy.taken()
    assert tally.requests <= REQUESTS
    assert after.items[0].id == made.id
    assert after.items[1:] == before.items[:-1]
    runs.start(made.id)
    runs.rename(made.id, "gone", Mutation("user1"))
    assert [run.id for run in runs.page(wanted, limit=20).items] == [run.id for run in before.items]
