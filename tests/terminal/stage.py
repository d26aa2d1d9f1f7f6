"""A workspace, an app on it, and what its screen says."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from backends.connect import connect
from backends.contract import Backend, Mutation
from backends.entities import MetricPoint, ModelFile, ModelVersion, Run, RunStatus, Signature
from console.config import Context, Session
from console.tui.app import ConsoleApp
from console.tui.keymap import Keymap, default_keys

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from textual.pilot import Pilot

ACTOR = "user1@box"


def by(reason: str = "") -> Mutation:
    return Mutation(actor=ACTOR, reason=reason)


def session(workspace: Path, *, production: bool = False, read_only: bool = False, name: str = "local") -> Session:
    context = Context(name=name, workspace=str(workspace), production=production, read_only=read_only)
    backend = connect(name, f"local:{workspace}", read_only=read_only)
    return Session(context=context, backend=backend, actor=ACTOR, workspace=workspace)


def add_run(backend: Backend, name: str = "flights-hgb", status: RunStatus = RunStatus.FINISHED, **more: Any) -> Run:
    runs = backend.need("runs")
    run = runs.create(name=name, mutation=by(), **more)
    if status is not RunStatus.QUEUED:
        runs.start(run.id)
        runs.log_points(run.id, [MetricPoint(key="auc", value=0.7 + step / 100, step=step) for step in range(5)])
        if status is not RunStatus.RUNNING:
            runs.end(run.id, status, reason="it broke" if status is RunStatus.FAILED else "")
    return runs.get(run.id)


def add_version(backend: Backend, model: str, run: Run) -> ModelVersion:
    return backend.need("registry").register(
        model,
        run=run.id,
        file=ModelFile(sha256="ab" * 32, format="skops", inspected=True),
        signature=Signature(),
        mutation=by(),
    )


@asynccontextmanager
async def on_stage(
    opened: Session, size: tuple[int, int] = (100, 30), keymap: Keymap | None = None, **more: Any
) -> AsyncIterator[tuple[ConsoleApp, Pilot[int]]]:
    """The app, running without a terminal but with toasts and tooltips."""
    app = ConsoleApp(session=opened, keymap=keymap or Keymap(default_keys()), **more)
    async with app.run_test(size=size, notifications=True, tooltips=True) as pilot:
        await app.idle()
        await pilot.pause()
        yield app, pilot


async def press(app: ConsoleApp, pilot: Pilot[int], *keys: str) -> None:
    await pilot.press(*keys)
    await pilot.pause()


def screen(app: ConsoleApp) -> str:
    """Every cell of the screen, as text."""
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in lines)


async def until(app: ConsoleApp, pilot: Pilot[int], text: str, timeout: float = 60.0) -> str:
    """The screen once it says `text`; what comes by the watch comes after the app is idle."""
    end = monotonic() + timeout
    while text not in screen(app) and monotonic() < end:
        await asyncio.sleep(0.02)
        await pilot.pause()
    assert text in screen(app), screen(app)
    return screen(app)


async def until_so(pilot: Pilot[int], so: Callable[[], bool], timeout: float = 60.0) -> None:
    """Once it is so: for what is not to be read off the screen."""
    end = monotonic() + timeout
    while not so() and monotonic() < end:
        await asyncio.sleep(0.02)
        await pilot.pause()
    assert so()
