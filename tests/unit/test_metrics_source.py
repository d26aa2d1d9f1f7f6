"""Answers in the shapes of Prometheus, Thanos, Mimir and VictoriaMetrics; addresses, logins, buckets, queries."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from backends.connect import connect_metrics
from backends.contract import BackendError, Invalid, Refused, Unauthorized, Unreachable, Unsupported
from backends.entities import Service
from backends.entities.service import TIME_EDGES
from backends.login import Login
from backends.prometheus.answers import moment, series_of
from backends.prometheus.buckets import cells, quantiles
from backends.prometheus.names import filled, selector
from backends.prometheus.source import Prometheus

INF = float("inf")
CHURN = Service(name="churn", labels={"deployment": "churn"}, every=15)


class Recorded:
    """A server that gives what it was told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.status, self.body, self.headers = 200, b"", {}
        self.asked: list[tuple[str, dict[str, list[str]], dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                sent = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
                outer.asked.append((parts.path, parse_qs(parts.query or sent), dict(self.headers)))
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                self.wfile.write(outer.body)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def say(self, body: object, status: int = 200, **headers: str) -> None:
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.headers = status, headers


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    made = Recorded()
    yield made
    made.server.shutdown()
    made.server.server_close()


def opened(recorded: Recorded, login: Login | None = None, **options: str) -> Prometheus:
    return Prometheus(f"prometheus+{recorded.url}/prometheus/", login=login or Login(), options=options)


def ok(data: object, **more: object) -> dict[str, object]:
    return {"status": "success", "data": data, **more}


# ---------------------------------------------------------------- asking


def test_a_tenant_and_a_token_go_along_and_a_path_is_kept(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROM_TOKEN", "s3cret")
    recorded.say(ok({"version": "2.9.0", "application": "Grafana Mimir"}))
    source = opened(recorded, Login(env="PROM_TOKEN"), tenant="ml")
    info = source.info()
    assert (info.product, info.version) == ("Grafana Mimir", "2.9.0")
    path, _, headers = recorded.asked[0]
    assert path == "/prometheus/api/v1/status/buildinfo"
    assert headers["X-Scope-OrgID"] == "ml"
    assert headers["Authorization"] == "Bearer s3cret"
    source.close()


def test_a_refused_token_is_fetched_once_more(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROM_TOKEN", "old")
    recorded.say(b"unauthorized", 401)
    source = opened(recorded, Login(env="PROM_TOKEN"))
    with pytest.raises(Unauthorized, match="token_env"):
        source.alerts()
    assert len(recorded.asked) == 2
    source.close()


def test_a_long_query_goes_in_a_body(recorded: Recorded) -> None:
    recorded.say(ok({"resultType": "matrix", "result": []}))
    source = opened(recorded)
    long = Service(name="long", labels={"job": "x" * 2_000}, queries={"times": "", "cpu": "", "memory": ""}, every=15)
    assert source.windows(long, since=0, until=120_000, length=60_000) == ()
    (path, asked, headers), = recorded.asked  # fmt: skip
    assert path.endswith("query_range")
    assert "application/x-www-form-urlencoded" in headers["Content-Type"]
    assert (asked["start"], asked["end"], asked["step"]) == (["60"], ["120"], ["60"])
    source.close()


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (401, b"no org id\n", Unauthorized, "set tenant"),
        (403, b"<html>Forbidden</html>", Unauthorized, "does not accept who we are"),
        (404, b"404 page not found", Unsupported, "/select/0/prometheus"),
        (302, b"", Unsupported, "sends elsewhere"),
        (422, {"status": "error", "errorType": "execution", "error": "too many samples"}, Refused, "too many samples"),
        (503, {"status": "error", "errorType": "timeout", "error": "query timed out"}, Unreachable, "in time"),
        (429, b"", Unreachable, "too often"),
        (400, {"status": "error", "errorType": "bad_data", "error": "parse error"}, Invalid, "The query was: sum by"),
        (200, b"<!doctype html><title>Login</title>", Unsupported, "a login"),
        (200, {"hello": 1}, Unsupported, "no answer of a Prometheus API"),
        (200, ok({"resultType": "matrix", "result": [3]}), BackendError, "a series with labels"),
        (200, ok({"resultType": "streams", "result": []}), BackendError, "a vector or a matrix"),
    ],
)
def test_what_goes_wrong_is_told_in_words(
    recorded: Recorded, status: int, body: object, kind: type[BackendError], words: str
) -> None:
    recorded.say(body, status)
    source = opened(recorded)
    with pytest.raises(kind) as caught:
        source.windows(CHURN, since=0, until=60_000, length=60_000)
    assert words in str(caught.value)
    source.close()


def test_a_part_that_could_not_be_asked_is_told(recorded: Recorded) -> None:
    recorded.say(ok({"resultType": "vector", "result": []}, warnings=["store 10.0.0.3 is down"]))
    source = opened(recorded)
    assert {each.trouble for each in source.examine(CHURN)} == {"store 10.0.0.3 is down"}
    recorded.say({**ok({"resultType": "vector", "result": []}), "isPartial": True})
    assert {each.trouble for each in source.examine(CHURN)} == {"a part of its data could not be asked"}
    source.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("prometheus+ftp://x", "prometheus.example.org"),
        ("prometheus+http://", "and this is none"),
        ("prometheus+http://ann:pw@x", "name the place of the secret"),
        ("prometheus+http://x?token=1", "question mark"),
        ("graphite+http://x", "no adapter is installed for metrics of 'graphite'"),
    ],
)
def test_a_wrong_address_is_refused_before_anything_is_sent(url: str, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        connect_metrics(url)


# ---------------------------------------------------------------- buckets and numbers


def test_our_own_buckets_become_cells_and_others_quantiles() -> None:
    counts = [place % 3 for place in range(len(TIME_EDGES) + 1)]
    sums = [sum(counts[: place + 1]) for place in range(len(counts))]
    own = dict(zip([*map(float, (f"{edge:g}" for edge in TIME_EDGES)), INF], map(float, sums), strict=True))
    assert list(cells(own)) == counts
    assert cells({0.1: 1.0, INF: 2.0}) == ()
    assert cells({key: value for key, value in own.items() if key != INF}) == ()


def test_quantiles_are_linear_within_a_bucket_and_at_least_the_last_edge() -> None:
    found = quantiles({0.1: 50.0, 0.5: 90.0, 1.0: 96.0, INF: 100.0})
    assert found == {"p50": pytest.approx(0.1), "p95": pytest.approx(0.5 + 0.5 * 5 / 6), "p99": 1.0}
    assert quantiles({0.1: 0.0, INF: 0.0}) == {}
    assert quantiles({INF: 4.0}) == {}
    falling = quantiles({0.1: 50.0, 0.5: 49.0, INF: 50.0})
    assert falling["p99"] <= 0.1


def test_nan_and_infinity_are_no_samples() -> None:
    data = {"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "NaN"], [2, "+Inf"], [3, "0"]]}]}
    assert series_of(data)[0].samples == {3000: 0.0}


def test_times_are_read_with_their_nanoseconds() -> None:
    assert moment("2026-11-28T07:47:41.123456789Z") == 1795852061123
    assert moment("2026-11-28T07:47:41Z") == 1795852061000
    assert moment("0001-01-01T00:00:00Z") is None
    assert moment("soon") is None


# ---------------------------------------------------------------- queries


def test_labels_are_quoted_and_a_tilde_makes_an_expression() -> None:
    assert selector({"job": 'a"b\\', "pod": "~x-.*"}) == 'job="a\\"b\\\\",pod=~"x-.*"'
    with pytest.raises(Invalid, match="no name of a label"):
        selector({"a-b": "x"})


def test_own_queries_go_before_those_of_the_kind() -> None:
    found = filled(Service(name="x", kind="bentoml", labels={"a": "b"}, queries={"p99": "q{$labels}[$range]"}), 120_000)
    assert found["p99"] == 'q{a="b"}[120s]'
    assert set(found) == {"requests", "p99"}
    assert found["requests"].startswith("sum by (service_version, http_response_code)")
    with pytest.raises(Invalid, match="there are console, http, bentoml"):
        filled(Service(name="x", kind="tomcat"), 60_000)
