"""The prediction log: bounded, in whole lines, read by monitors; a full disk costs lines and no answers."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.entities import Column, ColumnType
from console.monitoring.create import create_monitor
from console.monitoring.feeds.champion import load_champion
from console.monitoring.feeds.ingest import ingest_batch
from console.serving import prediction_log
from console.serving.fetched import VersionFile
from console.serving.invocations import Call
from console.serving.prediction_log import PredictionLog
from console.serving.rows import Rows, Shape
from console.serving.segments import forget_oldest, recover
from console.serving.spec import LogSpec
from tests.monitored import FEATURES, WHO, deliveries, traffic, until


@pytest.fixture(autouse=True)
def quick_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_log, "RETRY_S", 0.0)


FILE = VersionFile(
    model="m", version="3", path="", sha256="", features=(Column(name="x", type=ColumnType.FLOAT),), task="binary"
)


def one(number: float) -> Rows:
    return Rows(1, [[number]])


def lines(folder: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        found += [json.loads(line) for line in path.read_text().splitlines()]
    return found


def test_segments_are_finished_by_size_and_hold_every_row(tmp_path: Path) -> None:
    log = PredictionLog(LogSpec(folder=str(tmp_path), segment_bytes=2000), "w0", print)
    for number in range(50):
        log.keep(FILE, one(number), ["yes"], np.array([0.5]), f"id{number}")
        if number % 10 == 9:
            until(lambda wanted=number: log.logged > wanted, what="the lines")
    log.close()
    assert [line["prediction.id"] for line in lines(tmp_path)] == [f"id{number}" for number in range(50)]
    assert len(list(tmp_path.glob("*.jsonl"))) > 1
    assert not list(tmp_path.glob("*.part"))
    assert lines(tmp_path)[7] | {"prediction.time": 0} == {
        "prediction.id": "id7", "prediction.time": 0, "prediction.version": "3", "prediction.value": "yes",
        "prediction.score": 0.5, "x": 7.0,
    }  # fmt: skip


def test_what_the_queue_does_not_take_is_dropped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written, goes_on = os.write, threading.Event()

    def write(file: int, data: Any) -> int:
        assert goes_on.wait(300)
        return written(file, data)

    monkeypatch.setattr(prediction_log.os, "write", write)
    log = PredictionLog(LogSpec(folder=str(tmp_path), queue=10), "w0", print)
    for _ in range(1000):
        log.keep(FILE, Rows(10, [[1.0] * 10]), ["yes"] * 10, np.full(10, 0.5), "id")
    assert (log.logged, goes_on.is_set()) == (0, False), "keeping waits for nothing"
    goes_on.set()
    log.close()
    assert log.dropped > 0
    assert log.logged + log.dropped == 10_000
    assert len(lines(tmp_path)) == log.logged


def test_a_sample_is_the_same_for_an_id_everywhere(tmp_path: Path) -> None:
    for writer in ("w0", "w1"):
        log = PredictionLog(LogSpec(folder=str(tmp_path / writer), sample=0.3), writer, print)
        for number in range(400):
            log.keep(FILE, one(number), ["yes"], np.array([0.5]), f"id{number}")
        log.close()
    first, second = ([line["prediction.id"] for line in lines(tmp_path / writer)] for writer in ("w0", "w1"))
    assert first == second
    assert 80 < len(first) < 160


def test_a_full_disk_costs_lines_and_no_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    log = PredictionLog(LogSpec(folder=str(tmp_path)), "w0", said.append)
    log.keep(FILE, one(1), ["yes"], np.array([0.5]), "before")
    until(lambda: log.logged == 1, what="the line")
    written, full, pieces = os.write, [True], [0]

    def write(file: int, data: Any) -> int:
        """A piece goes in, then nothing does."""
        if not full[0]:
            return written(file, data)
        pieces[0] += 1
        if pieces[0] == 1:
            return written(file, bytes(data)[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(prediction_log.os, "write", write)
    log.keep(FILE, one(2), ["yes"], np.array([0.5]), "lost")
    until(lambda: log.dropped == 1, what="the drop")
    assert "No space left" in log.trouble
    full[0] = False
    log.keep(FILE, one(3), ["yes"], np.array([0.5]), "after")
    until(lambda: log.logged == 2, what="the next line")
    log.close()
    assert [line["prediction.id"] for line in lines(tmp_path)] == ["before", "after"]
    assert log.trouble == ""
    assert len(said) == 2


def test_what_a_dead_worker_wrote_is_kept_in_whole_lines(tmp_path: Path) -> None:
    (tmp_path / "a-w0p9-000001.jsonl.part").write_bytes(b'{"x":1}\n{"x":2}\n{"x"')
    (tmp_path / "a-w1p9-000001.jsonl.part").write_bytes(b'{"x"')
    (tmp_path / "a-w2p8-000001.jsonl.part").write_bytes(b'{"x":3}\n')
    recover(tmp_path, "w2p8")
    assert [path.name for path in tmp_path.glob("*.jsonl")] == ["a-w2p8-000001.jsonl"]
    recover(tmp_path)
    assert [line["x"] for line in lines(tmp_path)] == [1, 2, 3]
    assert not list(tmp_path.glob("*.part"))


def test_the_oldest_segments_go_when_there_are_too_many_bytes(tmp_path: Path) -> None:
    for day in range(5):
        (tmp_path / f"2024010{day}-w0-1.jsonl").write_bytes(b"x" * 100)
    forget_oldest(tmp_path, 250)
    assert sorted(path.name[:8] for path in tmp_path.iterdir()) == ["20240103", "20240104"]


def test_a_monitor_is_fed_by_the_log(tmp_path: Path) -> None:
    backend = deliveries(tmp_path / "w")
    monitor = create_monitor(
        backend, "live", "deliveries", mutation=WHO, time_column="prediction.time", id_column="prediction.id",
        label_column="late",
    )  # fmt: skip
    champion = load_champion(backend, monitor)
    file = VersionFile(model="deliveries", version="1", path="", sha256="", features=champion.meta.features)
    shape = Shape(file.features)
    new = traffic(300, 8)
    folder = tmp_path / "log"
    log = PredictionLog(LogSpec(folder=str(folder)), "w0", print)
    scores = champion.model.predict_proba(new[FEATURES])
    for at, record in enumerate(new[FEATURES].to_dict("records")):
        log.keep(file, Call("instances", [record]).rows(shape), ["no"], scores[at : at + 1, 1], f"order-{at}")
    log.close()
    (segment,) = folder.glob("*.jsonl")
    record = ingest_batch(backend, "live", segment, champion=champion)
    assert (record.state, record.rows, record.scored) == ("stored", 300, 300), record.reason
    assert record.reason == ""
    labels = tmp_path / "labels.csv"
    labels.write_text("prediction.id,late\n" + "".join(f"order-{at},{late}\n" for at, late in enumerate(new["late"])))
    assert ingest_batch(backend, "live", labels, champion=champion).labelled == 300
    backend.close()
