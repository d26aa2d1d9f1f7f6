"""Drift of 20 columns by us, by evidently and by NannyML, at three sizes, one after the other on one machine.

python -m tests.bench.bench_drift_beside [FOLDER] [ROWS …]

Each library lives in an environment of its own, made in FOLDER (a temporary one by default; 2.6 GB) and used again
where it is there; what pip cannot install is skipped with its reason. CPU seconds of the user's and the system's side,
of all processes and threads, and wall seconds beside them; linear algebra has one thread. Evidently is asked twice: as
its preset comes (one score a column, chosen by itself), and for what ours and NannyML's have as well (KS and
chi-square; still one score a column, where ours are four or five).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.unit.test_monitoring_counts import wide_frame

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "beside"
SIZES = (10_000, 100_000, 1_000_000)
RIVALS = {
    # With pandas 3, which pip would take, it cannot be imported.
    "evidently": ("evidently==0.7.23", "pandas<3", "pyarrow"),
    # It imports statsmodels and does not ask for it.
    "nannyml": ("nannyml==0.13.1", "statsmodels", "pyarrow"),
}
PEERS = {"evidently": "evidently", "evidently_same": "evidently", "nannyml": "nannyml"}
"""script → the environment that it runs in"""
OURS = {"exact": 50, "profile": 100}
"""And how many times faster than evidently's preset each has to be."""
LIMIT_S = 600
"""Wall seconds that a script may take."""


def environment(folder: Path, name: str) -> Path | str:
    """The Python of a library's own environment, or why there is none."""
    home = folder / name
    python = home / "bin" / "python"
    if python.exists() and not subprocess.run([python, "-c", f"import {name}"], capture_output=True).returncode:
        return python
    sys.stdout.write(f"installing {' '.join(RIVALS[name])} …\n")
    sys.stdout.flush()
    try:
        subprocess.run([sys.executable, "-m", "venv", home], check=True, capture_output=True, text=True)
        install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *RIVALS[name]]
        subprocess.run(install, check=True, capture_output=True, text=True, timeout=1800)
    except (subprocess.SubprocessError, OSError) as error:
        said = getattr(error, "stderr", "") or str(error)
        return (said.strip().splitlines() or ["no reason given"])[-1]
    return python


def run(python: Path | str, name: str, files: list[Path]) -> dict[str, Any] | str:
    """What the script of this name told of itself, or why it could not."""
    if isinstance(python, str):
        return python
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    env = {**os.environ, **threads, "DO_NOT_TRACK": "1"}
    if name in OURS:
        env["PYTHONPATH"] = str(ROOT)
    else:
        env.pop("PYTHONPATH", None)
    command = [python, SCRIPTS / f"by_{name}.py", *files]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return f"not done in {LIMIT_S} s of wall time"
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main(folder: Path, sizes: tuple[int, ...] = SIZES) -> None:
    homes = {name: environment(folder, name) for name in RIVALS}
    pythons: dict[str, Path | str] = {name: homes[home] for name, home in PEERS.items()}
    pythons |= dict.fromkeys(OURS, Path(sys.executable))
    out = sys.stdout
    peers = "".join(f"{'/ ' + name:>19s}" for name in PEERS)
    taken = f"{'CPU':>9s}{'wall':>9s}{'import CPU':>12s}{'wall':>7s}{'peak MB':>9s}{'load':>6s}"
    out.write(f"{'seconds':15s}{'rows':>10s}{taken}{peers}\n")
    for rows in sizes:
        files = [folder / f"{side}_{rows}.parquet" for side in ("reference", "current")]
        for seed, file in enumerate(files):
            wide_frame(rows, seed).to_parquet(file)
        theirs: dict[str, list[float]] = {}
        for name, python in pythons.items():
            found = run(python, name, files)
            if isinstance(found, str):
                out.write(f"{name:15s}{rows:10,d}   skipped: {found}\n")
                continue
            (cpu, wall), (import_cpu, import_wall) = found["run"], found["import"]
            line = f"{name:15s}{rows:10,d}{cpu:9.4f}{wall:9.4f}{import_cpu:12.2f}{import_wall:7.2f}"
            line += f"{found['peak']:9.0f}{found['load']:6.1f}"
            if name in PEERS:
                theirs[name] = [cpu, wall]
            else:
                # How many times longer the others take, as CPU and as wall seconds.
                ratios = [
                    f"{theirs[peer][0] / cpu:.0f}× / {theirs[peer][1] / wall:.0f}×" if peer in theirs else "-"
                    for peer in PEERS
                ]
                line += "".join(f"{ratio:>19s}" for ratio in ratios) + f"   wanted {OURS[name]}×"
            out.write(line + "\n")
            out.flush()


if __name__ == "__main__":
    asked = tuple(int(text) for text in sys.argv[2:]) or SIZES
    if len(sys.argv) > 1:
        Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
        main(Path(sys.argv[1]), asked)
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made), asked)
