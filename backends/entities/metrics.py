"""What a metrics store outside the console knows of services: how to ask for it, what it says of itself, what fires."""

from __future__ import annotations

from typing import Final

from backends.entities.record import Millis, Record

QUANTITIES: Final = ("requests", "errors", "times", "p50", "p95", "p99", "cpu", "memory")
"""What is asked of a service. `times` are cumulative buckets; the others are as in `ServiceWindow`."""


class Service(Record, frozen=True, kw_only=True):
    """Something that answers requests, and how its figures are found in a metrics store."""

    name: str
    kind: str = "console"
    """Whose names its figures go by: a set of default queries that the adapter knows."""
    labels: dict[str, str] = {}
    """What its series are told apart by; a value that begins with `~` is a regular expression."""
    queries: dict[str, str] = {}
    """Quantity → query in the store's own language, in place of the default; an empty one is not asked. `$labels`
    stands for the labels, `$range` for the length of a window."""
    version_label: str = "version"
    status_labels: tuple[str, ...] = ()
    """Where the status of an answer is; empty for those of the kind."""
    failed: str = "[45].."
    """Regular expression of the statuses that are errors, held against the whole status."""
    every: float = 0.0
    """Seconds between two samples; 0 to find out."""


class SourceInfo(Record, frozen=True, kw_only=True):
    """What a metrics store says of itself."""

    product: str
    version: str = ""


class Asked(Record, frozen=True, kw_only=True):
    """One question for a service's figures, and what came of it."""

    quantity: str
    query: str
    series: int = 0
    """That it gave; none is no data, which is not zero."""
    trouble: str = ""
    """Why it gave none, where that is no lack of data; or a warning that came with the answer."""


class Scrape(Record, frozen=True, kw_only=True):
    """A place that the store takes samples from."""

    place: str
    up: bool
    trouble: str = ""
    at: Millis | None = None
    every: float | None = None
    """Seconds."""


class SourceAlert(Record, frozen=True, kw_only=True):
    """An alert of the store's own rules. It is read only: whoever wrote the rule answers it there."""

    name: str
    state: str
    """`firing`, or `pending` until it has lasted as long as its rule wants."""
    severity: str = ""
    since: Millis | None = None
    text: str = ""
    labels: dict[str, str] = {}
    value: float | None = None

    @property
    def id(self) -> str:
        return f"{self.name} " + ",".join(f"{key}={value}" for key, value in sorted(self.labels.items()))


class Exemplar(Record, frozen=True, kw_only=True):
    """One request that a store kept beside a count, by which its trace is found."""

    at: Millis
    labels: dict[str, str] = {}
    """`trace_id` and the like."""
    series: dict[str, str] = {}
    value: float | None = None
