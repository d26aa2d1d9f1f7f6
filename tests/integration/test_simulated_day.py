"""Some hours of traffic in half a minute, with all that goes wrong: what is counted equals a recount to the row.

The long form is `python -m tests.bench.soak_day`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE_S = 240
"""Until what was sent is counted, on a machine that is slow."""


def test_nothing_is_lost_and_nothing_counted_twice(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Agents and scorers die, files come twice, labels late and early, a clock is set; and where a small disk of its
    own may be mounted, that is full for a while."""
    disk = tmp_path / "disk"
    disk.mkdir()
    played = [
        sys.executable, "-m", "tests.simulated_day.play", str(tmp_path), "--seed=3", "--hours=8", "--tick=30",
        "--rows=6", "--seconds=15", "--kills=2", f"--settle={PATIENCE_S}",
    ]  # fmt: skip
    trial = subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True)
    full = 0 if trial.returncode else 1
    mount = 'mount -t tmpfs -o size=48m none "$0" && exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", mount, str(disk), *played] if full else played
    record_property("full disk", full or f"left out: {trial.stderr.decode().strip()}")
    done = subprocess.run([*command, f"--full={full}"], check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["differences"] == [], told
    faults = told["faults"]
    assert (faults["agent"] + faults["scorer"] + faults["both"], faults["full disk"]) == (2, full)
    assert told["rows"]["live"] > 400
    assert told["labels"] > 200
    assert told["duplicates"] > 0
