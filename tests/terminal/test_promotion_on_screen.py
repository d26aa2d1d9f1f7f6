"""Promote, roll back and undo from the keyboard, as a person does."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.contract import Mutation
from console.promotion.promote import promote
from tests.terminal.stage import on_stage, press, screen, session, until
from tests.unit.registry import version_of

ME = Mutation(actor="user1@box", reason="first")


@pytest.fixture
def opened(tmp_path: Path):
    return prepare(session(tmp_path / "ws"), tmp_path)


def prepare(made, tmp_path: Path):
    """churn v1 is champion, v2 is better and waits."""
    for at, auc in enumerate((0.70, 0.80)):
        version_of(made.backend, tmp_path, auc=auc, content=f"model {at}".encode())
    promote(made.backend, "churn", "1", "champion", ME, expected=None)
    return made


def champion(opened) -> str | None:
    return opened.backend.registry.get("churn").aliases.get("champion")


async def open_models(app, pilot) -> None:
    await press(app, pilot, "4")
    await app.idle()
    await pilot.pause()


async def ask_to_promote(app, pilot) -> str:
    await open_models(app, pilot)
    await press(app, pilot, "p")
    await until(app, pilot, "Promote which version")
    await press(app, pilot, "enter")
    return await until(app, pilot, "difference")


async def test_p_shows_the_case_and_y_promotes(opened) -> None:
    async with on_stage(opened, size=(120, 40)) as (app, pilot):
        text = await ask_to_promote(app, pilot)
        assert "Promote churn v2 → champion" in text
        assert "v1 champion" in text
        assert "better" in text
        assert "Undo: u" in text
        await press(app, pilot, "w", *"better", "enter", "y")
        await until(app, pilot, "v1 → v2")
        assert champion(opened) == "2"
        entry = opened.backend.journal.page(limit=1).items[0]
        assert (entry.action, entry.reason, entry.actor) == ("model.promote", "better", "user1@box")


async def test_esc_promotes_nothing(opened) -> None:
    async with on_stage(opened, size=(120, 40)) as (app, pilot):
        await ask_to_promote(app, pilot)
        await press(app, pilot, "p", "escape")
        await app.idle()
        assert champion(opened) == "1"


async def test_u_takes_the_promotion_back(opened) -> None:
    promote(opened.backend, "churn", "2", "champion", ME, expected="1")
    async with on_stage(opened, size=(80, 24)) as (app, pilot):
        await press(app, pilot, "u")
        await until(app, pilot, "from v2 to v1")
        await press(app, pilot, "y")
        await until(app, pilot, "v2 → v1")
        assert champion(opened) == "1"


async def test_b_rolls_back(opened) -> None:
    promote(opened.backend, "churn", "2", "champion", ME, expected="1")
    async with on_stage(opened, size=(80, 24)) as (app, pilot):
        await open_models(app, pilot)
        await press(app, pilot, "b")
        await until(app, pilot, "from v2 back to v1")
        await press(app, pilot, "y")
        await until(app, pilot, "v2 → v1")
        assert champion(opened) == "1"


async def test_production_wants_the_models_name(tmp_path: Path) -> None:
    made = prepare(session(tmp_path / "ws", production=True, name="prod"), tmp_path)
    async with on_stage(made, size=(120, 40)) as (app, pilot):
        text = await ask_to_promote(app, pilot)
        assert "type churn and press enter to promote" in text
        await press(app, pilot, "y", "enter")
        await until(app, pilot, "this is not the name")
        assert champion(made) == "1"
        await press(app, pilot, "backspace", *"churn", "enter")
        await until(app, pilot, "v1 → v2")
        assert champion(made) == "2"


async def test_who_moved_it_meanwhile_wins_and_is_named(opened, tmp_path: Path) -> None:
    version_of(opened.backend, tmp_path, auc=0.9, content=b"model 3")
    other = session(tmp_path / "ws")
    async with on_stage(opened, size=(120, 40)) as (app, pilot):
        await ask_to_promote(app, pilot)
        promote(other.backend, "churn", "2", "champion", Mutation(actor="user2@box", reason="mine"), expected="1")
        await press(app, pilot, "y")
        text = await until(app, pilot, "user2@box")
        assert "✕" in text
        assert champion(opened) == "2"


async def test_a_failed_gate_greys_the_yes(tmp_path: Path) -> None:
    made = prepare(session(tmp_path / "ws"), tmp_path)
    worse = version_of(made.backend, tmp_path, auc=0.55, content=b"worse")
    assert worse.version == "3"
    async with on_stage(made, size=(120, 40)) as (app, pilot):
        text = await ask_to_promote(app, pilot)
        assert "a gate fails" in text
        await press(app, pilot, "y")
        await pilot.pause()
        assert "a gate fails" in screen(app)
        assert champion(made) == "1"


async def test_a_failed_gate_is_overridden_with_a_reason_and_not_without(tmp_path: Path) -> None:
    made = prepare(session(tmp_path / "ws"), tmp_path)
    version_of(made.backend, tmp_path, auc=0.55, content=b"worse")
    async with on_stage(made, size=(80, 24)) as (app, pilot):
        text = await ask_to_promote(app, pilot)
        assert "o overrides it, with a reason" in " ".join(text.replace("│", " ").split())
        await press(app, pilot, "o", "enter", "y")
        await until(app, pilot, "needs a reason")
        assert champion(made) == "1"
        await press(app, pilot, *"because", "enter", "y")
        await until(app, pilot, "v1 → v3")
        entry = made.backend.journal.page(limit=1).items[0]
        assert (entry.reason, entry.after["version"]) == ("because", "3")
        assert any(gate.status == "fail" for gate in entry.gates)


async def test_an_override_in_production_wants_the_name_too(tmp_path: Path) -> None:
    made = prepare(session(tmp_path / "ws", production=True, name="prod"), tmp_path)
    version_of(made.backend, tmp_path, auc=0.55, content=b"worse")
    async with on_stage(made, size=(80, 24)) as (app, pilot):
        await ask_to_promote(app, pilot)
        await press(app, pilot, "o", *"because", "enter", *"chur", "enter")
        await until(app, pilot, "this is not the name")
        assert champion(made) == "1"
        await press(app, pilot, "n", "enter")
        await until(app, pilot, "v1 → v3")
        assert champion(made) == "3"


@pytest.mark.parametrize(("key", "last"), [("u", "from v2 to v1."), ("b", "Undo: u.")])
async def test_the_way_back_is_told_whole_on_80_columns(opened, key: str, last: str) -> None:
    promote(opened.backend, "churn", "2", "champion", ME, expected="1")
    async with on_stage(opened, size=(80, 24)) as (app, pilot):
        await open_models(app, pilot)
        await press(app, pilot, key)
        text = await until(app, pilot, last)
        assert "…" not in text.splitlines()[12]
