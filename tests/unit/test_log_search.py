"""Looking through a log of any length, chunk by chunk, up and down."""

from __future__ import annotations

import random
import re

import pytest

from console.training.log import source
from console.training.log.source import WholeLog
from console.tui.log_search import Errors, Word, seek
from console.tui.log_text import LINE, LogText
from tests.unit.test_log_levels import reader


def never() -> bool:
    return False


def walk(data: bytes, sought, way: int) -> list[str]:
    """The lines that one meets from one end of the log to the other, as a view does: what is held first."""
    whole = WholeLog(reader(data))
    text = LogText()
    text.append(whole.after(0) if way > 0 else whole.before(None))
    hits = sought.among(text.lines, text.broken)
    met = [text.lines[at] for at in (hits if way > 0 else reversed(hits))]
    while True:
        found = seek(whole, sought, text, way, never)
        if found.line < 0:
            return met
        text = found.text
        hits = [at for at in sought.among(text.lines, text.broken) if (at - found.line) * way >= 0]
        met += [text.lines[at] for at in (hits if way > 0 else reversed(hits))]


@pytest.mark.parametrize("seed", range(30))
def test_every_hit_is_met_in_order_whatever_the_chunks(seed: int, monkeypatch) -> None:
    monkeypatch.setattr(source, "CHUNK", 120)
    dice = random.Random(seed)
    pool = ["needle", "NEEdle x", "hay", "hay " * 9, ""]
    lines = [f"{n:03} {dice.choice(pool)} {n:03}" for n in range(dice.randrange(1, 60))]
    data = ("\n".join(lines) + "\n").encode()
    wanted = [line[:3] for line in lines if "needle" in line.lower()]
    for way in (1, -1):
        # A line over a border is met as the part of it that is held, or twice; none is left out.
        met = [re.findall(r"\d{3}", line)[0] for line in walk(data, Word("Needle"), way)]
        assert list(dict.fromkeys(met)) == wanted[::way]


def test_errors_are_met_once_each_however_far_apart(monkeypatch) -> None:
    monkeypatch.setattr(source, "CHUNK", 400)
    block = "ERROR:x:{}\nTraceback (most recent call last):\n  File 'x'\nKeyError: 1\n" + "loss=0.1\n" * 300
    data = "".join(block.format(n) for n in range(4)).encode()
    for way in (1, -1):
        met = [line for line in walk(data, Errors(), way) if line.startswith("ERROR:x:")]
        assert met == [f"ERROR:x:{n}" for n in range(4)][::way]


def test_a_word_in_a_line_without_an_end_is_found(monkeypatch) -> None:
    data = b"x" * (3 * LINE - 3) + b"needle" + b"y" * LINE * 20
    monkeypatch.setattr(source, "CHUNK", 2 * LINE)
    whole = WholeLog(reader(data))
    text = LogText()
    text.append(whole.after(0))
    found = seek(whole, Word("needle"), text, 1, never)
    assert found.line >= 0
    near = found.text.lines[found.line] + found.text.lines[found.line + 1]
    assert "needle" in near


def test_a_search_that_is_given_up_ends_at_once() -> None:
    whole = WholeLog(reader(b"hay\n" * 100_000))
    text = LogText()
    text.append(whole.after(0))
    asked = []
    found = seek(whole, Word("needle"), text, 1, lambda: len(asked) > 2, lambda reached, size: asked.append(reached))
    assert found.line < 0
    assert len(asked) == 3
