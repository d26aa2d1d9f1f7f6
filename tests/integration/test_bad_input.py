"""Wrong input to the real program: one clear message on stderr alone, the documented exit code, nothing half done.

A file that may not be read is in tests/unit/test_import_errors.py, asked for by another user than root.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.local import open_local

ROOT = Path(__file__).resolve().parents[2]

FILES: dict[str, bytes] = {
    "good.csv": b"a,b,c,t\n" + b"".join(b"%d,%d,%c,%c\n" % (i, i % 7, b"uvw"[i % 3], b"yn"[i % 2]) for i in range(120)),
    "empty.csv": b"",
    "ragged.csv": b"a,b\n1,2\n3,4,5\n",
    "latin.csv": b"a,b\n1,caf\xe9\n",
    "one.csv": b"a,t\n" + b"".join(b"%d,yes\n" % i for i in range(60)),
    "nothing.csv": b"a,t\n" + b"".join(b"%d,\n" % i for i in range(60)),
    "hole.csv": b"a,b,t\n" + b"".join(b"%d,,%c\n" % (i, b"yn"[i % 2]) for i in range(60)),
    "not.toml": b"dataset = \n",
    "latin.toml": b'dataset = "caf\xe9"\n',
    "blank.toml": b"",
}

RECIPE = 'dataset = "good"\ntarget = "t"\ntask = "classification"\n{more}\n[estimator]\nclass = "{estimator}"\n{end}\n'
LOGISTIC = "sklearn.linear_model.LogisticRegression"


def recipe(*, estimator: str = LOGISTIC, more: str = "", end: str = "", **changed: str) -> bytes:
    text = RECIPE.format(estimator=estimator, more=more, end=end)
    for key, value in changed.items():
        text = "\n".join(f'{key} = "{value}"' if line.startswith(f"{key} =") else line for line in text.splitlines())
    return text.encode()


RECIPES = {
    "fine.toml": recipe(),
    "target.toml": recipe(target="tt"),
    "dataset.toml": recipe(dataset="goood"),
    "version.toml": recipe(dataset="good@9"),
    "key.toml": recipe(more='targt = "t"'),
    "table.toml": recipe(more='[split]\nbye = "random"'),
    "word.toml": recipe(more='[split]\nby = "rndom"'),
    "exclude.toml": recipe(more='exclude = ["zz"]'),
    "metric.toml": recipe(end='[metrics]\nreport = ["auk"]'),
}

WORLD = {**FILES, **RECIPES}


class World:
    """A person's folder with their files, and one workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "ws"
        for name, content in WORLD.items():
            (folder / name).write_bytes(content)
        (folder / "folder").mkdir()
        self.env = {
            **os.environ,
            "MLOPS_CONSOLE_WORKSPACE": str(self.home),
            "MLOPS_CONSOLE_CONFIG": str(folder / "config.toml"),
            "XDG_STATE_HOME": str(folder / "state"),
            "PYTHONPATH": f"{ROOT}:{folder}",
            "TERM": "dumb",
        }

    def run(self, *args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "console.launch", *args],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=600,
            cwd=self.folder,
            env={**self.env, **(env or {})},
            check=False,
        )

    def state(self) -> tuple[Any, ...]:
        """Everything that a command could have left behind."""
        backend = open_local(self.home)
        try:
            datasets = {d.name: d.versions for d in backend.need("datasets").page().items}
            runs = len(backend.need("runs").page(limit=500, deleted=True).items)
            models = {m.name: (m.versions, m.aliases) for m in backend.need("registry").page().items}
            entries = [entry.action for entry in backend.need("journal").page(limit=500).items]
            assert backend.need("journal").verify()[1] == ""
        finally:
            backend.close()
        return datasets, runs, models, entries, sorted(path.name for path in (self.home / "tmp").iterdir())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("bad"))
    for name in ("good", "one", "nothing", "hole"):
        assert made.run("dataset", "import", f"{name}.csv", name).returncode == 0
    yield made
    made.run("agent", "stop")


