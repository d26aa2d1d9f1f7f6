"""Files that grow, are renamed, copied, cut and written anew: each row counts once, whoever dies in between."""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Backend
from console.monitoring.create import create_monitor
from console.monitoring.feeds import growing, ingest
from console.monitoring.feeds.batch_log import BatchRecord
from console.monitoring.feeds.champion import load_champion
from console.monitoring.feeds.growing import Files
from console.monitoring.feeds.ingest import finish_begun, ingest_chunk
from console.monitoring.feeds.versions import Versions
from console.monitoring.folder import monitor_folder
from tests.monitored import WHO, deliveries, traffic


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    made = deliveries(tmp_path_factory.mktemp("workspace"))
    yield made
    made.close()


class Reader:
    """As the scorer reads, one look at a time."""

    def __init__(self, backend: Backend, name: str) -> None:
        self.backend, self.name = backend, name
        monitor = create_monitor(backend, name, "deliveries", mutation=WHO, time_column="at", id_column="id")
        self.versions = Versions(backend, monitor, load_champion(backend, monitor))
        self.restart()

    def restart(self) -> None:
        self.files = Files(monitor_folder(self.backend, self.name))

    def read(self, path: Path, *, settled: bool = True) -> list[BatchRecord]:
        found: list[BatchRecord] = []
        finish_begun(self.backend, self.name, versions=self.versions)
        while (chunk := self.files.take(path, settled=settled)) is not None:
            found.append(ingest_chunk(self.backend, self.name, chunk, versions=self.versions))
        return found

    @property
    def rows(self) -> int:
        return int(self.backend.need("monitors").get(self.name).rows)


@pytest.fixture
def reader(backend: Backend, request: pytest.FixtureRequest) -> Reader:
    return Reader(backend, request.node.name[:60].replace("[", ".").rstrip("]"))


