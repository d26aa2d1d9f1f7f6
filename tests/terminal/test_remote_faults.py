"""The screen on a hostile network: rows stay and say why they are old, a change is refused with the reason."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.connect import connect
from backends.entities import ModelFile, RunStatus, Signature
from console.config import Context, Session
from tests import fault_proxy as faults
from tests.fault_proxy import FaultProxy
from tests.mlflow_server import MlflowServer
from tests.terminal.stage import ACTOR, by, on_stage, press, screen, until


@pytest.fixture
def proxy(mlflow_server: MlflowServer) -> Iterator[FaultProxy]:
    with FaultProxy(mlflow_server.url) as found:
        yield found


@pytest.fixture
def opened(proxy: FaultProxy, tmp_path: Path) -> Iterator[Session]:
    url = f"mlflow+{proxy.url}"
    backend = connect("prod", url, sidecar=tmp_path / "sidecar", options={"timeout": "60"})
    context = Context(name="prod", registry=url, workspace=str(tmp_path / "sidecar"))
    yield Session(context=context, backend=backend, actor=ACTOR, workspace=tmp_path / "sidecar")
    backend.close()


@pytest.fixture
def model(opened: Session) -> str:
    runs, name = opened.backend.need("runs"), f"m{uuid.uuid4().hex[:8]}"
    run = runs.create(name="still-here", mutation=by()).id
    runs.start(run)
    runs.end(run, RunStatus.FINISHED)
    opened.backend.need("registry").register(name, run=run, file=ModelFile(), signature=Signature(), mutation=by())
    return name


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (faults.answer(503, b"<html>busy</html>", Retry_After="2"), "in trouble (503)"),
        (faults.says(faults.LOGIN_PAGE, "text/html"), "with a web page"),
        (faults.drop_before, "broke off"),
        (faults.says(b'{"runs": [[[[\xff'), "half an answer"),
    ],
    ids=["503", "login page", "dropped", "broken JSON"],
)
async def test_rows_stay_and_say_why_they_are_old_until_it_is_back(
    opened: Session, proxy: FaultProxy, model: str, fault: faults.Fault, words: str
) -> None:
    async with on_stage(opened, size=(220, 40), pane="runs") as (app, pilot):
        await until(app, pilot, "still-here")
        proxy.plan("", "", fault)
        text = await until(app, pilot, words)
        assert "stale" in text
        assert "retry in" in text
        assert "still-here" in text
        proxy.calm()
        end = time.monotonic() + 60
        while words in screen(app) and time.monotonic() < end:
            await press(app, pilot)
        assert "stale" not in screen(app)
        assert "still-here" in screen(app)


async def test_a_promotion_is_refused_with_the_reason_and_one_unheard_of_is_found_again(
    opened: Session, proxy: FaultProxy, model: str
) -> None:
    registry = opened.backend.need("registry")
    async with on_stage(opened, size=(140, 40), pane="models", argument=model) as (app, pilot):
        await until(app, pilot, f"Models › {model}")
        await until(app, pilot, "v1")
        proxy.plan("POST", "registered-models/alias", faults.answer(429, b"", Retry_After="1"))
        await press(app, pilot, "p")
        await until(app, pilot, f"Promote {model} v1")
        await press(app, pilot, "y")
        await until(app, pilot, "nothing was changed")
        proxy.calm()
        assert registry.get(model).aliases == {}
        await press(app, pilot, "escape", "escape")
        end = time.monotonic() + 60
        while "too often" in screen(app) and time.monotonic() < end:
            await press(app, pilot)
        assert app.is_running
