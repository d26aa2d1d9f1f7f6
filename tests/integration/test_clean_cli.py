"""`clean`: what nothing names any more goes, what anything names stays; a preview removes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backends.contract import Mutation
from backends.entities import MetricPoint, RunStatus
from backends.local import open_local
from backends.local.probe import Health, probe
from console.data.importing import import_file

ANN = Mutation("ann@box")


def cli(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "console.launch", "--workspace", str(home), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two datasets of one content and one of another; of those that are deleted some content is still named."""
    home = tmp_path / "w"
    backend = open_local(home)
    datasets = backend.need("datasets")
    for name, text in (("kept", "a\n1\n"), ("twin", "a\n1\n"), ("gone", "b\n2\n3\n")):
        (tmp_path / f"{name}.csv").write_text(text)
        import_file(datasets, tmp_path / f"{name}.csv", name, ANN)
    datasets.delete("twin", ANN)
    datasets.delete("gone", ANN)
    backend.close()
    return home


def age(home: Path) -> None:
    """As if all had been written two hours ago."""
    before = time.time() - 7_200
    for file in [*home.glob("objects/*/*"), *home.glob("tmp/*")]:
        os.utime(file, (before, before))


def test_only_what_nothing_names_goes_and_the_preview_names_it(home: Path) -> None:
    (home / "tmp" / "draft").write_bytes(b"x" * 1_000)
    assert json.loads(cli(home, "clean", "--preview", "--json").stdout)["items"] == [], "all is of this hour"
    age(home)
    told = json.loads(cli(home, "clean", "--preview", "--json").stdout)
    assert sorted(each["why"] for each in told["items"]) == ["named by nothing", "never finished"]
    assert "would go" in cli(home, "clean", "--preview").stderr
    assert len(list(home.glob("objects/*/*"))) == 2
    done = json.loads(cli(home, "clean", "--json").stdout)
    assert (done["files"], done["bytes"] > 0) == (2, True)
    assert len(list(home.glob("objects/*/*"))) == 1
    assert not (home / "tmp" / "draft").exists()
    backend = open_local(home)
    assert backend.need("datasets").path("kept").is_file()
    backend.close()
    assert "nothing is left over" in cli(home, "clean", "--preview").stderr


def test_a_read_only_console_removes_nothing(home: Path) -> None:
    age(home)
    done = cli(home, "clean", "--read-only")
    assert (done.returncode, "read-only" in done.stderr) == (1, True)
    assert len(list(home.glob("objects/*/*"))) == 2


def with_runs(home: Path) -> tuple[str, str]:
    """A deleted run, and one of a hundred days ago; each with a file of its own."""
    backend = open_local(home)
    ids = []
    for name in ("gone", "old"):
        run = backend.need("runs").create(name=name, mutation=ANN).id
        backend.need("runs").start(run)
        backend.need("runs").end(run, RunStatus.FINISHED, at=int((time.time() - 100 * 86_400) * 1000))
        file = home / "tmp" / "model"
        file.write_bytes(name.encode() * 1_000)
        backend.need("artifacts").put(run, "model", file)
        file.unlink()
        ids.append(run)
    backend.need("runs").delete(ids[0], ANN)
    backend.close()
    return ids[0], ids[1]


