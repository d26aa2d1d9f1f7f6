"""Where figures of services are read that the console does not count itself. It is only read."""

from __future__ import annotations

from typing import Protocol

from backends.entities import Asked, Exemplar, Millis, Scrape, Service, ServiceWindow, SourceAlert, SourceInfo


class MetricSource(Protocol):
    """A metrics store such as Prometheus. Each call is questions over the network, within the adapter's time limit;
    while the store is away the next call says so at once, and asks again after a pause that grows.

    What it holds no samples of is no data: None or nothing at all, never zero. NaN and infinities are no data either.
    """

    def where(self) -> str:
        """Its address, without a secret."""
        ...

    def info(self) -> SourceInfo:
        """What it is. Raises what keeps us from it, in words: Unreachable, Unauthorized, Unsupported."""
        ...

    def length(self, service: Service) -> Millis:
        """The shortest window in whole minutes that holds two samples of the service; a minute where nobody can
        tell."""
        ...

    def windows(
        self, service: Service, *, since: Millis, until: Millis, length: Millis, source: str = ""
    ) -> tuple[ServiceWindow, ...]:
        """Windows of `length` from `since` to `until`, oldest first; one that nothing is known of is left out.

        source: what they are kept under, the service's name where it is empty. Invalid, with the query, where a query
        cannot be read; Refused where it asks for too much.
        """
        ...

    def examine(self, service: Service) -> tuple[Asked, ...]:
        """Each query as it is asked, and how many series it gives now; a wrong query is told, not raised."""
        ...

    def names(self, service: Service) -> tuple[str, ...]:
        """Names of some series that have the service's labels, for whoever looks for the right ones."""
        ...

    def scrapes(self, service: Service) -> tuple[Scrape, ...]:
        """The places that its samples come from. Empty where the store does not take samples itself."""
        ...

    def alerts(self) -> tuple[SourceAlert, ...]:
        """Those that fire or are about to, the oldest first. Unsupported where it has no rules."""
        ...

    def failures(self, service: Service, *, since: Millis, until: Millis) -> tuple[Exemplar, ...]:
        """Exemplars of requests that failed, newest first. Empty where it keeps none."""
        ...

    def close(self) -> None: ...
