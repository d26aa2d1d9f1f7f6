"""Prompts on the screen: listed apart from models, read as they are written, moved by the same keys."""

from __future__ import annotations

from pathlib import Path

from backends.entities import ModelFile, Signature
from console.config import Session
from console.promotion.prompts import TEXT
from tests.hostile import HOSTILE
from tests.terminal.stage import add_run, add_version, by, on_stage, press, session, until


def prepared(folder: Path, *texts: str, **more: bool) -> Session:
    opened = session(folder / "ws", **more)
    registry = opened.backend.need("registry")
    registry.create("greet", by(), kind="prompt")
    for text in texts:
        registry.register(
            "greet", run="", file=ModelFile(), signature=Signature(), mutation=by(), tags={TEXT: text}, note="kinder"
        )
    registry.set_alias("greet", "production", "1", expected=None, mutation=by())
    add_version(opened.backend, "churn", add_run(opened.backend))
    return opened


async def test_prompts_are_listed_apart_and_read_whole(tmp_path: Path) -> None:
    opened = prepared(tmp_path, "Say {{word}}.\nBe [/brief].", "Now say {{word}}.")
    async with on_stage(opened, size=(100, 30)) as (app, pilot):
        await press(app, pilot, "colon", *"prompts", "enter")
        text = await until(app, pilot, "production v1")
        assert "churn" not in text
        await press(app, pilot, "enter")
        await until(app, pilot, "Prompts › greet")
        await press(app, pilot, "down", "enter")
        text = await until(app, pilot, "Prompts › greet › v1")
        for said in ("Say {{word}}.", "Be [/brief].", "kinder", "became production"):
            assert said in text
        await press(app, pilot, "4")
        text = await until(app, pilot, "churn")
        assert "greet" not in text


async def test_p_and_b_move_the_alias_that_the_prompt_has(tmp_path: Path) -> None:
    opened = prepared(tmp_path, "Say {{word}}.", "Now say {{word}}.")
    registry = opened.backend.need("registry")
    async with on_stage(opened, size=(100, 30)) as (app, pilot):
        await press(app, pilot, "colon", *"prompts greet", "enter")
        await until(app, pilot, "Prompts › greet")
        await app.idle()
        await press(app, pilot, "p")
        text = await until(app, pilot, "Promote greet v2 → production")
        assert "-Say {{word}}." in text
        assert "+Now say {{word}}." in text
        await press(app, pilot, "y")
        await until(app, pilot, "v1 → v2")
        assert registry.get("greet").aliases == {"production": "2"}
        await press(app, pilot, "b")
        await until(app, pilot, "Roll back greet production")
        await press(app, pilot, "y")
        await until(app, pilot, "v2 → v1")
        assert registry.get("greet").aliases == {"production": "1"}


async def test_a_prompt_without_an_alias_asks_which_one(tmp_path: Path) -> None:
    opened = prepared(tmp_path, "Say {{word}}.")
    registry = opened.backend.need("registry")
    registry.set_alias("greet", "production", None, expected="1", mutation=by())
    async with on_stage(opened, size=(100, 30)) as (app, pilot):
        await press(app, pilot, "colon", *"prompts greet", "enter")
        await until(app, pilot, "Prompts › greet")
        await app.idle()
        await press(app, pilot, "p")
        await until(app, pilot, "Which alias of greet moves")
        await press(app, pilot, *["backspace"] * 10, *"canary", "enter")
        await until(app, pilot, "Promote greet v1 → canary")
        await press(app, pilot, "y")
        await until(app, pilot, "nothing → v1")
        assert registry.get("greet").aliases == {"canary": "1"}


async def test_callers_that_would_break_need_an_override(tmp_path: Path) -> None:
    opened = prepared(tmp_path, "Say {{word}}.", "Say {{word}} to {{whom}}.")
    async with on_stage(opened, size=(100, 30)) as (app, pilot):
        await press(app, pilot, "colon", *"prompts greet", "enter")
        await until(app, pilot, "Prompts › greet")
        await app.idle()
        await press(app, pilot, "p")
        await until(app, pilot, "callers do not fill in whom")
        await press(app, pilot, "y", "escape")
        assert opened.backend.need("registry").get("greet").aliases == {"production": "1"}


async def test_hostile_texts_are_only_text(tmp_path: Path) -> None:
    opened = prepared(tmp_path, "Say {{word}}.")
    registry = opened.backend.need("registry")
    for text in HOSTILE:
        if text.strip():
            registry.register(
                "greet",
                run="",
                file=ModelFile(),
                signature=Signature(),
                mutation=by(),
                tags={TEXT: text.encode("utf-8", "replace").decode()},
            )
    async with on_stage(opened, size=(140, 40)) as (app, pilot):
        await press(app, pilot, "colon", *"prompts greet", "enter")
        await until(app, pilot, "Prompts › greet")
        for _ in range(len(HOSTILE)):
            await press(app, pilot, "down")
        await app.idle()
