"""What the console asks of an MLflow server, counted by a proxy before a real one: little, and never a storm of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.mlflow import client_pages, client_room
from console.config import Session
from console.tui.app import ConsoleApp
from console.tui.keymap import Keymap, default_keys
from tests.counting_proxy import CountingProxy
from tests.mlflow_fill import fill_models, fill_runs
from tests.mlflow_server import MlflowServer, never_slow, start_mlflow
from tests.remote_views import SIZE, View, looking, open_session, refreshed, views
from tests.terminal.stage import screen, until, until_so

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
    never_slow(monkeypatch)
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


class Rounds:
    """Answers are held until all that is asked for at once has been asked, and then come together."""

    def __init__(self, proxy: CountingProxy) -> None:
        self._changed = threading.Condition()
        self._gone = 0
        self.waiting = 0
        proxy.delay = self._hold

    def _hold(self, what: str, body: str) -> float:
        with self._changed:
            mine = self._gone
            self.waiting += 1
            self._changed.wait_for(lambda: self._gone > mine, 120)
            self.waiting -= 1
        return 0.0

    async def full(self) -> None:
        """Nobody comes any more, though the app was given many a turn."""
        before, same = -1, 0
        while same < 40:
            await asyncio.sleep(0.02)
            before, same = self.waiting, same + 1 if self.waiting == before else 0

    async def go(self) -> None:
        with self._changed:
            self._gone += 1
            self._changed.notify_all()
        while self.waiting:
            await asyncio.sleep(0.01)


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
    rounds = Rounds(proxy)
    app = ConsoleApp(session=opened, keymap=Keymap(default_keys()), pane=view.pane)
    async with app.run_test(size=SIZE, notifications=True, tooltips=True) as pilot:
        for _ in range(chain + 1):  # one more may end before the screen is drawn
            await until_so(pilot, lambda: rounds.waiting > 0 or text in screen(app))
            await rounds.full()
            if text in screen(app):
                break
            await rounds.go()
        await rounds.full()
        assert text in screen(app)
        proxy.delay = lambda *_: 0.0
        await rounds.go()
        await app.idle(60)
    assert proxy.most_at_once <= 4


async def test_typing_a_filter_sends_no_search_for_each_key_and_never_two_at_once(
    opened: Session, proxy: CountingProxy
) -> None:
    async with looking(opened, View("Runs", "runs")) as (app, pilot):
        proxy.taken()
        together: list[int] = []
        typed = threading.Event()

        def slowly(what: str, body: str) -> float:
            together.append(sum(each.endswith("runs/search") for each in proxy.under_way))
            typed.wait(100)
            return 0.4

        proxy.delay = slowly
        await pilot.press("slash")
        for key in "params.optimizer = '9'":
            await pilot.press({" ": "space", ".": "full_stop", "=": "equals_sign", "'": "apostrophe"}.get(key, key))
            assert f"run-{RUNS - 1}" in screen(app), "the rows before stay until the new ones come"
        await pilot.press("enter")
        typed.set()
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
    pressed = threading.Event()
    pressed.set()

    def slowly(what: str, body: str) -> float:
        if what.endswith("runs/search"):
            if "order_by" in body:
                return 3.0
            pressed.wait(100)
        return 0.0

    proxy.delay = slowly
    async with looking(opened, View("Runs", "runs")) as (app, pilot):
        assert app.pane is not None
        pressed.clear()
        app.pane.sort(column="metrics.auc")
        while not any(each.endswith("runs/search") for each in proxy.under_way):
            await asyncio.sleep(0.01)
        await pilot.press("down", "down")  # keys are answered while the server is at it
        assert app.pane.table.position == 2
        pressed.set()
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
