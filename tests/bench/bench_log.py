"""A log of 2 GB beside its budgets: `python -m tests.bench.bench_log [GB]`.

The log is made first, in a place of its own, and taken away afterwards; another has all its bytes in one line. Each
line below is the median of several calls in one process, as CPU and wall milliseconds. The budget of what goes through
the whole log says what a person waits for, with a line that tells how far it is.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

from textual.app import App, ComposeResult

from backends.local.run_log import read_log
from console.training.log.levels import Level
from console.training.log.source import FilteredLog, WholeLog
from console.tui.log_search import Word, seek
from console.tui.log_text import LogText
from console.tui.log_view import LogView
from tests.bench.bench_store import measure, show

GB = 1000 * 1000 * 1000
BLOCK = 4 * 1024 * 1024


class Screen(App[None]):
    def compose(self) -> ComposeResult:
        yield LogView()


def make(path: Path, size: int, *, lines: bool) -> None:
    """A training's log with one error at its start; or the same bytes as one line."""
    row = "2013-04-12 10:00:00,123 INFO train: epoch 3 step 1204 loss=0.2381 mean_squared_error=0.0412 lr=0.001\n"
    block = (row * (BLOCK // len(row))).encode()
    block = block if lines else block.replace(b"\n", b" ")
    with path.open("wb") as file:
        file.write(b"ERROR train: the first words\n" if lines else b"")
        while file.tell() < size:
            file.write(block)


async def look(path: Path, name: str) -> None:
    def read(start: int, limit: int):  # type: ignore[no-untyped-def]
        return read_log(path, start=start, limit=limit, ended=True)

    app = Screen()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        view = app.query_one(LogView)

        def opened() -> None:
            view.follow(read)
            while not view.plain():
                time.sleep(0.001)

        show(measure(f"{name}: opened at its end", "100 wall", opened))
        show(measure(f"{name}: page up", "8 CPU", lambda: view.action_scroll_pages(-1)))
        show(measure(f"{name}: page down", "8 CPU", lambda: view.action_scroll_pages(1)))
        show(measure(f"{name}: home, then end", "16 CPU", lambda: (view.action_first(), view.action_last())))
        show(measure(f"{name}: to the middle", "16 CPU", lambda: view.go_to(0.5)))
        view.wrap()
        show(measure(f"{name}: page up, wrapped", "8 CPU", lambda: view.action_scroll_pages(-1)))


def through(path: Path) -> None:
    """What goes through all of it."""
    whole = WholeLog(lambda start, limit: read_log(path, start=start, limit=limit, ended=True))
    text = LogText()
    text.append(whole.before(None))
    began, cpu = time.perf_counter(), time.process_time()
    found = seek(whole, Word("first words"), text, -1, lambda: False)
    assert found.line >= 0
    wall, used = time.perf_counter() - began, time.process_time() - cpu
    print(f"{'a word at its start, from its end':<58}{1000 * used:>9.0f}{1000 * wall:>9.0f}   budget 10 000 CPU")
    chosen = FilteredLog(whole.read, Level.ERROR)
    began, cpu, at = time.perf_counter(), time.process_time(), 0
    while (chunk := chosen.after(at)).end > at:
        at = chunk.end
    wall, used = time.perf_counter() - began, time.process_time() - cpu
    print(f"{'all its lines of level error':<58}{1000 * used:>9.0f}{1000 * wall:>9.0f}   budget 30 000 CPU")


def main(gigabytes: float = 2.0) -> None:
    size = int(gigabytes * GB)
    with tempfile.TemporaryDirectory() as made:
        if shutil.disk_usage(made).free < 2 * size:
            raise SystemExit(f"{made} has no room for a log of {gigabytes} GB")
        path = Path(made) / "out.log"
        print(f"{'':<58}{'CPU ms':>9}{'wall ms':>9}{'worst':>9}   budget ms")
        make(path, size, lines=True)
        asyncio.run(look(path, f"{gigabytes:g} GB"))
        through(path)
        make(path, size // 2, lines=False)
        asyncio.run(look(path, f"{gigabytes / 2:g} GB in one line"))


if __name__ == "__main__":
    main(*(float(each) for each in sys.argv[1:2]))