def lines(seed: int, rows: int = 10) -> str:
    return str(traffic(rows, seed).to_json(orient="records", lines=True))


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_whole_lines_are_read_on_and_half_of_one_waits(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    text = lines(1)
    path.write_text(text[:-40])
    assert [record.rows for record in reader.read(path)] == [9]
    assert reader.read(path) == []
    append(path, text[-40:] + lines(2))
    reader.restart()
    assert [record.rows for record in reader.read(path)] == [11]
    assert reader.rows == 20
    assert not list((monitor_folder(reader.backend, reader.name) / "spool").iterdir())


def test_a_csv_keeps_its_header_and_a_quoted_line_end_is_none(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    frame = traffic(20, 3)
    frame.loc[4, "carrier"] = 'd"h\nl'
    text = frame.to_csv(index=False)
    cut = text.index('h\nl"') + 2
    path.write_text(text[:cut])
    assert [record.rows for record in reader.read(path, settled=False)] == [4]
    append(path, text[cut:])
    assert [record.rows for record in reader.read(path)] == [16]
    (window,) = reader.backend.need("monitors").windows(reader.name)
    levels = [each for column in window.columns for each in column.new_levels]
    assert levels == ['d"h\nl']


def test_a_renamed_a_copied_and_a_packed_file_are_the_same_file(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(lines(1))
    reader.read(path)
    append(path, lines(2))
    turned = path.rename(tmp_path / "log.jsonl.1")
    path.write_text(lines(3))
    assert [record.rows for record in reader.read(turned)] == [10], "what came before it was renamed"
    assert [record.rows for record in reader.read(path)] == [10]
    copy = tmp_path / "copy.jsonl"
    copy.write_text(turned.read_text())
    assert [record.state for record in reader.read(copy)] == ["duplicate"]
    packed = tmp_path / "log.jsonl.2.gz"
    packed.write_bytes(gzip.compress(turned.read_bytes()))
    turned.unlink()
    assert [record.state for record in reader.read(packed)] == ["duplicate"]
    append(copy, lines(4))
    assert [record.rows for record in reader.read(copy)] == [10], "a copy that grows counts from where it grew"
    assert reader.rows == 40


@pytest.mark.parametrize("packed", [False, True])
def test_a_large_file_handed_in_is_known_again(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    """What is read on by pieces has the identities of pieces; the file by hand has that of the whole."""
    monkeypatch.setattr(growing, "MOST", 1500)
    text = lines(1, 40)
    given = tmp_path / ("given.jsonl.gz" if packed else "given.jsonl")
    given.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert ingest.ingest_batch(reader.backend, reader.name, given, versions=reader.versions).rows == 40
    half = tmp_path / "dropped.jsonl"
    half.write_text(text[: text.index("\n", 3000) + 1])
    assert [record.state for record in reader.read(half, settled=False)] == ["duplicate"], "while it is being copied"
    half.write_text(text)
    assert [record.state for record in reader.read(half)] == ["duplicate"]
    given.unlink()
    again = tmp_path / "again.jsonl"
    again.write_text(text + lines(2))
    assert sum(record.rows for record in reader.read(again)) == 10, "what it has beyond"
    assert reader.rows == 50


def test_a_file_handed_in_that_fails_is_read_where_it_is_dropped(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("no json\n" + lines(1))
    assert ingest.ingest_batch(reader.backend, reader.name, path, versions=reader.versions).state == "failed"
    assert [(record.state, record.rows, record.left_out) for record in reader.read(path)] == [("stored", 10, 1)]
    append(path, lines(2))
    assert [record.rows for record in reader.read(path)] == [10]


def test_a_file_that_is_cut_or_written_anew_is_read_from_its_beginning(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(lines(1) + lines(2))
    reader.read(path)
    path.write_text(lines(3))
    assert [record.rows for record in reader.read(path)] == [10]
    path.write_text(lines(4) + lines(5) + lines(6))
    assert [record.rows for record in reader.read(path)] == [30], "longer than before, with another beginning"
    assert reader.rows == 60


def test_a_copy_that_is_met_once_its_original_was_cut_is_known_by_what_that_one_held(
    reader: Reader, tmp_path: Path
) -> None:
    """Logs are rotated by copying and cutting, and who reads them may come to the copy last."""
    path, copy = tmp_path / "log.jsonl", tmp_path / "log.jsonl.1"
    path.write_text(lines(1))
    reader.read(path)
    append(path, lines(2))
    copy.write_text(path.read_text())
    os.truncate(path, 0)
    assert reader.read(path) == []
    append(path, lines(3))
    assert [record.rows for record in reader.read(path)] == [10]
    assert [record.rows for record in reader.read(copy)] == [10], "what the original had not been read for"
    again = tmp_path / "log.jsonl.2"
    again.write_text(path.read_text())
    path.write_text(lines(4))
    reader.restart()
    assert [record.rows for record in reader.read(path)] == [10]
    assert [record.state for record in reader.read(again)] == ["duplicate"]
    assert reader.rows == 40


def test_the_last_cell_of_a_csv_may_be_the_beginning_of_a_longer_one(reader: Reader, tmp_path: Path) -> None:
    text = traffic(5, 8)[["id", "at", "distance", "weight", "carrier"]].to_csv(index=False).rstrip("\n")
    path = tmp_path / "log.csv"
    path.write_text(text[:-1])
    assert [record.rows for record in reader.read(path)] == [4], "however long nobody wrote, short of ten seconds"
    append(path, text[-1:] + "\n")
    assert [record.rows for record in reader.read(path)] == [1]
    hidden = tmp_path / ".moved"
    hidden.write_text(traffic(5, 9).to_csv(index=False).rstrip("\n"))
    os.utime(hidden, (time.time() - 1,) * 2)
    assert [record.rows for record in reader.read(hidden.rename(tmp_path / "moved.csv"))] == [5], "whole as it came"
    assert reader.rows == 10


def test_lines_that_cannot_be_read_cost_only_themselves_in_a_file_that_grows(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("no json\n" + lines(1))
    (record,) = reader.read(path)
    assert (record.state, record.rows, record.left_out) == ("stored", 10, 1)
    assert record.reason == "1 line of log.jsonl left out: line 1 (no JSON object)."
    assert reader.read(path) == []
    append(path, lines(2))
    assert [(record.rows, record.reason) for record in reader.read(path)] == [(10, "")]
    append(path, '{"half": \n' + lines(3))
    (record,) = reader.read(path)
    assert (record.rows, record.left_out) == (10, 1)
    assert record.reason == "1 line of log.jsonl left out: line 22 (no JSON object); 2 of the file so far."
    assert reader.rows == 30


def test_a_bad_line_of_a_log_that_was_rotated_costs_only_itself(reader: Reader, tmp_path: Path) -> None:
    """It is met first when it was rotated or packed, where its reader was away: it will not grow, nor be mended."""
    packed = tmp_path / "old.jsonl.gz"
    packed.write_bytes(gzip.compress((lines(1) + "no json\n").encode()))
    assert [(record.state, record.rows) for record in reader.read(packed)] == [("stored", 10)]
    path = tmp_path / "log.jsonl"
    path.write_text("no json\n" + lines(2))
    assert [(record.state, record.rows) for record in reader.read(path)] == [("stored", 10)]
    assert reader.read(path.rename(tmp_path / "log.jsonl.1")) == []
    assert reader.rows == 20


def test_a_last_line_without_its_end_is_taken_once_nobody_writes(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    text = traffic(5, 8).to_csv(index=False).rstrip("\n")
    path.write_text(text[:-3])
    assert [record.rows for record in reader.read(path, settled=False)] == [4]
    append(path, text[-3:])
    assert reader.read(path, settled=False) == []
    os.utime(path, (time.time() - 60,) * 2)
    assert [record.rows for record in reader.read(path)] == [1]


@pytest.mark.parametrize("moment", ["remember", "write_segment", "restate", "log_batch"])
def test_a_reader_that_dies_goes_on_where_the_counts_end(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(lines(1))
    reader.read(path)
    append(path, lines(2))

    def dies(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ingest, moment, dies)
        with pytest.raises(KeyboardInterrupt):
            reader.read(path)
    append(path, lines(3))  # more has come when it starts again
    reader.restart()
    reader.read(path)
    assert reader.rows == 30
    assert reader.read(path) == []
