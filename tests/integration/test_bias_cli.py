"""`dataset bias` on a real dataset, in a real process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backends.contract import Mutation
from backends.local import open_local
from console.data.importing import import_file

ANN = Mutation("ann@box")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("bias")
    rng = np.random.default_rng(0)
    n = 4_000
    sex = rng.choice(["f", "m", "[/red]x"], n, p=[0.495, 0.495, 0.01])
    score = np.clip(rng.random(n) * 0.6 + 0.4 * (sex == "m"), 0, 1)
    frame = pd.DataFrame({"sex": sex, "score": score, "hired": (rng.random(n) < score).astype(int)})
    frame.to_csv(home / "people.csv", index=False)
    backend = open_local(home / "w")
    import_file(backend.need("datasets"), home / "people.csv", "people", ANN)
    backend.close()
    return home / "w"


def bias(workspace: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "console.launch", "--workspace", str(workspace), "dataset", "bias", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def test_bias_is_measured_kept_and_fails_the_command(workspace: Path) -> None:
    done = bias(workspace, "people", "--by", "sex", "--label", "hired", "--score", "score", "--json")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert report["subject"] == "people@1"
    worst = report["results"][0]
    assert (worst["status"], "between f and m" in worst["detail"]) == ("fail", True)
    backend = open_local(workspace)
    kept = backend.need("reports").latest("bias", "people@1")
    backend.close()
    assert kept is not None
    assert (kept.id, kept.status.value) == (report["id"], "fail")


def test_what_a_person_reads(workspace: Path) -> None:
    done = bias(workspace, "people", "--by", "sex", "--label", "hired", "--score", "score", "--min-group", "100")
    assert "demographic parity ratio" in done.stdout
    assert "score − truth" in done.stdout
    assert "shown and not compared: [/red]x" in done.stderr
    assert (
        bias(
            workspace, "people", "--by", "sex", "--label", "hired", "--max-difference", "1", "--min-ratio", "0"
        ).returncode
        == 0
    )


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("people", "--by", "sx", "--label", "hired"), "did you mean sex"),
        (("people", "--by", "sex"), "give a label, a prediction or a score"),
        (("people", "--by", "sex", "--label", "sex"), "which value is the positive one"),
        (("peple", "--by", "sex", "--label", "hired"), "did you mean people"),
        (("people", "--label", "hired"), "--by"),
    ],
)
def test_what_cannot_be_asked_is_told_and_exits_2(workspace: Path, args: tuple[str, ...], why: str) -> None:
    done = bias(workspace, *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_a_read_only_console_measures_and_keeps_nothing(workspace: Path) -> None:
    done = bias(workspace, "people", "--by", "sex", "--label", "hired", "--json", "--read-only")
    assert json.loads(done.stdout)["subject"] == "people@1"
