"""The agent's part of services that a metrics store measures: their windows are kept like those of its own servers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from backends.contract import Backend, BackendError, Invalid, MetricSource, all_pages
from backends.entities import Millis, Monitor
from backends.local.run_folder import write_whole
from console.agent.retry import Backoff
from console.config import load_config
from console.monitoring.alarms.service_review import review_service
from console.services.following import STATE, Fetched, Followed, Wanted, fetch, keep, looked, pause_of, wanted
from console.services.source import Known, known_services, open_source
from console.services.table import MetricsTable

PLAN_S = 15.0
"""So often it is looked what the configuration says, and what is due."""


class MetricWindows:
    """Asks in a thread of its own, so that a store that does not answer holds up nothing; keeps in the agent's."""

    def __init__(self, backend: Backend, workspace: Path, say: Callable[[str], None]) -> None:
        self._backend = backend
        self._workspace = workspace
        self._say = say
        self._table: MetricsTable | None = None
        self._source: MetricSource | None = None
        self._asked_at: dict[str, float] = {}
        self._asked_until: dict[str, Millis] = {}
        self._plan_at = 0.0
        self._work: threading.Thread | None = None
        self._found: list[Fetched] = []
        self._broken: BackendError | None = None
        self._backoff = Backoff(first=5.0, longest=300.0)
        self._said: dict[str, str] = {}
        self._state: dict[str, str] = {}

    @property
    def patience(self) -> float | None:
        """Seconds until it has to be looked at though nothing changed; None where no store is named."""
        if self._work is not None:
            return 0.2
        return max(0.2, self._plan_at - time.monotonic()) if self._source is not None else None

    def step(self) -> None:
        if self._work is not None:
            if self._work.is_alive():
                return
            self._work = None
            self._keep()
        at = time.monotonic()
        if at < self._plan_at or not self._backoff.due or self._backend.monitors is None:
            return
        self._plan_at = at + PLAN_S
        self._open()
        if self._source is None or self._table is None:
            return
        plan = self._plan(self._table, at)
        if plan:
            self._work = threading.Thread(target=self._ask, args=(self._source, plan), name="metrics", daemon=True)
            self._work.start()

    def close(self) -> None:
        if self._source is not None:
            self._source.close()

    def _open(self) -> None:
        table = metrics_table(self._workspace)
        if table == self._table:
            return
        self.close()
        self._table, self._source, self._asked_at, self._state = table, None, {}, {}
        if table is None:
            (self._workspace / STATE).unlink(missing_ok=True)
            return
        try:
            self._source = open_source(table)
        except (Invalid, ValueError) as error:
            self._tell(table.url, str(error))

    def _plan(self, table: MetricsTable, at: float) -> list[Wanted]:
        store = self._backend.need("monitors")
        monitors: tuple[Monitor, ...] = tuple(all_pages(lambda at: store.page(at=at, limit=500)))
        now = _now()
        seen = looked(self._workspace, now)
        plan = []
        for known in known_services(self._backend, table):
            last = self._asked_at.get(known.service.name)
            pause = pause_of(known, monitors, looked=seen)
            if not known.sources or (last is not None and at - last < pause):
                continue
            self._asked_at[known.service.name] = at
            want = wanted(self._backend, known, now)
            if want is not None and (want := self._unasked(want)) is not None:
                plan.append(want)
        return plan

    def _unasked(self, want: Wanted) -> Wanted | None:
        """A gap is asked for once: what the store did not see either stays one."""
        if not want.known.own:
            return want
        name = want.known.service.name
        upto = self._asked_until.get(name, 0)
        gaps = tuple((max(since, upto), until) for since, until in want.gaps if until > upto)
        if not gaps:
            return None
        self._asked_until[name] = gaps[-1][1]
        return msgspec.structs.replace(want, gaps=gaps)

    def _ask(self, source: MetricSource, plan: list[Wanted]) -> None:
        now = _now()
        for want in plan:
            try:
                self._found.append(fetch(source, want, now))
            except BackendError as error:
                self._broken = error
                return
            except Exception as error:  # a thread's end that nobody hears of
                self._found.append(Fetched(known=want.known, trouble=f"{type(error).__name__}: {error}"))

    def _keep(self) -> None:
        found, self._found = self._found, []
        broken, self._broken = self._broken, None
        for fetched in found:
            if keep(self._backend, fetched):
                self._review(fetched.known)
            self._complain(fetched.known.service.name, fetched.trouble)
        where = self._source.where() if self._source is not None else ""
        if broken is not None:
            pause = self._backoff.failed()
            self._asked_at, self._asked_until = {}, {}  # whatever was wanted still is
            self._plan_at = time.monotonic() + pause
            self._complain("the store", f"{broken}")
            self._tell(where, str(broken))
            return
        self._backoff.succeeded()
        self._complain("the store", "")
        self._state |= {each.known.service.name: each.trouble for each in found}
        self._tell(where, "")

    def _review(self, known: Known) -> None:
        for source in known.sources:
            for monitor in review_service(self._backend, source):
                self._say(f"monitor {monitor}: what {known.service.name} does changed its alerts")

    def _complain(self, what: str, trouble: str) -> None:
        """Once, and once more when it is over."""
        before = self._said.get(what, "")
        if trouble and not before:
            self._say(f"metrics of {what}: {trouble}")
        elif before and not trouble:
            self._say(f"metrics of {what} are read again")
        self._said[what] = trouble

    def _tell(self, where: str, trouble: str) -> None:
        told = Followed(where=where, at=_now(), trouble=trouble, services=self._state)
        write_whole(self._workspace / STATE, msgspec.json.encode(told))


def metrics_table(workspace: Path) -> MetricsTable | None:
    """What the context says that works on this directory, unless it is read-only."""
    for context in load_config().contexts.values():
        directory = context.directory
        if directory is not None and directory.expanduser().absolute() == workspace.absolute():
            table = context.metrics_table
            if table is not None and not context.read_only:
                return table
    return None


def _now() -> Millis:
    return time.time_ns() // 1_000_000
