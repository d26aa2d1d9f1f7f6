"""Rows handed over by HTTP and by a pipe: on disk before they are acknowledged, counted once, refused whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from backends.contract import Backend, Invalid, Unreachable
from backends.entities import Monitor
from backends.local.agent_presence import hang_bell
from backends.mlflow.server.room import Caller
from console.agent.intake import Intake
from console.cli import monitor_pipe
from console.cli.monitor_pipe import _Feed
from console.monitoring.create import create_monitor
from console.monitoring.feeds import handing
from console.monitoring.feeds.batch_log import recent_batches
from console.monitoring.feeds.handing import hand_over, waiting_files
from console.monitoring.folder import monitor_folder
from console.monitoring.scorer import Scorer
from tests.monitored import WHO, deliveries, traffic

OWNER = {"Authorization": "Bearer owner"}


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    made = deliveries(tmp_path_factory.mktemp("workspace"))
    yield made
    made.close()


@pytest.fixture
def monitor(backend: Backend, request: pytest.FixtureRequest) -> Monitor:
    name = request.node.name[:60]
    return create_monitor(
        backend, name, "deliveries", mutation=WHO, time_column="at", id_column="id", label_column="late"
    )


@pytest.fixture
def client(backend: Backend) -> TestClient:
    async def inner(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    callers = {"owner": Caller("ann@box"), "run": Caller("ann@box", "r1")}
    return TestClient(Intake(backend, callers.get, inner), headers=OWNER)


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = traffic(count, seed).drop(columns="late").to_dict("records")
    return found


def count(backend: Backend, monitor: Monitor) -> int:
    Scorer(backend, monitor.name).step(monitor)
    return int(backend.need("monitors").get(monitor.name).rows)


def test_rows_are_counted_and_labels_joined(backend: Backend, monitor: Monitor, client: TestClient) -> None:
    answer = client.post(f"/monitors/{monitor.name}/rows", json=rows(20, 1))
    assert (answer.status_code, answer.json()["accepted"]) == (202, 20)
    lines = "".join(json.dumps(row) + "\n" for row in rows(10, 2))
    assert client.post(f"/monitors/{monitor.name}/rows", content=lines).json()["accepted"] == 10
    assert count(backend, monitor) == 30
    truth = traffic(20, 1)[["id", "late"]].to_dict("records")
    assert client.post(f"/monitors/{monitor.name}/labels", json=truth).status_code == 202
    assert count(backend, monitor) == 30
    assert [window.labelled for window in backend.need("monitors").windows(monitor.name)] == [20]
    assert waiting_files(backend, monitor.name) == []


def test_the_same_key_counts_once_before_and_after_it_is_counted(
    backend: Backend, monitor: Monitor, client: TestClient
) -> None:
    for _ in range(2):
        for _ in range(2):
            sent = client.post(f"/monitors/{monitor.name}/rows", json=rows(20, 1), headers={"Idempotency-Key": "a"})
            assert sent.status_code == 202
        assert count(backend, monitor) == 20
    for _ in range(2):
        client.post(f"/monitors/{monitor.name}/rows", json=rows(5, 3))
    assert count(backend, monitor) == 30, "without a key the same rows have truly come twice"


def test_what_cannot_be_taken_is_refused_whole_and_says_why(
    backend: Backend, monitor: Monitor, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/monitors/{monitor.name}/rows"
    good = json.dumps(rows(1, 1)[0])
    cases = [
        (client.post(path, content=f"{good}\nno json\n"), 400, "JSON"),
        (client.post(path, content="[1, 2]"), 400, "objects"),
        (client.post(path, content=""), 400, "no row"),
        (client.post("/monitors/nobody/rows", content=good), 404, "nobody"),
        (client.post(f"/monitors/{monitor.name}/other", content=good), 404, "/labels"),
        (client.get(path), 405, "POST"),
        (client.post(path, content=good, headers={"Authorization": "Bearer wrong"}), 401, "Authorization"),
        (client.post(path, content=good, headers={"Authorization": "Bearer run"}), 403, "run"),
        (client.post(path, content=b" " * (handing.MOST_BYTES + 1)), 413, "at most"),
        (client.post(path, content=good, headers={"Idempotency-Key": "k" * 300}), 400, "Idempotency-Key"),
    ]
    for answer, status, words in cases:
        assert answer.status_code == status, answer.text
        assert words in answer.json()["error"]
    assert client.get("/version").status_code == 418, "all else is the protocol's"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(handing.os, "fsync", full)
    assert client.post(path, content=good).status_code == 507
    assert waiting_files(backend, monitor.name) == []
    monkeypatch.undo()
    monkeypatch.setattr(handing, "MOST_WAITING", -1)
    assert client.post(path, content=good).status_code == 503


def test_what_was_handed_over_and_cannot_be_counted_is_kept_aside(
    backend: Backend, monitor: Monitor, client: TestClient
) -> None:
    assert client.post(f"/monitors/{monitor.name}/rows", json=[{"x": 1}]).status_code == 202
    assert count(backend, monitor) == 0
    folder = monitor_folder(backend, monitor.name)
    assert recent_batches(folder)[0].state == "failed"
    assert len(list((folder / "refused").iterdir())) == 1


def test_what_is_counted_while_one_looks_is_no_error(
    backend: Backend, monitor: Monitor, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/monitors/{monitor.name}/rows"
    for _ in range(2):
        client.post(path, json=rows(1, 1))
    look = os.scandir

    def taken(folder: Any) -> Iterator[os.DirEntry[str]]:
        for number, each in enumerate(look(folder)):
            if not number:
                Path(each.path).unlink()
            yield each

    monkeypatch.setattr(handing.os, "scandir", taken)
    assert len(waiting_files(backend, monitor.name)) == 1
    assert client.post(path, json=rows(1, 1)).status_code == 202


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_pipe_is_handed_over_in_whole_lines(backend: Backend, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(monitor_pipe, "ROWS", 10_000)
    name = f"pipe-{kind}"
    monitor = create_monitor(backend, name, "deliveries", mutation=WHO, time_column="at", id_column="id")
    frame = traffic(10_300, 5)
    frame.loc[7, "carrier"] = 'd"h\nl'
    text = frame.to_csv(index=False) if kind == "csv" else frame.to_json(orient="records", lines=True)
    data = text.rstrip("\n").encode()
    feed = _Feed(backend, monitor, False, lambda: None)
    for at in range(0, len(data), 70_001):
        feed.take(data[at : at + 70_001])
        feed.flush()
    assert len(waiting_files(backend, name)) == 1, "the first ten thousand"
    feed.flush(final=True)
    assert len(waiting_files(backend, name)) == 2
    assert count(backend, monitor) == 10_300


def test_an_interrupted_pipe_hands_over_its_whole_lines(backend: Backend, monitor: Monitor) -> None:
    text = traffic(5, 5).to_csv(index=False)
    feed = _Feed(backend, monitor, False, lambda: None)
    feed.take(text[:-10].encode())
    feed.flush()
    assert waiting_files(backend, monitor.name) == []
    feed.flush(ended=True)
    assert count(backend, monitor) == 4
    listed = _Feed(backend, monitor, False, lambda: None)
    listed.take(b"[{}]")
    with pytest.raises(Invalid, match="jq"):
        listed.flush()


def test_the_agent_hears_of_each_piece(backend: Backend, monitor: Monitor, client: TestClient) -> None:
    heard = []
    feed = _Feed(backend, monitor, False, lambda: heard.append(len(waiting_files(backend, monitor.name))))
    feed.take(b'{"x": 1}\n')
    feed.flush(final=True)
    assert heard == [1]

    def away() -> None:
        raise Unreachable("no agent comes up")

    dead = _Feed(backend, monitor, False, away)
    dead.take(b'{"x": 1}\n')
    dead.flush(final=True)
    assert len(waiting_files(backend, monitor.name)) == 2, "once more, and not twice"
    assert backend.home is not None
    bell = hang_bell(backend.home)
    if bell is None:
        pytest.skip("no pipes on this file system")
    try:
        assert client.post(f"/monitors/{monitor.name}/rows", json=[{"x": 2}]).status_code == 202
        assert os.read(bell, 10) == b"\0"
    finally:
        os.close(bell)


def test_a_scorer_stays_for_a_while_when_nothing_is_left(
    backend: Backend, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = Scorer(backend, monitor.name)
    assert scorer._is_fed(monitor)
    monkeypatch.setattr("console.monitoring.scorer.LINGER_SECONDS", 0.0)
    assert not scorer._is_fed(monitor)
    hand_over(backend, monitor.name, b'{"x": 1}\n')
    assert Scorer(backend, monitor.name)._is_fed(monitor)
