"""The embedded store as a file: how it opens, refuses, survives and speaks of trouble."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from backends.connect import connect
from backends.contract import BackendError, Conflict, Invalid, Mutation, NotFound, Refused, Unreachable, Unsupported
from backends.entities import MetricPoint, ModelFile, Signature
from backends.local import DATABASE, open_local, schema
from backends.local.database import Database, file_trouble, trouble

ANN = Mutation("ann@box")
ROOT = Path(__file__).parents[2]


def test_opening_makes_a_private_workspace(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "workspace"
    backend = open_local(home)
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / DATABASE).stat().st_mode & 0o777 == 0o600
    assert backend.home == home
    backend.close()
    connection = sqlite3.connect(home / DATABASE)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    assert list((home / "tmp").iterdir()) == []


def test_a_missing_workspace_is_not_made_unasked(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no workspace"):
        open_local(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    backend = open_local(tmp_path / "w")
    run = backend.need("runs").create(name="a", mutation=ANN)
    backend.close()
    with pytest.raises(Unreachable, match="closed"):
        backend.need("runs").get(run.id)
    again = open_local(tmp_path / "w", create=False)
    assert again.need("runs").get(run.id) == run
    again.close()


def test_a_database_from_a_newer_version_is_refused(tmp_path: Path) -> None:
    open_local(tmp_path / "w").close()
    with sqlite3.connect(tmp_path / "w" / DATABASE) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    with pytest.raises(Unsupported, match=r"newer mlops-console.*nothing was changed.*Upgrade"):
        open_local(tmp_path / "w")


def test_a_foreign_database_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    with sqlite3.connect(tmp_path / "w" / DATABASE) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    before = (tmp_path / "w" / DATABASE).read_bytes()
    with pytest.raises(Unreachable, match="not a store of mlops-console"):
        open_local(tmp_path / "w")
    assert (tmp_path / "w" / DATABASE).read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"no database at all, but text" * 100])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / DATABASE).write_bytes(content)
    with pytest.raises(Unreachable):
        open_local(tmp_path / "w")


def test_a_damaged_database_says_so(tmp_path: Path) -> None:
    backend = open_local(tmp_path / "w")
    for number in range(50):
        backend.need("runs").create(name=f"run {number}", mutation=ANN, params={"text": "x" * 500})
    backend.close()
    database = tmp_path / "w" / DATABASE
    content = bytearray(database.read_bytes())
    content[4096 * 3 :] = os.urandom(len(content) - 4096 * 3)
    database.write_bytes(content)
    with pytest.raises(Unreachable, match=r"damaged.*doctor"):
        open_local(tmp_path / "w").need("runs").page()


def test_two_processes_may_make_the_same_workspace_at_once(tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from backends.local import open_local\n"
    script += "from backends.contract import Mutation\n"
    script += "open_local(Path(sys.argv[1])).runs.create(name='a', mutation=Mutation('x@y'))"
    started = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "w")], cwd=ROOT, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    for process in started:
        _, errors = process.communicate(timeout=240)
        assert (process.returncode, errors) == (0, b"")
    backend = open_local(tmp_path / "w")
    assert backend.need("runs").count().value == 4
    assert backend.need("journal").verify() == (4, "")
    backend.close()


def test_starting_up_imports_nothing_heavy(tmp_path: Path) -> None:
    open_local(tmp_path / "w").close()
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from backends.connect import connect
        backend = connect("local", f"local:{sys.argv[1]}")
        backend.runs.page(limit=40)
        heavy = "sqlite_utils pandas pyarrow numpy sklearn scipy textual plotext httpx asyncio"
        print(sorted(set(heavy.split()) & set(sys.modules)))
    """)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "w")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_store_held_by_another_process_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.local.database.BUSY_S", 0.05)
    backend = open_local(tmp_path / "w")
    holder = sqlite3.connect(tmp_path / "w" / DATABASE, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unreachable, match="held by another process") as caught:
        backend.need("runs").create(name="a", mutation=ANN)
    assert caught.value.retry_at is not None
    assert backend.need("runs").count().value == 0, "reading goes on"
    holder.execute("ROLLBACK")
    backend.need("runs").create(name="a", mutation=ANN)
    backend.close()


def test_a_full_database_says_so_and_keeps_what_it_had(tmp_path: Path) -> None:
    database = Database(tmp_path / "w" / DATABASE)
    from backends.local.runs import LocalRuns

    runs = LocalRuns(database)
    kept = runs.create(name="kept", mutation=ANN)
    pages = database.connection().execute("PRAGMA page_count").fetchone()[0]
    database.connection().execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(Unreachable, match="no space left"):
        runs.create(name="big", mutation=ANN, params={"text": "x" * 60_000, "more": "y" * 60_000})
    assert runs.get(kept.id) == kept
    database.connection().execute("PRAGMA max_page_count = 1000000")
    runs.create(name="later", mutation=ANN)
    database.close()


