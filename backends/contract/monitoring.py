"""Where monitors, windows and alerts are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from backends.contract.mutation import Mutation
from backends.contract.paging import START, Page
from backends.entities import Alert, Millis, Monitor, ServiceWindow, Window

if TYPE_CHECKING:
    from backends.query import Query


class MonitorStore(Protocol):
    """Monitors, their windows and their alerts."""

    def page(self, query: Query | None = None, *, at: str = START, limit: int = 100) -> Page[Monitor]: ...

    def get(self, name: str) -> Monitor: ...

    def put(self, monitor: Monitor, mutation: Mutation) -> Monitor:
        """Make or change a monitor's definition."""
        ...

    def delete(self, name: str, mutation: Mutation) -> None: ...

    def add_window(self, window: Window, *, batch: str = "") -> bool:
        """Keep a window; one with the same monitor, start and segment is replaced. `batch` (a file's sha256 or the
        like) makes it idempotent: False when this batch was added before."""
        ...

    def windows(
        self,
        monitor: str,
        *,
        since: Millis | None = None,
        until: Millis | None = None,
        limit: int = 1000,
        segment: str = "",
    ) -> tuple[Window, ...]:
        """Oldest first; the newest `limit` of them."""
        ...

    def overlapping(self, monitor: str, *, since: Millis, until: Millis, segment: str = "") -> tuple[Window, ...]:
        """Windows of at most a day that share a moment with `since` to before `until`, oldest first."""
        ...

    def extent(self, monitor: str, *, segment: str = "") -> tuple[Millis, Millis] | None:
        """Starts of the first and the last window of a segment; None where it has none. Cheap however many there
        are."""
        ...

    def add_batch(self, monitor: str, batch: str) -> bool:
        """Note down a batch that reached no window. False when it was added before."""
        ...

    def batches(self, monitor: str) -> frozenset[str]:
        """Which batches were added already."""
        ...

    def alerts(self, monitor: str = "", *, open_only: bool = False, limit: int = 200) -> tuple[Alert, ...]:
        """Newest first."""
        ...

    def put_alert(self, alert: Alert) -> None:
        """Make an alert or bring it up to date; a note on it stays."""
        ...

    def ack_alert(self, alert: str, mutation: Mutation) -> Alert: ...

    def note_alert(self, alert: str, note: str, mutation: Mutation) -> Alert:
        """Write a note on an alert in any state. NotFound where there is none."""
        ...

    def add_service(self, window: ServiceWindow) -> None:
        """Keep how a service answered; a window with the same source and start is replaced."""
        ...

    def services(
        self, source: str, *, since: Millis | None = None, until: Millis | None = None, limit: int = 1000
    ) -> tuple[ServiceWindow, ...]:
        """Oldest first; the newest `limit` of those that start from `since` on and before `until`. Empty for a source
        that nothing is known of."""
        ...
