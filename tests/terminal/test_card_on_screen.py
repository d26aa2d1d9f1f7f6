"""The card of a version on the screen: opened by a key, read, and written into a file."""

from __future__ import annotations

from pathlib import Path

from tests.terminal.stage import add_run, add_version, by, on_stage, press, session, until

HOSTILE = "[/red]m\x1b]52;c;aGk=\x07"


async def test_a_card_is_read_and_written_from_the_screen(tmp_path: Path) -> None:
    opened = session(tmp_path / "ws")
    run = add_run(opened.backend)
    add_version(opened.backend, "churn", run)
    opened.backend.need("registry").set_note("churn", "1", HOSTILE, by())
    for size in ((80, 24), (140, 40)):
        async with on_stage(opened, size=size, pane="models", argument="churn") as (app, pilot):
            await until(app, pilot, "v1")
            await press(app, pilot, "C")
            text = await until(app, pilot, "card of churn v1")
            assert "not known" in text
            assert "[/red]m" in text
            assert "\x1b" not in text
            await press(app, pilot, "end")
            await until(app, pilot, "code commit")
            if size[0] == 80:
                await press(app, pilot, "e")
                await until(app, pilot, "Write the card")
                await press(app, pilot, *["backspace"] * 30, *str(tmp_path / "card.html"), "enter")
                await until(app, pilot, "card in")
    assert "Model card: churn v1" in (tmp_path / "card.html").read_text()
