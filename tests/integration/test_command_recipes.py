"""Recipes of commands for real: started, limited, tried again, searched, and what goes wrong told as what it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Backend, Invalid, Mutation
from backends.entities import Run, RunStatus
from backends.local import open_local
from backends.local.limits import METRICS
from backends.local.process_tree import run_processes
from backends.system_metrics import own
from console.agent import ensure_agent, stop_agent
from console.training.command_run import start_recipe
from console.training.reproduce import reproduce_run
from console.training.start import retry_run, stop_run

ROOT = Path(__file__).parents[2]
ME = Mutation("someone@somewhere", "trying")


class Bench:
    """A workspace with an agent, and a folder for recipes."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.workspace = home / "workspace"
        self.backend: Backend = open_local(self.workspace)
        self.runs = self.backend.need("runs")
        ensure_agent(self.workspace)

    def start(self, command: str, more: str = "", **overrides: Any) -> Run:
        file = self.home / "recipe.toml"
        file.write_text(f"command = {json.dumps(command)}\n{more}")
        return start_recipe(self.backend, file.read_text(), ME, origin=str(file), overrides=overrides)

    def ended(self, run: str, seconds: float = 180.0) -> Run:
        until = time.monotonic() + seconds
        while not (found := self.runs.get(run)).status.ended:
            assert time.monotonic() < until, f"{found.status} still"
            time.sleep(0.05)
        return found

    def finish(self, command: str, more: str = "", **overrides: Any) -> Run:
        return self.ended(self.start(command, more, **overrides).id)

    def script(self, text: str) -> str:
        """A shell script in the recipe's folder; how a command names it."""
        (self.home / "job.sh").write_text(text)
        return "sh job.sh"

    def log(self, run: Run) -> str:
        return str(self.backend.need("launcher").log(run.id).text)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    stop_agent(bench.workspace)
    bench.backend.close()


def cli(home: Path, *args: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "console.launch", "--workspace", str(home / "workspace"), *args],
        capture_output=True, text=True, timeout=600, check=False, cwd="/",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


RECIPE = """
command = "sh job.sh {lr}"
[params.lr]
default = 0.1
low = 0.01
high = 1.0
"""
JOB = """echo "{\\"metrics\\": {\\"loss\\": $1}, \\"step\\": 1}" >&$MLOPS_PROGRESS_FD"""


def test_a_recipe_is_started_changed_and_reproduced(bench: Bench) -> None:
    bench.script(JOB)
    (bench.home / "r.toml").write_text(RECIPE)
    recipe = str(bench.home / "r.toml")
    run = cli(bench.home, "run", "start", recipe, "--set", "lr=0.2", "--wait", "--json")
    assert (run["status"], run["params"], own(run["metrics"])) == ("finished", {"lr": "0.2"}, {"loss": 0.2})
    again = cli(bench.home, "run", "retry", run["id"], "--set", "lr=0.3", "--wait", "--json")
    assert (again["params"], again["metrics"]["loss"]) == ({"lr": "0.3"}, 0.3)
    assert bench.ended(retry_run(bench.backend, again["id"], ME).id).metrics["loss"] == 0.3
    same = bench.ended(reproduce_run(bench.backend, bench.runs.get(again["id"]), ME).id)
    assert (same.params, own(same.metrics)) == ({"lr": "0.3"}, {"loss": 0.3})


def test_a_recipe_of_a_command_is_swept_by_the_metric_that_it_logs(bench: Bench) -> None:
    bench.script(JOB)
    (bench.home / "r.toml").write_text(
        RECIPE + '[sweep]\ntrials = 5\nparallel = 2\nsampler = "random"\nmetric = "loss"\ndirection = "minimize"\n'
        "[sweep.space.lr]\nlog = true\n"
    )
    found = cli(bench.home, "sweep", "start", str(bench.home / "r.toml"), "--wait", "--json")
    assert (found["run"]["status"], len(found["trials"])) == ("finished", 5)
    values = [trial["value"] for trial in found["trials"]]
    assert found["best"]["value"] == min(values)
    assert values == [pytest.approx(trial["params"]["lr"]) for trial in found["trials"]]
    assert len(set(values)) == 5
    assert all(0.01 <= value <= 1 for value in values)


# ---------------------------------------------------------------- limits and retries


def test_a_run_over_its_time_is_ended_with_all_its_processes(bench: Bench) -> None:
    command = bench.script("trap '' TERM; (trap '' TERM; sleep 600) & sleep 600")
    run = bench.finish(command, "[limits]\nminutes = 0.02\n")
    assert (run.status, run.reason) == (RunStatus.FAILED, "over its 1.2 seconds")
    assert run_processes(run.id) == []
    assert "over its 1.2 seconds; SIGTERM sent" in bench.log(run)


def test_a_run_over_its_memory_is_ended(bench: Bench) -> None:
    (bench.home / "eat.py").write_text("import time\nheld = bytearray(300_000_000)\ntime.sleep(60)\n")
    run = bench.finish(f"{sys.executable} eat.py", "[limits]\nmemory_mb = 150\n")
    assert run.status is RunStatus.FAILED
    assert run.reason.startswith("over its 150 MB of memory: it took ")


def test_niceness_threads_and_variables_reach_the_command(bench: Bench) -> None:
    command = bench.script('echo "$(nice) $OMP_NUM_THREADS $SEED"')
    run = bench.finish(command, '[limits]\nnice = 5\nthreads = 3\n[env]\nSEED = "{s}"\n[params.s]\ndefault = 7\n')
    assert bench.log(run) == "5 3 7\n"


