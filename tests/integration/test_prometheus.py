"""A real Prometheus: exact counts out of its samples, our own server's names, what no data is, what fires."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.contract import Invalid, Refused, Unauthorized, Unreachable
from backends.entities import Service
from backends.entities.service import TIME_EDGES
from backends.login import Login
from backends.prometheus.source import Prometheus, open_prometheus
from console.cli.main import main
from tests.prometheus_server import Exporter, Server, needs_prometheus, prometheus
from tests.serving import until

pytestmark = needs_prometheus

MINUTE = 60_000
END = int(time.time()) // 60 * 60 - 600
START = END - 3600
EVERY = 15

RULES = """
groups:
  - name: models
    rules:
      - alert: ChurnErrors
        expr: vector(0.2) > 0.1
        labels: {severity: critical, service: churn}
        annotations: {summary: "one answer in five fails"}
      - alert: Soon
        expr: vector(1)
        for: 1h
"""


def answered(at: int) -> int:
    """Good answers so far, 20 a minute; the process begins anew after half an hour, 7 in."""
    return 7 + (at - START - 1800) // 3 if at >= START + 1800 else (at - START) // 3


def failed(at: int) -> int | None:
    """Errors so far; the series is not there before the first one, in the minute 10."""
    return None if at < START + 600 else (1 + (at - START - 600) // 60 if at < START + 1800 else 0)


def history() -> str:
    """An hour of our own server and of one with names and buckets of its own; for ten minutes nobody scrapes."""
    times = [at for at in range(START + 5, END, EVERY) if not START + 2400 < at < START + 3000]
    own = 'job="serving",instance="a:1",model="churn",deployment="churn"'
    out: list[str] = []

    def family(name: str, kind: str, rows: list[str]) -> None:
        out.append(f"# TYPE {name} {kind}")
        out.extend(rows)

    statuses = {"200": answered, "500": failed}
    family(
        "model_requests", "counter",
        [f'model_requests_total{{{own},version="3",status="{status}"}} {count(at)} {at}'
         for status, count in statuses.items() for at in times if count(at) is not None],
    )  # fmt: skip
    family(
        "model_request_seconds", "histogram",
        [f'model_request_seconds_bucket{{{own},version="3",le="{edge if edge == "+Inf" else f"{edge:g}"}"}} '
         f"{0 if place < 20 else answered(at)} {at}"
         for place, edge in enumerate((*TIME_EDGES, "+Inf")) for at in times]
        + [f'model_request_seconds_{part}{{{own},version="3"}} {answered(at)} {at}'
           for part in ("sum", "count") for at in times],
    )  # fmt: skip
    family(
        "model_worker_cpu_seconds", "counter",
        [f'model_worker_cpu_seconds_total{{{own},worker="{worker}"}} {(at - START) / 4} {at}'
         for worker in (0, 1) for at in times],
    )  # fmt: skip
    family(
        "model_worker_resident_bytes", "gauge",
        [f'model_worker_resident_bytes{{{own},worker="{worker}"}} {50_000_000 + at - START} {at}'
         for worker in (0, 1) for at in times],
    )  # fmt: skip
    slow = 'job="fraud",instance="b:1"'
    family(
        "http_requests", "counter",
        [f'http_requests_total{{{slow},code="2xx"}} {(at - START) // 2} {at}' for at in times[::4]]
        + [f'http_requests_total{{{slow},code="5xx"}} {(at - START) // 20} {at}' for at in times[::4]],
    )  # fmt: skip
    family(
        "http_request_duration_seconds", "histogram",
        [f'http_request_duration_seconds_bucket{{{slow},le="{edge}"}} {share * (at - START) // 20} {at}'
         for edge, share in (("0.1", 5), ("0.5", 9), ("1.0", 10), ("+Inf", 11)) for at in times[::4]]
        + [f"http_request_duration_seconds_{part}{{{slow}}} {11 * (at - START) // 20} {at}"
           for part in ("sum", "count") for at in times[::4]],
    )  # fmt: skip
    family("odd", "gauge", [f'odd{{job="odd"}} {value} {END - 15 * at}' for at, value in ((1, "NaN"), (0, "+Inf"))])
    return "\n".join([*out, "# EOF", ""])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with prometheus(history=history(), rules=RULES) as running:
        yield running


@pytest.fixture
def source(server: Server) -> Iterator[Prometheus]:
    opened = open_prometheus(f"prometheus+{server.url}", Login(), {})
    yield opened
    opened.close()


CHURN = Service(name="churn", labels={"deployment": "churn"})
FRAUD = Service(name="fraud", kind="http", labels={"job": "fraud"})


def test_windows_count_to_the_request_over_resets_new_series_and_gaps(source: Prometheus) -> None:
    found = {
        (window.start // 1000 - START) // 60: window
        for window in source.windows(CHURN, since=START * 1000, until=END * 1000, length=MINUTE)
    }
    assert [found[minute].requests for minute in range(1, 10)] == [20] * 9
    assert [found[minute].errors for minute in (1, 9)] == [0, 0]  # statuses are known, and none failed
    assert sum(found[minute].errors or 0 for minute in range(1, 20)) == 10, (
        "the first one too, with which its series came"
    )
    assert (found[15].requests, found[15].versions) == (21, {"3": 21})
    assert found[30].requests == 23, "it began anew: what was counted since, 7 of them at once"
    assert set(range(40, 50)).isdisjoint(found), "nobody scraped: no data, not zero"
    assert found[50].requests is None, "nobody knows what of its count is of this minute"
    assert found[50].memory_bytes is not None
    assert found[51].requests == 20
    assert (found[5].cpu, found[5].memory_bytes) == (pytest.approx(0.5), 2 * (50_000_000 + 350))
    assert sum(found[5].times) == 20
    assert TIME_EDGES[19] < (found[5].p99 or 0) <= TIME_EDGES[20]


def test_other_buckets_are_told_as_quantiles_and_seldom_samples_make_longer_windows(source: Prometheus) -> None:
    length = 2 * MINUTE
    found = source.windows(FRAUD, since=START * 1000, until=(START + 2400) * 1000, length=length)
    window = found[3]
    assert window.times == ()
    assert (window.requests, window.errors) == (66, 6)
    # 55 of 66 within 0.1 … by tenths of eleven: 5/11, 9/11, 10/11, and one in eleven beyond the last finite edge.
    assert window.p50 == pytest.approx(0.1 + 0.4 * (0.5 * 11 - 5) / 4, rel=0.02)
    assert window.quantile(0.99) == 1.0
    assert (window.cpu, window.memory_bytes) == (None, None)


def test_what_is_no_number_and_what_is_not_there_are_no_data(source: Prometheus) -> None:
    odd = Service(name="odd", labels={"job": "odd"}, queries={"requests": "odd{$labels}", "cpu": "absent_metric"})
    assert source.windows(odd, since=(END - 60) * 1000, until=END * 1000, length=MINUTE) == ()


def test_a_wrong_query_is_told_with_the_query(source: Prometheus) -> None:
    wrong = Service(name="fraud", labels={"job": "fraud"}, queries={"requests": "sum(rate(x{$labels}[$range])"})
    with pytest.raises(Invalid, match=r"service fraud, requests: .* cannot read a query: .*unclosed left paren.*sum"):
        source.windows(wrong, since=START * 1000, until=END * 1000, length=MINUTE)
    asked = {each.quantity: each for each in source.examine(wrong)}
    assert "unclosed" in asked["requests"].trouble


def test_alerts_that_fire_there_are_read(source: Prometheus, server: Server) -> None:
    server.until("ALERTS", lambda found: len(found) == 2)
    firing = {alert.name: alert for alert in source.alerts()}
    churn = firing["ChurnErrors"]
    assert (churn.state, churn.severity, churn.text) == ("firing", "critical", "one answer in five fails")
    assert churn.labels["service"] == "churn"
    assert abs((churn.since or 0) / 1000 - time.time()) < 300
    assert firing["Soon"].state == "pending"


def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, services: str = "") -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f'[contexts.team]\nworkspace = "{tmp_path}/w"\n[contexts.team.metrics]\nurl = "prometheus+{url}"\n{services}'
    )
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(config))
    monkeypatch.setenv("MLOPS_CONSOLE_CONTEXT", "team")


def test_the_command_line_tells_what_is_and_why_nothing_is(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    services = (
        '[contexts.team.metrics.services.fraud]\nkind = "http"\nlabels = { job = "fraud" }\n'
        '[contexts.team.metrics.services.churn]\nlabels = { deployment = "churn" }\n'
        '[contexts.team.metrics.services.typo]\nlabels = { job = "frod" }\n'
        '[contexts.team.metrics.services.other]\nlabels = { job = "fraud" }\n'
    )
    context(tmp_path, monkeypatch, server.url, services)
    reach = (int(time.time()) - START) // 60 + 10  # the module may have been imported an hour ago
    assert main(["service", "show", "churn", "--since", f"{reach}m", "--by", "minute", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["length"] == MINUTE
    assert 40 <= len(found["windows"]) <= 52
    assert main(["context", "test"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "answers, Prometheus 2." in said
    assert "metrics of typo: no data: no series of the last ten minutes has the labels job = frod" in said
    assert main(["service", "alerts", "--json"]) == 0
    assert [item["name"] for item in json.loads(capsys.readouterr().out)["items"]] == ["ChurnErrors"]
    assert main(["service", "show", "none"]) == 2
    assert "there are churn, fraud, other, typo" in " ".join(capsys.readouterr().err.split())


# ---------------------------------------------------------------- live: scraped, broken, locked, dead


def test_scraped_live_with_exemplars_until_its_target_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    exporter = Exporter()
    began = time.time()

    def say() -> None:
        count = int((time.time() - began) * 10)
        labels = 'version="3",status="500"'
        exporter.text = (
            "# TYPE model_requests counter\n"
            f'model_requests_total{{version="3",status="200"}} {count}\n'
            f'model_requests_total{{{labels}}} {count // 10} # {{trace_id="abc{count // 10}"}} 1 {time.time():.3f}\n'
            "# EOF\n"
        )

    service = Service(name="live", labels={"job": "live"})
    try:
        say()
        with prometheus(scrape=[("live", exporter.place)], flags=["--enable-feature=exemplar-storage"]) as server:
            source = open_prometheus(f"prometheus+{server.url}", Login(), {})
            end = time.monotonic() + 120
            found: tuple[object, ...] = ()
            while time.monotonic() < end and (len(found) < 2 or not source.failures(
                service, since=int(began * 1000) - 5000, until=int(time.time() * 1000) + 5000
            )):  # fmt: skip
                say()
                time.sleep(0.5)
                now = int(time.time() * 1000)
                found = source.windows(service, since=now - 20_000, until=now, length=4_000)
            assert len(found) >= 2
            failures = source.failures(service, since=int(began * 1000) - 5000, until=int(time.time() * 1000) + 5000)
            assert failures[0].labels["trace_id"].startswith("abc")
            assert failures[0].series["status"] == "500"
            context(
                tmp_path, monkeypatch, server.url, '[contexts.team.metrics.services.live]\nlabels = { job = "live" }\n'
            )
            assert main(["service", "errors", "live", "--json"]) == 0
            told = json.loads(capsys.readouterr().out)
            assert told["failures"][-1]["labels"]["trace_id"].startswith("abc")
            server.until('up{job="live"} == 1', lambda there: len(there) == 1)
            (scrape,) = source.scrapes(service)
            assert scrape.place.endswith(f"{exporter.place}/metrics")
            assert source.length(service) == MINUTE
            exporter.broken = True
            # A scrape that a busy machine made late failed too, and tells another reason.
            (scrape,) = until(
                lambda: [each for each in source.scrapes(service) if "500" in each.trouble], what="the broken scrape"
            )
            assert not scrape.up
            source.close()
    finally:
        exporter.close()


def test_a_password_is_wanted_and_a_dead_server_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    web = "basic_auth_users:\n  ann: $2b$04$1z7jBtNuDRN5oBUdaMl5D.QiQp3.ThFaLTy1dYGNN7.oaWcBVI58.\n"
    with prometheus(web=web) as server:
        url = f"prometheus+{server.url}"
        with pytest.raises(Unauthorized, match="does not accept who we are"):
            open_prometheus(url, Login(), {}).info()
        monkeypatch.setenv("PROM_PASSWORD", "s3cret")
        source = open_prometheus(url, Login(username="ann", env="PROM_PASSWORD"), {})
        assert source.info().version.startswith(("2.", "3."))
    with pytest.raises(Unreachable, match="nobody listens at") as first:
        source.info()
    sent = source.requests
    with pytest.raises(Unreachable) as second:
        source.info()
    assert source.requests == sent, "within the pause nothing is sent"
    assert second.value.retry_at is not None
    assert first.value.retry_at is not None
    source.close()


def test_too_much_at_once_is_refused_in_words(server: Server, source: Prometheus) -> None:
    with pytest.raises((Refused, Invalid), match="service churn, requests"):
        source._range("vector(1)", range(0, 20_000_000, 1000), 1000, CHURN, "requests")  # type: ignore[arg-type]
