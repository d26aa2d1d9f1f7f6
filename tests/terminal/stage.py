"""A workspace, an app on it, and what its screen says."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
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


class Staged(ConsoleApp):
    """The app, which is idle once its screen stands too: on a machine whose processors others want, what was asked for
    may be there and not yet be drawn."""

    async def idle(self, timeout: float = 60.0, own: str = "") -> None:
        await super().idle(timeout, own)
        await drawn(self)


@asynccontextmanager
async def on_stage(
    opened: Session, size: tuple[int, int] = (100, 30), keymap: Keymap | None = None, **more: Any
) -> AsyncIterator[tuple[ConsoleApp, Pilot[int]]]:
    """The app, running without a terminal but with toasts and tooltips."""
    app = Staged(session=opened, keymap=keymap or Keymap(default_keys()), **more)
    async with app.run_test(size=size, notifications=True, tooltips=True) as pilot:
        await app.idle()
        await pilot.pause()
        yield app, pilot


async def press(app: ConsoleApp, pilot: Pilot[int], *keys: str) -> None:
    """One key after the other, each once what the one before it called for stands, as a person does."""
    for key in keys:
        before, screens = set(map(id, app.workers)), len(app.screen_stack)
        await pilot.press(key)
        await taken_up(app, before, screens)
    await pilot.pause()
    await drawn(app)


TAKEN_UP_S = 3.0
"""What takes longer is shown to be under way, and keys are taken meanwhile."""


async def taken_up(app: ConsoleApp, before: set[int], screens: int) -> None:
    """Until what a key began has ended or asks something: a key for a dialog that is not laid yet is lost."""

    def asks_or_has_ended() -> bool:
        if len(app.screen_stack) > screens:
            return True
        return app._opening or all(id(each) in before or each.is_finished for each in app.workers)

    with suppress(TimeoutError):
        async with asyncio.timeout(TAKEN_UP_S):
            await drawn(app)
            while not asks_or_has_ended():
                await asyncio.sleep(0.01)
                await drawn(app)


async def drawn(app: ConsoleApp, timeout: float = 60.0) -> None:
    """Until no part of the screen has anything left to handle, to lay or to paint. `pilot.pause` waits for a moment in
    which this process does little, which it also does while others have the processor."""
    end, calm = monotonic() + timeout, 0
    while calm < 5 and app._running:
        assert monotonic() < end, "the screen never comes to rest"
        calm = 0 if _has_to_do(app) else calm + 1
        await asyncio.sleep(0 if calm else 0.002)


def _has_to_do(app: ConsoleApp) -> bool:
    if not app.screen_stack:
        return False
    screen = app.screen
    parts = (app, *app.screen_stack[0].walk_children(with_self=True), *screen.walk_children(with_self=True))
    return (
        not screen._is_mounted
        or bool(app._batch_count or screen._dirty_widgets or screen._callbacks)
        or screen._layout_required or screen._scroll_required or screen._repaint_required or screen._recompose_required
        or any(part.message_queue_size or part._pending_message or part._next_callbacks for part in parts)
    )  # fmt: skip


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
    found = screen(app)
    assert text in found, found
    await drawn(app)  # the rest of it may come a moment later; what was there for a moment alone is given as it was
    later = screen(app)
    return later if text in later else found


async def until_so(pilot: Pilot[int], so: Callable[[], bool], timeout: float = 60.0) -> None:
    """Once it is so: for what is not to be read off the screen."""
    end = monotonic() + timeout
    while not so() and monotonic() < end:
        await asyncio.sleep(0.02)
        await pilot.pause()
    assert so()
    await drawn(pilot.app)  # type: ignore[arg-type]
