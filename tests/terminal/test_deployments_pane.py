"""Deployments on the screen: what is served against what the alias says, what needs somebody, and the questions
before anything is changed. The servers themselves are tried in tests/integration."""

from __future__ import annotations

import asyncio
import json
import shlex
from pathlib import Path

import msgspec
import pytest

from backends.contract import Backend
from backends.entities import (
    Alert,
    AlertState,
    Column,
    ColumnType,
    Deployment,
    DeploymentState,
    DeploymentStatus,
    DeploymentWish,
    Guard,
    Monitor,
    Served,
    Target,
)
from backends.query import DEPLOYMENT_FIELDS, parse
from console.config import Session
from console.serving.deployment import figures, live
from console.serving.deployment.call import curl
from console.serving.deployment.context import Built
from console.serving.deployment.place import folder_of
from console.serving.state import State, TargetState, VersionState, WorkerState
from tests.hostile import HOSTILE, on_screen_is_harmless
from tests.terminal.stage import ACTOR, add_run, add_version, by, on_stage, press, screen, session, until

SIZES = [(80, 24), (120, 40)]


def serving(version: str = "1", **more: object) -> DeploymentStatus:
    return DeploymentStatus(
        state=DeploymentState.SERVING,
        since=1_790_000_000_000,
        url="http://127.0.0.1:8081",
        pid=7,
        served=(Served(target="champion", version=version),),
        revision=1,
        **more,
    )