def test_a_full_disk_keeps_no_half_object(tmp_path: Path) -> None:
    # A limit on file size stands in for a full disk: the write fails in its middle.
    backend = open_local(tmp_path / "w")
    run = backend.need("runs").create(name="a", mutation=ANN).id
    big = tmp_path / "big"
    big.write_bytes(b"x" * 5_000_000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, before[1]))
    try:
        with pytest.raises(BackendError, match="could not keep a copy"):
            backend.need("artifacts").put(run, "big", big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert backend.need("artifacts").list(run) == ()
    assert [file for file in (tmp_path / "w").rglob("*") if file.is_file() and file.parent.name != "w"] == []
    backend.close()


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (28, Unreachable, "no space left"),
        (13, Refused, "may not write"),
        (30, Refused, "may not write"),
        (5, Unreachable, ""),
    ],
)
def test_file_errors_are_typed(number: int, kind: type[BackendError], words: str) -> None:
    found = file_trouble(OSError(number, os.strerror(number)), "keep model.skops")
    assert isinstance(found, kind)
    assert "could not keep model.skops" in str(found)
    assert words in str(found)


def test_a_read_only_database_is_refused(tmp_path: Path) -> None:
    open_local(tmp_path / "w").close()
    connection = sqlite3.connect(f"{(tmp_path / 'w' / DATABASE).as_uri()}?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("DELETE FROM runs")
    found = trouble(caught.value, tmp_path / "w" / DATABASE)
    assert isinstance(found, Refused)
    assert "read-only" in str(found)


def test_a_thread_gets_a_connection_that_goes_with_it(tmp_path: Path) -> None:
    backend = open_local(tmp_path / "w")
    run = backend.need("runs").create(name="a", mutation=ANN).id
    here = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        thread = threading.Thread(target=lambda: backend.need("runs").get(run))
        thread.start()
        thread.join()
    assert len(list(Path("/proc/self/fd").iterdir())) <= here + 3
    backend.close()


def test_a_process_killed_while_writing_leaves_whole_transactions(tmp_path: Path) -> None:
    open_local(tmp_path / "w").close()
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from backends.contract import Mutation
        from backends.entities import MetricPoint
        from backends.local import open_local
        backend = open_local(Path(sys.argv[1]))
        for number in range(100_000):
            run = backend.runs.create(name=f"r{number}", mutation=Mutation("x@y"), params={"n": str(number)})
            backend.runs.log_points(run.id, [MetricPoint(key="a", value=step, step=step) for step in range(50)])
            print(run.id, flush=True)
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "w")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = [process.stdout.readline().strip() for _ in range(30)]
    process.kill()
    rest, _ = process.communicate()
    said += [line for line in rest.splitlines() if len(line) == 32]
    backend = open_local(tmp_path / "w")
    runs = backend.need("runs")
    for run in said:
        assert runs.get(run).metrics == {"a": 49.0}
        assert runs.series(run, "a").count == 50
    total = runs.count().value
    assert len(said) <= total <= len(said) + 1
    assert backend.need("journal").verify() == (total, "")
    for run in runs.page(limit=1000).items:
        assert runs.series(run.id, "a").count in (0, 50)
    backend.close()


def test_an_error_inside_a_transaction_undoes_all_of_it(tmp_path: Path) -> None:
    backend = open_local(tmp_path / "w")
    runs = backend.need("runs")
    run = runs.create(name="a", mutation=ANN).id
    with pytest.raises(Invalid):
        runs.log_points(run, [MetricPoint(key="a", value=1, step=1), MetricPoint(key="b", value=1, step=2**70)])
    assert runs.get(run).metrics == {}
    with pytest.raises(Invalid):
        runs.set_tags(run, {"fine": "1", "bad \udcff": "2"}, ANN)
    assert runs.get(run).tags == {}
    assert backend.need("journal").page().total == 1
    backend.close()


def test_an_endless_name_is_invalid(tmp_path: Path) -> None:
    backend = open_local(tmp_path / "w")
    with pytest.raises(Invalid, match="65,536"):
        backend.need("runs").create(name="x" * 100_000, mutation=ANN)
    with pytest.raises(Invalid):
        backend.need("runs").create(name="a", mutation=ANN, params={"x" * 100_000: "1"})
    backend.close()


def test_connect_opens_local_urls_and_names_unknown_ones(tmp_path: Path) -> None:
    backend = connect("here", f"local:{tmp_path / 'w'}")
    assert (backend.name, backend.url) == ("here", f"local:{tmp_path / 'w'}")
    backend.close()
    with pytest.raises(Invalid, match=r"no adapter is installed for nowhere.*local"):
        connect("x", "nowhere+https://example.org")
    for url in ("", "local:", "plain"):
        with pytest.raises(Invalid):
            connect("x", url)
    with pytest.raises(NotFound):
        connect("x", f"local:{tmp_path / 'none'}", read_only=True)


def test_a_promotion_and_its_journal_entry_stand_or_fall_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = open_local(tmp_path / "w")
    registry = backend.need("registry")
    registry.register("m", run="r", file=ModelFile(), signature=Signature(), mutation=ANN)

    def fail(*_: object, **__: object) -> None:
        raise Conflict("the journal is closed")

    with monkeypatch.context() as patched:
        patched.setattr("backends.local.registry.journal.append", fail)
        with pytest.raises(Conflict):
            registry.set_alias("m", "champion", "1", expected=None, mutation=ANN)
    assert registry.get("m").aliases == {}
    assert registry.history("m") == ()
    backend.close()
