"""The panes on a real MLflow server: browse, filter, look into files, promote in production, go on while it is away."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.connect import connect
from backends.entities import MetricPoint, ModelFile, RunStatus, Signature
from backends.mlflow import client_room
from console.config import Context, Session
from console.tui.app import ConsoleApp
from tests.hostile import HOSTILE
from tests.mlflow_fill import fill_models
from tests.mlflow_server import MlflowServer, start_mlflow
from tests.terminal.stage import ACTOR, by, on_stage, press, screen, until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A server of its own: these tests stop it."""
    found = start_mlflow(tmp_path_factory.mktemp("mlflow-screen"))
    yield found
    found.resume()
    found.stop()


@pytest.fixture
def opened(server: MlflowServer, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Session]:
    """Waits a minute for an answer, or as many seconds as a test asks for."""
    url, waits = f"mlflow+{server.url}", getattr(request, "param", "60")
    backend = connect("prod", url, sidecar=tmp_path / "sidecar", options={"timeout": waits})
    context = Context(name="prod", registry=url, workspace=str(tmp_path / "sidecar"), production=True)
    made = Session(context=context, backend=backend, actor=ACTOR, workspace=tmp_path / "sidecar")
    yield made
    backend.close()


def trained(opened: Session, name: str, folder: Path, experiment: str = "churn") -> str:
    runs = opened.backend.need("runs")
    run = runs.create(name=name, mutation=by(), experiment=experiment, params={"lr": "0.1"}).id
    runs.start(run)
    runs.log_points(run, [MetricPoint(key="auc", value=0.7 + step / 100, step=step) for step in range(5)])
    file = folder / "notes.txt"
    file.write_text("a line of text [/red]\n")
    opened.backend.need("artifacts").put(run, "notes/notes.txt", file)
    runs.end(run, RunStatus.FINISHED)
    return str(run)


async def test_runs_are_browsed_and_their_files_looked_into(opened: Session, tmp_path: Path) -> None:
    trained(opened, "first-run", tmp_path)
    async with on_stage(opened, size=(120, 40), pane="runs") as (app, pilot):
        text = await until(app, pilot, "first-run")
        assert "PRODUCTION" in text
        assert "═" in text
        await until(app, pilot, "auc")
        await press(app, pilot, "a")
        await until(app, pilot, "notes/")
        await press(app, pilot, "enter")
        await until(app, pilot, "┃ notes.txt")
        await press(app, pilot, "enter")
        await until(app, pilot, "a line of text [/red]")
        await press(app, pilot, "escape", "escape")


async def test_a_promotion_in_production_wants_the_name_and_leaves_a_trail(opened: Session, tmp_path: Path) -> None:
    name = f"m{uuid.uuid4().hex[:8]}"
    run = trained(opened, "trained", tmp_path)
    registry = opened.backend.need("registry")
    registry.register(name, run=run, file=ModelFile(), signature=Signature(), mutation=by(), metrics={"auc": 0.7})
    async with on_stage(opened, size=(120, 40), pane="models", argument=name) as (app, pilot):
        await until(app, pilot, f"Models › {name}")
        await until(app, pilot, "v1")
        await press(app, pilot, "p")
        await until(app, pilot, f"Promote {name} v1")
        await press(app, pilot, "y")
        assert registry.get(name).aliases == {}, "one y is not enough in production"
        await press(app, pilot, "backspace", *name, "enter")
        await until(app, pilot, "u takes it back")
    assert registry.get(name).aliases == {"champion": "1"}
    (move,) = registry.history(name)
    assert (move.actor, move.version) == (ACTOR, "1")


@pytest.mark.parametrize("opened", ["5"], indirect=True, ids=["waits 5 s"])
async def test_rows_stay_with_their_age_while_the_server_is_away(
    opened: Session, server: MlflowServer, tmp_path: Path
) -> None:
    trained(opened, "still-here", tmp_path)
    async with on_stage(opened, size=(120, 40), pane="runs") as (app, pilot):
        await until(app, pilot, "still-here")
        server.pause()
        try:
            text = await until(app, pilot, "does not answer in time")
            assert "stale" in text
            assert "still-here" in text
            assert "retry in" in text
        finally:
            server.resume()
        end = time.monotonic() + 60
        while "does not answer" in screen(app) and time.monotonic() < end:
            await press(app, pilot)
        assert "live" in screen(app)


async def test_hostile_names_of_a_server_are_only_text(opened: Session, tmp_path: Path) -> None:
    runs = opened.backend.need("runs")
    kept = [text[:200] for text in HOSTILE if text.strip() and "\0" not in text]
    for text in kept[:12]:
        run = runs.create(name=text, mutation=by(), experiment="hostile", params={"p": text}, tags={"t": text}).id
        runs.set_note(run, text, by())
    async with on_stage(opened, size=(100, 30), pane="runs", argument='experiment = "hostile"') as (app, pilot):
        await until(app, pilot, "hostile")
        await app.idle()
        for key in ("j", "j", "enter", "escape", "d", "escape", "1", "4", "6", "7", "3"):
            await press(app, pilot, key)
            await app.idle()
        assert "\x1b" not in screen(app)


def said(app: ConsoleApp) -> str:
    """The pane's own line of status; where it has no room it is not on the screen."""
    assert app.pane is not None
    return "".join(text for text, _ in app.pane.status())


async def test_models_of_a_large_registry_are_read_as_one_goes_down(
    server: MlflowServer, opened: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_room, "POLL_S", 3_600.0)  # a look of its own would be counted too
    fill_models(server.folder / "mlflow.db", 250, 250, champions=1, large=1)
    registry = opened.backend.need("registry")
    asked: list[str] = []
    page = registry.page
    monkeypatch.setattr(registry, "page", lambda *a, **more: asked.append(more.get("at", "")) or page(*a, **more))
    async with on_stage(opened, size=(120, 40), pane="models") as (app, pilot):
        await until(app, pilot, "model-00")
        await app.idle(60)
        assert "100 models shown; further down are more" in said(app)
        assert set(asked) == {""}, "nobody went down yet"
        for _ in range(12):
            if "further down" not in said(app):
                break
            await press(app, pilot, "end")
            await app.idle(60)
        table = app.pane.table
        names = [each.name for each in table.source.items]
        assert {f"model-{n:02}" for n in range(250)} <= set(names)
        assert names == sorted(set(names)), "none is missing, none is there twice"
        await press(app, pilot, "home")
        await app.idle(60)
        before = len(asked)
        app.pane.refresh_data()
        await app.idle(60)
        assert len(asked) - before == 2, "a look does not read all of it again"
