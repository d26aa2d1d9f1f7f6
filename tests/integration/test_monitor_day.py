"""A day of traffic in seconds, with kills, duplicates, late labels, clock steps and a full disk: counted to the row.

The long form is `python -m tests.bench.soak_day`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_day_of_traffic_and_faults_is_counted_as_an_offline_recount_says(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    plan = ["--seed", "7", "--tick", "60", "--rows", "12", "--seconds", "12", "--kills", "2", "--settle", "240"]
    played = [sys.executable, "-m", "tests.simulated_day.play", str(tmp_path), *plan]
    trial = subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True)
    if trial.returncode:  # no disk of its own can be made here: all but the full disk
        command = [*played, "--full", "0"]
    else:
        mount = f'mount -t tmpfs -o size=48m none "{tmp_path}/disk" && exec "$@"'
        command = ["unshare", "-rm", "sh", "-c", mount, "sh", *played, "--full", "1"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600, cwd=ROOT)
    assert done.stdout, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["differences"] == [], told
    assert told["rows"]["live"] > 1000
    assert sum(told["faults"].values()) == 2 + (not trial.returncode)
