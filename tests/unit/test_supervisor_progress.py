"""What a command says reaches the store once, whatever is killed in between."""

from __future__ import annotations

import json
import math
import sqlite3
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.contract import Backend, Mutation, Unreachable
from backends.entities import LaunchSpec, Run
from backends.local import open_local, progress_intake
from backends.local.progress_intake import ProgressIntake, passes_by_itself
from backends.local.progress_lines import LONGEST, LineSplitter, parse_report
from backends.local.progress_spool import SpoolWriter
from backends.local.run_folder import RunFolder

ME = Mutation("someone@somewhere", "a test")


@given(lines=st.lists(st.binary(max_size=30).filter(lambda b: b"\n" not in b)), cuts=st.lists(st.integers(0, 400)))
def test_lines_are_the_same_however_the_stream_is_cut(lines: list[bytes], cuts: list[int]) -> None:
    stream = b"\n".join(lines)
    places = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
    splitter = LineSplitter()
    found: list[bytes | None] = []
    for begin, end in pairwise(places):
        found += splitter.feed(stream[begin:end])
    found += splitter.end()
    assert found == [line.strip() for line in lines if line.strip()]


def test_an_endless_line_is_dropped_while_it_comes_and_the_next_one_is_read() -> None:
    splitter = LineSplitter()
    found: list[bytes | None] = []
    for _ in range(40):
        found += splitter.feed(b"x" * 100_000)
        assert len(splitter._open) <= LONGEST
    found += splitter.feed(b'\n{"progress": 1}\n')
    assert found == [None, b'{"progress": 1}']


