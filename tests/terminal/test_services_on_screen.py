"""What a metrics store says, on the screen: alerts of its own rules, services, and that it is away."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backends.contract import Unreachable
from backends.entities import Asked, Exemplar, Monitor, Service, ServiceWindow, SourceAlert, SourceInfo
from console.config import Session
from console.services.following import looked
from console.services.table import MetricsTable, ServiceTable
from console.tui import overview_outside
from tests.terminal.stage import by, on_stage, press, session, until, until_so


class Store:
    """A metrics store that knows one service well, and one not at all."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0
        self.traces = True

    def where(self) -> str:
        return "http://prometheus.example.org"

    def info(self) -> SourceInfo:
        return SourceInfo(product="Prometheus")

    def length(self, service: Service) -> int:
        return 60_000

    def windows(self, service: Service, *, since: int, until: int, length: int, source: str = "") -> Any:
        if service.name != "fraud":
            return ()
        quantiles = {"p50": 0.012, "p95": 0.045, "p99": 0.25}
        window = ServiceWindow(
            source="fraud", start=until - length, end=until, requests=1200, errors=12, quantiles=quantiles
        )
        return (window,)

    def examine(self, service: Service) -> tuple[Asked, ...]:
        return (Asked(quantity="requests", query="q"),)

    def names(self, service: Service) -> tuple[str, ...]:
        return ()

    def scrapes(self, service: Service) -> tuple[()]:
        return ()

    def failures(self, service: Service, *, since: int, until: int) -> tuple[Exemplar, ...]:
        if service.name != "fraud" or not self.traces:
            return ()
        labels = {"trace_id": "abc7[/red]\x1b[31m", "span_id": "0f" * 60}
        return (Exemplar(at=until - 5_000, labels=labels, series={"status": "500", "path": "/predict"}),)

    def alerts(self) -> tuple[SourceAlert, ...]:
        self.asked += 1
        if self.away:
            raise Unreachable("nobody listens at http://prometheus.example.org; see that it is up")
        at = int(time.time() * 1000) - 600_000
        return (
            SourceAlert(
                name="FraudDown", state="firing", severity="critical", since=at, text="no answer \x1b[31mfor 10 m",
                labels={"job": "fraud"},
            ),
            SourceAlert(name="Soon", state="pending", since=at),
        )  # fmt: skip

    def close(self) -> None:
        pass


def watched(tmp_path: Path, store: Store) -> Session:
    opened = session(tmp_path)
    table = MetricsTable(
        url="prometheus+http://prometheus.example.org",
        services={"fraud": ServiceTable(labels={"job": "fraud"}), "typo": ServiceTable(labels={"job": "x"})},
    )
    backend = msgspec.structs.replace(opened.backend, metrics=store)
    return msgspec.structs.replace(
        opened, backend=backend, context=msgspec.structs.replace(opened.context, metrics=table)
    )


async def test_what_fires_in_the_store_stands_in_the_overview_as_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview_outside, "EVERY_S", 3_600.0)
    store = Store()
    async with on_stage(watched(tmp_path, store)) as (app, pilot):
        text = await until(app, pilot, "FraudDown")
        assert "no answer" in text
        assert "metrics store" in text
        assert "Soon" not in text
        assert "\x1b" not in text
        assert store.asked == 1, "not at every look"


async def test_a_store_that_is_away_is_told_in_the_overview(tmp_path: Path) -> None:
    store = Store()
    store.away = True
    async with on_stage(watched(tmp_path, store)) as (app, pilot):
        await until(app, pilot, "nobody listens at http://prometheus.example.org")


async def test_services_are_shown_with_what_is_wrong(tmp_path: Path) -> None:
    async with on_stage(watched(tmp_path, Store())) as (app, pilot):
        await press(app, pilot, "colon", *"services", "enter")
        text = await until(app, pilot, "no series of the last ten minutes")
        fraud = next(line for line in text.splitlines() if " fraud " in line)
        assert "20" in fraud
        assert "45" in fraud
        assert "250" in fraud
        assert "2 alerts there" in text


async def test_who_looks_at_a_monitor_makes_the_agent_ask_more_often(tmp_path: Path) -> None:
    opened = watched(tmp_path, Store())
    opened.backend.need("monitors").put(Monitor(name="fraud", model="fraud"), by())
    async with on_stage(opened) as (app, pilot):
        await press(app, pilot, "5")
        await until_so(pilot, lambda: looked(tmp_path, int(time.time() * 1000)))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_from_a_service_to_the_traces_of_what_failed_and_back(tmp_path: Path, size: tuple[int, int]) -> None:
    async with on_stage(watched(tmp_path, Store()), size) as (app, pilot):
        await press(app, pilot, "colon", *"services", "enter")
        await until(app, pilot, "enter failed requests")
        await press(app, pilot, "enter")
        text = await until(app, pilot, "Failed requests of fraud")
        assert "12 of 1 200 requests" in text.replace("\u2009", " ")
        assert "failed (1.0" in " ".join(text.split())
        assert "span_id=0f0f" in text
        assert "trace_id=abc7[/red]" in text.replace("\n" + " " * 22, "")
        assert "path=/predict status=500" in text
        assert "\x1b" not in text
        await press(app, pilot, "escape")
        await until(app, pilot, "2 alerts there")


async def test_the_errors_key_of_a_monitor_shows_those_of_its_service(tmp_path: Path) -> None:
    opened = watched(tmp_path, Store())
    opened.backend.need("monitors").put(Monitor(name="fraud", model="fraud"), by())
    async with on_stage(opened) as (app, pilot):
        await press(app, pilot, "5")
        await until_so(pilot, lambda: app.here().selected is not None)
        await press(app, pilot, "E")
        await until(app, pilot, "Failed requests of fraud")


async def test_failed_requests_without_a_trace_say_what_the_store_wants_for_one(tmp_path: Path) -> None:
    store = Store()
    store.traces = False
    async with on_stage(watched(tmp_path, store)) as (app, pilot):
        await press(app, pilot, "colon", *"errors fraud 6h", "enter")
        text = " ".join((await until(app, pilot, "Failed requests of fraud")).split())
        assert "requests of the last 6 h failed" in text
        assert "--enable-feature=exemplar-storage" in text


async def test_errors_of_a_service_that_is_not_there_name_those_that_are(tmp_path: Path) -> None:
    async with on_stage(watched(tmp_path, Store()), (120, 40)) as (app, pilot):
        await press(app, pilot, "colon", *"errors nothere", "enter")
        await until(app, pilot, "service nothere: there is no such one")


async def test_without_a_metrics_store_the_errors_key_says_so(tmp_path: Path) -> None:
    async with on_stage(session(tmp_path), (120, 40)) as (app, pilot):
        await press(app, pilot, "5", "E")
        await until(app, pilot, "names no metrics store")
