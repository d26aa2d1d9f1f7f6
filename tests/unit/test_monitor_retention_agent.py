"""The agent merges and lets go by itself, by what monitors and the context say, and ends when it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from backends.contract import Backend
from backends.entities import Monitor, ServiceWindow, Window
from console.agent.monitor_retention import MonitorRetention
from console.monitoring.counted.profile import Profile
from console.monitoring.create import create_monitor, set_keep
from console.monitoring.reference import read_profile
from tests.monitored import WHO, deliveries
from tests.unit.test_monitoring_ranges import window_at

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
BEGIN = 1_700_006_400_000  # an hour's begin


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    made = deliveries(tmp_path_factory.mktemp("retention") / "w")
    yield made
    made.close()


@pytest.fixture(scope="module")
def minute(backend: Backend) -> Window:
    profile: Profile = read_profile(backend, backend.need("registry").version("deliveries", "@champion"))
    return window_at(profile, BEGIN, MINUTE, 60, 1)


def filled(backend: Backend, minute: Window, name: str, hours: int = 5) -> Monitor:
    monitor = create_monitor(backend, name, "deliveries", mutation=WHO, window="minute", deployment="")
    store = backend.need("monitors")
    for hour in range(hours):
        for number in range(10):
            start = BEGIN + hour * HOUR + number * MINUTE
            store.add_window(msgspec.structs.replace(minute, monitor=name, start=start, end=start + MINUTE))
            store.add_service(ServiceWindow(source=f"monitor:{name}", start=start, end=start + MINUTE, requests=7))
    return monitor


def step(retention: MonitorRetention) -> None:
    retention._look_at = 0.0
    retention.step()
    assert retention._work is not None
    retention._work.join(60)
    assert not retention._work.is_alive()


def rows(backend: Backend, name: str) -> int:
    return sum(window.rows for window in backend.need("monitors").windows(name, limit=10_000))


def test_the_agent_merges_windows_and_services_by_what_is_said(
    backend: Backend, minute: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = backend.home
    assert home is not None
    config, said = tmp_path / "config.toml", []
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(config))
    filled(backend, minute, "own")
    filled(backend, minute, "store")
    store = backend.need("monitors")
    store.add_service(ServiceWindow(source="alone", start=BEGIN, end=BEGIN + MINUTE, requests=1))
    store.add_service(ServiceWindow(source="alone", start=BEGIN + MINUTE, end=BEGIN + 2 * MINUTE, requests=2))
    store.add_service(ServiceWindow(source="alone", start=BEGIN + 9 * HOUR, end=BEGIN + 9 * HOUR + 1, requests=3))
    set_keep(backend, "own", {"minutes": "2h"}, WHO)
    retention = MonitorRetention(backend, home, said.append)
    step(retention)
    assert [line for line in said if "own" in line] == ["monitor own: 20 windows into 2; the service's into 2"]
    assert (len(store.windows("own")), len(store.windows("store"))) == (32, 50)
    assert len(store.services("monitor:own")) == 32
    assert sum(each.requests or 0 for each in store.services("monitor:own")) == 350
    assert len(store.services("alone")) == 3

    config.write_text(f'[contexts.here]\nworkspace = "{home}"\n[contexts.here.retention.monitors]\nminutes = "3 h"\n')
    step(retention)
    assert (len(store.windows("own")), len(store.windows("store"))) == (32, 41)
    assert len(store.services("alone")) == 2
    assert (rows(backend, "own"), rows(backend, "store")) == (3000, 3000)
    said.clear()
    step(retention)
    assert said == []


def test_it_does_not_look_again_before_the_hour_and_ends_within_a_pass(
    backend: Backend, minute: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = backend.home
    assert home is not None
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "none.toml"))
    filled(backend, minute, "ending")
    set_keep(backend, "ending", {"minutes": "2h"}, WHO)
    said: list[str] = []
    retention = MonitorRetention(backend, home, said.append)
    retention.end()
    step(retention)
    assert len(backend.need("monitors").windows("ending")) == 41  # one stretch, and at its end the pass
    assert said == []
    first = retention._work
    retention.step()
    assert retention._work is first
    step(MonitorRetention(backend, home, said.append))
    assert len(backend.need("monitors").windows("ending")) == 32
    assert rows(backend, "ending") == 3000


def test_a_failure_is_told_and_the_rest_waits(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = backend.home
    assert home is not None
    config, said = tmp_path / "config.toml", []
    config.write_text("[contexts.here\n")
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(config))
    step(MonitorRetention(backend, home, said.append))
    assert len(said) == 1
    assert said[0].startswith("monitor retention: ")
    assert said[0].endswith("tried again in 60 minutes")