WRONG: list[tuple[str, int, list[str]]] = [
    # ------------------------------------------------ files
    ("dataset import none.csv x", 2, ["there is no file", "none.csv", "check the path"]),
    ("dataset import empty.csv x", 2, ["empty.csv is empty"]),
    ("dataset import ragged.csv x", 2, ["row 2", "3 values, expected 2", "Quote"]),
    ("dataset import latin.csv x", 2, ["byte 9 (0xe9) is not UTF-8", "iconv"]),
    ("dataset import folder x", 2, ["is a folder without", "Name another folder"]),
    ("dataset import good.csv a@b", 2, ["cannot hold @"]),
    ("dataset import good.csv good --format xls", 2, ["'xls' is not known", "csv, tsv, jsonl, parquet"]),
    # ------------------------------------------------ recipes
    ("run start target.toml", 2, ["target 'tt' is not a column of good@1", "did you mean 't'?"]),
    ("run start dataset.toml", 2, ["there is no dataset goood", "did you mean good?"]),
    ("run start version.toml", 2, ["dataset good has no version 9", "version 1"]),
    ("run start key.toml", 2, ["key.toml:4", "'targt' is not a key", "did you mean 'target'?"]),
    ("run start table.toml", 2, ["table.toml:5", "'bye' is not a key in [split]", "did you mean 'by'?"]),
    ("run start word.toml", 2, ["word.toml:5", "'rndom' is not known", "did you mean 'random'?"]),
    ("run start exclude.toml", 2, ["exclude 'zz' is not a column of good@1"]),
    ("run start metric.toml", 2, ["'auk' is not a metric", "did you mean 'auc'?"]),
    ("run start not.toml", 2, ["not.toml:1", "not valid TOML"]),
    ("run start latin.toml", 2, ["byte 14 is not UTF-8"]),
    ("run start blank.toml", 2, ["does not say its dataset"]),
    ("run start none.toml", 2, ["there is no recipe file none.toml"]),
    ("run start folder", 2, ["is a folder"]),
    # ------------------------------------------------ names
    ("dataset show goood", 2, ["there is no dataset goood", "did you mean good?"]),
    ("dataset show zzz", 2, ["there is no dataset zzz", "there are", "good"]),
    ("dataset show good@7", 2, ["dataset good has no version 7", "it has version 1"]),
    ("dataset rows goood", 2, ["did you mean good?"]),
    ("dataset profile goood", 2, ["did you mean good?"]),
    ("dataset export goood out.csv", 2, ["did you mean good?"]),
    ("dataset delete goood --confirm goood", 2, ["did you mean good?"]),
    ("run show zzzz", 2, ["zzzz"]),
    ("run stop zzzz", 2, ["zzzz"]),
    ("run retry zzzz", 2, ["zzzz"]),
    ("run compare zzzz yyyy", 2, ["zzzz"]),
    ("model show churn", 2, ["there is no model churn", "there is no model yet"]),
    ("model promote churn 1", 2, ["there is no model churn"]),
    ("model rollback churn", 2, ["there is no model churn"]),
    ("model register zzzz --model churn", 2, ["zzzz"]),
    ("model undo", 1, ["nothing to undo"]),
    ("monitor show x", 2, ["there is no monitor x"]),
    ("monitor ingest x good.csv", 2, ["there is no monitor x"]),
    ("monitor create x --model churn", 2, ["there is no model churn"]),
    ("alert ack x", 2, ["alert x", "alert list"]),
    ("alert list x", 2, ["there is no monitor x"]),
    ("journal show x", 2, ["journal entry x is not there"]),
    ("--context lcal run list", 2, ["context lcal", "did you mean local?"]),
    ("context use x", 2, ["context x", "it has local"]),
    ("backup check none", 2, ["is no backup of a workspace"]),
    # ------------------------------------------------ queries
    ("run list statsu=failed", 2, ["unknown attribute 'statsu' at character 1", "did you mean status?", "^"]),
    ("run list status=", 2, ["expected a value for status", "^"]),
    ("run list --sort nope", 2, ["unknown attribute 'nope'", "did you mean note?"]),
    ("run list --at garbage", 2, ["'garbage' is no cursor"]),
    ("run list --limit 0", 2, ["--limit", "1<=x<=10000"]),
    ("journal list actin=foo", 2, ["did you mean action?"]),
    ("--plain runs statsu=1", 2, ["did you mean status?"]),
    ("run lst", 2, ["did you mean list?"]),
]


@pytest.mark.parametrize(("line", "code", "words"), WRONG, ids=[line for line, _, _ in WRONG])
def test_wrong_input_is_answered_in_words_and_nothing_is_left(
    world: World, line: str, code: int, words: list[str]
) -> None:
    before = world.state()
    done = world.run(*line.split())
    assert done.returncode == code, done
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr
    assert done.stderr.startswith("mlops-console: ")
    assert "Traceback" not in done.stderr
    assert "defect" not in done.stderr
    assert world.state() == before


