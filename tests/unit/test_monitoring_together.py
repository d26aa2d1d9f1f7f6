"""Small pieces that were handed over are counted at once: as if each had come alone, whoever dies in between."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pandas as pd
import pytest

from backends.contract import Backend
from backends.entities import Monitor, Segment
from console.monitoring import scorer
from console.monitoring.counted.counts import unpack
from console.monitoring.create import create_monitor
from console.monitoring.feeds import ingest
from console.monitoring.feeds.batch_log import recent_batches
from console.monitoring.feeds.handing import hand_over, waiting_files
from console.monitoring.feeds.sample import OWN, read_sample
from console.monitoring.folder import monitor_folder
from console.monitoring.scorer import Scorer
from tests.monitored import WHO, deliveries, traffic

SEGMENTED = (Segment(name="far", where="distance > 300"),)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    made = deliveries(tmp_path_factory.mktemp("workspace"))
    yield made
    made.close()


def make(backend: Backend, name: str, **more: object) -> Monitor:
    settings = {
        "time_column": "at", "id_column": "id", "label_column": "late", "window": "hour", "segments": SEGMENTED,
        "protected": ("carrier",),
    }  # fmt: skip
    return create_monitor(backend, name, "deliveries", mutation=WHO, **{**settings, **more})  # type: ignore[arg-type]


def lines(frame: pd.DataFrame) -> bytes:
    return "".join(json.dumps(row, default=str) + "\n" for row in frame.to_dict("records")).encode()


def hand_all(backend: Backend, monitor: Monitor, seed: int = 1) -> None:
    """Rows in five pieces, and between them labels, wrong ones first for some."""
    frame = traffic(70, seed)
    frame["at"] = pd.Timestamp("2024-03-01") + pd.to_timedelta([100 * (number % 71) for number in range(70)], unit="s")
    told = frame[["id", "late"]]
    wrong = told.head(14).assign(late=told["late"].map({"yes": "no", "no": "yes"}))
    for at in range(0, 70, 14):
        hand_over(backend, monitor.name, lines(frame.drop(columns="late").iloc[at : at + 14]))
        if at in (14, 28):
            hand_over(backend, monitor.name, lines(wrong.iloc[at // 3 : at // 3 + 5]), labels=True)
    for at in range(0, 60, 15):
        hand_over(backend, monitor.name, lines(told.iloc[at : at + 15]), labels=True)


def told(backend: Backend, monitor: Monitor) -> list[object]:
    """All that is counted, in every segment, and what the sample says."""
    found: list[object] = [backend.need("monitors").get(monitor.name).rows]
    for segment in ("", "far"):
        for window in backend.need("monitors").windows(monitor.name, segment=segment):
            counts = unpack(window.counts)
            sums = [round(each, 9) for each in counts.sums]
            groups = {name: {key: tuple(each) for key, each in kept.items()} for name, kept in counts.groups.items()}
            found.append((segment, window.start, window.rows, list(counts.cells), sums, groups, window.labelled))
    kept = read_sample(monitor_folder(backend, monitor.name)).sort_values(f"{OWN}id")
    found.append(kept[[f"{OWN}id", f"{OWN}target", "weight", "carrier"]].astype("str").to_numpy().tolist())
    return found


@pytest.fixture(scope="module")
def alone(backend: Backend) -> list[object]:
    """What is counted where each comes alone."""
    monitor = make(backend, "alone")
    taking = Scorer(backend, "alone")
    hand_all(backend, monitor)
    for path in waiting_files(backend, "alone"):
        taking.follow(monitor)
        status = path.stat()
        taking.take(path, (path.name, status.st_ino, status.st_size, status.st_mtime_ns))
    assert len(recent_batches(monitor_folder(backend, "alone"))) == 11
    return told(backend, monitor)


def test_pieces_counted_at_once_count_as_if_alone(backend: Backend, alone: list[object]) -> None:
    monitor = make(backend, "at-once")
    hand_all(backend, monitor)
    Scorer(backend, "at-once").step(monitor)
    records = recent_batches(monitor_folder(backend, "at-once"))
    assert [(record.state, record.rows) for record in records] == [("labels", 70), ("stored", 70)]
    assert told(backend, monitor) == alone
    assert waiting_files(backend, "at-once") == []


@pytest.mark.parametrize("at", [2, 5, 9, 14, 20])
def test_whoever_dies_at_whatever_write_leaves_each_row_counted_once(
    backend: Backend, alone: list[object], monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    class DiedError(BaseException):
        """As a signal ends a process: nothing catches it."""

    monitor = make(backend, f"dies-{at}")
    store = type(backend.need("monitors"))
    left = [at]
    hand_all(backend, monitor)

    def dying(name: str) -> None:
        real = getattr(store, name)

        def write(*args: object, **more: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                raise DiedError
            return real(*args, **more)

        monkeypatch.setattr(store, name, write)

    for name in ("add_window", "add_batch", "forget_batches"):
        dying(name)
    with pytest.raises(DiedError):
        Scorer(backend, monitor.name).step(monitor)
    Scorer(backend, monitor.name).step(monitor)
    assert told(backend, monitor) == alone
    assert waiting_files(backend, monitor.name) == []


def test_rows_that_have_labels_keep_their_place_among_labels(backend: Backend) -> None:
    monitor = make(backend, "own-labels", segments=())
    frame = traffic(12, 8)
    frame["at"] = "2024-03-01"
    other = frame[["id"]].assign(late=frame["late"].map({"yes": "no", "no": "yes"}))
    hand_over(backend, "own-labels", lines(other[:6]), labels=True)
    hand_over(backend, "own-labels", lines(frame[:6]))
    hand_over(backend, "own-labels", lines(frame[6:]))
    hand_over(backend, "own-labels", lines(other[6:]), labels=True)
    Scorer(backend, "own-labels").step(monitor)
    kept = read_sample(monitor_folder(backend, "own-labels")).set_index(f"{OWN}id")[f"{OWN}target"]
    meant = [*frame["late"][:6], *other["late"][6:]]
    assert [{1.0: "yes", 0.0: "no"}[kept[str(name)]] for name in frame["id"]] == meant


def test_one_that_cannot_be_used_costs_no_other(backend: Backend) -> None:
    monitor = make(backend, "mixed")
    frame = traffic(20, 4).drop(columns="late")
    for number, data in enumerate((lines(frame[:5]), b'{"x": 1}\n', b"no json\n", lines(frame[5:9]), lines(frame[9:]))):
        hand_over(backend, "mixed", data, key="" if number else "first")
    hand_over(backend, "mixed", b'{"id": 1}\n', labels=True)
    hand_over(backend, "mixed", lines(frame[:5]), key="first")
    Scorer(backend, "mixed").step(monitor)
    assert backend.need("monitors").get("mixed").rows == 20
    assert waiting_files(backend, "mixed") == []
    refused = [record.reason for record in recent_batches(monitor_folder(backend, "mixed")) if record.state == "failed"]
    assert len(refused) == 3
    assert "labels need the id and the label" in refused[0]


def test_pieces_that_cannot_be_scored_at_once_are_counted_alone(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor = make(backend, "poisoned")
    frame = traffic(30, 5).drop(columns="late")
    frame.loc[12, "weight"] = 77.0
    real = ingest.parted

    def parted(rows: pd.DataFrame, *more: object) -> object:
        if (rows["weight"] == 77).any():
            raise scorer.Invalid("no score for 77")
        return real(rows, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(ingest, "parted", parted)
    for at in range(0, 30, 10):
        hand_over(backend, "poisoned", lines(frame[at : at + 10]))
    Scorer(backend, "poisoned").step(monitor)
    assert backend.need("monitors").get("poisoned").rows == 20
    states = [record.state for record in recent_batches(monitor_folder(backend, "poisoned"))]
    assert sorted(states) == ["failed", "stored", "stored"]


def test_without_a_time_column_each_piece_has_the_time_at_which_it_came(backend: Backend) -> None:
    import os

    monitor = make(backend, "untimed", time_column="", segments=())
    for number in range(3):
        hand_over(backend, "untimed", lines(traffic(4 + number, number).drop(columns=["late", "at"])))
    for number, path in enumerate(waiting_files(backend, "untimed")):
        os.utime(path, (1_700_000_000 + 3600 * number,) * 2)
    Scorer(backend, "untimed").step(monitor)
    assert [window.rows for window in backend.need("monitors").windows("untimed")] == [4, 5, 6]
