"""A server's counters as service windows: a minute is the difference of two looks, and what nobody saw is a gap."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.contract import Backend, Mutation
from backends.entities import Monitor
from backends.entities.service import TIME_EDGES
from backends.local import open_local
from console.agent.service_windows import MINUTE, ServiceRecorder
from console.serving.state import State, VersionState, WorkerState

WHO = Mutation(actor="me@here", reason="test")
BEGAN = 1_000 * MINUTE
SLOW = len(TIME_EDGES)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    made = open_local(tmp_path)
    yield made
    made.close()


def state(at: int, answered: int, failed: int = 0, *, cpu: float = 0.0, rss: int = 10, **more: int) -> State:
    times = [0] * (SLOW + 1)
    times[20] = answered
    version = VersionState(
        version="3",
        requests=answered,
        statuses={"200": answered - failed, "500": failed},
        errors={"500": failed} if failed else {},
        times=tuple(times),
    )
    worker = WorkerState(pid=7, cpu_seconds=cpu, rss=rss, in_flight=0, connections=0, loaded=("3",))
    return State(
        deployment="churn", model="churn", url="", pid=more.get("pid", 5), started_at=more.get("started", BEGAN), at=at,
        draining=False, targets=(), versions=(version,), workers=(worker,), swaps=0, logged=0, log_dropped=0,
        log_trouble="", shadow_dropped=0,
    )  # fmt: skip


def windows(backend: Backend) -> list[tuple[int, int | None, int | None]]:
    found = backend.need("monitors").services("churn")
    return [((window.start - BEGAN) // MINUTE, window.requests, window.errors) for window in found]


def test_each_minute_has_what_was_answered_in_it(backend: Backend) -> None:
    recorder = ServiceRecorder(backend, "churn", print)
    for second in range(0, 200, 5):
        recorder.hear(state(BEGAN + second * 1000, second * 10, second // 10, cpu=second * 0.5, rss=100 + second))
    assert windows(backend) == [(0, 600, 6), (1, 600, 6), (2, 600, 6)]
    first = backend.need("monitors").services("churn")[0]
    assert (first.rate, first.cpu, first.memory_bytes) == (pytest.approx(10), pytest.approx(0.5), 160)
    assert first.versions == {"3": 600}
    assert TIME_EDGES[19] <= (first.p99 or 0) <= TIME_EDGES[20]


def test_what_nobody_saw_is_a_gap_and_a_new_agent_goes_on(backend: Backend) -> None:
    recorder = ServiceRecorder(backend, "churn", print)
    recorder.hear(state(BEGAN + 10 * MINUTE, 1000))
    recorder.hear(state(BEGAN + 11 * MINUTE, 1100))
    later = ServiceRecorder(backend, "churn", print)
    later.hear(state(BEGAN + 20 * MINUTE + 30_000, 5000))
    later.hear(state(BEGAN + 21 * MINUTE, 5030))
    assert windows(backend) == [(10, 100, 0), (20, 30, 0)]
    assert backend.need("monitors").services("churn")[1].observed == 30
    assert backend.need("monitors").services("churn")[1].rate == pytest.approx(1.0)


def test_a_server_that_starts_anew_counts_from_nothing(backend: Backend) -> None:
    recorder = ServiceRecorder(backend, "churn", print)
    recorder.hear(state(BEGAN + 5 * MINUTE, 500))
    again = BEGAN + 6 * MINUTE + 10_000
    recorder.hear(state(again + 1_000, 7, pid=6, started=again))
    recorder.hear(state(BEGAN + 7 * MINUTE, 60, pid=6, started=again))
    assert windows(backend) == [(6, 60, 0)]


def test_nothing_asked_is_zero_and_a_clock_that_goes_back_makes_no_window(backend: Backend) -> None:
    recorder = ServiceRecorder(backend, "churn", print)
    recorder.hear(state(BEGAN + 5 * MINUTE, 500))
    recorder.hear(state(BEGAN + 6 * MINUTE, 500))
    assert windows(backend) == [(5, 0, 0)]
    recorder.hear(state(BEGAN + 2 * MINUTE, 510))
    recorder.hear(state(BEGAN + 3 * MINUTE, 520))
    assert windows(backend) == [(2, 10, 0), (5, 0, 0)]


def test_a_rule_about_the_service_opens_an_alert_and_ends_it(backend: Backend) -> None:
    """More than 5 % failed requests in two of three minutes fire; two calm minutes end it."""
    store = backend.need("monitors")
    rules = '[[rule]]\nname = "errors"\nmetric = "service.errors"\nabove = 0.05\nk = 2\nn = 3\nseverity = "critical"\n'
    store.put(Monitor(name="live", model="churn", deployment="churn", window="minute", rules=rules), WHO)
    store.put(Monitor(name="other", model="churn", deployment="else", window="minute", rules=rules), WHO)
    recorder = ServiceRecorder(backend, "churn", lambda _: None)
    answered = failed = 0
    seen = []
    for minute in range(7):
        for second in (0, 30):
            recorder.hear(state(BEGAN + minute * MINUTE + second * 1000, answered, failed))
            answered += 100
            failed += 10 if 1 <= minute <= 3 else 0
        seen.append([str(alert.state) for alert in store.alerts()])
    assert seen == [[], [], [], ["firing"], ["firing"], ["firing"], ["resolved"]]
    (alert,) = store.alerts()
    assert (alert.monitor, alert.rule, alert.severity) == ("live", "errors", "critical")
    assert "over 0.050" in alert.text
