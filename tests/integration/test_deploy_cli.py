"""`mlops-console deploy …` from the shell: what it prints, its exit codes, and a container context that serves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from backends.contract import Mutation
from backends.entities import GateStatus
from backends.local import open_local
from backends.local.process_identity import send_signal
from console.agent import stop_agent
from console.agent.server_process import marked
from console.serving.deployment.place import folder_of
from console.serving.onnx.convert import convert_version
from console.serving.onnx.parity import rows_from
from tests.monitored import FEATURES, columns_of, deliveries, traffic, until

ROOT = Path(__file__).parents[2]
JSON = {"Content-Type": "application/json"}
BODY = json.dumps({"dataframe_records": [{"weight": 6.0, "distance": 400.0, "carrier": "ups"}]}).encode()


def cli(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "console.cli.main", "--workspace", str(home), "deploy", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=900,
        check=False,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("deploy") / "w"
    deliveries(made).close()
    yield made
    stop_agent(made)
    for process in marked(folder_of(made, "live")):
        send_signal(process, signal.SIGKILL)


def test_start_list_show_logs_stop_delete(home: Path) -> None:
    empty = cli(home, "list")
    assert (empty.returncode, "deploy start" in empty.stderr) == (0, True)
    started = cli(home, "start", "deliveries@champion", "--name", "live", "--redact", "carrier", "--json")
    assert started.returncode == 0, started.stderr
    made = json.loads(started.stdout)
    assert (made["status"]["state"], made["redact"]) == ("serving", ["carrier"])
    with urllib.request.urlopen(urllib.request.Request(f"{made['status']['url']}/invocations", BODY, JSON)) as answer:
        assert answer.headers["X-Model-Version"] == "1"
    twice = cli(home, "start", "deliveries@champion", "--name", "live")
    assert (twice.returncode, "serves deliveries already" in twice.stderr) == (1, True)
    (item,) = json.loads(cli(home, "list", "--json").stdout)["items"]
    assert item["standings"][0]["served"] == item["standings"][0]["wanted"] == "1"
    shown = cli(home, "show", "live")
    assert (shown.returncode, "champion 100 %" in shown.stdout) == (0, True)
    assert "serving deliveries" in cli(home, "logs", "live").stdout
    nobody = cli(home, "canary", "live", "10%")
    assert (nobody.returncode, "challenger" in nobody.stderr) == (2, True)
    alone = cli(home, "halt", "live")
    assert (alone.returncode, "nothing to halt" in alone.stderr) == (1, True)
    assert cli(home, "note", "live", "for the shop").returncode == 0
    assert "for the shop" in cli(home, "show", "live").stdout

    def kept() -> list[dict[str, object]]:
        items: list[dict[str, object]] = json.loads(cli(home, "predictions", "live", "--json").stdout)["items"]
        return items

    (asked,) = until(kept, seconds=180, what="the prediction in the log")
    assert (asked["version"], asked["row"]) == ("1", {"weight": 6.0, "distance": 400.0})  # the carrier is redacted
    assert "weight 6" in cli(home, "predictions", "live").stdout
    running = cli(home, "delete", "live", "--confirm", "live")
    assert (running.returncode, "Stop it first" in running.stderr) == (1, True)
    stopped = cli(home, "stop", "live", "--json")
    assert (stopped.returncode, json.loads(stopped.stdout)["status"]["state"]) == (0, "stopped")
    assert cli(home, "delete", "live", "--confirm", "live").returncode == 0


def test_wrong_input_changes_nothing(home: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret-token")
    token.chmod(0o644)
    for words, says in (
        (("start", "nobody@champion"), "nobody"),
        (("start", "deliveries@nobody"), "nobody"),
        (("start", "deliveries@champion", "--token-file", str(token)), "chmod 600"),
        (("start", "deliveries@champion", "--host", "0.0.0.0"), "token"),
        (("start", "deliveries@champion", "--sample", "much"), "share"),
        (("show", "none"), "none"),
        (("split", "none", "champion=100"), "none"),
        (("scale", "none", "0"), "1<=x<=64"),
    ):
        done = cli(home, *words)
        assert (done.returncode, says in done.stderr) == (2, True), (words, done.stderr)
        assert "secret-token" not in done.stderr + done.stdout
    assert json.loads(cli(home, "list", "--json").stdout)["items"] == []


BLOCKED = """
import sys


