"""`python -m console.demo.feeder --workspace DIR`: lets one day of flights arrive after the other.

A day is one rename from the stock into the watched folder, so it arrives whole, once, and in order, whatever is
killed when. It ends with the year, or with its workspace.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from console.demo.place import DemoPlace


def feed(place: DemoPlace, pace_s: float) -> int:
    """Move day after day, each `pace_s` seconds after the one before; how many days came."""
    came = 0
    due = time.monotonic()
    for day in place.days():
        time.sleep(max(0.0, due - time.monotonic()))
        due = max(due + pace_s, time.monotonic())
        try:
            day.rename(place.arrivals / day.name)
        except FileNotFoundError:  # the workspace is gone, and with it the reason to go on
            break
        came += 1
    return came


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m console.demo.feeder", description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--pace", type=float, default=1.0, help="seconds between two days")
    asked = parser.parse_args(argv)
    place = DemoPlace(asked.workspace)
    if not place.made:
        sys.stderr.write(f"{asked.workspace}: no demo there\n")
        return 2
    held = place.hold("feeder")
    if held is None:
        return 0
    feed(place, asked.pace)
    return 0


if __name__ == "__main__":
    sys.exit(main())
