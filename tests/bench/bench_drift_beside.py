"""Drift of 20 columns by us, by evidently and by NannyML, at three sizes, one after the other on one machine.

python -m tests.bench.bench_drift_beside [FOLDER] [ROWS …]

Each library lives in an environment of its own, made in FOLDER (a temporary one by default; 2.6 GB) and used again
where it is there; what pip cannot install is skipped with its reason. CPU seconds, so that other work on the machine
counts less; every process has one thread for linear algebra.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

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
OURS = {"exact": 50, "profile": 100}
"""And how many times faster than evidently each has to be."""


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


def run(python: Path | str, name: str, files: list[Path]) -> dict[str, float] | str:
    """What the script of this name told of itself, or why it could not."""
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    env = {**os.environ, **threads, "DO_NOT_TRACK": "1"}
    if name in OURS:
        env["PYTHONPATH"] = str(ROOT)
    else:
        env.pop("PYTHONPATH", None)
    done = subprocess.run([python, SCRIPTS / f"by_{name}.py", *files], capture_output=True, text=True, env=env)
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main(folder: Path, sizes: tuple[int, ...] = SIZES) -> None:
    pythons: dict[str, Path | str] = {name: environment(folder, name) for name in RIVALS}
    pythons |= dict.fromkeys(OURS, Path(sys.executable))
    out = sys.stdout
    out.write(f"{'CPU s':10s} {'rows':>10s} {'run':>9s} {'import':>7s} {'peak MB':>8s}   evidently / this\n")
    for rows in sizes:
        files = [folder / f"{side}_{rows}.parquet" for side in ("reference", "current")]
        for seed, file in enumerate(files):
            wide_frame(rows, seed).to_parquet(file)
        against = 0.0
        for name, python in pythons.items():
            found = python if isinstance(python, str) else run(python, name, files)
            if isinstance(found, str):
                out.write(f"{name:10s} {rows:10,d}   skipped: {found}\n")
                continue
            against = found["run"] if name == "evidently" else against
            ratio = f"{against / found['run']:7.0f}×" if against else ""
            wanted = f" (wanted {OURS[name]}×)" if name in OURS and against else ""
            out.write(
                f"{name:10s} {rows:10,d} {found['run']:9.4f} {found['import']:7.2f} {found['peak']:8.0f}   "
                f"{ratio}{wanted}\n"
            )
            out.flush()


if __name__ == "__main__":
    asked = tuple(int(text) for text in sys.argv[2:]) or SIZES
    if len(sys.argv) > 1:
        Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
        main(Path(sys.argv[1]), asked)
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made), asked)
