"""Heavy work in a process of its own: results, errors and stops come back as if it were here."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from backends.contract import Backend, BackendError, Invalid, Mutation, NotFound, Refused
from backends.entities import Progress
from backends.local import open_local
from backends.readonly import read_only
from console.data.offloaded import export_offloaded, import_offloaded, profile_offloaded, rows_offloaded
from console.data.origin import Origin
from console.offload import Cancelled, run_offloaded
from tests.held import hold_at
from tests.processes import gone

ACTOR = Mutation(actor="tester@here", reason="because", key="k1")
CSV = "id,x,when,word\n" + "".join(
    f"{i:04d},{i / 4},2013-01-{i % 28 + 1:02d} 05:00:00,{'ab'[i % 2]}\n" for i in range(1000)
)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    opened = open_local(tmp_path / "workspace")
    yield opened
    opened.close()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "-odd name.csv"
    path.write_text(CSV)
    return path


def at(path: Path) -> Origin:
    return Origin(target=str(path))


def script(tmp_path: Path, body: str) -> dict[str, str]:
    """A module `spoken` on the path of the offloaded process."""
    (tmp_path / "spoken.py").write_text(body)
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])}


def test_an_import_in_its_own_process_gives_the_version_and_is_journaled(backend: Backend, table: Path) -> None:
    said: list[Progress] = []
    done = import_offloaded(backend, at(table), "things", ACTOR, note="a note", on_progress=said.append)
    version = done.version
    assert done.created
    assert version.ref == "things@1"
    assert version.note == "a note"
    assert version.source == str(table)
    assert said
    assert backend.journal is not None
    entry = backend.journal.page().items[0]
    assert (entry.actor, entry.reason, entry.target) == ("tester@here", "because", "things@1")
    assert import_offloaded(backend, at(table), "things", ACTOR).version == version


def test_rows_come_by_page_from_any_place(backend: Backend, table: Path) -> None:
    import_offloaded(backend, at(table), "things", ACTOR)
    page = rows_offloaded(backend, "things@1", 998, 5)
    assert page.total == 1000
    assert page.rows == (
        ("0998", 249.5, "2013-01-19 05:00:00", "a"),
        ("0999", 249.75, "2013-01-20 05:00:00", "b"),
    )
    assert rows_offloaded(backend, "things", 5000, 5).rows == ()


def test_a_profile_agrees_with_the_values(backend: Backend, table: Path) -> None:
    import_offloaded(backend, at(table), "things", ACTOR)
    profile = profile_offloaded(backend, "things")
    columns = {column.name: column for column in profile.columns}
    assert columns["x"].quantiles["0.5"] == pytest.approx(124.875)
    assert (columns["x"].minimum, columns["x"].maximum) == (0.0, 249.75)
    assert columns["x"].mean == pytest.approx(sum(i / 4 for i in range(1000)) / 1000)
    assert sum(columns["x"].counts) == 1000
    assert columns["word"].top == (("a", 500), ("b", 500))
    assert columns["id"].distinct == 1000
    assert columns["when"].distinct == 28
    assert columns["when"].minimum == 1357016400000.0


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_an_export_imports_again_as_the_same_version(
    backend: Backend, table: Path, tmp_path: Path, suffix: str
) -> None:
    version = import_offloaded(backend, at(table), "things", ACTOR).version
    out = export_offloaded(backend, "things", tmp_path / f"out.{suffix}")
    again = import_offloaded(backend, at(out), "things", Mutation(actor="a"))
    assert (again.version.ref, again.created) == (version.ref, False)
    with pytest.raises(Refused, match="exists already"):
        export_offloaded(backend, "things", out)


def test_errors_come_back_as_the_contracts_own(backend: Backend, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        import_offloaded(backend, at(tmp_path / "none.csv"), "things", ACTOR)
    (tmp_path / "ragged.csv").write_text("a,b\n1\n")
    with pytest.raises(Invalid, match="row 1") as caught:
        import_offloaded(backend, at(tmp_path / "ragged.csv"), "things", ACTOR)
    assert caught.value.field == "rows"
    with pytest.raises(NotFound):
        rows_offloaded(backend, "nothing@1")


def test_a_read_only_context_refuses_before_reading(backend: Backend, table: Path) -> None:
    with pytest.raises(Refused, match="read-only"):
        import_offloaded(read_only(backend), at(table), "things", ACTOR)


def test_a_process_that_dies_without_a_word_is_an_error_with_its_last_line(tmp_path: Path) -> None:
    env = script(tmp_path, "import sys\nprint('noise')\nprint('[]')\nsys.exit('it broke')\n")
    with pytest.raises(BackendError, match=r"without a result \(exit code 1\): it broke"):
        run_offloaded("spoken", [], env=env)


def test_a_cancelled_process_ends_with_its_children(tmp_path: Path) -> None:
    body = (
        "import json, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(json.dumps({'progress': {'at': child.pid}}), flush=True)\n"
        "time.sleep(600)\n"
    )
    children: list[int] = []
    with pytest.raises(Cancelled):
        run_offloaded(
            "spoken",
            [],
            env=script(tmp_path, body),
            on_progress=lambda progress: children.append(progress.at),
            cancel=lambda: bool(children),
        )

    def ended() -> bool:
        try:
            return gone(psutil.Process(children[0]))
        except psutil.NoSuchProcess:
            return True

    deadline = time.monotonic() + 60
    while not ended():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_was_done_before_it_heard_of_the_stop_is_told_as_done(tmp_path: Path) -> None:
    """Both are said at once, and the stop is asked for by the first: it comes too late."""
    body = 'import sys\nsys.stdout.write(\'{"progress": {"at": 1}}\\n{"result": 7}\\n\')\n'
    said: list[Progress] = []
    done = run_offloaded(
        "spoken", [], env=script(tmp_path, body), on_progress=said.append, cancel=lambda: bool(said)
    )  # fmt: skip
    assert (done, len(said)) == (7, 1)


def test_a_cancelled_import_keeps_nothing(backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold_at("", tmp_path, monkeypatch)
    path = tmp_path / "long.csv"
    path.write_text("a,b\n" + "".join(f"{i},{i}\n" for i in range(200_000)))
    said: list[Progress] = []
    with pytest.raises(Cancelled):
        import_offloaded(backend, at(path), "long", ACTOR, on_progress=said.append, cancel=lambda: bool(said))
    assert backend.home is not None
    assert not list((backend.home / "tmp").iterdir())
    assert backend.datasets is not None
    assert not backend.datasets.page().items
