"""The pictures of the README, from the real program on the demo: SVG and PNG of each pane at 120x36 and 80x24. The
champion is served while they are taken, and asked for real flights; for one picture a canary has a share of them.

    python -m screenshots.make [--workspace DIR] [NAME …]

Without a workspace it makes the demo in a temporary one, lets some weeks arrive, and takes it away afterwards.
Needs the dev extra (pyte, Pillow) and the font DejaVu Sans Mono.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from console.demo.place import DemoPlace
from screenshots.callers import Callers
from screenshots.terminal import Terminal, write_png, write_svg

HERE = Path(__file__).parent
SIZES = ((120, 36), (80, 24))
DAYS = 45
"""How many days have come when the pictures are taken: March to the middle of April, past the first alert."""

PACE_S = "1.5"
"""Seconds between two days: as fast as a slow machine scores them, so that no more have come than are wanted."""

SHOTS: dict[str, tuple[str, ...]] = {
    "overview": ("1",),
    "datasets": ("2", "\r", "\r"),
    "runs": ("3", " ", "j", " ", "j"),
    "models": ("4", "\r"),
    "monitor": ("5",),
    "why": ("5", "w"),
    "journal": ("7",),
    "compare": ("3", " ", "j", " ", "c"),
    "promote": ("4", "\r", "j", "p"),
    "case": ("4", "\r", "j", "c"),
    "help": ("?",),
    "deployments": ("6",),
    "canary": ("6", "\r"),
}
"""name → keys that lead there."""

AFTER = {"5": "predictions"}
"""key → what must stand there before the next one is pressed: a monitor is read before one can ask why."""

LATE = {"overview": "firing", "why": "× error", "datasets": "▇", "case": "verdict", "canary": "callers"}
"""name → what comes after everything else: days are scored, a profile counted, rows compared by other processes."""
LATE_S = 180.0

LIVE_S = {"overview": 12.0, "deployments": 30.0, "canary": 30.0}
"""name → how long it is looked at before the picture: what servers say is shown between two looks at them."""

DEPLOYMENT = "shop"
WARM_S = 20.0
"""So long callers ask before a picture of what is served: its figures are of the last minute."""

ENV = {
    "TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8", "TZ": "UTC",
    "LOGNAME": "you",
}  # fmt: skip


def environment(workspace: Path) -> dict[str, str]:
    """As a person's own: the workspace lies in their home."""
    return {**os.environ, **ENV, "HOME": str(workspace.parent)}


def make_demo(workspace: Path) -> None:
    """A demo whose days come as fast as they are scored, stopped after `DAYS`."""
    program = [sys.executable, "-m", "console.cli.main"]
    subprocess.run(
        [*program, "demo", "--workspace", str(workspace), "--no-tui", "--pace", PACE_S],
        check=True,
        env=environment(workspace),
    )
    while True:
        shown = subprocess.run(
            [*program, "monitor", "list", "--workspace", str(workspace), "--json"],
            check=True,
            capture_output=True,
            env=environment(workspace),
        )
        windows = json.loads(shown.stdout)["items"][0]["windows"]
        if windows >= DAYS:
            break
        time.sleep(0.5)
    DemoPlace(workspace).stop("feeder")


def deploy(workspace: Path, *words: str) -> dict[str, Any]:
    """`mlops-console deploy …`, and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "console.cli.main", "deploy", *words, "--workspace", str(workspace), "--json"],
        check=True,
        capture_output=True,
        env=environment(workspace),
    )
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@contextmanager
def served(workspace: Path) -> Iterator[None]:
    """The champion served and asked, for as long as this lasts."""
    status = deploy(workspace, "start", "flights-delay@champion", "--name", DEPLOYMENT)["status"]
    flights = sorted((workspace / "demo").glob("flights-*.csv"))[0]
    callers = Callers(str(status["url"]), flights)
    callers.start()
    try:
        yield
    finally:
        callers.stop()
        deploy(workspace, "stop", DEPLOYMENT)
        deploy(workspace, "delete", DEPLOYMENT, "--confirm", DEPLOYMENT)


def stop_demo(workspace: Path) -> None:
    program = [sys.executable, "-m", "console.cli.main"]
    subprocess.run([*program, "demo", "stop", "--workspace", str(workspace)], check=True, env=environment(workspace))


def take(workspace: Path, name: str, columns: int, rows: int) -> None:
    """One picture: start the console, press the keys, let it come to rest, write both files."""
    terminal = Terminal(
        [sys.executable, "-m", "console.launch", "--workspace", str(workspace)],
        columns,
        rows,
        env=environment(workspace),
    )
    try:
        terminal.wait_for("Overview")
        terminal.settle(quiet_s=1.0)
        for key in SHOTS[name]:
            terminal.press(key)
            terminal.settle(quiet_s=1.0)
            if key in AFTER:
                terminal.wait_for(AFTER[key], limit_s=LATE_S)
        if name in LATE:
            terminal.wait_for(LATE[name], limit_s=LATE_S)
        terminal.watch(LIVE_S.get(name, 0.0))
        terminal.settle(quiet_s=1.2, limit_s=5.0)
        stem = HERE / f"{name}-{columns}x{rows}"
        write_svg(terminal, stem.with_suffix(".svg"), f"mlops-console, {name}, {columns}x{rows}")
        write_png(terminal, stem.with_suffix(".png"))
    finally:
        terminal.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, help="a workspace that is there already")
    parser.add_argument("names", nargs="*", choices=[[], *SHOTS], metavar="NAME", help=", ".join(SHOTS))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flights-") as folder:
        workspace = asked.workspace or Path(folder) / "flights"
        if asked.workspace is None:
            make_demo(workspace)
        try:
            with served(workspace):
                time.sleep(WARM_S)
                for name in asked.names or SHOTS:
                    if name == "canary":
                        # The older version scores otherwise, and would be stopped for it before it is seen.
                        words = ("canary", DEPLOYMENT, "20%", "--target", "1", "--guard-drift", "0")
                        deploy(workspace, *words)
                        time.sleep(WARM_S)
                    for columns, rows in SIZES:
                        take(workspace, name, columns, rows)
                        print(f"{name} {columns}x{rows}")
        finally:
            if asked.workspace is None:
                stop_demo(workspace)


if __name__ == "__main__":
    main()