@pytest.mark.parametrize(
    ("line", "code", "kind", "field"),
    [
        ("dataset import none.csv x", 2, "NotFound", ""),
        ("dataset import ragged.csv x", 2, "Invalid", None),
        ("run start target.toml", 2, "Invalid", "target"),
        ("run start dataset.toml", 2, "NotFound", ""),
        ("run list statsu=failed", 2, "Query", "query"),
        ("run lst", 2, "Usage", ""),
        ("model undo", 1, "Refused", ""),
    ],
)
def test_the_same_as_json(world: World, line: str, code: int, kind: str, field: str | None) -> None:
    done = world.run(*line.split(), "--json")
    assert (done.returncode, done.stdout) == (code, "")
    problem = json.loads(done.stderr)["error"]
    assert (problem["kind"], problem["exit"]) == (kind, code)
    assert field is None or problem.get("field", "") == field


# ---------------------------------------------------------------- training that cannot succeed

RAISING = """
from sklearn.base import BaseEstimator, ClassifierMixin

class Raises(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        raise RuntimeError("no luck today")
    def predict(self, X):
        return X
    def predict_proba(self, X):
        return X
"""

DOOMED: list[tuple[str, bytes, list[str]]] = [
    ("one class only", recipe(dataset="one"), ["one class only", '"yes" in all 60 rows', "Bring data"]),
    ("a target of nothing", recipe(dataset="nothing"), ["no value in any row", "nothing to learn"]),
    (
        "an unknown estimator",
        recipe(estimator=f"{LOGISTIC[:-1]}m"),
        ["there is no estimator", f"did you mean '{LOGISTIC}'?"],
    ),
    ("a package that is not there", recipe(estimator="nosuch.Model"), ["the package 'nosuch' is not installed"]),
    ("no estimator at all", recipe(estimator="os.path.join"), ["is not a scikit-learn estimator"]),
    (
        "an unknown parameter",
        recipe(end="[estimator.params]\nCC = 1"),
        ["'CC' is not a parameter", "did you mean 'C'?"],
    ),
    ("an estimator that raises", recipe(estimator="raising.Raises"), ["no luck today"]),
]


def test_a_run_that_cannot_succeed_says_why(world: World) -> None:
    """Together, since each is a process of its own: the reason is the run's, and `--wait` leaves with 1."""
    (world.folder / "raising.py").write_text(RAISING)
    started: list[str] = []
    for number, (_, text, _) in enumerate(DOOMED[1:]):
        (world.folder / f"doomed{number}.toml").write_bytes(text)
        done = world.run("run", "start", f"doomed{number}.toml", "--json")
        assert done.returncode == 0, done.stderr
        started.append(json.loads(done.stdout)["id"])
    (world.folder / "doomed.toml").write_bytes(DOOMED[0][1])
    waited = world.run("run", "start", "doomed.toml", "--wait")
    assert waited.returncode == 1
    for word in DOOMED[0][2]:
        assert word in waited.stderr.splitlines()[-1]
    backend = open_local(world.home)
    runs = backend.need("runs")
    from tests.monitored import until

    for run, (name, _, words) in zip(started, DOOMED[1:], strict=True):
        found = until(lambda run=run: (at := runs.get(run)).status.ended and at, seconds=300, what=name)
        assert found.status == "failed", name
        for word in words:
            assert word in found.reason, (name, found.reason)
        assert "\n" not in found.reason
    assert not backend.need("registry").page().items
    backend.close()


def test_a_column_without_a_value_is_left_out_and_said(world: World) -> None:
    (world.folder / "hole.toml").write_bytes(recipe(dataset="hole"))
    done = world.run("run", "start", "hole.toml", "--wait", "--json")
    assert done.returncode == 0, done.stderr
    log = world.run("run", "logs", json.loads(done.stdout)["id"])
    assert "column 'b' left out: all values are missing" in log.stdout


# ---------------------------------------------------------------- a workspace that is not well


@pytest.fixture
def copy(world: World, tmp_path: Path) -> World:
    """The same in a workspace of one's own, at rest."""
    other = object.__new__(World)
    other.folder, other.home = world.folder, tmp_path / "ws"
    other.env = {**world.env, "MLOPS_CONSOLE_WORKSPACE": str(other.home)}
    assert world.run("backup", "create", str(tmp_path / "backup")).returncode == 0
    done = other.run("backup", "restore", str(tmp_path / "backup"))
    assert done.returncode == 0, done.stderr
    return other


READS_AND_CHANGES = (
    "dataset list",
    "dataset import one.csv more",
    "run start fine.toml",
    "journal verify",
    "--plain datasets",
)