def add(backend: Backend, name: str, status: DeploymentStatus, **more: object) -> Deployment:
    store = backend.need("deployments")
    made: Deployment = store.create(Deployment(name=name, model="churn", **more), by())
    store.observe(name, status)
    return made


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A workspace where `churn` has two versions and `2` is champion; no agent is started."""
    monkeypatch.setattr("console.agent.ensure_agent", lambda *_, **__: None)
    made = session(tmp_path)
    run = add_run(made.backend)
    for _ in range(2):
        add_version(made.backend, "churn", run)
    registry = made.backend.need("registry")
    registry.set_alias("churn", "champion", "2", expected=None, mutation=by())
    registry.set_alias("churn", "challenger", "1", expected=None, mutation=by())
    return made


def state_of(requests: int, at: int) -> State:
    times = [0] * 56
    times[20] = requests
    return State(
        deployment="live",
        model="churn",
        url="http://127.0.0.1:8081",
        pid=7,
        started_at=1,
        at=at,
        draining=False,
        targets=(TargetState(target="@champion", alias="champion", version="2", state="serving"),),
        versions=(VersionState(version="2", requests=requests, errors={"500": requests // 10}, times=tuple(times)),),
        workers=(
            WorkerState(pid=8, cpu_seconds=at / 4000, rss=150_000_000, in_flight=0, connections=1, loaded=("2",)),
        ),
        swaps=1,
        logged=requests,
        log_dropped=0,
        log_trouble="",
        shadow_dropped=0,
    )


@pytest.mark.parametrize("size", SIZES)
async def test_an_empty_pane_says_what_to_press(tmp_path: Path, size: tuple[int, int]) -> None:
    async with on_stage(session(tmp_path), size) as (app, pilot):
        await press(app, pilot, "6")
        assert "Press w to serve a model" in await until(app, pilot, "No deployments yet")


@pytest.mark.parametrize("size", SIZES)
async def test_another_version_than_the_alias_says_is_seen_here_and_in_the_overview(
    opened: Session, size: tuple[int, int]
) -> None:
    add(opened.backend, "live", serving("1"))
    async with on_stage(opened, size) as (app, pilot):
        assert "serves v1 for champion, which is v2" in await until(app, pilot, "live")
        await press(app, pilot, "6")
        assert "● serving" in await until(app, pilot, "v1 ≠ v2")
        await press(app, pilot, "enter")
        await until(app, pilot, "the alias says v2")


@pytest.mark.parametrize(("size", "cell"), [((80, 24), "◐ 50/s 10%"), ((140, 40), "◐ 50/s 10.0 %")])
async def test_the_overview_says_what_serves_the_champion_and_how_it_does(
    opened: Session, size: tuple[int, int], cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(opened.backend, "live", serving("2"))
    said = iter(range(1, 1000))

    def state(_path: str, **_: object) -> State:
        look = next(said)
        return state_of(100 * look, 2000 * look)

    monkeypatch.setattr(live, "socket_of", lambda _: "there")
    monkeypatch.setattr(live, "state", state)
    async with on_stage(opened, size) as (app, pilot):
        await until(app, pilot, "served")
        await press(app, pilot, "ctrl+r")
        await until(app, pilot, cell)


async def test_the_overview_warns_of_a_version_that_is_not_what_the_alias_says(opened: Session) -> None:
    add(opened.backend, "live", serving("1"))
    add(opened.backend, "other", serving("2"), desired=DeploymentWish.STOPPED)  # it does not count
    async with on_stage(opened, (120, 40)) as (app, pilot):
        await until(app, pilot, "◐ v1≠v2")


async def test_a_crash_loop_shows_its_reason_and_last_lines(opened: Session) -> None:
    status = DeploymentStatus(
        state=DeploymentState.CRASH_LOOP, reason="3 times in a row: port 80 is taken", tail=("line before the end",)
    )
    add(opened.backend, "live", status)
    async with on_stage(opened, (120, 40)) as (app, pilot):
        assert "crash loop: 3 times in a row: port 80 is taken" in await until(app, pilot, "crash loop")
        await press(app, pilot, "6")
        shown = await until(app, pilot, "line before the end")
    assert "✕ crash loop" in shown


@pytest.mark.parametrize("size", SIZES)
async def test_the_figures_of_each_version_are_of_now(
    opened: Session, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(opened.backend, "live", serving("2"))
    said = iter(range(1, 1000))

    def state(_path: str, **_: object) -> State:
        look = next(said)
        return state_of(100 * look, 2000 * look)

    monkeypatch.setattr(live, "socket_of", lambda _: "there")
    monkeypatch.setattr(live, "state", state)
    async with on_stage(opened, size) as (app, pilot):
        await press(app, pilot, "6")
        await until(app, pilot, "serving")
        await press(app, pilot, "ctrl+r")
        shown = await until(app, pilot, "10.0 %")  # a tenth fails
        assert "50" in shown  # 100 more requests in 2 s
        await press(app, pilot, "enter")
        assert "v2" in await until(app, pilot, "p99 ms")


async def test_a_still_deployment_is_drawn_once(opened: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "socket_of", lambda _: "there")
    monkeypatch.setattr(live, "state", lambda _path, **_: state_of(100, 4000))
    add(opened.backend, "live", serving("2"))
    looks = figures.Looks()
    pages = opened.backend.need("deployments").page().items
    figures.views(opened.backend, pages, looks)
    one, other = (figures.views(opened.backend, pages, looks) for _ in range(2))
    assert one == other


async def test_stop_asks_first_and_says_so(opened: Session) -> None:
    add(opened.backend, "live", serving("2"))
    async with on_stage(opened, (80, 24)) as (app, pilot):
        await press(app, pilot, "6")
        await until(app, pilot, "live")
        await press(app, pilot, "x")
        assert "answers what it has" in await until(app, pilot, "Stop live")
        await press(app, pilot, "enter", "y")
        await app.idle()
    store = opened.backend.need("deployments")
    assert store.get("live").desired is DeploymentWish.STOPPED
    (entry,) = [each for each in opened.backend.need("journal").page().items if each.action == "deploy.stop"]
    assert entry.actor == ACTOR


async def test_split_proposes_the_challenger_and_sets_a_guard(opened: Session) -> None:
    add(opened.backend, "live", serving("2"))
    async with on_stage(opened, (80, 24)) as (app, pilot):
        await press(app, pilot, "6")
        await until(app, pilot, "live")
        await press(app, pilot, "percent_sign")
        await until(app, pilot, "champion=90 challenger=10")
        await press(app, pilot, "enter")
        assert "is stopped by itself" in await until(app, pilot, "challenger 10 %")
        await press(app, pilot, "y")
        await app.idle()
    found = opened.backend.need("deployments").get("live")
    assert found.targets == (Target(alias="champion", share=0.9), Target(alias="challenger", share=0.1))
    assert found.guard == Guard()


async def test_scale_and_shadow_by_their_keys(opened: Session) -> None:
    add(opened.backend, "live", serving("2"))
    async with on_stage(opened, (100, 30)) as (app, pilot):
        await press(app, pilot, "6")
        await until(app, pilot, "live")
        await press(app, pilot, "plus")
        await until(app, pilot, "Workers of live")
        await press(app, pilot, "enter")
        await until(app, pilot, "1 → 2 worker")
        await press(app, pilot, "y")
        await app.idle()
        await press(app, pilot, "h")
        await until(app, pilot, "Shadow of live")
        await press(app, pilot, "enter")
        await until(app, pilot, "challenger besides")
        await press(app, pilot, "y")
        await app.idle()
    found = opened.backend.need("deployments").get("live")
    assert found.workers == 2
    assert found.targets[1:] == (Target(alias="challenger", shadow=True),)


async def test_a_canary_by_its_key_and_all_of_it_back(opened: Session) -> None:
    add(opened.backend, "live", serving("2"))
    store = opened.backend.need("deployments")
    async with on_stage(opened, (100, 30)) as (app, pilot):
        await press(app, pilot, "6")
        await until(app, pilot, "live")
        await press(app, pilot, "H")
        await until(app, pilot, "halt: one version has")  # nothing to take back
        await press(app, pilot, "c")
        await until(app, pilot, "challenger 10%")
        await press(app, pilot, "enter")
        await until(app, pilot, "gives challenger 10 % of its callers")
        await press(app, pilot, "y")
        await app.idle()
        assert store.get("live").targets[1] == Target(alias="challenger", share=0.1)
        assert store.get("live").guard == Guard()
        await press(app, pilot, "H")
        await until(app, pilot, "Nothing is dropped.")
        await press(app, pilot, "y")
        await app.idle()
    assert store.get("live").targets == (Target(alias="champion", share=1.0),)
    actions = [each.action for each in opened.backend.need("journal").page().items]
    assert actions[:2] == ["deploy.halt", "deploy.canary"]


async def test_only_a_stopped_deployment_is_deleted_and_only_by_its_name(opened: Session) -> None:
    add(opened.backend, "live", serving("2"))
    add(opened.backend, "old", DeploymentStatus(), desired=DeploymentWish.STOPPED)
    store = opened.backend.need("deployments")
    async with on_stage(opened, (100, 30)) as (app, pilot):
        await press(app, pilot, "6")
        await until(app, pilot, "old")
        await press(app, pilot, "D")
        await until(app, pilot, "delete: the deployment serves")
        await press(app, pilot, "j", "D")
        await until(app, pilot, "type old and press enter")
        await press(app, pilot, *"live", "enter")
        await until(app, pilot, "this is not the name")
        assert {each.name for each in store.page().items} == {"live", "old"}
        await press(app, pilot, *["backspace"] * 4, *"old", "enter")
        await app.idle()
    assert [each.name for each in store.page().items] == ["live"]
    assert opened.backend.need("journal").page(limit=1).items[0].action == "deploy.delete"


async def test_predictions_are_shown_with_what_the_shadow_said(opened: Session) -> None:
    add(opened.backend, "live", serving("2"))
    assert opened.workspace is not None
    folder = folder_of(opened.workspace, "live") / "log"
    (folder / "shadow").mkdir(parents=True)

    def line(number: int, version: str, value: str, score: float) -> str:
        kept = {"id": f"r{number}", "time": 1_790_000_000_000 + number, "version": version}
        answer = {"value": value, "score": score}
        row = {f"prediction.{name}": said for name, said in {**kept, **answer}.items()}
        return json.dumps({**row, "carrier": HOSTILE["colour"]}) + "\n"

    (folder / "1-w0p1-1.jsonl").write_text("".join(line(n, "2", "yes", 0.75) for n in range(4)))
    (folder / "2-w0p1-2.jsonl.part").write_text(line(4, "2", "yes", 0.75) + '{"torn')
    (folder / "shadow" / "1-w0p1-1.jsonl").write_text("".join(line(n, "1", "no", 0.25) for n in range(1, 3)))
    async with on_stage(opened, (120, 30)) as (app, pilot):
        await press(app, pilot, "6")
        await until(app, pilot, "live")
        await press(app, pilot, "v")
        shown = await until(app, pilot, "the newest 5 predictions")
        assert "2 rows a shadow answered too, 0.0 % got the same answer, scores 0.5 apart" in shown
        assert all(on_screen_is_harmless(row) for row in screen(app).split("\n"))


async def test_the_line_to_copy_asks_the_deployment_for_a_row_of_its_model(opened: Session) -> None:
    found = Deployment(
        name="live", model="churn", key="who", token_file="/home/me/a token", status=serving("2")
    )  # fmt: skip
    inputs = (Column(name="it's", type=ColumnType.FLOAT), Column(name="plan", type=ColumnType.STRING))
    line = curl(found, inputs)
    words = shlex.split(line)
    assert json.loads(words[words.index("-d") + 1]) == {
        "dataframe_records": [{"it's": 1.5, "plan": "text", "who": "text"}]
    }
    assert words[-1] == "http://127.0.0.1:8081/invocations"
    assert "Authorization: Bearer $(cat '/home/me/a token')" in line
    assert curl(Deployment(name="live", model="churn"), inputs) == ""


async def test_a_container_context_is_written_where_one_says(
    opened: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    built = Built(
        directory="there", model="churn", version="2", image="churn:v2", build="docker build -t churn:v2 there",
        run="", files=(), pins=(),
    )  # fmt: skip

    def build(_backend: Backend, model: str, which: str, directory: Path, **_: object) -> Built:
        asked.append((model, which, directory))
        return built

    monkeypatch.setattr("console.serving.deployment.context.build_context", build)
    add(opened.backend, "live", serving("2"))
    async with on_stage(opened, (120, 30)) as (app, pilot):
        await press(app, pilot, "6")
        await until(app, pilot, "live")
        await press(app, pilot, "B")
        await until(app, pilot, "live-champion")
        await press(app, pilot, "enter")
        await until(app, pilot, "docker build")
    assert asked == [("churn", "@champion", Path("live-champion").absolute())]


async def test_notes_on_deployments_monitors_and_alerts(opened: Session) -> None:
    add(opened.backend, "live", serving("2"))
    monitors = opened.backend.need("monitors")
    monitors.put(Monitor(name="watch", model="churn"), by())
    monitors.put_alert(
        Alert(id="a", monitor="watch", metric="auc", state=AlertState.FIRING, opened_at=1, text="it fell")
    )
    async with on_stage(opened, (120, 40)) as (app, pilot):
        await until(app, pilot, "it fell")
        await press(app, pilot, "n")
        await until(app, pilot, "Note on the alert of watch, auc")
        await press(app, pilot, *"late feed", "enter")
        await until(app, pilot, "“late feed”")
        await press(app, pilot, "6")
        await until(app, pilot, "serving")
        await press(app, pilot, "n")
        await until(app, pilot, "Note on live")
        await press(app, pilot, *"for the shop", "enter")
        await app.idle()
        await press(app, pilot, "enter")
        await until(app, pilot, "for the shop")
    for text, count in (("note like '%shop%'", 1), ("note like '%bank%'", 0)):
        assert len(opened.backend.need("deployments").page(parse(text, DEPLOYMENT_FIELDS)).items) == count
    deployment = opened.backend.need("deployments").get("live")
    assert (deployment.note, deployment.desired) == ("for the shop", DeploymentWish.SERVING)
    assert opened.backend.need("monitors").alerts()[0].note == "late feed"


async def test_serving_a_version_from_models_asks_and_starts(opened: Session) -> None:
    async with on_stage(opened, (100, 30)) as (app, pilot):
        await press(app, pilot, "4")
        await until(app, pilot, "churn")
        await press(app, pilot, "w")
        await until(app, pilot, "Serve churn")
        await press(app, pilot, "ctrl+s")
        await until(app, pilot, "The agent keeps it running")
        await press(app, pilot, "y")
        await app.idle()
    made = opened.backend.need("deployments").get("churn")
    assert (made.model, made.targets, made.desired) == (
        "churn",
        (Target(alias="champion"),),
        DeploymentWish.SERVING,
    )


async def test_a_promotion_says_which_deployments_swap(opened: Session) -> None:
    add(opened.backend, "live", serving("2"))
    async with on_stage(opened, (120, 40)) as (app, pilot):
        await press(app, pilot, "6")
        await until(app, pilot, "live")
        opened.backend.need("registry").set_alias("churn", "champion", "1", expected="2", mutation=by())
        await press(app, pilot, "b")
        text = await until(app, pilot, "Roll back churn")
        assert "served: live answers with v2 now, with v2" in " ".join(text.replace("│", " ").split())


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_names_reach_the_screen_harmless(tmp_path: Path, size: tuple[int, int]) -> None:
    opened = session(tmp_path)
    store = opened.backend.need("deployments")
    for text in [text[:300] for key, text in HOSTILE.items() if text.strip() and key != "surrogate"]:
        status = msgspec.structs.replace(
            serving(text),
            url=text,
            reason=text,
            tail=(text, text),
            served=(Served(target=text, version=text, trouble=text),),
        )
        store.create(
            Deployment(
                name=text, model=text, targets=(Target(alias=text),), key=text, redact=(text,), note=text, halted=text
            ),
            by(),
        )
        store.observe(text, status)
    async with on_stage(opened, size) as (app, pilot):
        for keys in (["6"], ["j"], ["enter"], ["escape", "d"], ["escape", "x"], ["escape", "percent_sign"],
                     ["escape", "h"], ["escape", "l"], ["escape", "c"],
                     ["escape", "D"], ["escape", "v"], ["escape", "B"], ["escape", "1"]):  # fmt: skip
            await press(app, pilot, *keys)
            await asyncio.sleep(0.2)  # a question lies over the frame: the app is not idle
            await pilot.pause()
            assert all(on_screen_is_harmless(line) for line in screen(app).split("\n"))
