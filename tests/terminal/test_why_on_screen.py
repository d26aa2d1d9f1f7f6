"""Why, with what only sampled rows tell: the effect on error, example rows, and a search that one can end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from backends.contract import Refused
from console.config import Session
from console.monitoring.reasons import why_offloaded
from console.offload import Cancelled
from tests.monitored import watched
from tests.terminal.stage import on_stage, press, screen, session, until, until_so

WAIT = 120.0


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Session:
    home: Path = tmp_path_factory.mktemp("why") / "w"
    backend = watched(home)
    backend.close()
    return session(home)


async def test_the_sampled_rows_add_the_effect_on_error_and_redacted_examples(opened: Session) -> None:
    async with on_stage(opened, size=(150, 60), pane="monitor") as (app, pilot):
        await until(app, pilot, "AUC by day", WAIT)
        await press(app, pilot, "w")
        await until(app, pilot, "WHAT CHANGED AROUND THAT TIME", WAIT)
        await until(app, pilot, "ROWS THAT WERE ANSWERED WRONGLY  without distance", WAIT)
        shown = screen(app)
        assert "× error" in shown
        assert "sampled rows" in shown
        assert "weight = " in shown
        assert "distance = " not in shown
        assert "onset" in shown
        assert "by window" in shown
        assert "esc stops" not in shown


async def test_esc_ends_the_search_first_and_leaves_after(opened: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = Event(), Event()

    def endless(*_: Any, cancel: Callable[[], bool], **__: Any) -> Any:
        begun.set()
        while not cancel():
            ended.wait(0.02)
        ended.set()
        raise Cancelled("stopped at your request")

    monkeypatch.setattr(why_offloaded, "explain_offloaded", endless)
    async with on_stage(opened, size=(120, 40), pane="monitor") as (app, pilot):
        await until(app, pilot, "AUC by day", WAIT)
        await pilot.press("w")
        await until_so(pilot, begun.is_set)
        await until(app, pilot, "esc stops", WAIT)
        await pilot.press("escape")
        await until(app, pilot, "as you wished", WAIT)
        assert ended.is_set()
        assert "esc stops" not in screen(app)
        await press(app, pilot, "escape")
        await until(app, pilot, "AUC by day", WAIT)


async def test_a_search_that_fails_says_so_in_words(opened: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise Refused("the folder of rows is not readable; mend its mode")

    monkeypatch.setattr(why_offloaded, "explain_offloaded", broken)
    async with on_stage(opened, size=(120, 40), pane="monitor") as (app, pilot):
        await until(app, pilot, "AUC by day", WAIT)
        await press(app, pilot, "w")
        await until(app, pilot, "could not be looked at", WAIT)
        assert "mend its mode" in screen(app)
        assert "FEATURES" in screen(app)  # what windows tell stays


async def test_a_worst_slice_becomes_a_named_segment(opened: Session) -> None:
    async with on_stage(opened, size=(120, 40), pane="monitor") as (app, pilot):
        await until(app, pilot, "AUC by day", WAIT)
        await press(app, pilot, "f")
        await until(app, pilot, "carrier = hermes", WAIT)
        assert "elsewhere" in screen(app)
        await press(app, pilot, "enter")
        await until(app, pilot, "Another segment of live", WAIT)
        await press(app, pilot, "ctrl+s")
        await until(app, pilot, "segment carrier hermes", WAIT)
        (segment,) = opened.backend.need("monitors").get("live").segments
        assert (segment.name, segment.where) == ("carrier hermes", "carrier = hermes")
