"""An import that dies at any moment leaves no version or one whole version, and its repetition gives exactly one."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from backends.entities import DatasetVersion
from backends.local import open_local
from backends.local.objects import ObjectStore
from backends.local.probe import Health, probe
from tests.cleaning import clean
from tests.processes import words_of
from tests.terminal.terminal import Terminal

ROOT = Path(__file__).parents[2]
ROWS = 400_000
"""About 20 MB."""
FEW = 20_000


class Table(NamedTuple):
    """A file to import, and what an undisturbed import of it gave."""

    path: Path
    digest: str
    rows: int
    seconds: float


def made(folder: Path, rows: int) -> Table:
    chance = random.Random(rows)
    path = folder / "flights.csv"
    with path.open("w") as file:
        file.write("id,when,carrier,delay,late\n")
        for at in range(rows):
            day, carrier = f"2013-01-{1 + at % 28:02d}T{at % 24:02d}:00:00", ("UA", "AA", "B6")[at % 3]
            file.write(f"{at},{day},{carrier},{chance.random() * 400 - 30:.9f},{'ny'[at % 7 == 0]}o\n")
    workspace = folder / f"undisturbed-{rows}"
    began = time.monotonic()
    done = subprocess.run([*command(workspace, path), "--json"], cwd=ROOT, capture_output=True, check=True)
    seconds = time.monotonic() - began
    version = json.loads(done.stdout)["version"]
    shutil.rmtree(workspace)
    return Table(path, version["digest"], rows, seconds)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return made(tmp_path_factory.mktemp("table"), ROWS)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return made(tmp_path_factory.mktemp("small"), FEW)


def command(workspace: Path, file: Path) -> list[str]:
    program = [sys.executable, "-m", "console.launch", "--workspace", str(workspace)]
    return [*program, "dataset", "import", str(file), "flights"]


def until(condition: Callable[[], object], seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.001)


def workers(workspace: Path) -> list[psutil.Process]:
    """The processes that import into this workspace."""
    found = []
    for process in psutil.process_iter():
        words = words_of(process)
        if "console.data.worker" in words and f"local:{workspace}" in words:
            found.append(process)
    return found


class Import:
    """A running `dataset import` of the real program, which may be killed with or without its worker."""

    def __init__(self, workspace: Path, table: Table) -> None:
        self.workspace = workspace
        self.process = subprocess.Popen(
            command(workspace, table.path),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def signal(self, number: signal.Signals, *, worker: bool = False) -> int:
        """Its exit code. A worker that is not killed too has to end by itself."""
        if worker:
            self.signal_workers(number)
        self.process.send_signal(number)
        self.process.communicate(timeout=180)
        until(lambda: not workers(self.workspace))
        return self.process.returncode

    def signal_workers(self, number: signal.Signals) -> None:
        for process in [*workers(self.workspace), *workers(self.workspace)]:
            with suppress(psutil.NoSuchProcess):  # finished meanwhile, which is one of the moments to be tried
                process.send_signal(number)

    def stop_at(self, step: str) -> None:
        """Holds its worker as soon as this is staged. The worker is found before: a search takes longer than a step."""
        until(lambda: workers(self.workspace))
        (worker,) = workers(self.workspace)
        until(lambda: self.staged(step))
        worker.send_signal(signal.SIGSTOP)

    def staged(self, pattern: str) -> bool:
        return any((self.workspace / "tmp").glob(pattern))


def versions(workspace: Path) -> tuple[DatasetVersion, ...]:
    """As the store tells them, which is also what the command line shows and the journal recorded."""
    backend = open_local(workspace)
    try:
        names = [dataset.name for dataset in backend.need("datasets").page().items]
        found = tuple(backend.need("datasets").versions("flights").items) if "flights" in names else ()
        entries = [entry for entry in backend.need("journal").page().items if entry.action == "dataset.import"]
        deleted = sum(entry.action == "dataset.delete" for entry in backend.need("journal").page().items)
        assert len(entries) - deleted == len(found)
        assert backend.need("journal").verify()[1] == ""
    finally:
        backend.close()
    return found


def is_true(workspace: Path, table: Table) -> bool:
    """Whether the version is there; if so whole, and the only one. Nothing is wrong with the store either way."""
    if not (workspace / "console.db").exists():
        return False
    found = versions(workspace)
    wrong = [finding for finding in probe(workspace, thorough=True) if finding.health is Health.FAIL]
    assert wrong == []
    assert len(found) <= 1
    if found:
        assert (found[0].version, found[0].digest, found[0].rows) == ("1", table.digest, table.rows)
        assert ObjectStore(workspace).verify(found[0].object)
    return bool(found)


def told(workspace: Path) -> tuple[int, list[str]]:
    """Exit code and versions of `dataset versions`, as an operator reads them."""
    program = [sys.executable, "-m", "console.launch", "--workspace", str(workspace), "--json"]
    done = subprocess.run([*program, "dataset", "versions", "flights"], cwd=ROOT, capture_output=True, check=False)
    return done.returncode, [item["version"] for item in json.loads(done.stdout)["items"]] if done.stdout else []


def forget(workspace: Path) -> None:
    """Back to a store without the version, so that the next import has all its work to do."""
    from backends.contract import Mutation

    backend = open_local(workspace)
    backend.need("datasets").delete("flights", Mutation("someone@somewhere", "a test"))
    backend.close()
    clean(workspace, idle_s=-1)


def repeated_is_once(workspace: Path, table: Table) -> None:
    """The repetition gives the one version and takes away what was left over."""
    again = subprocess.run([*command(workspace, table.path), "--json"], cwd=ROOT, capture_output=True, check=True)
    assert json.loads(again.stdout)["version"]["digest"] == table.digest
    assert is_true(workspace, table)
    assert told(workspace) == (0, ["1"])
    assert list((workspace / "tmp").glob("import-*")) == []
    clean(workspace, idle_s=-1)
    assert [sha256 for sha256, _ in ObjectStore(workspace).all()] == [versions(workspace)[0].object]
    assert list((workspace / "tmp").iterdir()) == []
    assert is_true(workspace, table)


@pytest.mark.parametrize(
    ("number", "worker", "moments"),
    [
        (signal.SIGKILL, True, 3),
        (signal.SIGKILL, False, 2),
        (signal.SIGHUP, False, 2),
        (signal.SIGINT, False, 2),
    ],
    ids=["everything killed", "console killed", "hang-up", "interrupted"],
)
def test_an_import_ended_at_any_moment_is_done_or_not(
    table: Table, tmp_path: Path, number: signal.Signals, worker: bool, moments: int
) -> None:
    chance = random.Random(f"{number} {worker}")
    workspace = tmp_path / "workspace"
    for _ in range(moments):
        running = Import(workspace, table)
        time.sleep(chance.random() * table.seconds * 1.1)
        code = running.signal(number, worker=worker)
        if is_true(workspace, table):
            forget(workspace)
        else:
            assert code in (130, -signal.SIGINT) if number is signal.SIGINT else code == -number
            if (workspace / "console.db").exists():
                assert told(workspace)[1] == []
            if not worker:
                assert not running.staged("import-*"), "a worker that is left alone cleans up behind itself"
    repeated_is_once(workspace, table)


def test_an_import_killed_at_each_of_its_steps_leaves_nothing_that_counts(table: Table, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    for step in ("import-*", "import-*/first.parquet"):
        with locked(workspace):  # it cannot come to its end, however late it is stopped
            running = Import(workspace, table)
            running.stop_at(step)
            running.signal(signal.SIGKILL, worker=True)
        assert running.staged("import-*"), "nobody was left who could clean up"
        assert not is_true(workspace, table)
        clean(workspace)
        assert running.staged("import-*"), "too young: it may be a living import's"
        clean(workspace, idle_s=-1)
        assert not running.staged("*")
    repeated_is_once(workspace, table)


@contextmanager
def locked(workspace: Path) -> Iterator[sqlite3.Connection]:
    """A store whose write lock is taken: an import gets as far as its commit, and waits there."""
    open_local(workspace).close()
    with closing(sqlite3.connect(workspace / "console.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


@pytest.fixture
def held(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with locked(tmp_path / "workspace") as connection:
        yield connection


def threads_of(process: psutil.Process) -> int:
    """0 of one that has ended."""
    try:
        return int(process.num_threads())
    except psutil.NoSuchProcess:
        return 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP], ids=lambda number: number.name)
def test_an_import_ended_between_its_file_and_its_commit_is_not_done(
    small: Table, tmp_path: Path, held: sqlite3.Connection, number: signal.Signals
) -> None:
    workspace = tmp_path / "workspace"
    running = Import(workspace, small)
    until(lambda: list(ObjectStore(workspace).all()))
    if number is signal.SIGHUP:
        (worker,) = workers(workspace)
        threads = threads_of(worker)
        running.process.send_signal(number)
        running.process.communicate(timeout=180)
        until(lambda: threads_of(worker) < threads)  # the one that waited for its console's end, and tells the others
        held.execute("ROLLBACK")  # what its worker waits for comes after the wish to end
        until(lambda: not workers(workspace))
    else:
        running.signal(number, worker=True)
        held.execute("ROLLBACK")
    assert not is_true(workspace, small)
    assert told(workspace) == (2, [])
    assert len(list(ObjectStore(workspace).all())) == 1, "a file that no version names"
    clean(workspace)
    assert len(list(ObjectStore(workspace).all())) == 1, "too young: it may be a living import's"
    clean(workspace, idle_s=-1)
    assert list(ObjectStore(workspace).all()) == []
    repeated_is_once(workspace, small)


@pytest.mark.parametrize("seed", range(2))
def test_the_screen_hangs_up_while_it_imports_and_the_import_is_finished(
    table: Table, tmp_path: Path, seed: int
) -> None:
    workspace = tmp_path / "workspace"
    open_local(workspace).close()
    with Terminal("--workspace", str(workspace), "datasets", size=(120, 40)) as terminal:
        terminal.wait("No datasets yet")
        terminal.press("i")
        terminal.wait("Import data")
        terminal.rest(0.2)
        terminal.press(str(table.path))
        terminal.wait(table.path.name)
        with locked(workspace):  # however late we look, it is at it
            terminal.press("\x13")  # ctrl+s: the form as it is
            terminal.wait("importing")
        time.sleep(random.Random(seed).random() * table.seconds)
        descriptor, terminal.fd = terminal.fd, os.open(os.devnull, os.O_RDONLY)
        os.close(descriptor)
        _, status = os.waitpid(terminal.pid, 0)
        terminal.code = os.waitstatus_to_exitcode(status)
    assert terminal.code in (128 + signal.SIGHUP, -signal.SIGHUP)
    until(lambda: not workers(workspace))
    assert not any((workspace / "tmp").glob("import-*"))
    assert is_true(workspace, table), "what was begun is finished before it goes"
    repeated_is_once(workspace, table)