def refused(world: World, code: int, *words: str, lines: tuple[str, ...] = READS_AND_CHANGES) -> None:
    for line in lines:
        done = world.run(*line.split())
        assert (done.returncode, done.stdout) == (code, ""), (line, done)
        for word in words:
            assert word in done.stderr, line
        assert done.stderr.count("\n") == 1


def test_a_database_of_a_newer_version_is_left_alone(copy: World) -> None:
    with sqlite3.connect(copy.home / "console.db") as database:
        (known,) = database.execute("PRAGMA user_version").fetchone()
        database.execute(f"PRAGMA user_version = {known + 7}")
    database.close()
    held = (copy.home / "console.db").read_bytes()
    refused(copy, 1, "written by a newer mlops-console", "Upgrade the program")
    assert (copy.home / "console.db").read_bytes() == held
    assert not list((copy.home / "tmp").iterdir())


@pytest.mark.parametrize("wrong", ["head", "pages"])
def test_a_damaged_database_is_told_with_the_way_out(copy: World, wrong: str) -> None:
    file = copy.home / "console.db"
    data = bytearray(file.read_bytes())
    if wrong == "head":
        data[:200] = b"x" * 200
    else:
        data[4096:] = bytes(at % 251 for at in range(len(data) - 4096))
    file.write_bytes(data)
    refused(copy, 3, "is damaged", "doctor", "backup")


def test_a_half_written_object_is_told_and_mended_by_bringing_the_file_again(copy: World) -> None:
    assert copy.run("dataset", "rows", "good").returncode == 0
    for file in (path for path in (copy.home / "objects").rglob("*") if path.is_file()):
        file.chmod(0o600)
        file.write_bytes(file.read_bytes()[:300])
    lines = ("dataset rows good", "dataset profile good", "dataset export good out.csv", "run start fine.toml")
    refused(copy, 3, "is damaged: it has 300 bytes", "Restore it from a backup", lines=lines)
    assert not (copy.folder / "out.csv").exists()
    assert copy.run("dataset", "import", "good.csv", "good").returncode == 0
    assert copy.run("dataset", "rows", "good").returncode == 0


def test_a_damaged_object_of_the_same_length_is_told(copy: World) -> None:
    for file in (path for path in (copy.home / "objects").rglob("*") if path.is_file()):
        file.chmod(0o600)
        file.write_bytes(file.read_bytes()[:-40] + b"z" * 40)
    lines = ("dataset rows good", "dataset profile good", "dataset export good out.csv")
    refused(copy, 3, "the stored file of good@1 is damaged", "from a backup", lines=lines)
    assert not (copy.folder / "out.csv").exists()


# ---------------------------------------------------------------- disks