class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in @names@:
            raise ModuleNotFoundError(f"No module named {name!r}: it is not pinned", name=name)
        return None


sys.meta_path.insert(0, Missing())
"""


@pytest.mark.parametrize("engine", ["sklearn", "onnx"])
def test_a_context_serves_its_version_without_the_workspace(home: Path, tmp_path: Path, engine: str) -> None:
    folder = tmp_path / "context"
    if engine == "onnx":
        missing = cli(home, "context", "deliveries@champion", str(folder), "--engine", engine)
        assert (missing.returncode, "model export deliveries 1 --onnx" in missing.stderr) == (1, True), missing.stderr
        assert not folder.exists()
        rows = traffic(200, 5)[FEATURES]
        backend = open_local(home)
        asked_of = rows_from(rows, columns_of(rows))
        report = convert_version(backend, "deliveries", "1", Mutation("a test"), rows=lambda _: asked_of)
        assert report.status is GateStatus.PASS, report.figures
        backend.close()
    built = cli(home, "context", "deliveries@champion", str(folder), "--engine", engine, "--json")
    assert built.returncode == 0, built.stderr
    assert json.loads(built.stdout)["build"].startswith("docker build -t deliveries:v1 ")
    assert "USER 10001" in (folder / "Dockerfile").read_text()
    # Nothing is there but what is pinned: whatever else is asked for is missing, as it will be in the image.
    pins = {line.partition("==")[0] for line in (folder / "requirements.txt").read_text().splitlines()}
    unpinned = sorted(
        name
        for name, distributions in packages_distributions().items()
        if name not in ("backends", "console", "tests")
        and not {re.sub(r"[-_.]+", "-", each).lower() for each in distributions} & pins
    )
    assert {"textual", "pyarrow", "plotext", "sqlite_utils", "httpx"} <= set(unpinned)
    assert ({"sklearn", "pandas", "skops", "scipy"} <= set(unpinned)) is (engine == "onnx")
    (folder / "program" / "sitecustomize.py").write_text(BLOCKED.replace("@names@", repr(set(unpinned))))
    assert not (folder / "program" / "console" / "tui").exists()
    again = cli(home, "context", "deliveries@champion", str(folder))
    assert (again.returncode, "not empty" in again.stderr) == (1, True)
    token = tmp_path / "token"
    token.write_text("a-token-of-callers\n")
    token.chmod(0o440)  # as an orchestrator mounts it
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "start.py"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": "", "TOKEN_FILE": str(token), "PORT": "0"},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:

        def url() -> str:
            assert process.poll() is None, (tmp_path / "out").read_text()
            ready = [line for line in (tmp_path / "out").read_text().splitlines() if line.startswith('{"ready"')]
            return str(json.loads(ready[0])["url"]) if ready else ""

        port = until(url, seconds=600, what="the server").rpartition(":")[2]
        asked = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", BODY, JSON)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(asked)
        assert refused.value.code == 401
        asked.add_header("Authorization", "Bearer a-token-of-callers")
        with urllib.request.urlopen(asked) as answer:
            assert answer.headers["X-Model-Version"] == "1"
        probe = re.search(r"HEALTHCHECK .*?CMD (\[.*?\])\n", (folder / "Dockerfile").read_text(), re.DOTALL)
        assert probe is not None
        _, flag, code = json.loads(probe[1])
        subprocess.run([sys.executable, flag, code.replace(":8080/", f":{port}/")], check=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(180) == 0
    finally:
        process.kill()
        process.wait()
