"""Where monitors, windows and alerts are kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Protocol

from backends.contract.mutation import Mutation
from backends.contract.paging import START, Page
from backends.entities import Alert, Delivery, Holding, Millis, Monitor, Mute, ServiceWindow, Window

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
        shortest: Millis = 0,
    ) -> tuple[Window, ...]:
        """Oldest first; the newest `limit` of them that last `shortest` ms at least."""
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

    def batches(self, monitor: str, *, among: Collection[str] | None = None) -> frozenset[str]:
        """Which batches were added already; of those named, without reading all."""
        ...

    def crowded(
        self, monitor: str, *, length: Millis, until: Millis, limit: int = 100_000
    ) -> tuple[tuple[Millis, int], ...]:
        """The stretches of `length` ms (counted from 1970, UTC) that have ended by `until` and hold more than one
        shorter window of the whole: the start of each, and how many it holds, oldest first."""
        ...

    def begun(
        self, monitor: str, *, length: Millis, offset: Millis = 0, since: Millis, until: Millis, segment: str = ""
    ) -> tuple[Millis, ...]:
        """Starts of the stretches of `length` ms (counted from 1970, UTC, less `offset`) in which a window begins that
        starts between two times, oldest first. Cheap however many there are."""
        ...

    def kept_segments(self, monitor: str) -> tuple[str, ...]:
        """Of which segments there are windows, whether they are counted on or not."""
        ...

    def replace_windows(self, monitor: str, gone: Sequence[tuple[str, Millis]], made: Sequence[Window]) -> None:
        """Put windows in place of others (segment, start), all or none. Conflict where one of them is not there;
        Invalid where the whole or a segment would hold more or fewer rows than before. What begins with `~` is made
        from others: it may be absent, or go without a successor."""
        ...

    def forget_windows(self, monitor: str, *, until: Millis, mutation: Mutation) -> int:
        """Let go of windows that ended by then, of the whole and of segments, with an entry in the journal; how many of
        the whole. The newest stays, and so do the rows that the monitor says to have counted."""
        ...

    def forget_batches(self, monitor: str, batches: Collection[str]) -> int:
        """Batches that need not be known again; how many were known."""
        ...

    def holdings(self, monitor: str) -> tuple[Holding, ...]:
        """What is stored of a monitor, by what it is."""
        ...

    def alerts(self, monitor: str = "", *, open_only: bool = False, limit: int = 200) -> tuple[Alert, ...]:
        """Newest first."""
        ...

    def put_alert(self, alert: Alert) -> None:
        """Make an alert or bring it up to date; what people said of it (note, taken, over) stays. What is to be told
        of the change goes into the outbox in the same transaction, unless a mute covers it."""
        ...

    def ack_alert(self, alert: str, mutation: Mutation) -> Alert:
        """A person takes it. NotFound where there is none, Conflict where it is taken or over already."""
        ...

    def unack_alert(self, alert: str, mutation: Mutation) -> Alert:
        """Give it back. Conflict where nobody has taken it."""
        ...

    def resolve_alert(self, alert: str, mutation: Mutation) -> Alert:
        """A person says that it is over. Conflict where it is already."""
        ...

    def mutes(self, monitor: str = "") -> tuple[Mute, ...]:
        """Those in force, the first to end first."""
        ...

    def mute(self, mute: Mute, mutation: Mutation) -> Mute:
        """Nobody is told of what it covers until it ends; one with the same monitor, rule and segment is replaced.
        Invalid where its end is past."""
        ...

    def unmute(self, monitor: str, rule: str, segment: str, mutation: Mutation) -> None:
        """End a mute early. NotFound where there is none in force."""
        ...

    def end_mutes(self, at: Millis) -> tuple[str, ...]:
        """Take away the mutes that ended by `at`, and put what is still open and was silenced into the outbox. The
        monitors they were about."""
        ...

    def deliveries(
        self, *, alert: str = "", states: tuple[str, ...] = (), after: int = 0, limit: int = 200
    ) -> tuple[Delivery, ...]:
        """The newest `limit` rows of the outbox after a place in it, oldest first."""
        ...

    def route_delivery(self, events: tuple[str, ...], to: tuple[Delivery, ...]) -> None:
        """Hand events to channels in one transaction; those handed over before are left alone, and so is a delivery
        that is there."""
        ...

    def put_delivery(self, delivery: Delivery) -> None:
        """Add a delivery, or write down how one went."""
        ...

    def note_alert(self, alert: str, note: str, mutation: Mutation) -> Alert:
        """Write a note on an alert in any state. NotFound where there is none."""
        ...

    def add_service(self, window: ServiceWindow) -> None:
        """Keep how a service answered; a window with the same source and start is replaced. Within a longer one, that
        it would have been merged into, it is passed over."""
        ...

    def services(
        self, source: str, *, since: Millis | None = None, until: Millis | None = None, limit: int = 1000
    ) -> tuple[ServiceWindow, ...]:
        """Oldest first; the newest `limit` of those that start from `since` on and before `until`. Empty for a source
        that nothing is known of."""
        ...

    def service_sources(self) -> tuple[tuple[str, Millis], ...]:
        """Whose service windows are kept, each with the start of its newest."""
        ...

    def compact_services(self, source: str, *, length: Millis, until: Millis, limit: int = 24) -> int:
        """Merge the shorter windows of a source by stretches of `length` ms that ended by then, at most `limit`
        stretches, the oldest; how many stretches."""
        ...

    def forget_services(self, source: str, *, until: Millis) -> int:
        """Let go of the service windows that ended by then; how many."""
        ...
