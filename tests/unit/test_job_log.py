"""A job's log parted into what was printed and what was said; each once, wherever whoever reads it is killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from backends.contract import Backend, Mutation
from backends.entities import LaunchSpec
from backends.local import open_local
from backends.local.handed import Handed, handed
from backends.local.job_log import MARK, JobLog
from backends.local.run_folder import RunFolder

ME = Mutation("someone@somewhere", "a test")


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    made = open_local(tmp_path)
    yield made
    made.close()


@pytest.fixture
def folder(backend: Backend, tmp_path: Path) -> RunFolder:
    run = backend.need("runs").create(name="a run", mutation=ME)
    backend.need("runs").start(run.id)
    made = RunFolder.of(tmp_path, run.id)
    made.lay_out(LaunchSpec(run=run.id, argv=("true",)))
    return made


def said(**line: object) -> bytes:
    return MARK + json.dumps(line).encode() + b"\n"


STREAM = (
    said(begun=1, machine="m")
    + b"".join(b"line %d\n" % n + said(metrics={"loss": 1 / (n + 1)}, step=n) for n in range(20))
    + b"no newline\x1e at the end"
    + b"\n"
    + said(end=3, stopped=False, why="", at=5)
)


@pytest.mark.parametrize("step", [1, 7, 64, 10_000])
def test_every_cut_of_the_stream_gives_the_same(backend: Backend, folder: RunFolder, step: int) -> None:
    log = JobLog(folder, backend, Handed())
    while log.read_to < len(STREAM):
        log.take(STREAM[log.read_to : log.read_to + step])
    log.keep()
    log.close()
    assert folder.log.read_text() == "".join(f"line {n}\n" for n in range(20)) + "no newline? at the end\n"
    assert [p.step for p in backend.need("runs").points(folder.run, "loss", limit=100).items] == list(range(20))
    assert log.ended is not None
    assert log.ended["end"] == 3


@pytest.mark.parametrize("killed_after", [3, 40, 200, 700])
def test_who_is_killed_before_it_is_written_down_takes_nothing_twice(
    backend: Backend, folder: RunFolder, killed_after: int
) -> None:
    first = JobLog(folder, backend, Handed())
    first.take(STREAM[:100])
    before = first.told
    first.take(STREAM[first.read_to : 100 + killed_after])  # written, and then the power goes: not noted
    first.keep()
    first.close()
    (folder.path / "handed.json").write_bytes(msgspec.json.encode(before))
    told = handed(folder)
    assert told is not None
    assert told.log_at <= 100
    second = JobLog(folder, backend, told)
    second.take(STREAM[second.read_to :])
    second.keep()
    second.close()
    assert folder.log.read_text() == "".join(f"line {n}\n" for n in range(20)) + "no newline? at the end\n"
    assert [p.step for p in backend.need("runs").points(folder.run, "loss", limit=100).items] == list(range(20))
