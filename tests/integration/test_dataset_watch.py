"""A watched folder: what is whole is taken once, whatever ends the watch meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Backend, Mutation, Refused
from backends.entities import DatasetVersion
from backends.local import open_local
from console.data.taken import Taken, TakenLog, taken_log
from console.data.watching import FolderWatch

ROOT = Path(__file__).parents[2]
ACTOR = Mutation(actor="tester@here")
EVERY = 0.05


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    opened = open_local(tmp_path / "workspace")
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    made.mkdir()
    return made


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def looks(backend: Backend, folder: Path, count: int = 3, **more: Any) -> list[tuple[str, str, str]]:
    """File, state and version of what some looks found, by a watch that begins and ends with them."""
    found: list[Taken] = []
    with taken_log(backend, "days") as log:
        watch = FolderWatch(backend, folder, "days", log, ACTOR, every=EVERY, **more)
        for _ in range(count):
            found += watch.look()
            time.sleep(EVERY)
    return [(taken.file, taken.state, taken.version) for taken in found]


def versions(backend: Backend) -> list[DatasetVersion]:
    return list(reversed(backend.need("datasets").versions("days").items))


def test_each_new_file_becomes_a_version_once(backend: Backend, folder: Path) -> None:
    put(folder / "day=2/a.csv", "a\n2\n")
    put(folder / "day=1/a.csv", "a\n1\n")
    assert looks(backend, folder) == [("day=1/a.csv", "taken", "days@1"), ("day=2/a.csv", "taken", "days@2")]
    assert [column.name for column in versions(backend)[0].columns] == ["a", "day"]
    assert versions(backend)[1].source == str(folder / "day=2/a.csv")
    put(folder / "day=2/copy.csv", "a\n2\n")
    put(folder / "day=3/b.csv", "a\n2\n")
    assert looks(backend, folder) == [("day=2/copy.csv", "known", "days@2"), ("day=3/b.csv", "taken", "days@3")]
    assert looks(backend, folder) == []


def test_appending_keeps_all_rows_so_far(backend: Backend, folder: Path) -> None:
    for number in range(3):
        put(folder / f"{number}.csv", f"a,b\n{number},x\n")
    assert len(looks(backend, folder, append=True)) == 3
    assert [version.rows for version in versions(backend)] == [1, 2, 3]
    assert [version.parent for version in versions(backend)] == ["", "days@1", "days@2"]
    put(folder / "4.csv", "a,b\nlate,x\n")
    assert looks(backend, folder, append=True) == [("4.csv", "failed", "")]
    assert len(versions(backend)) == 3


def test_a_file_that_is_being_written_is_left_alone(backend: Backend, folder: Path) -> None:
    put(folder / "whole.csv", "a\n1\n")
    path = folder / "slow.csv"
    put(path, "a\n")
    with taken_log(backend, "days") as log:
        watch = FolderWatch(backend, folder, "days", log, ACTOR, every=EVERY)
        found: list[Taken] = []
        for number in range(6):
            with path.open("a") as file:
                file.write(f"{number}\n")
            found += watch.look()
            time.sleep(EVERY)
        assert [taken.file for taken in found] == ["whole.csv"]
        (folder / ".part").write_text("a\n8\n9\n")
        (folder / ".part").rename(folder / "renamed.csv")
        for _ in range(3):
            found += watch.look()
            time.sleep(EVERY)
    assert sorted((taken.file, taken.rows) for taken in found[1:]) == [("renamed.csv", 2), ("slow.csv", 6)]


def test_a_file_that_will_not_do_is_told_once_and_tried_again_when_it_changed(backend: Backend, folder: Path) -> None:
    put(folder / "a.csv", "a,b\n1\n")
    put(folder / "b.csv", "a,b\n1,2\n")
    assert looks(backend, folder) == [("a.csv", "failed", ""), ("b.csv", "taken", "days@1")]
    assert looks(backend, folder) == []
    put(folder / "a.csv", "a,b\n1,3\n")
    assert looks(backend, folder) == [("a.csv", "taken", "days@2")]
    with taken_log(backend, "days") as log:
        assert [taken.state for taken in log.by_content.values()].count("failed") == 1
        FolderWatch(backend, folder, "days", log, ACTOR).forget_failures()
        assert "failed" not in [taken.state for taken in log.by_content.values()]


def test_a_link_out_of_the_folder_waits_for_the_person(backend: Backend, folder: Path) -> None:
    (folder / "out.csv").symlink_to("/etc/hostname")
    assert looks(backend, folder, count=5) == [("out.csv", "waiting", "")]


@pytest.mark.parametrize("append", [False, True])
def test_what_was_done_but_not_written_down_is_not_done_twice(backend: Backend, folder: Path, append: bool) -> None:
    put(folder / "a.csv", "a\n1\n")
    looks(backend, folder, append=append)
    put(folder / "b.csv", "a\n2\n")
    # as a process that died between the version and its note would leave it
    with taken_log(backend, "days") as log:
        looked = FolderWatch(backend, folder, "days", log, ACTOR, append=append, every=0.0)
        write, log.add = log.add, lambda taken: write(taken) if taken.state == "begun" else None  # type: ignore[method-assign]
        for _ in range(2):
            list(looked.look())
    assert len(versions(backend)) == 2
    assert looks(backend, folder, append=append) == []
    assert len(versions(backend)) == 2
    with taken_log(backend, "days") as log:
        assert log.by_file["b.csv"].version == "days@2"


def test_a_dataset_that_was_deleted_is_made_anew(backend: Backend, folder: Path) -> None:
    put(folder / "a.csv", "a\n1\n")
    looks(backend, folder)
    backend.need("datasets").delete("days", ACTOR)
    assert looks(backend, folder) == [("a.csv", "taken", "days@1")]


def test_a_line_cut_short_by_a_crash_is_stepped_over(tmp_path: Path) -> None:
    log = TakenLog(tmp_path)
    log.add(Taken(at=1, file="a.csv", state="taken", sha256="aa"))
    with (tmp_path / "taken.jsonl").open("ab") as file:
        file.write(b'{"at":2,"file":"b.c')
    log = TakenLog(tmp_path)
    log.add(Taken(at=3, file="c.csv", state="taken", sha256="cc"))
    assert set(TakenLog(tmp_path).by_content) == {"aa", "cc"}


def test_one_process_at_a_time(backend: Backend) -> None:
    with (
        taken_log(backend, "days"),
        pytest.raises(Refused, match="another process watches"),
        taken_log(backend, "days"),
    ):
        pass


# ---------------------------------------------------------------- the real program


def command(workspace: Path, folder: Path, *more: str) -> list[str]:
    program = [sys.executable, "-m", "console.launch", "--workspace", str(workspace), "--json"]
    return [*program, "dataset", "watch", str(folder), "days", "--every", "0.1", *more]


def until(condition: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_a_watch_that_is_ended_goes_on_where_it_was(tmp_path: Path, folder: Path, how: signal.Signals) -> None:
    workspace = tmp_path / "workspace"
    put(folder / "a.csv", "a,b\n1,2\n")
    long = "a,b\n" + "".join(f"{number},{number}\n" for number in range(600_000))
    with subprocess.Popen(
        command(workspace, folder, "--append"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["version"] == "days@1"
        put(folder / "b.csv", long)
        until(lambda: list((workspace / "tmp").glob("import-*/*.parquet")))
        process.send_signal(how)
        code = process.wait(180)
    assert code == (0 if how is signal.SIGINT else -how)
    until(lambda: not list((workspace / "tmp").glob("import-*")))
    done = subprocess.run(
        command(workspace, folder, "--append", "--once"),
        cwd=ROOT,
        capture_output=True,
        check=True,
        env=dict(os.environ),
    )
    backend = open_local(workspace)
    try:
        assert [version.rows for version in versions(backend)] == [1, 600_001]
        assert backend.need("journal").verify()[1] == ""
    finally:
        backend.close()
    assert [json.loads(line)["state"] for line in done.stdout.splitlines()] in (["taken"], [])


def test_once_ends_with_1_where_a_file_failed(tmp_path: Path, folder: Path) -> None:
    put(folder / "a.csv", "a,b\n1\n")
    done = subprocess.run(command(tmp_path / "w", folder, "--once"), cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 1
    assert "row 1" in json.loads(done.stdout)["reason"]
