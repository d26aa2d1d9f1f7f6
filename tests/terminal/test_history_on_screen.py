"""`:model NAME history`: every move of its aliases, from wherever one is, as the command line says it."""

from __future__ import annotations

from pathlib import Path

from tests.terminal.stage import add_run, add_version, by, on_stage, press, session, until


async def test_the_history_of_a_model_is_read_by_the_command_bar(tmp_path: Path) -> None:
    opened = session(tmp_path)
    run = add_run(opened.backend, "churn-hgb")
    for model in ("churn", "churn", "quiet"):
        add_version(opened.backend, model, run)
    registry = opened.backend.need("registry")
    registry.set_alias("churn", "champion", "1", mutation=by("the first one"), expected=None)
    registry.set_alias("churn", "champion", "2", mutation=by("steadier"), expected="1")
    async with on_stage(opened) as (app, pilot):
        await press(app, pilot, "colon", *"model churn history", "enter")
        shown = await until(app, pilot, "champion: v1 → v2")
        assert "steadier" in shown
        assert "the first one" in shown
        await press(app, pilot, "escape", "colon", *"model quiet history", "enter")
        await until(app, pilot, "none of its aliases has moved yet")
        await press(app, pilot, "escape", "colon", *"model churm history", "enter")
        await until(app, pilot, "churm")