def test_a_run_that_fails_is_tried_again_as_often_as_its_recipe_says(bench: Bench) -> None:
    first = bench.finish(bench.script("exit 3"), "retries = 2\n")
    until = time.monotonic() + 180
    while len(runs := bench.runs.page(limit=10).items) < 3 or not all(run.status.ended for run in runs):
        assert time.monotonic() < until
        time.sleep(0.05)
    third, second, oldest = runs
    assert oldest.id == first.id
    assert [run.tags.get("console.retry") for run in runs] == ["2 of 2", "1 of 2", None]
    assert (second.tags["console.retry_of"], third.tags["console.retry_of"]) == (first.id, second.id)
    time.sleep(1.5)
    assert bench.runs.count().value == 3


def test_a_run_that_is_stopped_is_not_tried_again(bench: Bench) -> None:
    run = bench.start(bench.script("echo ready; sleep 600"), "retries = 2\n")
    while bench.runs.get(run.id).status is RunStatus.QUEUED:
        time.sleep(0.05)
    stop_run(bench.backend, run.id, ME)
    assert bench.ended(run.id).status is RunStatus.STOPPED
    time.sleep(1.5)
    assert bench.runs.count().value == 1


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("no-such-program-here --x", "there is no program no-such-program-here in the PATH"),
        ("./absent.sh", "there is no program"),
        ("./plain.txt", "is not executable; chmod u+x it"),
        ("plain.txt", "write ./plain.txt"),
        ("./folder", "is a folder, and a program is wanted"),
    ],
)
def test_a_program_that_is_not_there_is_told_before_anything_is_made(bench: Bench, command: str, said: str) -> None:
    (bench.home / "plain.txt").write_text("echo hi")
    (bench.home / "folder").mkdir()
    with pytest.raises(Invalid) as error:
        bench.start(command)
    assert said in str(error.value)
    assert bench.runs.count().value == 0


def test_a_program_that_the_kernel_cannot_run_fails_with_the_reason(bench: Bench) -> None:
    file = bench.home / "odd"
    file.write_bytes(b"\x7fELF not really")
    file.chmod(0o700)
    run = bench.finish("./odd")
    assert (run.status, "Exec format error" in run.reason) == (RunStatus.FAILED, True)


def test_a_death_by_signal_is_named(bench: Bench) -> None:
    run = bench.finish(bench.script("kill -KILL $$"))
    assert (run.status, run.exit_code, run.reason) == (RunStatus.FAILED, 137, "killed by SIGKILL (signal 9)")


def test_what_a_command_leaves_behind_when_it_forks_and_exits_ends_with_it(bench: Bench) -> None:
    run = bench.finish(bench.script("setsid sleep 600 >/dev/null 2>&1 & exit 0"))
    assert run.status is RunStatus.FINISHED
    assert run_processes(run.id) == []
    assert "left running by the command ended with it" in bench.log(run)


def test_binary_in_the_log_is_kept_apart_from_the_reason(bench: Bench) -> None:
    run = bench.finish(bench.script("printf '\\377\\376\\000\\033[2Jbad\\n'; exit 4"))
    assert (run.status, run.exit_code) == (RunStatus.FAILED, 4)
    assert run.reason.startswith("exit code 4")


def test_metric_names_without_end_are_bounded_and_said(bench: Bench) -> None:
    (bench.home / "many.py").write_text(
        "import json, os\n"
        "with os.fdopen(int(os.environ['MLOPS_PROGRESS_FD']), 'w') as out:\n"
        f"    for at in range(0, {METRICS + 2_000}, 1000):\n"
        "        print(json.dumps({'metrics': {f'm{n}': n for n in range(at, at + 1000)}, 'step': 1}), file=out)\n"
        "    print(json.dumps({'metrics': {'m0': 5.0}, 'step': 2}), file=out)\n"
    )
    run = bench.finish(f"{sys.executable} many.py")
    assert (run.status, len(run.metrics), run.metrics["m0"]) == (RunStatus.FINISHED, METRICS, 5.0)
    assert bench.log(run).count("the most there may be") == 1


def test_steps_that_go_backwards_and_values_without_bound_are_kept(bench: Bench) -> None:
    lines = ['{"metrics": {"a": 1, "select": 2}, "step": 5}', '{"metrics": {"a": 3}, "step": 2}',
             '{"metrics": {"a": Infinity, "b": NaN}, "step": 6}', '{"progress": 0.4}', '{"artifact": "left.txt"}',
             '{"artifact": "../out.txt"}']  # fmt: skip
    said = "\n".join(f"echo '{line}' >&$MLOPS_PROGRESS_FD" for line in lines)
    run = bench.finish(bench.script(f"echo hi > left.txt\necho no > ../out.txt\n{said}\n"))
    assert (run.status, run.metrics["a"], run.metrics["select"]) == (RunStatus.FINISHED, float("inf"), 2)
    points = bench.runs.points(run.id, "a", limit=10).items
    assert sorted((point.step, point.value) for point in points) == [(2, 3.0), (5, 1.0), (6, float("inf"))]
    assert run.progress is not None
    assert run.progress.fraction == 0.4
    assert "left.txt" in [each.path for each in bench.backend.need("artifacts").list(run.id)]
    assert "'../out.txt' not kept: it leads out of the run's folders" in bench.log(run)
