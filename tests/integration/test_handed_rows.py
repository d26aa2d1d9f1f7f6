"""Rows that are handed over to a monitor that watches no folder: a real agent and its scorer."""

from __future__ import annotations

from pathlib import Path

import msgspec

from backends.local.process_identity import ProcessIdentity
from console.agent import agent_log, ensure_agent, stop_agent
from console.monitoring.create import create_monitor
from console.monitoring.feeds.handing import hand_over
from console.monitoring.folder import monitor_folder
from tests.monitored import WHO, deliveries, traffic, until


def test_the_scorer_of_one_request_counts_the_next(tmp_path: Path) -> None:
    """A start costs more than a thousand rows, and a caller that sends some every few seconds is the usual one."""
    backend = deliveries(tmp_path)
    monitor = create_monitor(backend, "calls", "deliveries", mutation=WHO, time_column="at", id_column="id")
    ensure_agent(tmp_path)

    def send(seed: int) -> int:
        """Hand ten rows over; the process that counted them."""
        rows = traffic(10, seed).drop(columns="late")
        hand_over(backend, "calls", rows.to_json(orient="records", lines=True, date_format="iso").encode())
        until(lambda: backend.need("monitors").get("calls").rows == 10 * seed, what="the count")
        place = monitor_folder(backend, monitor.name) / "scorer.json"
        return msgspec.json.decode(place.read_bytes(), type=ProcessIdentity).pid

    try:
        assert send(1) == send(2)
        assert agent_log(tmp_path).count("monitor calls: scorer") == 1
    finally:
        stop_agent(tmp_path)
        backend.close()
