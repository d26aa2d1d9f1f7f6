"""Any command as a run: an unmodified MLflow script logs to it, and its exit code is its end. Real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Unreachable
from backends.entities import RunStatus
from backends.local import open_local
from backends.local.protocol_access import living_server, read_token, token_for, tracking
from backends.system_metrics import own
from console.agent import agent_status, ensure_protocol, stop_agent

ROOT = Path(__file__).parents[2]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "workspace"
    open_local(home).close()
    yield home
    stop_agent(home)


def console(workspace: Path, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "console.cli.main", *words],
        cwd=cwd or workspace.parent,
        env={**os.environ, "MLOPS_CONSOLE_WORKSPACE": str(workspace), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def told(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


SCRIPT = """
import sys, time
import mlflow
mlflow.log_param("lr", sys.argv[1])
for step in range(int(sys.argv[2])):
    mlflow.log_metric("loss", 1 / (step + 1), step=step)
    print("step", step, flush=True)
    time.sleep(float(sys.argv[3]))
with open("left.txt", "w") as file:
    file.write("hello")
mlflow.log_artifact("left.txt", "out")
"""


def test_an_unmodified_script_logs_to_the_run_that_was_started(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    run = told(
        console(
            workspace, "run", "start", "--json", "--wait", "--experiment", "sweep", "--tag", "team=red", "--",
            sys.executable, "train.py", "0.1", "3", "0",
        )
    )  # fmt: skip
    assert (run["name"], run["experiment"], run["status"], run["exit_code"]) == ("train", "sweep", "finished", 0)
    assert (run["params"], run["tags"]["team"], run["metrics"]["loss"]) == ({"lr": "0.1"}, "red", pytest.approx(1 / 3))
    backend = open_local(workspace)
    assert backend.need("runs").count().value == 1
    assert [each.path for each in backend.need("artifacts").list(run["id"])] == ["command.json", "out/left.txt"]
    backend.close()
    again = told(console(workspace, "run", "retry", run["id"], "--wait", "--json"))
    assert (again["params"], again["tags"]["console.retry_of"]) == ({"lr": "0.1"}, run["id"])


@pytest.mark.parametrize(
    ("ending", "reason"),
    [("import os; os.kill(os.getpid(), 9)", "SIGKILL"), ("raise SystemExit(3)", "exit code 3")],
)
def test_a_script_that_dies_has_failed_whatever_its_client_said(workspace: Path, ending: str, reason: str) -> None:
    program = f"import mlflow; mlflow.start_run(); mlflow.log_metric('a', 1); mlflow.end_run(); {ending}"
    done = console(workspace, "run", "start", "--wait", "--json", "--", sys.executable, "-c", program)
    assert done.returncode == 1
    backend = open_local(workspace)
    (run,) = backend.need("runs").page().items
    assert (run.status, own(run.metrics)) == (RunStatus.FAILED, {"a": 1.0})
    assert reason in run.reason
    backend.close()


def test_a_script_survives_a_killed_agent(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    run = told(console(workspace, "run", "start", "--json", "--", sys.executable, "train.py", "0.1", "40", "0.1"))["id"]
    backend = open_local(workspace)
    runs = backend.need("runs")
    _until(lambda: runs.series(run, "loss").count > 3)
    before = living_server(workspace)
    agent = agent_status(workspace).pid
    assert agent is not None
    os.kill(agent, signal.SIGKILL)
    _until(lambda: living_server(workspace) is None)
    ensure_protocol(workspace)
    after = living_server(workspace)
    assert before is not None
    assert after is not None
    assert (after.port, after.process == before.process) == (before.port, False)
    _until(lambda: runs.get(run).status.ended)
    assert runs.get(run).status is RunStatus.FINISHED
    steps = [point.step for point in runs.points(run, "loss").items]
    assert sorted(set(steps)) == list(range(40))
    backend.close()


def test_the_token_is_nowhere_but_in_the_environment_of_the_command(workspace: Path, tmp_path: Path) -> None:
    go = tmp_path / "go"
    waits = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists():\n    time.sleep(0.05)\n"
    (tmp_path / "train.py").write_text(SCRIPT + waits)
    run = told(console(workspace, "run", "start", "--json", "--", sys.executable, "train.py", "0.1", "1", "0"))["id"]
    backend = open_local(workspace)
    _until(lambda: "out/left.txt" in [each.path for each in backend.need("artifacts").list(run)])
    secrets = [token_for(workspace, run), token_for(workspace), (workspace / "protocol.key").read_text()]
    arguments = b"".join(_content(path) for path in Path("/proc").glob("[0-9]*/cmdline"))
    said = "".join(
        console(workspace, *words).stdout
        for words in (
            ("run", "show", run, "--json"),
            ("journal", "list", "--json"),
            ("run", "logs", run),
            ("agent", "logs"),
        )
    )
    files = [path for path in workspace.rglob("*") if path.is_file() and path.name != "protocol.key"]
    for secret in secrets:
        assert secret.encode() not in arguments
        assert secret not in said
        assert [path for path in files if secret.encode() in _content(path)] == []
    assert (workspace / "protocol.key").stat().st_mode & 0o777 == 0o600
    assert backend.need("runs").get(run).status is RunStatus.RUNNING, "the command that knows it is there all the time"
    go.touch()
    _until(lambda: backend.need("runs").get(run).status.ended)
    backend.close()


def _content(path: Path) -> bytes:
    """Of a file, or of a process; nothing of what went away meanwhile."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_env_tells_a_shell_where_to_log(workspace: Path) -> None:
    done = console(workspace, "env", "--experiment", "it's mine")
    assert done.returncode == 0, done.stderr
    program = "import mlflow; mlflow.log_metric('a', 1)"
    shell = subprocess.run(
        ["bash", "-c", f'{done.stdout}\n"{sys.executable}" -c "{program}"'],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert shell.returncode == 0, shell.stderr
    backend = open_local(workspace)
    (run,) = backend.need("runs").page().items
    assert (run.experiment, run.status, own(run.metrics)) == ("it's mine", RunStatus.FINISHED, {"a": 1.0})
    backend.close()
    assert console(workspace, "env", "--unset").stdout.startswith("unset MLFLOW_TRACKING_URI")


def test_tokens_are_told_apart(workspace: Path) -> None:
    run = "a" * 32
    assert read_token(workspace, token_for(workspace, run)) == run
    assert read_token(workspace, token_for(workspace)) == "owner"
    for wrong in ("", "owner", "owner.", f"owner.{'0' * 64}", token_for(workspace, run).replace("a", "b", 1), "é.é"):
        assert read_token(workspace, wrong) is None
    with pytest.raises(Unreachable, match="agent start"):
        tracking(workspace)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--", "no-such-program-here"), "there is no program"),
        (("--",), "a command is wanted"),
        ((), "a recipe is wanted, or a command"),
        (("--env", "MY_API_KEY=1", "--", "true"), "looks like a secret"),
        (("--env", "NOT_SET_ANYWHERE", "--", "true"), "is not set here"),
        (("r.toml", "--", "true"), "give one of them"),
        (("--set", "a=1", "--", "true"), "give one of them"),
    ],
)
def test_a_command_that_cannot_be_run_is_told_and_leaves_nothing(
    workspace: Path, words: tuple[str, ...], sentence: str
) -> None:
    done = console(workspace, "run", "start", *words)
    assert done.returncode == 2
    assert sentence in done.stderr
    backend = open_local(workspace)
    assert backend.need("runs").count().value == 0
    backend.close()


def _until(holds: Any, seconds: float = 90.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.1)
