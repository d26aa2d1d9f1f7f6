"""A run's log on the screen: searched, filtered by level, wrapped, cut short and begun anew while one looks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic

from backends.contract import Backend
from backends.entities import RunStatus
from console.tui.log_view import LogView
from tests.hostile import HOSTILE
from tests.terminal.stage import add_run, on_stage, press, session, until, until_so

ERROR = 'ERROR:x:bad {}\nTraceback (most recent call last):\n  File "a.py", line 1, in f\nKeyError: {}\n'


def with_log(backend: Backend, workspace: Path, text: str) -> Path:
    run = add_run(backend, status=RunStatus.RUNNING)
    log = workspace / "runs" / run.id / "out.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(text, errors="surrogatepass")
    return log


def shown(view: LogView) -> list[str]:
    return ["".join(segment.text for segment in view.render_line(y)).rstrip() for y in range(view.size.height)]


async def holds(view: LogView, text: str, seconds: float = 60.0) -> str:
    end = monotonic() + seconds
    while text not in "\n".join(shown(view)) and monotonic() < end:
        await asyncio.sleep(0.02)
    assert text in "\n".join(shown(view)), shown(view)
    return "\n".join(shown(view))


async def test_errors_are_gone_to_one_by_one_and_alone_on_the_screen(tmp_path: Path) -> None:
    opened = session(tmp_path / "ws")
    filler = "INFO:x:fine\n" * 12_000
    text = "".join(ERROR.format(n, n) + filler for n in range(3))
    with_log(opened.backend, tmp_path / "ws", text)
    async with on_stage(opened, size=(110, 30), pane="runs") as (app, pilot):
        await press(app, pilot, "l")
        await until_so(pilot, lambda: app.pane.log_shown is not None)
        view = app.pane.log_shown
        await holds(view, "following")
        await press(app, pilot, "left_curly_bracket")
        await holds(view, "ERROR:x:bad 2")
        await press(app, pilot, "F")
        await holds(view, "ERROR:x:bad 1")
        await press(app, pilot, "f")
        await holds(view, "ERROR:x:bad 2")
        await press(app, pilot, "right_curly_bracket")
        await holds(view, "no further error below")
        await press(app, pilot, "v")
        await holds(view, "only warning and above")
        await press(app, pilot, "v")
        both = await holds(view, "only error and above")
        assert "fine" not in both
        await press(app, pilot, "home")
        errors = [f"{word}{n}" for n in range(3) for word in ("ERROR:x:bad ", "KeyError: ")]
        await until_so(
            pilot, lambda: [line for line in shown(view) if line.startswith(("ERROR", "KeyError"))][:6] == errors
        )
        await press(app, pilot, "colon", *"level all", "enter")
        around = await holds(view, "fine")
        assert "ERROR:x:bad" in around  # what was looked at stays in sight


async def test_a_word_is_found_in_the_whole_log_and_the_search_is_stopped_by_esc(tmp_path: Path) -> None:
    opened = session(tmp_path / "ws")
    with_log(opened.backend, tmp_path / "ws", "the Needle\n" + "hay\n" * 300_000 + "end\n")
    async with on_stage(opened, size=(110, 30), pane="runs") as (app, pilot):
        await press(app, pilot, "l")
        await until_so(pilot, lambda: app.pane.log_shown is not None)
        view = app.pane.log_shown
        await holds(view, "end")
        await press(app, pilot, "slash", *"needle", "enter")
        await holds(view, "the Needle")
        await press(app, pilot, "colon", *"place 50%", "enter")
        await holds(view, "50 %")
        await press(app, pilot, "colon", *"grep nowhere", "enter")
        await holds(view, "/nowhere no further hit below")
        await press(app, pilot, "escape")
        await until(app, pilot, "newest first")


async def test_a_log_that_is_cut_and_begun_anew_is_shown_as_it_is(tmp_path: Path) -> None:
    opened = session(tmp_path / "ws")
    log = with_log(opened.backend, tmp_path / "ws", "old line\n" * 5_000)
    async with on_stage(opened, size=(110, 30), pane="runs") as (app, pilot):
        await press(app, pilot, "l")
        await until_so(pilot, lambda: app.pane.log_shown is not None)
        view = app.pane.log_shown
        await holds(view, "old line")
        log.write_text("new line\n")
        await holds(view, "new line")
        await until_so(pilot, lambda: "old line" not in "\n".join(shown(view)))
        with log.open("a") as stream:
            stream.write("and one more\n")
        await holds(view, "and one more")


async def test_wrapped_lines_are_paged_row_by_row_without_a_gap(tmp_path: Path) -> None:
    opened = session(tmp_path / "ws")
    words = [f"w{n:05}" for n in range(20_000)]
    with_log(opened.backend, tmp_path / "ws", " ".join(words) + "\n")  # one line of 140 kB
    async with on_stage(opened, size=(110, 30), pane="runs") as (app, pilot):
        await press(app, pilot, "l")
        await until_so(pilot, lambda: app.pane.log_shown is not None)
        view = app.pane.log_shown
        await holds(view, "following")
        await press(app, pilot, "w", "home")
        await holds(view, "w00000 ")
        seen = ""
        for _ in range(200):
            rows = shown(view)[:-1]
            text = "".join(row.ljust(view.size.width) for row in rows)
            new = text if not seen else text[text.find(seen[-view.size.width :]) + view.size.width :]
            if not new.strip():
                break
            seen += new
            await press(app, pilot, "pagedown")
            await until_so(pilot, lambda: not view._fetcher.waiting)
        assert [word for word in words if word not in seen.replace(" ", "")] == []


async def test_hostile_and_binary_logs_reach_the_screen_harmless(tmp_path: Path) -> None:
    opened = session(tmp_path / "ws")
    log = with_log(opened.backend, tmp_path / "ws", "")
    noise = bytes(range(256)) * 40
    lines = [text.encode("utf-8", "surrogatepass") for text in HOSTILE.values()]
    log.write_bytes(noise + b"\n" + b"\n".join(b"ERROR:" + line for line in lines) + b"\n" + noise)
    async with on_stage(opened, size=(110, 30), pane="runs") as (app, pilot):
        await press(app, pilot, "l")
        await until_so(pilot, lambda: app.pane.log_shown is not None)
        view = app.pane.log_shown
        for keys in ((), ("home",), ("v", "v"), ("left_curly_bracket",), ("w",), ("pagedown",), ("end",)):
            await press(app, pilot, *keys)
            await asyncio.sleep(0.1)
            assert all(line.isprintable() for line in shown(view))
            assert all(view.render_line(y).cell_length == view.size.width for y in range(view.size.height))