def mounted(world: World, mount: str, script: str) -> list[dict[str, Any]]:
    """Command lines run by a script where something is mounted that nobody else sees: what each gave."""
    program = textwrap.dedent(
        """
        import json, os, subprocess, sys
        given = []
        def run(line):
            done = subprocess.run([sys.executable, "-m", "console.launch", *line.split()], capture_output=True,
                                  text=True, stdin=subprocess.DEVNULL, timeout=300)
            given.append(dict(line=line, code=done.returncode, out=done.stdout, err=done.stderr))
        {}
        print("GIVEN" + json.dumps(given))
        """
    ).format(textwrap.dedent(script))
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f'{mount} && exec {sys.executable} -c "$0"', program],
        capture_output=True,
        text=True,
        check=False,
        cwd=world.folder,
        env=world.env,
        timeout=900,
    )
    if "GIVEN" not in done.stdout and ("ermission denied" in done.stderr or "not permitted" in done.stderr):
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    assert "GIVEN" in done.stdout, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout.partition("GIVEN")[2])
    return found


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare here to mount with")
def test_a_full_disk_is_told_by_every_command_and_nothing_is_half_done(copy: World) -> None:
    small = copy.home.parent / "small"
    small.mkdir()
    copy.env["MLOPS_CONSOLE_WORKSPACE"] = str(small / "ws")
    script = f"""
    def fill():
        with open("{small}/ballast", "ab", buffering=0) as file:
            for size in (65536, 4096, 512, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    pass
    run("model list --json")
    fill()
    run("dataset import one.csv more")
    run("run start fine.toml")
    run("dataset delete good --confirm good")
    run("agent start")
    run("journal list")
    # With the files of the WAL in place reading needs no room.
    os.unlink("{small}/ballast")
    import sqlite3
    held = sqlite3.connect("{small}/ws/console.db")
    held.execute("PRAGMA user_version").fetchone()
    held.execute("SELECT count(*) FROM runs").fetchone()
    fill()
    run("dataset list --json")
    run("dataset import one.csv more")
    run("run start fine.toml --reason " + "x" * 100000)
    os.unlink("{small}/ballast")
    held.close()
    run("dataset list --json")
    run("journal verify")
    run("run list --json")
    given.append(sorted(os.listdir("{small}/ws/tmp")))
    """
    *given, left = mounted(copy, f"mount -t tmpfs -o size=2m none {small} && cp -r {copy.home} {small}/ws", script)
    before, *full = given[:6]
    assert before["code"] == 0
    for done in full:
        assert (done["code"], done["out"]) == (3, ""), done
        assert "no space left" in done["err"]
        assert "Free some space" in done["err"]
    reading, *changing = given[6:9]
    assert reading["code"] == 0, reading
    for done in changing:
        assert done["code"] in (1, 3), done
        assert done["out"] == ""
        assert "no space left" in done["err"] or "the disk is full" in done["err"], done
    datasets, verified, runs = given[9:]
    assert [item["name"] for item in json.loads(datasets["out"])["items"]].count("more") == 0
    assert len(json.loads(datasets["out"])["items"]) == 4
    assert verified["code"] == 0
    assert all(run["status"] != "queued" for run in json.loads(runs["out"])["items"])
    assert left == []


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare here to mount with")
def test_a_workspace_mounted_read_only_can_be_read_and_refuses_every_change(copy: World) -> None:
    home = copy.home
    for line in ("dataset list",):
        assert copy.run(*line.split()).returncode == 0
    for beside in ("console.db-wal", "console.db-shm"):
        assert not (home / beside).exists(), "at rest there is only the store itself"
    script = """
    for line in ("dataset list", "dataset rows good", "run list", "journal verify", "--plain datasets"):
        run(line)
    for line in ("dataset import one.csv more", "run start fine.toml", "dataset delete good --confirm good"):
        run(line)
    """
    given = mounted(copy, f"mount --bind {home} {home} && mount -o remount,ro,bind {home}", script)
    for done in given[:5]:
        assert done["code"] == 0, done
    for done in given[5:]:
        assert (done["code"], done["out"]) == (1, ""), done
        assert "read-only" in done["err"].lower()
        assert "Check the owner and the mode" in done["err"]


# ---------------------------------------------------------------- what a person writes for the program

CONFIGS: list[tuple[bytes, list[str]]] = [
    (b"[contexts.a\n", ["not valid TOML", "line 1"]),
    (b"[contexts.a]\nworkspce = '/x'\n", ["contexts.a.workspce", "did you mean workspace?"]),
    (b"[contexts.a]\nworkspace = 'here'\n", ["contexts.a.workspace", "not an absolute path"]),
    (b"[contexts.a]\nworkspace = '/x'\nproduction = 'yes'\n", ["contexts.a.production", "Expected `bool`"]),
    (b"contexts = 3\n", ["contexts must be tables"]),
    (b"[policies.monitor]\npsi = 'x'\n", ["policies.monitor"]),
    (b"\xff", ["not valid TOML"]),
]


@pytest.mark.parametrize(("content", "words"), CONFIGS, ids=[content.decode("latin-1") for content, _ in CONFIGS])
def test_a_wrong_configuration_names_its_file_and_key(
    world: World, tmp_path: Path, content: bytes, words: list[str]
) -> None:
    (tmp_path / "config.toml").write_bytes(content)
    done = world.run("dataset", "list", env={"MLOPS_CONSOLE_CONFIG": str(tmp_path / "config.toml")})
    assert (done.returncode, done.stdout) == (2, "")
    for word in ("config.toml", *words):
        assert word in done.stderr


KEYMAPS: list[tuple[bytes, list[str]]] = [
    (b"promot = 'p'\n", ["no action promot", "did you mean promote?"]),
    (b"promote = 3\n", ["promote must be a key in quotes"]),
    (b"promote = 'nokey'\n", ["no such key"]),
    (b"[promote\n", ["not TOML", "default keys are in use"]),
    (b"\xff", ["cannot be read", "default keys are in use"]),
]


@pytest.mark.parametrize(("content", "words"), KEYMAPS, ids=[content.decode("latin-1") for content, _ in KEYMAPS])
def test_a_wrong_keymap_is_told_and_the_keys_still_work(
    world: World, tmp_path: Path, content: bytes, words: list[str]
) -> None:
    (tmp_path / "keymap.toml").write_bytes(content)
    done = world.run("keys", env={"MLOPS_CONSOLE_CONFIG": str(tmp_path / "config.toml")})
    assert done.returncode == 0
    assert "promote" in done.stdout
    for word in ("keymap.toml", *words):
        assert word in done.stderr
