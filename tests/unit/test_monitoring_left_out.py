"""Logs with lines that are no rows: the others are counted once, these are named, and counted once they are mended."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from backends.contract import Backend
from console.cli.main import main
from console.monitoring.feeds import growing, ingest
from console.monitoring.feeds.batch_log import recent_batches
from console.monitoring.feeds.known_files import left_out_words, read_files
from console.monitoring.feeds.scored_files import scored_files
from console.monitoring.feeds.sifting import LONGEST, sift
from console.monitoring.folder import monitor_folder
from console.monitoring.read import monitor_view
from console.tui import ink
from console.tui.monitor_head import headline_lines
from console.tui.monitor_lines import batch_lines
from tests.monitored import deliveries, traffic
from tests.unit.test_monitoring_growing import Reader, append, lines

COLUMNS = ["id", "at", "distance", "weight", "carrier"]


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    made = deliveries(tmp_path_factory.mktemp("workspace"))
    yield made
    made.close()


@pytest.fixture
def reader(backend: Backend, request: pytest.FixtureRequest) -> Reader:
    made = Reader(backend, request.node.name.replace("[", ".").rstrip("]")[-60:].lstrip("_-."))
    made.files.time_column = "at"
    return made


def ids_of(reader: Reader) -> Counter[str]:
    """Every row that was counted, by its id."""
    files = scored_files(monitor_folder(reader.backend, reader.name))
    return Counter(one for file in files for one in pd.read_parquet(file.path)["id"])


# ---------------------------------------------------------------- which lines are rows


def test_each_line_is_judged_by_itself() -> None:
    text = b'{"a": 1}\n\n{"a": NaN}\n[1]\n{"a": \xff}\n{"a": "\\ud800"}\n{"a": 2\n{"a": 3}\n'
    found = sift(text, "jsonl", "", at=100, number=7)
    assert [line.number for line in found.good] == [7, 9, 14]
    assert [(line.number, line.reason) for line in found.bad] == [
        (number, "no JSON object") for number in (10, 11, 12, 13)
    ]
    assert found.rows_of(text, 100) == b'{"a": 1}\n{"a": NaN}\n{"a": 3}\n'


def test_a_row_of_a_csv_ends_where_its_quotes_allow_and_an_open_one_costs_its_line() -> None:
    text = b'1,"a\nb"\n2,x"y\n3\n4,"open\n5,b\n6,\xff\n'
    found = sift(text, "csv", "n,text")
    assert [line.number for line in found.good] == [1, 3]
    assert [(line.number, line.reason) for line in found.bad] == [(4, "1 field, the header has 2")]
    assert text[found.stop :].startswith(b'4,"open'), "a quote that is open may still be closed"
    found = sift(text, "csv", "n,text", closed=True)
    assert [line.number for line in found.good] == [1, 3, 6]
    assert [line.reason for line in found.bad[1:]] == ["a quote is not closed", "not UTF-8"]
    endless = text + b"7,c\n" * (LONGEST // 4)
    assert sift(endless, "csv", "n,text").bad[1].reason == "a quote is not closed"


@pytest.mark.parametrize("seed", range(30))
def test_rows_of_a_csv_are_those_that_arrow_reads(seed: int) -> None:
    import pyarrow as pa
    import pyarrow.csv

    rng = np.random.default_rng(seed)
    cells = ["", "a", '"b"', '"c,d"', '"e\nf"', '"g""h"', 'i"j', '"k"l', "\u00e9"]
    sizes = rng.choice([2, 3, 3, 3, 3, 4], 40)
    rows = [",".join(rng.choice(cells, size)) for size in sizes]
    text = ("\n".join(rows) + "\n").encode()
    found = sift(text, "csv", "x,y,z")
    whole = b"x,y,z\n" + found.rows_of(text, 0)
    table = pyarrow.csv.read_csv(
        pa.BufferReader(whole), parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True)
    )
    assert len(table) == len(found.good) == (sizes == 3).sum()
    assert len(found.bad) == (sizes != 3).sum()


# ---------------------------------------------------------------- through the monitor


def test_lines_left_out_are_named_with_their_reason_and_their_total(
    reader: Reader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log.csv"
    rows = traffic(20, 1)[COLUMNS].to_csv(index=False).splitlines(keepends=True)
    rows[3] = "1,2\n"
    rows[5] = rows[5].replace("2024-", "soon-", 1) if "2024-" in rows[5] else rows[5]
    for at in (9, 12):
        rows[at] = "x\n"
    path.write_text("".join(rows))
    (record,) = reader.read(path)
    bad = record.left_out
    assert (record.state, record.rows, record.rows + bad) == ("stored", 20 - bad, 20)
    assert "line 4 (2 fields, the header has 5)" in record.reason
    append(path, "y\n" * 5)
    (record,) = reader.read(path)
    assert (record.state, record.rows, record.left_out) == ("failed", 0, 5)
    assert record.reason == (
        "5 lines of log.csv left out: line 22 (1 field, the header has 5), line 23 (1 field, the header has 5), "
        f"line 24 (1 field, the header has 5) and 2 more; {bad + 5} of the file so far."
    )
    assert reader.rows == 20 - bad
    home = str(reader.backend.home)
    assert main(["--workspace", home, "monitor", "batches", reader.name]) == 0
    shown = capsys.readouterr().out
    assert "left out" in shown
    assert "line 4 (2 fields" in shown
    assert main(["--workspace", home, "monitor", "show", reader.name]) == 0
    words = f"{bad + 5} lines: log.csv line 4 (2 fields, the header has 5), log.csv line"
    out = " ".join(capsys.readouterr().out.split())
    assert words in out
    view = monitor_view(reader.backend, reader.name)
    assert view.left_out.endswith(f" and {bad + 2} more")
    for low in (True, False):  # above the features, where it is seen without being asked for
        above = [ink.plain(line.spans) for line in headline_lines(view, 78, low=low)]
        assert any(line.startswith(" left out ") and len(line) <= 78 for line in above), above
    said = "".join(text for line in batch_lines(view, 400) for text, *_ in line.spans)
    assert f"left out {words}" in said


def test_a_file_of_another_kind_is_refused_as_a_whole(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("id,at\n1,2\n")
    (record,) = reader.read(path)
    assert (record.state, record.left_out) == ("failed", 0)
    assert "cannot be read" in record.reason
    append(path, lines(1))
    (record,) = reader.read(path)
    assert (record.state, record.rows, record.left_out) == ("stored", 10, 2)


def test_who_hands_a_file_in_is_told_the_line_and_nothing_of_it_is_counted(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(lines(1, 3) + "no json\n" + lines(2) + "[]\n")
    record = ingest.ingest_batch(reader.backend, reader.name, path, versions=reader.versions)
    assert (record.state, record.rows) == ("failed", 0)
    assert record.reason == "log.jsonl cannot be read: line 4 is no JSON object, and 1 more; mend it"


def test_a_time_that_is_none_costs_its_row_and_counts_once_it_is_mended(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    rows = lines(1).splitlines(keepends=True)
    wrong = [rows[0], rows[1].replace('"at":"2', '"at":"x'), *rows[2:]]
    path.write_text("".join(wrong))
    (record,) = reader.read(path)
    assert (record.rows, record.left_out) == (9, 1)
    assert "in 'at' is no time" in record.reason
    path.write_text("".join(rows))  # as long as it was
    (record,) = reader.read(path)
    assert (record.state, record.rows) == ("stored", 1)
    assert record.reason.startswith("log.jsonl was mended: 1 line in place of those left out is counted now, ")
    assert reader.read(path) == []
    assert reader.rows == 10


def test_what_is_mended_and_still_wrong_is_still_left_out(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    one, two = lines(1), lines(2)
    path.write_text("no\n" + one + "json\nat\nall\n" + two)
    assert [record.rows for record in reader.read(path)] == [20]
    path.write_text("still none\n" + one + "at\n" + two)
    (record,) = reader.read(path)
    assert (record.rows, record.left_out) == (0, 2)
    assert "0 lines in place of those left out are counted now, 2 lines still left out" in record.reason
    three = lines(3, 5)
    path.write_text(three + one + two + lines(4))
    assert [record.rows for record in reader.read(path)] == [5, 10]
    assert reader.rows == 35
    (entry,) = (each for each in read_files(monitor_folder(reader.backend, reader.name)).values() if not each.past)
    assert (entry.left, entry.left_out) == (0, ())
    assert left_out_words(monitor_folder(reader.backend, reader.name)) == ""


def test_a_good_line_that_is_changed_makes_it_another_file_and_that_is_said(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(lines(1) + "no json\n" + lines(2))
    reader.read(path)
    path.write_text(lines(3) + "no json\n" + lines(2))
    (record,) = reader.read(path)
    assert record.reason.startswith("log.jsonl was truncated or written anew: it is read from its beginning. 1 line of")
    assert reader.rows == 40


class Writer:
    """Writes a log piece by piece, cut anywhere, and mends what is wrong in it."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self.rng = np.random.default_rng(seed)
        self.kind = path.suffix[1:]
        self.rows = 0
        self.lines: list[tuple[str, bytes]] = []
        """(id, or empty for a line that is no row; the line)"""
        self.header = (",".join(COLUMNS) + "\n").encode() if self.kind == "csv" else b""

    def good(self) -> tuple[str, bytes]:
        self.rows += 1
        row = traffic(1, 1)[COLUMNS].assign(id=f"r{self.rows}")
        if self.kind == "jsonl":
            return f"r{self.rows}", str(row.to_json(orient="records", lines=True)).encode().rstrip() + b"\n"
        text = row.to_csv(index=False, header=False).rstrip()
        if self.rng.random() < 0.2:
            head, _, last = text.rpartition(",")
            text = f'{head},"{last}\n{last}"'
        return f"r{self.rows}", text.encode() + b"\n"

    def bad(self) -> tuple[str, bytes]:
        late = self.good()[1]
        if self.kind == "jsonl":
            options = [
                b"no json\n",
                b"{\n",
                b"[]\n",
                b"\xff\xfe\n",
                late[:-6] + b"\n",
                late.replace(b'"at":"', b'"at":"x'),
            ]
        else:
            options = [b"1,2\n", b"a,b,c,d,\xff\n", late.replace(b"\n", b",more\n"), b'"open,1\n', b"u,soon,1,2,ups\n"]
        return "", options[self.rng.integers(len(options))]

    def step(self) -> None:
        fresh = [self.bad() if self.rng.random() < 0.25 else self.good() for _ in range(self.rng.integers(1, 9))]
        written = self.path.read_bytes() if self.path.exists() else b""
        self.lines += fresh
        whole = self.whole()
        more = whole[len(written) :]
        cut = len(more) if self.rng.random() < 0.5 else int(self.rng.integers(0, len(more) + 1))
        with self.path.open("ab") as file:
            file.write(more[:cut])

    def mend(self) -> None:
        written = self.path.stat().st_size
        wrong = [at for at, (name, _) in enumerate(self.lines) if not name]
        at = wrong[self.rng.integers(len(wrong))]
        if len(self.header) + sum(len(line) for _, line in self.lines[: at + 1]) > written:
            return
        before = len(self.lines[at][1])
        fresh = [[self.good()], [self.bad()], [], [self.good(), self.bad(), self.good()]][self.rng.integers(4)]
        self.lines[at : at + 1] = fresh
        after = sum(len(line) for _, line in fresh)
        mended = self.path.with_suffix(".tmp") if self.rng.random() < 0.5 else self.path  # as an editor, or in place
        mended.write_bytes(self.whole()[: written + after - before])
        mended.replace(self.path)

    def whole(self) -> bytes:
        return self.header + b"".join(line for _, line in self.lines)


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize("seed", range(4))
def test_a_log_counts_to_the_row_however_it_comes_and_whoever_dies(
    reader: Reader, tmp_path: Path, kind: str, seed: int
) -> None:
    writer = Writer(tmp_path / f"log.{kind}", seed)
    rng = np.random.default_rng(seed + 100)

    def dies(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    for _ in range(14):
        writer.step()
        if rng.random() < 0.4 and any(not name for name, _ in writer.lines):
            writer.mend()
        moment = rng.choice(["", "", "remember", "write_segment", "restate", "log_batch"])
        with pytest.MonkeyPatch.context() as patched:
            if moment:
                patched.setattr(ingest, moment, dies)
            try:
                reader.read(writer.path, settled=bool(rng.random() < 0.5))
            except KeyboardInterrupt:
                reader.restart()
                reader.files.time_column = "at"
    writer.path.write_bytes(writer.whole())
    os.utime(writer.path, (time.time() - 60,) * 2)
    reader.read(writer.path)
    assert reader.read(writer.path) == []
    wanted = Counter(name for name, _ in writer.lines if name)
    assert ids_of(reader) == wanted
    assert reader.rows == len(wanted)
    status = writer.path.stat()
    entry = read_files(monitor_folder(reader.backend, reader.name))[f"{status.st_dev}:{status.st_ino}"]
    assert entry.left == len(writer.lines) - len(wanted)


# ---------------------------------------------------------------- a writer that stalls


def stalled(path: Path) -> None:
    os.utime(path, (time.time() - 3600,) * 2)


def test_half_a_line_waits_for_a_writer_that_stalls(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "ASKED_S", 0.0)
    frame = traffic(6, 5)[COLUMNS]
    frame.loc[3, "carrier"] = "ups\nat night"
    for name, text in (("log.csv", frame.to_csv(index=False)), ("log.jsonl", lines(6, 6))):
        path = tmp_path / name
        begin = text.index("\n") + 1
        with path.open("a") as writer:
            for at in (begin, begin + 9, text.index("3") + 1, text.rindex(",") + 1, len(text) - 2, len(text) - 1):
                if at < writer.tell():
                    continue
                writer.write(text[writer.tell() : at])
                writer.flush()
                stalled(path)
                reader.read(path)
            writer.write(text[writer.tell() :])
        stalled(path)
        reader.read(path)
    records = recent_batches(monitor_folder(reader.backend, reader.name))
    assert [record.reason for record in records if record.left_out or record.state == "failed"] == []
    assert reader.rows == 12
    assert ids_of(reader) == Counter([*frame["id"], *traffic(6, 6)["id"]])


def test_half_a_line_that_nobody_holds_open_waits_too_unless_it_can_be_a_row(reader: Reader, tmp_path: Path) -> None:
    for name, text in (("log.csv", traffic(6, 7)[COLUMNS].to_csv(index=False)), ("log.jsonl", lines(8, 6))):
        path = tmp_path / name
        cut = text.rindex(",")
        path.write_text(text[:cut])
        stalled(path)
        assert [(record.rows, record.left_out) for record in reader.read(path)] == [(5, 0)]
        append(path, text[cut:].rstrip("\n"))
        stalled(path)
        assert [(record.rows, record.left_out) for record in reader.read(path)] == [(1, 0)]
        append(path, "\n")
        assert [record.state for record in reader.read(path) if record.rows or record.left_out] == []
    assert reader.rows == 12
