"""Asking for a promotion and agreeing to one, from the keyboard."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.contract import Mutation
from console.promotion.approvals import waiting
from console.promotion.policy import FILE
from console.promotion.promote import promote
from tests.terminal.stage import on_stage, press, screen, session, until
from tests.terminal.test_promotion_on_screen import ask_to_promote, champion, prepare

OTHER = Mutation(actor="user2@box", reason="beats it")


@pytest.fixture
def opened(tmp_path: Path):
    """One other must agree."""
    made = prepare(session(tmp_path / "ws"), tmp_path)
    (tmp_path / "ws" / FILE).write_text("[[promotion]]\napprovals = 1\n")
    return made


async def test_p_asks_where_others_must_agree(opened) -> None:
    async with on_stage(opened, size=(120, 40)) as (app, pilot):
        assert "Others agree first: 1 besides you" in await ask_to_promote(app, pilot)
        await press(app, pilot, "w", *"mine", "enter", "y")
        await until(app, pilot, "waits for 1 to agree")
        assert champion(opened) == "1"
        assert [each.by for each in waiting(opened.backend)] == ["user1@box"]


async def test_what_waits_stands_in_the_overview_and_is_approved_there(opened) -> None:
    promote(opened.backend, "churn", "2", "champion", OTHER, expected="1")
    async with on_stage(opened, size=(120, 40)) as (app, pilot):
        text = await until(app, pilot, "0 of 1 agreed")
        line = next(line for line in text.splitlines() if "0 of 1 agreed" in line)
        assert "asked by user2" in line
        assert "beats it" in line
        await press(app, pilot, "Y")
        text = await until(app, pilot, "Asked by user2@box")
        assert "difference" in text
        await press(app, pilot, "y")
        await until(app, pilot, "v1 → v2")
        assert champion(opened) == "2"
        await app.idle()
        assert "of 1 agreed" not in screen(app)


async def test_n_rejects(opened) -> None:
    promote(opened.backend, "churn", "2", "champion", OTHER, expected="1")
    async with on_stage(opened, size=(80, 24)) as (app, pilot):
        await until(app, pilot, "0 of 1 agreed")
        await press(app, pilot, "N")
        await until(app, pilot, "Reject churn v2")
        await press(app, pilot, "y")
        await until(app, pilot, "rejected")
        assert (champion(opened), waiting(opened.backend)) == ("1", ())


async def test_ones_own_is_not_approved(opened) -> None:
    promote(opened.backend, "churn", "2", "champion", Mutation(actor="user1@box"), expected="1")
    async with on_stage(opened, size=(120, 40)) as (app, pilot):
        await until(app, pilot, "0 of 1 agreed")
        await press(app, pilot, "Y")
        await until(app, pilot, "one does not approve one's own")
        assert champion(opened) == "1"
