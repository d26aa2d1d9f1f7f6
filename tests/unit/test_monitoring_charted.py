"""Charts of a monitor by the keys that rules know, from the command line and for the screen."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from backends.contract import Backend, Invalid
from backends.entities import Estimate, Monitor, ServiceWindow
from console.cli.main import main
from console.monitoring.charted import charts_of, courses_of, keys_of_chart
from console.monitoring.read import monitor_view
from console.monitoring.reference import read_profile
from tests.monitored import WHO, deliveries
from tests.unit.test_monitoring_ranges import window_at

DAY = 86_400_000
BEGIN = 1_699_833_600_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("charted") / "w"


@pytest.fixture(scope="module")
def backend(home: Path):
    made = deliveries(home)
    profile = read_profile(made, made.need("registry").version("deliveries", "@champion"))
    store = made.need("monitors")
    store.put(Monitor(name="live", model="deliveries", window="day"), WHO)
    for day in range(12):
        window = window_at(profile, BEGIN + day * DAY, DAY, 200, day, shift=0.0 if day < 8 else 3.0)
        performance = {} if day == 5 else {"auc": Estimate(value=0.8 - day / 100, low=0.7, high=0.9, n=200)}
        bias = {"carrier.parity": Estimate(value=0.1)}
        store.add_window(msgspec.structs.replace(window, monitor="live", performance=performance, bias=bias))
    store.add_service(
        ServiceWindow(source="monitor:live", start=BEGIN + DAY, end=BEGIN + DAY + 3_600_000, requests=7200, errors=72)
    )
    yield made
    made.close()


def test_a_chart_is_its_keys(backend: Backend) -> None:
    view = monitor_view(backend, "live")
    assert keys_of_chart(view, "quality") == ("auc", "estimated.auc")
    assert keys_of_chart(view, "drift.*.psi") == ("drift.weight.psi", "drift.distance.psi", "drift.carrier.psi")
    assert keys_of_chart(view, "bias") == ("bias.carrier.parity",)
    assert keys_of_chart(view, "latency, rows") == ("service.p50", "service.p95", "service.p99", "rows")
    assert charts_of(view) == ("quality", "drift", "bias", "rate", "errors")


def test_what_no_window_knows_is_a_gap(backend: Backend) -> None:
    view = monitor_view(backend, "live")
    (course,) = courses_of(view, ("auc",))
    assert [at for at, found in course.points if found is None] == [BEGIN + 5 * DAY]
    assert course.points[0][1] is not None
    (errors,) = courses_of(view, ("service.errors",))
    assert [found.value for _, found in errors.points if found is not None] == [0.01]


def test_an_unknown_key_names_what_is_near(backend: Backend) -> None:
    view = monitor_view(backend, "live")
    with pytest.raises(Invalid, match="did you mean latency"):
        keys_of_chart(view, "latancy")
    with pytest.raises(Invalid, match="did you mean auc"):
        keys_of_chart(view, "aucc")


def test_the_command_draws_and_documents(home: Path, backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["--workspace", str(home), "monitor", "chart", "live", "auc", "drift.weight.psi"]
    assert main(line) == 0
    said = capsys.readouterr().out
    assert "auc  least 0.69, most 0.8, last 0.69" in said
    assert "in days since 13 Nov 2023" in said
    assert main([*line, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [course["key"] for course in document["courses"]] == ["auc", "drift.weight.psi"]
    assert document["courses"][0]["points"][5] == {"at": BEGIN + 5 * DAY, "value": None}
    assert document["courses"][0]["points"][0]["low"] == 0.7
    onset = [mark for mark in document["marks"] if mark["what"] == "onset"]
    assert [mark["at"] for mark in onset] == [BEGIN + 8 * DAY]


def test_a_measure_that_nobody_took_says_so(home: Path, backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--workspace", str(home), "monitor", "chart", "live", "service.p95"]) == 2
    assert "has measured no service.p95" in capsys.readouterr().err
