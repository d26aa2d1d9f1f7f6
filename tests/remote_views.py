"""What a person looks at in a server's context, and how to get there: for counting what each view costs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from backends.connect import connect
from console.config import Context, Session
from console.tui.app import ConsoleApp
from console.tui.keymap import Keymap, default_keys
from tests.mlflow_fill import run_id
from tests.terminal.stage import ACTOR

if TYPE_CHECKING:
    from textual.pilot import Pilot

Steps = Callable[["ConsoleApp", "Pilot[int]"], Awaitable[None]]
SIZE = (140, 45)
BETWEEN_S = 2.2
SETTLED_S = 1.2
"""Longer than two pictures of a run are apart."""


class View(NamedTuple):
    name: str
    pane: str
    argument: str = ""
    steps: Steps | None = None


async def _enter(app: ConsoleApp, pilot: Pilot[int]) -> None:
    await pilot.press("enter")
    await app.idle(60)


async def _by_metric(app: ConsoleApp, pilot: Pilot[int]) -> None:
    assert app.pane is not None
    app.pane.sort(column="metrics.auc")
    await app.idle(60)


async def _far_down(app: ConsoleApp, pilot: Pilot[int]) -> None:
    for _ in range(4):
        await pilot.press("pagedown")
        await app.idle(60)


def views(finished: int) -> tuple[View, ...]:
    """`finished` is the number of a run that has ended."""
    return (
        View("Overview", "overview"),
        View("Runs", "runs"),
        View("Runs, four pages down", "runs", steps=_far_down),
        View("Runs by metric", "runs", steps=_by_metric),
        View("Runs filtered", "runs", "params.optimizer = '9' and metrics.auc > 0.5"),
        View("Runs filtered, here", "runs", "duration > 10s"),
        View("one run, running", "runs", steps=_enter),
        View("one run, finished", "runs", f"id = '{run_id(finished)}'", _enter),
        View("Models", "models"),
        View("one model, 200 versions", "models", "model-00"),
        View("Journal", "journal"),
        View("Datasets", "datasets"),
        View("Monitor", "monitor"),
    )


def open_session(url: str, folder: Path, timeout: float = 120.0) -> Session:
    where = f"mlflow+{url}"
    backend = connect("prod", where, sidecar=folder, options={"timeout": str(timeout)})
    context = Context(name="prod", registry=where, workspace=str(folder))
    return Session(context=context, backend=backend, actor=ACTOR, workspace=folder)


@asynccontextmanager
async def looking(opened: Session, view: View) -> AsyncIterator[tuple[ConsoleApp, Pilot[int]]]:
    """The view, once all that it asked for has come."""
    app = ConsoleApp(session=opened, keymap=Keymap(default_keys()), pane=view.pane, argument=view.argument)
    async with app.run_test(size=SIZE, notifications=True, tooltips=True) as pilot:
        await app.idle(120)
        if view.steps is not None:
            await view.steps(app, pilot)
        yield app, pilot


async def refreshed(app: ConsoleApp, pilot: Pilot[int]) -> None:
    """What the watch asks for when it is time to look again, and all that follows."""
    assert app.pane is not None
    await pilot.pause(BETWEEN_S)  # as the watch does: what is kept for a moment is not what a refresh costs
    app.pane.refresh_data()
    await app.idle(120)
    await pilot.pause(SETTLED_S)
    await app.idle(120)
