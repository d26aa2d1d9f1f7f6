"""The one table: identity, pages, keys, bytes."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot  # noqa: TC002

from backends.contract import Unreachable
from console.tui.columns import Column
from console.tui.table import BigTable
from tests.hostile import HOSTILE
from tests.terminal.stage import drawn
from tests.unit.keyset import Row, Shelf

COLUMNS = (
    Column[Row]("name", "name", lambda row: row[1], 10, grow=1),
    Column[Row]("number", "number", lambda row: row[0], 8, right=True, sort="number"),
    Column[Row]("spare", "spare", lambda row: "x", 30, priority=2),
)


class Bench(App[None]):
    def compose(self) -> ComposeResult:
        yield BigTable[Row](COLUMNS, empty="Nothing here. Press i.")

    @property
    def table(self) -> BigTable[Row]:
        return self.query_one(BigTable)


@asynccontextmanager
async def table_of(shelf: Shelf, *, seek: bool = True, size: tuple[int, int] = (80, 12)) -> AsyncIterator[Pilot[None]]:
    app = Bench()
    async with app.run_test(size=size, notifications=True, tooltips=True) as pilot:
        app.table.show(shelf.source(seek=seek))
        app.table.focus()
        await calm(pilot)
        yield pilot


async def calm(pilot: Pilot[None]) -> None:
    """Until no question is out and every message is handled."""
    for _ in range(2):
        await until(lambda: not the_table(pilot).busy)
        await pilot.pause()
        await drawn(pilot.app)


async def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "still waiting"
        await asyncio.sleep(0.005)


def the_table(pilot: Pilot[None]) -> BigTable[Row]:
    assert isinstance(pilot.app, Bench)
    return pilot.app.table


def screen(table: BigTable[Row]) -> list[str]:
    return ["".join(s.text for s in table.render_line(y)).rstrip() for y in range(table.size.height)]


def line_of_cursor(table: BigTable[Row]) -> int:
    return next(y for y, text in enumerate(screen(table)) if text.startswith("┃"))


async def press(pilot: Pilot[None], *keys: str) -> None:
    await pilot.press(*keys)
    await calm(pilot)


async def test_first_page_stands_under_the_header() -> None:
    async with table_of(Shelf(list(range(1000)))) as pilot:
        lines = screen(the_table(pilot))
        assert lines[0].split() == ["name", "number", "spare"]
        assert lines[1].startswith("┃")
        assert "row 0" in lines[1]
        assert "row 10" in lines[11]


async def test_end_and_home_reach_the_ends_of_a_million_rows_in_two_questions() -> None:
    shelf = Shelf(list(range(1_000_000)))
    async with table_of(shelf) as pilot:
        shelf.asked.clear()
        await press(pilot, "end")
        assert the_table(pilot).cursor_key == "999999"
        assert the_table(pilot).position == 999_999
        await press(pilot, "home")
        assert the_table(pilot).cursor_key == "0"
        assert len(shelf.asked) <= 4


async def test_paging_down_and_up_visits_every_row_without_a_gap() -> None:
    shelf = Shelf(list(range(0, 3000, 3)))
    async with table_of(shelf) as pilot:
        table = the_table(pilot)
        seen = {table.cursor_key}
        for _ in range(400):
            await pilot.press("j")
            seen.add(table.cursor_key)
        await calm(pilot)
        assert table.cursor_key == "1200"
        assert seen == {str(n) for n in range(0, 1203, 3)}
        await press(pilot, *["pageup"] * 60)
        assert table.cursor_key == "0"
        assert table.position == 0


@pytest.mark.parametrize("seek", [True, False])
async def test_refresh_keeps_the_cursor_row_on_its_line_when_rows_come_and_go_above(seek: bool) -> None:
    shelf = Shelf(list(range(0, 20_000, 10)))
    async with table_of(shelf, seek=seek) as pilot:
        table = the_table(pilot)
        await press(pilot, *["pagedown"] * 30, "up", "up")
        key, line = table.cursor_key, line_of_cursor(table)
        shelf.numbers = sorted({*shelf.numbers, *range(1, 2000, 7)} - set(range(0, 1000, 20)))
        table.refresh_rows()
        await calm(pilot)
        assert table.cursor_key == key
        assert line_of_cursor(table) == line


async def test_cursor_goes_to_a_neighbour_when_its_row_is_gone() -> None:
    shelf = Shelf(list(range(100)))
    async with table_of(shelf) as pilot:
        table = the_table(pilot)
        await press(pilot, "down", "down", "down")
        shelf.numbers.remove(3)
        table.refresh_rows()
        await calm(pilot)
        assert table.cursor_key == "4"


async def test_whoever_has_not_left_the_top_sees_what_comes_in() -> None:
    shelf = Shelf(list(range(100, 200)))
    async with table_of(shelf) as pilot:
        table = the_table(pilot)
        shelf.numbers.insert(0, 7)
        table.refresh_rows()
        await calm(pilot)
        assert "row 7" in screen(table)[1]
        assert table.cursor_key == "100"


async def test_random_changes_never_move_cursor_or_marks_to_another_row() -> None:
    dice = random.Random(7)
    shelf = Shelf(dice.sample(range(5000), 900))
    async with table_of(shelf) as pilot:
        table = the_table(pilot)
        for _ in range(25):
            await press(pilot, *dice.choices(["down", "up", "pagedown", "pageup", "end", "home"], k=4))
            if dice.random() < 0.4:
                table.action_mark()
                await calm(pilot)
            key, marks = table.cursor_key, table.marked_keys
            keep = {int(key or 0), *(int(m) for m in marks)}
            gone = set(dice.sample(shelf.numbers, 30)) - keep
            shelf.numbers = sorted({*shelf.numbers, *dice.sample(range(5000), 30)} - gone)
            table.refresh_rows()
            await calm(pilot)
            assert table.cursor_key == key
            assert table.marked_keys == marks
            assert screen(table)[line_of_cursor(table)].split()[-2] == key


async def test_marks_hold_across_another_order_and_tell_their_rows() -> None:
    shelf = Shelf(list(range(50)))
    async with table_of(shelf) as pilot:
        table = the_table(pilot)
        for _ in range(2):
            table.action_mark()
        await calm(pilot)
        table.show(shelf.source())
        await calm(pilot)
        assert [row[0] for row in table.marked] == [0, 1]
        assert "■" in screen(table)[1]


async def test_late_answer_of_an_older_question_is_dropped() -> None:
    slow, fast = Shelf(list(range(1000, 2000))), Shelf(list(range(10)))
    app = Bench()
    async with app.run_test(size=(80, 12)) as pilot:
        slow.gate.clear()
        app.table.show(slow.source())
        assert app.table.busy
        app.table.show(fast.source())
        slow.gate.set()
        await calm(pilot)
        assert app.table.cursor_key == "0"
        assert "row 9" in screen(app.table)[10]


async def test_backend_is_asked_in_a_thread_of_its_own() -> None:
    shelf = Shelf(list(range(1000)))
    async with table_of(shelf) as pilot:
        await press(pilot, "end", "home", "pagedown")
        assert "MainThread" not in shelf.threads


async def test_failed_question_keeps_the_rows_and_says_so() -> None:
    shelf = Shelf(list(range(1000)))
    failures: list[Exception] = []
    async with table_of(shelf) as pilot:
        table = the_table(pilot)
        shelf.fails = Unreachable("mlflow at 10.0.0.5 does not answer")
        before = screen(table)
        original = table.post_message

        def watching(message: object) -> bool:
            if isinstance(message, BigTable.Failed):
                failures.append(message.error)
            return original(message)  # type: ignore[arg-type]

        table.post_message = watching  # type: ignore[method-assign, assignment]
        table.refresh_rows()
        await calm(pilot)
        assert screen(table) == before
        assert [str(error) for error in failures] == ["mlflow at 10.0.0.5 does not answer"]
        shelf.fails = None
        table.refresh_rows()
        await press(pilot, "end")
        assert table.cursor_key == "999"


async def test_empty_list_says_what_belongs_here() -> None:
    async with table_of(Shelf([])) as pilot:
        table = the_table(pilot)
        assert "Nothing here. Press i." in screen(table)[2]
        await press(pilot, "down", "end", "home", "pagedown")
        table.action_mark()
        assert table.cursor_row is None
        assert table.marked == ()


async def test_columns_give_way_by_priority_and_numbers_line_up_right() -> None:
    async with table_of(Shelf(list(range(20))), size=(40, 8)) as pilot:
        lines = screen(the_table(pilot))
        assert "spare" not in lines[0]
        assert lines[1].endswith(" 0")
        assert len({len(line) for line in lines[:8]}) == 1


async def test_cursor_key_changes_two_lines_and_refresh_of_the_same_rows_none() -> None:
    async with table_of(Shelf(list(range(1000)))) as pilot:
        table = the_table(pilot)
        before = [table.render_line(y) for y in range(12)]
        await press(pilot, "down")
        after = [table.render_line(y) for y in range(12)]
        assert [y for y in range(12) if before[y] != after[y]] == [1, 2]
        sent: list[object] = []
        original = table.refresh
        table.refresh = lambda *a, **k: (sent.append(a), original(*a, **k))[1]  # type: ignore[method-assign, func-returns-value, return-value]
        table.refresh_rows()
        await calm(pilot)
        table.tick()
        assert sent == []


async def test_rows_of_one_colour_are_one_segment() -> None:
    async with table_of(Shelf(list(range(1000)))) as pilot:
        assert all(len(list(the_table(pilot).render_line(y))) == 1 for y in range(12))


async def test_list_in_memory_is_sorted_here_and_the_cursor_stays_on_its_row() -> None:
    app = Bench()
    async with app.run_test(size=(80, 12)) as pilot:
        rows = [(n * 37 % 101, f"row {n}") for n in range(101)]
        app.table.show_list(rows, lambda row: str(row[0]))
        app.table.go_to("50")
        await calm(pilot)
        app.table.sort_by(COLUMNS[1], descending=True)
        await calm(pilot)
        assert app.table.cursor_key == "50"
        await pilot.pause()
        app.table.action_home()
        assert app.table.cursor_key == "100"
        assert "▼" in screen(app.table)[0]
        app.table.show_list([*rows, (500, "new")], lambda row: str(row[0]))
        await calm(pilot)
        assert screen(app.table)[1].split()[-2] == "500"


async def test_hostile_strings_reach_the_screen_harmless() -> None:
    shelf = Shelf(list(range(len(HOSTILE))))
    shelf.names = dict(enumerate(HOSTILE.values()))
    async with table_of(shelf, size=(80, 60)) as pilot:
        text = "".join(screen(the_table(pilot)))
        assert text.isprintable() or all(c.isprintable() or c == " " for c in text)
        assert all(len(the_table(pilot).render_line(y).crop(0, 200).text) >= 1 for y in range(5))
        assert all(the_table(pilot).render_line(y).cell_length == 80 for y in range(60))
        assert "\x1b" not in the_table(pilot).plain()