def test_a_rule_removes_only_once_the_name_is_given_and_the_run_says_what_went(home: Path) -> None:
    gone, old = with_runs(home)
    told = cli(home, "clean", "--older-than", "90d", "--dry-run")
    assert ("ended 100 d ago" in told.stdout, "4.0 kB" not in told.stdout) == (True, True)
    assert "artifacts of 1 run: 3.0 kB would go" in told.stderr
    unsaid = cli(home, "clean", "--older-than", "90d")
    assert (unsaid.returncode, "--confirm local" in unsaid.stderr) == (2, True)
    assert len(list(home.glob("objects/*/*"))) == 4
    done = json.loads(cli(home, "clean", "--older-than", "90d", "--confirm", "local", "--json").stdout)
    assert (done["gone"], done["bytes"] - done["database_bytes"], done["left"]) == (1, 3_000, [])
    shown = json.loads(cli(home, "run", "show", old, "--json").stdout)
    assert "clean --older-than 90d: ended 100 d ago" in shown["tags"]["console.artifacts_removed"]
    assert "removed on" in cli(home, "run", "show", old).stdout
    assert "4.0 kB" in cli(home, "run", "show", gone).stdout, "its size"

    bare = cli(home, "run", "purge", gone)
    assert (bare.returncode, "--confirm local" in bare.stderr) == (2, True)
    assert "4.0 kB" in cli(home, "run", "purge", gone, "--dry-run").stdout
    assert cli(home, "run", "purge", gone, "--read-only", "--confirm", "local").returncode == 1
    done = json.loads(cli(home, "run", "purge", gone[:8], "--confirm", "local", "-m", "private", "--json").stdout)
    assert (done["gone"], done["bytes"]) == (1, 4_000)
    assert cli(home, "run", "restore", gone).returncode == 2, "there is no such run any more"
    journal = json.loads(cli(home, "journal", "list", "--json").stdout)["items"]
    assert [each["reason"] for each in journal if each["action"] == "run.purge"] == ["private: asked for"]


def test_the_context_s_policy_is_what_a_bare_clean_applies(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_runs(home)
    config = tmp_path / "config.toml"
    config.write_text(f'[contexts.team]\nworkspace = "{home}"\n[contexts.team.retention]\nkeep_artifacts = "30 d"\n')
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(config))
    assert [each["part"] for each in json.loads(cli(home, "clean", "--dry-run", "--json").stdout)["items"]] == [
        "artifacts"
    ]
    assert json.loads(cli(home, "clean", "--leftovers", "--dry-run", "--json").stdout)["items"] == []
    assert "keep_artifacts = 30 d (not applied yet" in cli(home, "context", "show", "team").stdout
    done = cli(home, "clean", "--confirm", "team")
    assert (done.returncode, "given back" in done.stderr) == (0, True)
    config.write_text(f'[contexts.team]\nworkspace = "{home}"\n[contexts.team.retention]\nmax_size = "lots"\n')
    wrong = cli(home, "clean", "--dry-run")
    assert (wrong.returncode, "contexts.team.retention.max_size" in wrong.stderr) == (2, True)


KILLED = """
import os, signal, sys
from pathlib import Path
from backends.contract import Mutation
from backends.entities import MetricPoint, RunStatus
from backends.local import open_local
from backends.local.probe import Health, probe
from backends.local import retention, leftovers
from backends.local.objects import ObjectStore
from console.retention.apply import carry_out, preview
from console.retention.policy import Limits

home, step = Path(sys.argv[1]), int(sys.argv[2])
count = 0

def dying(whole):
    def call(*args, **more):
        global count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*args, **more)
    return call

retention.BATCH = 3
ObjectStore.remove = dying(ObjectStore.remove)
retention.remove_folder = dying(retention.remove_folder)
leftovers.remove_tree = dying(leftovers.remove_tree)
retention.journal.append = dying(retention.journal.append)
backend = open_local(home)
carry_out(backend, preview(backend, Limits(deleted_ms=0, artifacts_ms=0, logs_ms=0)), Mutation("ann@box", "full"))
print(count)
"""


