"""`mlops-console serve` in the foreground: it says where, answers, and ends with Ctrl-C."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import httpx
from sklearn.linear_model import LogisticRegression

from backends.local import open_local
from tests.serving import ROOT, START_S, fitted, json_rows, keep_version, labels, point, rows


def test_a_model_is_served_from_the_command_line(tmp_path: Path) -> None:
    backend = open_local(tmp_path / "w")
    frame = rows(200)
    pipeline = fitted(frame, labels(frame), LogisticRegression(max_iter=200))
    point(backend, "champion", keep_version(backend, tmp_path, pipeline, frame).version)
    backend.close()
    said = [sys.executable, "-m", "console.cli.main", "--workspace", str(tmp_path / "w"), "--json"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MLOPS_CONSOLE_CONFIG": str(tmp_path / "none.toml")}
    wrong = subprocess.run([*said, "serve", "parcels@9"], env=env, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2, wrong.stderr
    process = subprocess.Popen(
        [*said, "serve", "parcels@champion"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert select.select([process.stdout], [], [], START_S)[0]
        text = ""
        while not text.rstrip().endswith("}"):
            text += process.stdout.readline()
        url = json.loads(text)["url"]
        answer = httpx.post(f"{url}/invocations", json={"instances": json_rows(frame.head(3))}, timeout=60)
        assert answer.json()["predictions"] == pipeline.predict(frame.head(3)).tolist()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
