"""Prometheus as a `MetricSource`."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any, Final

from backends.contract import BackendError, Invalid, Refused, Unreachable, Unsupported
from backends.entities import Asked, Exemplar, Millis, Scrape, Service, ServiceWindow, SourceAlert, SourceInfo
from backends.login import Login
from backends.prometheus.answers import Series, moment, number, series_of
from backends.prometheus.names import filled, kind_of, selector, status_labels
from backends.prometheus.sending import Sender
from backends.prometheus.windows import windows_of

MINUTE: Final[Millis] = 60_000
LENGTHS: Final = (1, 2, 5, 10, 15, 30, 60)
"""Minutes; each is a part of an hour."""
STEPS: Final = 30
"""Windows that one question asks for: with 2 000 series behind a histogram such a question takes a second or two."""
LENGTH_KEPT_S: Final = 3_600.0
PROBE_S: Final = 600
"""So far back samples are looked for, to see how far they are apart."""


def open_prometheus(url: str, login: Login, options: Mapping[str, str]) -> Prometheus:
    """Nothing is sent before something is asked. Invalid for a wrong address or option."""
    return Prometheus(url, login=login, options=options)


class Prometheus:
    """One server. Safe to use from several threads."""

    def __init__(self, url: str, *, login: Login, options: Mapping[str, str]) -> None:
        self._sender = Sender(url, login=login, options=options)
        self._lengths: dict[str, tuple[Millis, float]] = {}

    @property
    def requests(self) -> int:
        """That were sent so far."""
        return self._sender.sent

    def where(self) -> str:
        return self._sender.where

    def close(self) -> None:
        self._sender.close()

    # ------------------------------------------------------------ what it is

    def info(self) -> SourceInfo:
        try:
            said = self._sender.ask("status/buildinfo")
        except Unsupported:
            # An older one, or a proxy that lets questions alone through: then a question tells.
            self._sender.ask("query", [("query", "1")])
            return SourceInfo(product="a server that speaks Prometheus")
        found = said if isinstance(said, dict) else {}
        product = str(found.get("application") or "Prometheus")
        return SourceInfo(product=product, version=str(found.get("version", "")))

    # ------------------------------------------------------------ figures

    def length(self, service: Service) -> Millis:
        every = service.every
        if not every:
            kept = self._lengths.get(service.name)
            if kept is not None and time.monotonic() < kept[1]:
                return kept[0]
            every = self._apart(service) or 0.0
        wanted = max(2 * every / 60, 1.0)
        found = next((each for each in LENGTHS if each >= wanted - 0.01), LENGTHS[-1]) * MINUTE
        if every:
            self._lengths[service.name] = found, time.monotonic() + LENGTH_KEPT_S
        return found

    def _apart(self, service: Service) -> float | None:
        """Seconds between two samples of one of its series, by the samples themselves: no setting tells it in every
        kind of store."""
        metric = kind_of(service).requests
        if "requests" in service.queries:
            return None
        chosen = f"{metric}{{{selector(service.labels)}}}"
        one = self._instant(f"topk(1, count_over_time({chosen}[{PROBE_S}s]))")
        if not one:
            return None
        exact = ",".join(f"{name}={_quoted(value)}" for name, value in one[0].labels.items() if name != "__name__")
        raw = self._instant(f"{metric}{{{exact}}}[{PROBE_S}s]")
        at = sorted(raw[0].samples) if raw else []
        return median(after - before for before, after in pairwise(at)) / 1000 if len(at) > 1 else None

    def windows(
        self, service: Service, *, since: Millis, until: Millis, length: Millis, source: str = ""
    ) -> tuple[ServiceWindow, ...]:
        ends = list(range(since + length, until + 1, length))
        found: list[ServiceWindow] = []
        for first in range(0, len(ends), STEPS):
            part = ends[first : first + STEPS]
            series = {
                quantity: self._range(query, part, length, service, quantity)
                for quantity, query in filled(service, length).items()
            }
            found += windows_of(service, series, part, length, source)
        return tuple(found)

    def _range(
        self, query: str, ends: Sequence[Millis], length: Millis, service: Service, quantity: str
    ) -> tuple[Series, ...]:
        params = [
            ("query", query),
            ("start", _seconds(ends[0])),
            ("end", _seconds(ends[-1])),
            ("step", _seconds(length)),
        ]
        try:
            return series_of(self._sender.ask("query_range", params))
        except (Invalid, Refused) as error:
            kind = type(error)
            raise kind(f"service {service.name}, {quantity}: {error}") from None

    def _instant(self, query: str, at: Millis | None = None) -> tuple[Series, ...]:
        params = [("query", query)]
        if at is not None:
            params.append(("time", _seconds(at)))
        return series_of(self._sender.ask("query", params))

    # ------------------------------------------------------------ why there is none

    def examine(self, service: Service) -> tuple[Asked, ...]:
        found = []
        for quantity, query in filled(service, self.length(service)).items():
            try:
                series = [each for each in self._instant(query) if each.samples]
            except Unreachable:
                raise
            except BackendError as error:
                found.append(Asked(quantity=quantity, query=query, trouble=str(error)))
            else:
                warned = self._sender.warned
                found.append(Asked(quantity=quantity, query=query, series=len(series), trouble=warned))
        return tuple(found)

    def names(self, service: Service) -> tuple[str, ...]:
        chosen = selector(service.labels)
        if not chosen:
            return ()
        params = [("match[]", f"{{{chosen}}}"), ("start", _seconds(_now() - 10 * MINUTE)), ("end", _seconds(_now()))]
        said = self._sender.ask("label/__name__/values", params)
        return tuple(str(each) for each in said[:500]) if isinstance(said, list) else ()

    def scrapes(self, service: Service) -> tuple[Scrape, ...]:
        try:
            said = self._sender.ask("targets", [("state", "active")])
        except (Unsupported, Invalid, Refused):
            return ()  # one that others bring their samples to
        active = said.get("activeTargets", []) if isinstance(said, dict) else []
        found = []
        for each in active if isinstance(active, list) else []:
            labels = each.get("labels", {}) if isinstance(each, dict) else {}
            if _within(service.labels, labels):
                found.append(
                    Scrape(
                        place=str(each.get("scrapeUrl") or labels.get("instance", "")),
                        up=each.get("health") == "up",
                        trouble=str(each.get("lastError", "")),
                        at=moment(each.get("lastScrape")),
                        every=_duration(str(each.get("scrapeInterval", ""))),
                    )
                )
        return tuple(found)

    # ------------------------------------------------------------ what fires, and what failed

    def alerts(self) -> tuple[SourceAlert, ...]:
        said = self._sender.ask("alerts")
        active = said.get("alerts", []) if isinstance(said, dict) else []
        found = [_alert(each) for each in active if isinstance(each, dict)] if isinstance(active, list) else []
        return tuple(sorted(found, key=lambda alert: (alert.since or 0, alert.id)))

    def failures(self, service: Service, *, since: Millis, until: Millis) -> tuple[Exemplar, ...]:
        kind = kind_of(service)
        found: dict[tuple[Millis, str], Exemplar] = {}
        own = selector(service.labels)
        for label in status_labels(service):
            query = f"{kind.requests}{{{', '.join(filter(None, (own, f'{label}=~{_quoted(service.failed)}')))}}}"
            params = [("query", query), ("start", _seconds(since)), ("end", _seconds(until))]
            try:
                said = self._sender.ask("query_exemplars", params)
            except (Unsupported, Refused):
                return ()
            for each in _exemplars(said):
                found[each.at, repr(sorted(each.labels.items()))] = each
        return tuple(sorted(found.values(), key=lambda each: -each.at))


def _alert(said: dict[str, Any]) -> SourceAlert:
    labels = _texts(said.get("labels"))
    notes = _texts(said.get("annotations"))
    return SourceAlert(
        name=labels.pop("alertname", "") or "an alert without a name",
        state=str(said.get("state", "")) or "firing",
        severity=labels.get("severity", ""),
        since=moment(said.get("activeAt")),
        text=notes.get("summary") or notes.get("message") or notes.get("description") or "",
        labels=labels,
        value=number(said.get("value")),
    )


def _exemplars(said: Any) -> list[Exemplar]:
    found = []
    for series in said if isinstance(said, list) else []:
        if not isinstance(series, dict):
            continue
        labels = _texts(series.get("seriesLabels"))
        for each in series.get("exemplars") or []:
            at = number(each.get("timestamp")) if isinstance(each, dict) else None
            if at is not None:
                found.append(
                    Exemplar(
                        at=round(at * 1000),
                        labels=_texts(each.get("labels")),
                        series=labels,
                        value=number(each.get("value")),
                    )
                )
    return found


def _within(wanted: Mapping[str, str], labels: Mapping[str, Any]) -> bool:
    """Whether a target may be the service's: what is said of both agrees. Labels that samples bring themselves are
    none of a target's, so those that a target lacks tell nothing; but one of them has to agree."""
    agreed = False
    for name, value in wanted.items():
        have = labels.get(name)
        if have is None:
            continue
        try:
            same = re.fullmatch(value[1:], str(have)) is not None if value.startswith("~") else value == have
        except re.error:
            same = False
        if not same:
            return False
        agreed = True
    return agreed


def _texts(said: Any) -> dict[str, str]:
    return {str(key): str(value) for key, value in said.items()} if isinstance(said, dict) else {}


def _duration(said: str) -> float | None:
    """`1m30s` in seconds."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
    parts = re.findall(r"(\d+)(ms|[smhd])", said)
    return sum(int(count) * units[unit] for count, unit in parts) if parts else None


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _seconds(ms: Millis) -> str:
    return f"{ms / 1000:.3f}".rstrip("0").rstrip(".")


def _now() -> Millis:
    return time.time_ns() // 1_000_000
