"""What every launcher does, whatever engine is behind it. A module of tests makes `bench` and inherits this."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.contract import Conflict, Invalid, NotFound
from backends.entities import LaunchSpec, Needs, RunStatus
from console.agent import ensure_protocol, stop_agent
from console.cluster import queue_words
from console.training.start import start_run, stop_run
from console.training.sweep.begin import start_sweep
from console.training.sweep.trials import trials_of
from tests.launcher.bench import ME, Bench, until

TO_SEE_GO = "import pathlib, sys, time\nwhile not pathlib.Path({go!r}).exists(): time.sleep(0.05)\n"
LOGGING = """
import hashlib, json, os, urllib.request
def post(verb, **body):
    request = urllib.request.Request(
        os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/runs/" + verb, json.dumps(body).encode(),
        {"Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"], "Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=30).read()
run = os.environ["MLFLOW_RUN_ID"]
post("log-metric", run_id=run, key="auc", value=0.75, timestamp=1, step=3)
post("log-parameter", run_id=run, key="depth", value="7")
print("token", hashlib.sha256(os.environ["MLFLOW_TRACKING_TOKEN"].encode()).hexdigest(), flush=True)
"""
SAYING = """
import json, os
with os.fdopen(int(os.environ["MLOPS_PROGRESS_FD"]), "w", buffering=1) as said:
    for step in range(5):
        print("line", step, flush=True)
        print(json.dumps({"metrics": {"loss": 1 / (step + 1)}, "step": step}), file=said)
    print(json.dumps({"params": {"lr": 0.5}, "progress": 1.0, "stage": "done"}), file=said)
    os.makedirs("artifacts/deep", exist_ok=True)
    open("artifacts/deep/model.txt", "w").write("the model")
"""

SWEEP = """
name = "spread"
command = "python3 try.py {{x}}"
system_metrics = false
{more}
[params.x]
default = 1.0
[sweep]
trials = {trials}
parallel = {parallel}
metric = "loss"
direction = "minimize"
[sweep.space.x]
low = 0.1
high = 2.0
"""
TRYING = """
import json, os, pathlib, sys, time
with (pathlib.Path({began!r}) / os.environ["MLOPS_CONSOLE_RUN"]).open("a") as mark:
    mark.write("x")
while not pathlib.Path({go!r}).exists():
    time.sleep(0.05)
said = os.fdopen(int(os.environ["MLOPS_PROGRESS_FD"]), "w")
print(json.dumps({{"metrics": {{"loss": (float(sys.argv[1]) - 1) ** 2}}}}), file=said, flush=True)
"""


class LauncherSuite:
    """Inherit as `TestX(LauncherSuite)` beside a fixture `bench`."""

    @pytest.fixture(autouse=True)
    def _over(self, tmp_path: Path) -> Iterator[None]:
        """What a test that failed left waiting does not take the room of those that come after it."""
        yield
        (tmp_path / "go").touch()

    def test_a_command_runs_to_its_end(self, bench: Bench) -> None:
        run = bench.submit("sh", "-c", "echo hello; echo there >&2")
        ended = bench.wait(run)
        assert (ended.status, ended.exit_code, ended.reason) == (RunStatus.FINISHED, 0, "")
        assert ended.engine == bench.engine
        assert "hello\nthere\n" in bench.log(run)
        assert ended.started_at is not None
        assert ended.ended_at is not None
        until(lambda: bench.launcher.log(run).ended, "the log's end")

    def test_submitting_again_is_the_same_job(self, bench: Bench) -> None:
        run = bench.submit("sh", "-c", "echo once")
        spec = LaunchSpec(run=run, argv=("sh", "-c", "echo twice"))
        bench.launcher.submit(spec, ME)
        bench.wait(run)
        bench.launcher.submit(spec, ME)
        until(lambda: not bench.in_queue(run), "its leaving the queue")
        assert [line for line in bench.log(run).splitlines() if line in ("once", "twice")] == ["once"]

    def test_a_wrong_command_says_so(self, bench: Bench) -> None:
        run = bench.submit("no-such-program-anywhere")
        ended = bench.wait(run)
        assert ended.status is RunStatus.FAILED
        assert "no-such-program-anywhere" in ended.reason
        with pytest.raises(Invalid, match="argv is empty"):
            bench.launcher.submit(LaunchSpec(run=run, argv=()), ME)
        with pytest.raises(NotFound):
            bench.launcher.submit(LaunchSpec(run="0" * 32, argv=("true",)), ME)

    def test_a_failure_has_its_exit_code_and_its_last_words(self, bench: Bench) -> None:
        ended = bench.wait(bench.submit("sh", "-c", "echo first; echo the disk is on fire; exit 3"))
        assert (ended.status, ended.exit_code) == (RunStatus.FAILED, 3)
        assert "the disk is on fire" in ended.reason

    def test_the_log_is_followed_while_it_runs_and_the_agent_may_be_replaced(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        go, on = tmp_path / "go", tmp_path / "on"
        run = bench.script(
            "print('before', flush=True)\n" + TO_SEE_GO.format(go=str(go)) + "print('between', flush=True)\n"
            + TO_SEE_GO.format(go=str(on)) + "print('after', flush=True)\n"
        )  # fmt: skip
        until(lambda: "before" in bench.log(run).splitlines(), "the first line")
        assert bench.wait(run, RunStatus.RUNNING).ended_at is None
        stop_agent(bench.workspace)
        go.touch()
        ensure_protocol(bench.workspace)
        until(lambda: "between" in bench.log(run), "the second line")
        on.touch()
        assert bench.wait(run).status is RunStatus.FINISHED
        said = [line for line in bench.log(run).splitlines() if line in ("before", "between", "after")]
        assert said == ["before", "between", "after"]

    def test_a_running_command_is_stopped(self, bench: Bench) -> None:
        run = bench.submit("sh", "-c", "echo up; sleep 600 & wait")
        until(lambda: "up" in bench.log(run).splitlines(), "the first line")
        stop_run(bench.backend, run, ME)
        ended = bench.wait(run)
        assert ended.status is RunStatus.STOPPED, (ended.status, ended.reason, bench.log(run))
        assert "someone@somewhere" in ended.reason
        bench.launcher.cancel(run, ME)
        with pytest.raises(Conflict):
            stop_run(bench.backend, run, ME)

    def test_what_finds_no_room_waits_says_why_and_is_stopped_at_once(self, bench: Bench) -> None:
        run = bench.submit("true", needs=bench.beyond)
        until(lambda: bench.waits in bench.launcher.queue().why(run), f"the word {bench.waits}")
        assert bench.get(run).status is RunStatus.QUEUED
        words = queue_words(bench.backend, bench.launcher.queue())
        assert " waiting" in words
        assert ("slots taken" in words) is (bench.ref is None), words
        bench.launcher.cancel(run, ME)
        assert bench.wait(run).status is RunStatus.STOPPED
        until(lambda: not bench.in_queue(run), "its leaving the queue")

    def test_what_a_run_says_comes_into_the_store_with_its_files(self, bench: Bench) -> None:
        run = bench.script(SAYING)
        ended = bench.wait(run)
        assert ended.status is RunStatus.FINISHED, ended.reason
        points = bench.runs.points(run, "loss", limit=100).items
        assert [(point.step, point.value) for point in points] == [(step, 1 / (step + 1)) for step in range(5)]
        assert ended.params["lr"] == "0.5"
        kept = bench.backend.need("artifacts").open(run, "deep/model.txt")
        assert kept.read_text() == "the model"
        assert [line for line in bench.log(run).splitlines() if line.startswith("line")] == [
            f"line {step}" for step in range(5)
        ]

    def test_a_command_logs_over_the_protocol_and_its_token_is_shown_to_nobody(self, bench: Bench) -> None:
        run = bench.script(LOGGING, tracking=True)
        ended = bench.wait(run)
        assert ended.status is RunStatus.FINISHED, bench.log(run)
        assert (ended.metrics["auc"], ended.params["depth"]) == (0.75, "7")
        assert bench.backend.tracking is not None
        token = bench.backend.tracking(run)["MLFLOW_TRACKING_TOKEN"]
        assert hashlib.sha256(token.encode()).hexdigest() in bench.log(run)
        shown = bench.listing(run)
        assert run in shown
        assert token not in shown
        assert token.rpartition(".")[2] not in shown

    def test_a_limit_of_time_ends_it(self, bench: Bench) -> None:
        ended = bench.wait(bench.submit("sleep", "600", max_seconds=1.0))
        assert ended.status is RunStatus.FAILED
        assert "1 s" in ended.reason or "seconds" in ended.reason, ended.reason

    def test_a_folder_of_150_mb_goes_along(self, bench: Bench, tmp_path: Path) -> None:
        big = tmp_path / "big.bin"
        with big.open("wb") as file:
            for _ in range(150):
                file.write(os.urandom(1_000_000))
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "look.py").write_text(
            "import hashlib, pathlib\nprint('sum', hashlib.sha256(pathlib.Path('big.bin').read_bytes()).hexdigest())\n"
        )
        wanted = hashlib.sha256(big.read_bytes()).hexdigest()
        run = bench.submit("python3", str(tmp_path / "sub" / "look.py"), cwd=str(tmp_path))
        assert bench.wait(run).status is RunStatus.FINISHED, bench.log(run)
        assert f"sum {wanted}" in bench.log(run)

    def test_the_way_to_it_is_lost_for_a_while(self, bench: Bench, tmp_path: Path) -> None:
        go = tmp_path / "go"
        code = "print('up', flush=True)\n" + TO_SEE_GO.format(go=str(go)) + "print('down', flush=True)"
        run = bench.script(code)
        until(lambda: "up" in bench.log(run).splitlines(), "the first line")
        bench.cut()
        try:
            later = bench.script("print('later')")
            go.touch()
            if bench.ships:
                until(lambda: bench.launcher.queue().why(later) not in ("", None), "a reason")
                assert bench.get(later).status is RunStatus.QUEUED
        finally:
            bench.mend()
        assert bench.wait(run).status is RunStatus.FINISHED
        assert bench.wait(later).status is RunStatus.FINISHED
        assert [line for line in bench.log(run).splitlines() if line in ("up", "down")] == ["up", "down"]

    def test_its_head_is_killed_and_comes_back(self, bench: Bench, tmp_path: Path) -> None:
        go, began = tmp_path / "go", tmp_path / "began"
        code = f"open({str(began)!r}, 'a').write('x')\nprint('before', flush=True)\n"
        run = bench.script(f"{code}{TO_SEE_GO.format(go=str(go))}print('after', flush=True)")
        until(lambda: "before" in bench.log(run).splitlines(), "the first line")
        bench.wait(run, RunStatus.RUNNING)
        bench.crash()
        try:
            later = bench.script("print('later')")
            if bench.ref is not None:
                until(lambda: bench.launcher.queue().why(run), "the word that nothing is heard of it")
                assert bench.launcher.queue().why(later)
                assert bench.get(later).status is RunStatus.QUEUED
            assert bench.get(run).status is RunStatus.RUNNING, "nobody knows better"
            assert [line for line in bench.log(run).splitlines() if line in ("before", "after")] == ["before"]
        finally:
            bench.revive()
        if bench.forgets:
            ended = bench.wait(run)
            assert ended.status is RunStatus.LOST
            assert "run retry" in ended.reason
        else:
            go.touch()
            assert bench.wait(run).status is RunStatus.FINISHED
        said = [line for line in bench.log(run).splitlines() if line in ("before", "after")]
        assert said == (["before"] if bench.forgets else ["before", "after"])
        assert bench.wait(later).status is RunStatus.FINISHED
        assert bench.log(later).splitlines().count("later") == 1
        assert began.read_text() == "x"

    def test_a_sweep_outlives_its_agent_and_a_machine(self, bench: Bench, tmp_path: Path) -> None:
        began, recipe = tmp_path / "began", tmp_path / "recipe.toml"
        began.mkdir()
        (tmp_path / "try.py").write_text(TRYING.format(began=str(began), go=str(tmp_path / "go")))
        said = 0 if bench.ref is not None else bench.parallel  # of a cluster it is found out
        recipe.write_text(SWEEP.format(parallel=said, trials=2 * bench.parallel, more=bench.spread))
        sweep = start_sweep(bench.backend, recipe.read_text(), ME, origin=str(recipe))
        until(lambda: len(list(began.iterdir())) == bench.parallel, "its first trials")
        one = next(began.iterdir()).name
        bench.kill_agent()
        bench.break_node(one)
        ensure_protocol(bench.workspace)
        until(lambda: bench.lost_of(sweep.id), "the loss of a trial")
        (tmp_path / "go").touch()
        ended = bench.wait(sweep.id)
        assert ended.status is RunStatus.FINISHED, ended.reason + bench.log(sweep.id)
        trials = trials_of(bench.backend, sweep.id, "loss")
        assert [trial.number for trial in trials] == list(range(2 * bench.parallel))
        assert all(trial.complete for trial in trials)
        assert {bench.get(trial.run).engine for trial in trials} == {bench.engine}
        assert {each.read_text() for each in began.iterdir()} == {"x"}, "no run was begun twice"
        lost = bench.lost_of(sweep.id)
        assert lost.isdisjoint(trial.run for trial in trials)
        assert sum(trial.losses for trial in trials) == len(lost)
        bench.mend_node()

    def test_a_training_brings_its_model_back(self, bench: Bench, tmp_path: Path) -> None:
        from console.data.importing import import_file

        rows = "\n".join(f"{n % 17},{n % 5},{int((n % 17) > 8)}" for n in range(400))
        (tmp_path / "t.csv").write_text("a,b,y\n" + rows + "\n")
        import_file(bench.backend.need("datasets"), tmp_path / "t.csv", f"t-{bench.engine}", ME)
        recipe = (
            f'dataset = "t-{bench.engine}"\ntask = "classification"\ntarget = "y"\npositive = "1"\n'
            'system_metrics = false\n[audit]\nskip = ["latency", "slices", "leakage"]\n'
            '[estimator]\nclass = "sklearn.linear_model.LogisticRegression"\n'
        )
        run = start_run(bench.backend, recipe, ME)
        assert run.engine == bench.engine
        ended = bench.wait(run.id)
        assert ended.status is RunStatus.FINISHED, bench.log(run.id)
        assert ended.metrics["auc"] > 0.9
        names = {each.path for each in bench.backend.need("artifacts").list(run.id)}
        assert any(name.endswith("model.skops") for name in names), names

    def test_a_machine_that_vanishes_loses_the_run_and_not_its_log(self, bench: Bench) -> None:
        run = bench.submit("sh", "-c", "echo here; sleep 600", options=bench.fragile)
        until(lambda: "here" in bench.log(run), "the first line")
        bench.break_node(run)
        ended = bench.wait(run)
        assert ended.status is RunStatus.LOST, ended.reason
        assert "here" in bench.log(run)

    def test_room_is_told(self, bench: Bench) -> None:
        capacity = bench.launcher.capacity()
        assert capacity.slots >= 1
        if bench.ref is not None:
            assert capacity.place
            assert capacity.room is not None, capacity.note
            assert capacity.room.nodes >= 1
            assert capacity.room.total.cpu >= 1
            assert isinstance(capacity.room.total, Needs)
