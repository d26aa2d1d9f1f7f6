"""What feeding a monitor costs: `python -m tests.bench.bench_feeds [REQUESTS]`.

Rows in requests of ten: alone and many at once, then labels in tens; each in CPU seconds per 10 000 (they hold on a
machine that others use). Then rows a second that an agent's HTTP endpoint accepts, one request after the other, on disk
before each answer; and that `monitor ingest NAME -` takes from a pipe, until all are counted. No budget: printed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import pandas as pd

from backends.contract import Backend
from backends.local.protocol_access import living_server, token_for
from console.agent import ensure_agent, stop_agent
from console.monitoring.create import create_monitor
from console.monitoring.feeds.handing import hand_over
from console.monitoring.scorer import Scorer
from tests.monitored import WHO, deliveries, traffic, until

TENS, PIPED = 60, 50_000


def lines(rows: pd.DataFrame) -> bytes:
    return "".join(json.dumps(row, default=str) + "\n" for row in rows.to_dict("records")).encode()


def made(backend: Backend, name: str) -> None:
    create_monitor(
        backend, name, "deliveries", mutation=WHO, time_column="at", id_column="id", label_column="late", window="hour"
    )


def tens(backend: Backend, name: str, rows: pd.DataFrame, *, alone: bool) -> tuple[float, float]:
    """CPU seconds per 10 000 rows, and per 10 000 labels. alone: each request is counted before the next one comes."""
    made(backend, name)
    scorer = Scorer(backend, name)
    scorer.look_together = lambda: None  # type: ignore[method-assign]
    monitor = backend.need("monitors").get(name)
    scorer.follow(monitor)
    found = []
    for labels in (False, True):
        part = rows[["id", "late"]] if labels else rows.drop(columns="late")
        began = time.process_time()
        for at in range(0, len(rows), 10):
            hand_over(backend, name, lines(part[at : at + 10]), labels=labels)
            if alone:
                scorer.take_handed(monitor, dict(scorer.ready_files(_inbox(backend, name))))
                scorer._handed_at = 0.0
        scorer._handed_at = 0.0
        scorer.take_handed(monitor, dict(scorer.ready_files(_inbox(backend, name))))
        found.append((time.process_time() - began) / len(rows) * 10_000)
    assert backend.need("monitors").get(name).rows == len(rows)
    return found[0], found[1]


def _inbox(backend: Backend, name: str) -> Path:
    from console.monitoring.feeds.sources import inbox_of

    return inbox_of(backend, name)


def posted(workspace: Path, name: str, rows: pd.DataFrame, size: int, requests: int) -> float:
    """Rows a second that were accepted."""
    server = until(lambda: living_server(workspace), seconds=120, what="the agent's server")
    body = lines(rows[:size])
    headers = {"Authorization": f"Bearer {token_for(workspace)}"}
    with httpx.Client(timeout=60, headers=headers) as client:
        began = time.perf_counter()
        for _ in range(requests):
            assert client.post(f"{server.url}/monitors/{name}/rows", content=body).status_code == 202
        return size * requests / (time.perf_counter() - began)


def piped(workspace: Path, name: str, rows: pd.DataFrame) -> float:
    """Rows a second from the first byte of the pipe until all are counted."""
    command = [sys.executable, "-m", "console.launch", "--workspace", str(workspace), "monitor", "ingest", name, "-"]
    began = time.perf_counter()
    subprocess.run(command, input=lines(rows), check=True, capture_output=True, timeout=600)
    return len(rows) / (time.perf_counter() - began)


def main(requests: int = TENS) -> None:
    rows = traffic(10 * requests, 1)
    rows["at"] = pd.Timestamp("2024-03-01") + pd.to_timedelta(range(0, 6 * len(rows), 6), unit="s")
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "w"
        backend = deliveries(workspace)
        print(f"{'requests of ten':<28}{'CPU s per 10 000 rows':>24}{'per 10 000 labels':>20}")
        for name, alone in (("alone", True), ("at-once", False)):
            cost = tens(backend, name, rows, alone=alone)
            print(f"{name:<28}{cost[0]:>24.1f}{cost[1]:>20.1f}", flush=True)
        for name in ("web", "pipe"):
            made(backend, name)
        ensure_agent(workspace)
        try:
            for size in (10, 1000):
                rate = posted(workspace, "web", traffic(size, 2).drop(columns="late"), size, 50)
                print(f"HTTP, {size:>4} rows a request  {rate:>24,.0f} rows/s accepted", flush=True)
            rate = piped(workspace, "pipe", traffic(PIPED, 3).drop(columns="late"))
            print(f"pipe, {PIPED:,} rows         {rate:>24,.0f} rows/s counted, start and wait for the agent included")
        finally:
            stop_agent(workspace)
            backend.close()


if __name__ == "__main__":
    main(*(int(each) for each in sys.argv[1:2]))
