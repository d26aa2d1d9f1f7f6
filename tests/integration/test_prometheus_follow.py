"""From our own model server, scraped by a real Prometheus, to a monitor's time axis; also after the store was away."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression

from backends.contract import Backend, Mutation
from backends.entities import Deployment, DeploymentWish, Monitor, Service, ServiceWindow
from backends.local import open_local
from backends.login import Login
from backends.prometheus.source import open_prometheus
from console.agent.metric_windows import MetricWindows
from console.cli.main import main
from console.services.following import LOOKED_S, followed, looked, note_look, wanted
from console.services.source import Known, known_services
from console.services.table import MetricsTable, ServiceTable
from tests.ports import free_port
from tests.prometheus_server import needs_prometheus, prometheus
from tests.serving import fitted, keep_version, labels, point, rows, serving

pytestmark = needs_prometheus

MINUTE = 60_000
WHO = Mutation(actor="me@here", reason="test")


def three_hours_ago() -> int:
    """A whole minute, in seconds; asked by each test: this file may have been imported an hour before."""
    return int(time.time()) // 60 * 60 - 3 * 3600


def history(start: int, minutes: int) -> str:
    """So many minutes of a service: 12 answers a minute, one of six an error."""
    times = range(start + 5, start + 60 * minutes, 15)
    rows = ["# TYPE model_requests counter"]
    for status, share in (("200", 10), ("503", 2)):
        rows += [
            f'model_requests_total{{job="fraud",instance="a",version="7",status="{status}"}} '
            f"{share * ((at - start) // 60)} {at}"
            for at in times
        ]
    return "\n".join([*rows, "# EOF", ""])


def stepped(part: MetricWindows, done: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        part.step()
        if done():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to that")


def again(part: MetricWindows) -> None:
    """As if the pauses were over."""
    part._plan_at = 0.0
    part._asked_at.clear()
    part._backoff.due_at = 0.0


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("MLOPS_CONSOLE_CONTEXT", "team")
    return tmp_path / "w"


def configure(workspace: Path, url: str) -> None:
    workspace.with_name("config.toml").write_text(
        f'[contexts.team]\nworkspace = "{workspace}"\n[contexts.team.metrics]\nurl = "prometheus+{url}"\n'
        '[contexts.team.metrics.services.fraud]\nlabels = { job = "fraud" }\nmonitor = "fraud-live"\n'
    )


def kept(backend: Backend, source: str = "monitor:fraud-live") -> tuple[ServiceWindow, ...]:
    found: tuple[ServiceWindow, ...] = backend.need("monitors").services(source)
    return found


def test_a_monitor_gets_what_was_measured_while_nobody_asked_and_what_comes_after_the_store_was_away(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = open_local(workspace)
    rules = '[[rule]]\nname = "errors"\nmetric = "service.errors"\nabove = 0.1\nmin_sample = 1\n'
    backend.need("monitors").put(Monitor(name="fraud-live", model="fraud", window="minute", rules=rules), WHO)
    port, said, start = free_port(), [], three_hours_ago()
    part = MetricWindows(backend, workspace, said.append)
    try:
        with prometheus(history=history(start, 150), port=port) as server:
            configure(workspace, server.url)
            stepped(part, lambda: len(kept(backend)) > 0)
            found = kept(backend)
            assert len(found) == 149, "the first minute has nothing before it"
            assert {(each.requests, each.errors) for each in found} == {(12, 2)}
            assert {tuple(each.versions.items()) for each in found} == {(("7", 12),)}
            (alert,) = backend.need("monitors").alerts("fraud-live", open_only=True)
            assert alert.metric == "service.errors", "judged while nobody looks"
            state = followed(workspace)
            assert state is not None
            assert (state.trouble, state.services) == ("", {"fraud": ""})
            assert main(["monitor", "show", "fraud-live", "--json"]) == 0
            shown = json.loads(capsys.readouterr().out)
            assert len(shown["services"]) == 10
        again(part)
        stepped(part, lambda: bool((followed(workspace) or state).trouble))
        assert "nobody listens at" in followed(workspace).trouble  # type: ignore[union-attr]
        assert kept(backend) == found, "what is known stays"
        assert main(["context", "test"]) == 1
        assert "nobody listens at" in " ".join(capsys.readouterr().err.split())
        assert main(["monitor", "show", "fraud-live"]) == 0
        assert "its service's figures are not read" in " ".join(capsys.readouterr().err.split())
        main(["doctor", "--json"])
        found_wrong = [each for each in json.loads(capsys.readouterr().out)["items"] if each["check"] == "metrics"]
        assert [each["health"] for each in found_wrong] == ["warn"]
        assert found_wrong[0]["todo"].startswith("see that it is up")
        with prometheus(history=history(start, 170), port=port):
            again(part)
            stepped(part, lambda: len(kept(backend)) > len(found))
            assert {(each.requests, each.errors) for each in kept(backend)} == {(12, 2)}
            assert len(kept(backend)) == 169
            assert said.count("metrics of the store are read again") == 1
    finally:
        part.close()
        backend.close()


def test_of_an_own_deployment_only_what_nobody_saw_is_wanted(workspace: Path) -> None:
    backend = open_local(workspace)
    store = backend.need("monitors")
    backend.need("deployments").create(Deployment(name="churn", model="churn", desired=DeploymentWish.STOPPED), WHO)
    store.put(Monitor(name="churn-m", model="churn", deployment="churn"), WHO)
    (known,) = known_services(backend, MetricsTable(url="prometheus+http://x"))
    assert known == Known(
        service=Service(name="churn", labels={"deployment": "churn"}), sources=("churn",), monitors=("churn-m",),
        own=True,
    )  # fmt: skip
    now = int(time.time()) // 60 * MINUTE
    assert wanted(backend, known, now) is None, "it may not have been there before"
    for minute in (100, 99, 98, 60, 59, 3, 2, 1):
        at = now - minute * MINUTE
        store.add_service(ServiceWindow(source="churn", start=at, end=at + MINUTE, requests=1))
    want = wanted(backend, known, now)
    assert want is not None
    assert [((now - since) // MINUTE, (now - until) // MINUTE) for since, until in want.gaps] == [(97, 60), (58, 3)]
    backend.close()


def test_a_service_without_a_monitor_is_not_followed_and_two_monitors_get_it_both(workspace: Path) -> None:
    backend = open_local(workspace)
    store = backend.need("monitors")
    table = MetricsTable(url="prometheus+http://x", services={"fraud": ServiceTable(labels={"job": "fraud"})})
    assert [each.sources for each in known_services(backend, table)] == [()]
    store.put(Monitor(name="fraud", model="fraud"), WHO)
    store.put(Monitor(name="fraud-eu", model="fraud", deployment="fraud"), WHO)
    (known,) = known_services(backend, table)
    assert sorted(known.sources) == ["fraud", "monitor:fraud"]
    assert not known.own
    backend.close()


def test_a_look_is_remembered_for_a_while(tmp_path: Path) -> None:
    now = int(time.time() * 1000)
    assert not looked(tmp_path, now)
    note_look(tmp_path, now)
    assert looked(tmp_path, now + int(LOOKED_S * 900))
    assert not looked(tmp_path, now + int(LOOKED_S * 1100))


def test_our_own_server_is_counted_to_the_request(tmp_path: Path) -> None:
    frame = rows(200)
    backend = open_local(tmp_path / "workspace")
    version = keep_version(backend, tmp_path, fitted(frame, labels(frame), LogisticRegression(max_iter=200)), frame)
    point(backend, "champion", version.version)
    with serving(backend, tmp_path / "server") as served:
        place = served.url.removeprefix("http://")
        with prometheus(scrape=[("serving", place)], every="2s") as server:
            own = Service(name="test", labels={"deployment": "test"})
            server.until('model_worker_cpu_seconds_total{deployment="test"}', lambda found: len(found) >= 1)
            # What is counted in the window in which an instance is seen first, nobody can tell from what it had before.
            begun = int(time.time()) // 8 * 8000 + 8000
            while time.time() * 1000 < begun:
                time.sleep(0.2)
            record = {"weight": 5.0, "stops": 2, "express": False, "carrier": "ups", "sent": "2024-03-02 00:00:00"}
            for number in range(60):
                assert served.ask(record if number % 6 else {"nonsense": 1}).status_code == (200 if number % 6 else 400)
            source = open_prometheus(f"prometheus+{server.url}", Login(), {})
            windows: tuple[ServiceWindow, ...] = ()
            answered, end = 0, time.monotonic() + 90
            while time.monotonic() < end and answered < 60:
                time.sleep(0.5)
                now = int(time.time()) // 8 * 8000
                windows = source.windows(own, since=begun, until=now, length=8000)
                answered = sum(each.versions.get("1", 0) for each in windows)  # scrapes are answered by no version
            assert answered == 60
            assert sum(each.errors or 0 for each in windows) == 10
            busy = [each for each in windows if each.requests]
            assert all(sum(each.times) == each.requests for each in busy), "our own buckets: cells, not quantiles"
            assert all(each.p99 and each.memory_bytes and each.cpu is not None for each in busy)
            assert {name for each in busy for name in each.versions} <= {"1", "-"}
            assert all(each.up for each in source.scrapes(Service(name="x", labels={"job": "serving"})))
            source.close()
    backend.close()