def test_a_kill_at_any_step_leaves_nothing_dangling_and_the_next_one_ends_it(tmp_path: Path) -> None:
    """Every row that names a file has it, another console reads on meanwhile, and at the end nothing is left over."""
    home = tmp_path / "w"
    backend = open_local(home)
    runs = backend.need("runs")
    for at in range(8):
        run = runs.create(name=f"r{at}", mutation=ANN).id
        runs.start(run)
        runs.log_points(run, [MetricPoint(key="auc", value=at / 10)])
        runs.end(run, RunStatus.FINISHED, at=int((time.time() - 86_400) * 1000))
        for name, content in (("own", f"{at}" * 500), ("shared", "s" * 800)):
            file = home / "tmp" / "model"
            file.write_text(content)
            backend.need("artifacts").put(run, name, file)
            file.unlink()
        folder = home / "runs" / run
        folder.mkdir(parents=True)
        (folder / "out.log").write_text("line\n" * 50)
        if at < 5:
            runs.delete(run, ANN)
    time.sleep(0.01)
    (home / "tmp" / "draft").write_text("x")
    age(home)

    killed = 0
    for step in (1, 4, 6, 2, 3, 5, 1, 7, 1):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(home), str(step)],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode in (0, -9), done.stderr
        killed += done.returncode == -9
        # This console was open all the while.
        for run in runs.page(limit=100).items:
            for each in backend.need("artifacts").list(run.id):
                assert backend.need("artifacts").open(run.id, each.path).is_file()
            assert run.metrics["auc"] >= 0
        assert all(each.health is not Health.FAIL for each in probe(home, thorough=True))
    assert killed >= 5
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(home), "0"], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    age(home)
    for file in [*home.rglob("runs/**/*"), *home.rglob("tmp/**/*")]:
        os.utime(file, (time.time() - 7_200,) * 2)
    assert cli(home, "clean").returncode == 0
    assert (runs.count().value, runs.count(deleted=True).value) == (3, 0)
    assert not list(home.glob("objects/*/*"))
    assert not list(home.glob("tmp/*"))
    assert not list(home.glob("runs/*/out.log"))
    purged = [each.target for each in backend.need("journal").page(limit=1000).items if each.action == "run.purge"]
    assert len(purged) == len(set(purged)) == 5, "each once"
    backend.close()


FULL = """
import json, os, sys, time
from pathlib import Path
from backends.contract import Mutation, Unreachable
from backends.local import open_local
from console.retention.apply import carry_out, preview
from console.retention.policy import Limits

home = Path(sys.argv[1])
backend = open_local(home)
runs = backend.need("runs")
found = preview(backend, Limits(deleted_ms=0))
given = {"parts": [each.part.value for each in found.going]}
with open(home.parent / "ballast", "wb", buffering=0) as ballast:
    try:
        while True:
            ballast.write(b"x" * 4096)
    except OSError:
        pass
import msgspec
alone = msgspec.structs.replace(found, going=found.going[-1:])
long = Mutation("ann@box", "y" * 200_000)
try:
    carry_out(backend, alone, long)
    given["alone"] = "done"
except Unreachable as error:
    given["alone"] = str(error)
given["after"] = runs.count(deleted=True).value
given["objects"] = len(list(home.glob("objects/*/*")))
freed = carry_out(backend, found, long)
given["gone"], given["bytes"] = freed.gone, freed.bytes
given["left"] = runs.count(deleted=True).value
print("GIVEN" + json.dumps(given))
"""


def test_on_a_full_disk_nothing_is_half_done_and_leftovers_make_the_room(home: Path, tmp_path: Path) -> None:
    """The journal needs room for what it says; what nothing names needs none to go."""
    with_runs(home)
    (home / "tmp" / "draft").write_bytes(os.urandom(1_000_000))
    age(home)
    small = tmp_path / "small"
    small.mkdir()
    mount = f"mount -t tmpfs -o size=5m none {small} && cp -rp {home} {small}/ws"
    command = ["unshare", "-rm", "sh", "-c", f'{mount} && exec {sys.executable} -c "$0" {small}/ws', FULL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    if "GIVEN" not in done.stdout and ("ermission denied" in done.stderr or "not permitted" in done.stderr):
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    given = json.loads(done.stdout.partition("GIVEN")[2] or f'"{done.stderr[-900:]}"')
    assert given["parts"] == ["leftover", "leftover", "run"]
    assert "no space left" in given["alone"]
    assert given["after"] == 1, "its row and its journal entry go together, or not at all"
    assert (given["gone"], given["left"]) == (3, 0)
    assert given["bytes"] >= 1_000_000