def test_numbers_that_json_does_not_know_are_understood() -> None:
    line = json.dumps({"metrics": {"loss": math.nan, "best": -math.inf}, "step": 2}).encode()
    report = parse_report(line)
    assert math.isnan(report.metrics["loss"])
    assert report.metrics["best"] == -math.inf


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b"3", b'{"metrics": {"a": "b"}}', b'{"unknown": 1}', b"\xff\xfe", b'{"step": 1}', b"{" * 9999]
)
def test_a_malformed_line_says_what_is_wrong_with_it(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_report(line)


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return open_local(tmp_path)


@pytest.fixture
def run(backend: Backend) -> Run:
    made: Run = backend.need("runs").create(name="a run", mutation=ME)
    return made


@pytest.fixture
def folder(tmp_path: Path, run: Run) -> RunFolder:
    folder = RunFolder.of(tmp_path, run.id)
    folder.lay_out(LaunchSpec(run=run.id, argv=("true",)))
    return folder


def say(folder: RunFolder, *said: dict[str, object]) -> SpoolWriter:
    spool = SpoolWriter(folder.spool)
    for line in said:
        spool.add(json.dumps(line).encode())
    assert spool.flush()
    return spool


def points_of(backend: Backend, run: Run, key: str) -> int:
    count: int = backend.need("runs").series(run.id, key).count
    return count


def test_everything_that_is_said_is_found_in_the_store(backend: Backend, run: Run, folder: RunFolder) -> None:
    (folder.artifacts / "model").mkdir()
    (folder.artifacts / "model" / "a.txt").write_text("weights")
    say(
        folder,
        {"metrics": {"auc": 0.7, "loss": 1}, "step": 3},
        {"params": {"lr": 0.1, "deep": True}},
        {"tags": {"team": "red", "n": 3}},
        {"input": {"dataset": "flights", "version": "3", "digest": "d"}},
        {"artifact": "model/a.txt"},
        {"progress": 0.5, "stage": "fold 2", "rate": "1 it/s", "eta_s": 4.5},
    )
    notes: list[str] = []
    ProgressIntake(folder, backend, notes.append).drain()
    stored = backend.need("runs").get(run.id)
    assert notes == []
    assert stored.metrics == {"auc": 0.7, "loss": 1.0}
    assert stored.params == {"lr": "0.1", "deep": "True"}
    assert stored.tags == {"team": "red", "n": "3"}
    assert [given.dataset for given in stored.inputs] == ["flights"]
    assert (stored.progress.fraction, stored.progress.stage, stored.progress.eta_s) == (0.5, "fold 2", 4.5)
    assert backend.need("artifacts").open(run.id, "model/a.txt").read_text() == "weights"


def test_points_are_not_doubled_when_the_supervisor_dies_between_the_store_and_its_cursor(
    backend: Backend, run: Run, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(folder, *({"metrics": {"auc": i / 10, "loss": 1.0}, "step": i} for i in range(5)))
    intake = ProgressIntake(folder, backend, print)
    intake.drain()
    say(folder, *({"metrics": {"auc": i / 10}, "step": i} for i in range(5, 9)))

    def killed(_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ProgressIntake, "_move_cursor", killed)
        with pytest.raises(KeyboardInterrupt):
            intake.step()
    assert points_of(backend, run, "auc") == 9
    say(folder, {"metrics": {"auc": 0.95}, "step": 9})
    ProgressIntake(folder, backend, print).drain()
    assert points_of(backend, run, "auc") == 10
    assert points_of(backend, run, "loss") == 5
    assert backend.need("runs").get(run.id).metrics["auc"] == 0.95


def test_a_busy_store_is_asked_again_and_nothing_is_lost_or_doubled(
    backend: Backend, run: Run, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(folder, {"metrics": {"auc": 0.5}}, {"progress": 0.1}, {"params": {"a": 1}})
    intake = ProgressIntake(folder, backend, print)
    runs = backend.need("runs")
    really = runs.set_progress
    refusals = iter(range(3))

    def busy(*given: Any) -> None:
        if next(refusals, None) is not None:
            raise Unreachable("the store is held")
        really(*given)

    monkeypatch.setattr(runs, "set_progress", busy)  # the last of three calls
    for _ in range(3):
        with pytest.raises(Unreachable):
            intake.step()
    intake.drain()
    stored = runs.get(run.id)
    assert points_of(backend, run, "auc") == 1
    assert stored.params == {"a": "1"}
    assert stored.progress.fraction == 0.1


def test_one_refused_name_or_value_does_not_take_the_others_with_it(
    backend: Backend, run: Run, folder: RunFolder
) -> None:
    backend.need("runs").log_params(run.id, {"lr": "0.1"})
    notes: list[str] = []
    say(
        folder,
        {"metrics": {" ": 1.0, "auc": 0.7}},
        {"params": {"lr": 0.2, "depth": 3}},
        {"artifact": "../../spec.json"},
    )
    ProgressIntake(folder, backend, notes.append).drain()
    stored = backend.need("runs").get(run.id)
    assert stored.metrics == {"auc": 0.7}
    assert stored.params == {"lr": "0.1", "depth": "3"}
    assert len(notes) == 3
    assert backend.need("artifacts").list(run.id) == ()


def test_a_spool_that_is_wholly_in_the_store_begins_anew(
    backend: Backend, run: Run, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_intake, "SHRINK", 200)
    spool = SpoolWriter(folder.spool)
    intake = ProgressIntake(folder, backend, print, spool)
    for step in range(100):
        spool.add(json.dumps({"metrics": {"auc": 0.5}, "step": step}).encode())
        spool.flush()
        intake.drain()
    assert folder.spool.stat().st_size < 400
    assert points_of(backend, run, "auc") == 100
    say(folder, {"metrics": {"auc": 0.6}, "step": 100})
    ProgressIntake(folder, backend, print).drain()
    assert points_of(backend, run, "auc") == 101


def test_links_and_paths_that_lead_out_of_the_artifacts_are_not_kept(
    backend: Backend, run: Run, folder: RunFolder, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("no")
    (folder.artifacts / "link").symlink_to(secret)
    (folder.artifacts / "good").write_text("yes")
    notes: list[str] = []
    ProgressIntake(folder, backend, notes.append).keep_artifacts()
    assert [artifact.path for artifact in backend.need("artifacts").list(run.id)] == ["good"]
    assert "leads out" in notes[0]


def test_what_passes_by_itself_is_told_from_what_does_not() -> None:
    assert passes_by_itself(Unreachable("busy"))
    assert passes_by_itself(sqlite3.OperationalError("database is locked"))
    assert passes_by_itself(OSError(28, "No space left on device"))
    assert not passes_by_itself(PermissionError(13, "no"))
    assert not passes_by_itself(ValueError("no"))
