"""The queue on the screen: why a run waits, its place, the pause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.entities import LaunchSpec, RunStatus
from tests.terminal.stage import add_run, by, on_stage, press, screen, session, until

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_waiting_run_says_why_is_moved_and_the_queue_is_paused(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path / "w"), size=(120, 34)) as (app, pilot):
        assert app.session is not None
        launcher = app.session.backend.need("launcher")
        for name in ("first", "second"):
            run = add_run(app.session.backend, name, RunStatus.QUEUED)
            launcher.submit(LaunchSpec(run=run.id, argv=("true",)), by())
        await press(app, pilot, "3")
        await until(app, pilot, "waits: no agent")
        await press(app, pilot, ":", *"priority 7", "enter")
        await until(app, pilot, "has priority 7")
        assert [each.priority for each in launcher.queue().waiting] == [7, 0]
        await press(app, pilot, ":", *"queue", "enter")
        await until(app, pilot, "Pause the queue")
        assert "2 waiting" in screen(app)
        await press(app, pilot, "y")
        await until(app, pilot, "the queue is paused")
        assert launcher.queue().paused is not None
        assert all(each.why.startswith("the queue is paused by") for each in launcher.queue().waiting)
