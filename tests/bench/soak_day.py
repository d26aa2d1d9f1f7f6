"""A day of traffic played in a minute or two, with everything that goes wrong, and counted again offline.

python -m tests.bench.soak_day [SEED] [SECONDS] [KILLS]

Producers of six kinds (a log that is rotated, hourly CSVs with copies, Parquet, HTTP, a pipe, labels in files and by
HTTP) feed a monitor of a really trained model through a real agent. The agent and its scorers are killed at random
moments and the disk, a small one of its own, is full for a while. Printed: what was done, what differs from a recount
with pandas (nothing may), processor time and bytes kept. Without mount namespaces the disk is never full.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main(seed: int = 1, seconds: float = 90.0, kills: int = 12) -> int:
    with tempfile.TemporaryDirectory() as made:
        (Path(made) / "disk").mkdir()
        plan = [f"--seed={seed}", f"--seconds={seconds}", f"--kills={kills}", "--tick=15", "--settle=600", "--rows=20"]
        played = [sys.executable, "-m", "tests.simulated_day.play", made, *plan]
        trial = subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True)
        if trial.returncode:
            command = [*played, "--full", "0"]
        else:
            mount = f'mount -t tmpfs -o size=64m none "{made}/disk" && exec "$@"'
            command = ["unshare", "-rm", "sh", "-c", mount, "sh", *played, "--full", "2"]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for name, value in json.loads(done.stdout.splitlines()[-1]).items():
            print(f"{name:<24}{value}")
        return done.returncode


if __name__ == "__main__":
    given = [kind(value) for kind, value in zip((int, float, int), sys.argv[1:], strict=False)]
    raise SystemExit(main(*given))
