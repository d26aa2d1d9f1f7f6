"""Pages of runs of an MLflow server: its own newest-first pages where they are what is meant, else a bounded part of
its runs, filtered and sorted here, with a word about how far it reaches.

A server on SQLite takes minutes to sort a hundred thousand runs by a metric, and goes on when nobody waits any more:
it is never asked to.
"""

from __future__ import annotations

import base64
import time
from typing import Any, Final

import msgspec

from backends.contract import END, START, Count, Invalid, NotFound, Page, Unsupported
from backends.entities import Run
from backends.listing import cut
from backends.mlflow import decode
from backends.mlflow.client_experiments import MlflowExperiments
from backends.mlflow.client_room import Room
from backends.mlflow.compile_filter import Compiled, compile_filter, status_alternatives
from backends.query import Key, Order, Query, select
from backends.query_nodes import asks

SORTED: Final = 3_000
"""So many runs are fetched whole to be sorted or filtered here; of more, the newest `NEWEST`."""
NEWEST: Final = 1_000
PIECE: Final = 500
_STEPS: Final = 40
"""Pages that are gone through to come to a far one, on a server that knows no row numbers."""
_KEPT_S: Final = 30.0
_KEPT: Final = 8
_DELETED: Final = Key("attribute", "deleted")
_NEWEST_FIRST: Final = tuple((Order(Key("attribute", name), descending=True),) for name in ("created", "started"))
"""Orders that are the server's own."""


class Held(msgspec.Struct):
    """A list that was worked out here."""

    at: float
    changes: object
    runs: list[Run]
    note: str


class RunPages:
    """Lists of runs."""

    def __init__(self, room: Room, experiments: MlflowExperiments) -> None:
        self._room = room
        self._experiments = experiments
        self._held: dict[tuple[Query, bool], Held] = {}
        self._tokens: dict[object, tuple[float, object, dict[int, str]]] = {}

    # ------------------------------------------------------------ pages

    def page(self, query: Query, at: str, limit: int, deleted: bool) -> Page[Run]:
        if query.order in _NEWEST_FIRST:
            query = msgspec.structs.replace(query, order=())
        compiled = compile_filter(query.where)
        if not query.order and compiled.exact:
            return self._plain(compiled, at, limit, deleted)
        alternatives = () if query.order or at != START else status_alternatives(query.where)
        if alternatives:
            return self._merged(alternatives, limit, deleted)
        held = self._worked_out(query, compiled, deleted)
        page = cut(held.runs, at, limit, name=lambda run: run.id)
        return msgspec.structs.replace(page, note=held.note)

    def _merged(self, alternatives: tuple[Compiled, ...], limit: int, deleted: bool) -> Page[Run]:
        """The newest of several questions; the pages after it are worked out here."""
        found: list[Run] = []
        more = False
        for each in alternatives:
            runs, further = self.fetch(each, 0, limit, deleted)
            found += runs
            more = more or further
        found.sort(key=lambda run: run.created_at, reverse=True)
        more = more or len(found) > limit
        items = tuple(found[:limit])
        return Page(items=items, next=f">{len(items)}~{items[-1].id}" if more and items else None, first=0)

    def _plain(self, compiled: Compiled, at: str, limit: int, deleted: bool) -> Page[Run]:
        """The server's own page, at a row number."""
        first = self._first(compiled, at, limit, deleted)
        anchor = at.partition("~")[2] if at[:1] == "o" else ""
        if anchor:
            runs, more, first = self._after(compiled, anchor, first, limit, deleted)
        else:
            most = min(limit, int(at[1:])) if at[:1] == "p" else limit
            runs, more = self.fetch(compiled, first, most, deleted)
            more = more or at[:1] == "p"
        return Page(
            items=tuple(runs),
            next=f"o{first + len(runs)}~{runs[-1].id}" if more and runs else None,
            previous=f"p{first}" if first > 0 and runs else None,
            first=first,
        )

    def _after(
        self, compiled: Compiled, anchor: str, first: int, limit: int, deleted: bool
    ) -> tuple[list[Run], bool, int]:
        """What follows the run that the page before ended with: runs that came meanwhile have moved it down."""
        runs, more = self.fetch(compiled, max(0, first - 1), limit + 1, deleted)
        place = next((row for row, run in enumerate(runs) if run.id == anchor), None)
        if place is None:  # it is gone, or a crowd has come: go on from where it was
            return runs[1:], more, first
        found = runs[place + 1 :]
        begin = max(0, first - 1) + place + 1
        if place and more:
            rest, more = self.fetch(compiled, begin + len(found), limit - len(found), deleted)
            found += rest
        return found, more, begin

    def _first(self, compiled: Compiled, at: str, limit: int, deleted: bool) -> int:
        if at == START:
            return 0
        if at == END:
            return max(0, self.size(compiled, deleted, 10**7) - limit)
        number = at[1:].partition("~")[0]
        if not (number.isascii() and number.isdigit() and len(number) < 12) or at[0] not in "op#":
            raise Invalid(f"{at!r} is no cursor of this list; start again from the first page.", "at")
        return max(0, int(number) - limit) if at[0] == "p" else int(number)

    def _worked_out(self, query: Query, compiled: Compiled, deleted: bool) -> Held:
        """Fetched, filtered and sorted here; kept for half a minute, since it costs the server something."""
        key, changes = (query, deleted), self._room.changes
        held = self._held.get(key)
        if held is not None and held.changes == changes and time.monotonic() - held.at < _KEPT_S:
            return held
        either = query.where is not None and asks(query.where, _DELETED)
        large = self._more_than(compiled, SORTED, deleted, either)
        most = NEWEST if large else SORTED
        runs: list[Run] = []
        more = True
        while more and len(runs) < most:
            piece, more = self.fetch(compiled, len(runs), min(PIECE, most - len(runs)), deleted, either)
            runs += piece
        found = select(query, runs)
        what = "sorted" if query.order else "looked through"
        note = f"only the newest {most:,} runs, {what} here".replace(",", "\u2009") if large else ""
        if len(self._held) >= _KEPT:
            self._held.clear()
        self._held[key] = Held(time.monotonic(), changes, found, note)
        return self._held[key]

    # ------------------------------------------------------------ counting

    def count(self, query: Query, limit: int, deleted: bool) -> Count:
        compiled = compile_filter(query.where)
        if compiled.exact:
            found = self.size(compiled, deleted, limit)
            return Count(value=min(found, limit), exact=found <= limit)
        held = self._worked_out(Query(where=query.where), compiled, deleted)
        return Count(value=min(len(held.runs), limit), exact=not held.note and len(held.runs) <= limit)

    def size(self, compiled: Compiled, deleted: bool, limit: int) -> int:
        """How many the server would give, found by halving: each question asks for one run at a row number. Past the
        limit, the limit and one."""
        if self._more_than(compiled, limit, deleted):
            return limit + 1
        low, high = 0, 64
        while high < limit and self._more_than(compiled, high, deleted):
            low, high = high, high * 4
        high = min(high, limit)
        while low < high:
            middle = (low + high) // 2
            if self._more_than(compiled, middle, deleted):
                low = middle + 1
            else:
                high = middle
        return low

    def _more_than(self, compiled: Compiled, rows: int, deleted: bool, either: bool = False) -> bool:
        return bool(self.fetch(compiled, rows, 1, deleted, either)[0])

    # ------------------------------------------------------------ asking

    def fetch(
        self, compiled: Compiled, first: int, limit: int, deleted: bool, either: bool = False
    ) -> tuple[list[Run], bool]:
        """(runs from a row on, whether there are more), newest first."""
        known = self._experiments.ids(compiled.experiments, deleted=None if deleted or either else False)
        if not known:
            known = self._experiments.ids(compiled.experiments, deleted=None)
            if not known:
                return [], False
        body: dict[str, Any] = {
            "experiment_ids": known,
            "max_results": limit,
            "run_view_type": "ALL" if either else "DELETED_ONLY" if deleted else "ACTIVE_ONLY",
        }
        if compiled.text:
            body["filter"] = compiled.text
        token = self._token(body, first) if first else ""
        if token is None:
            return [], False
        if token:
            body["page_token"] = token
        found = self._room.transport.search("runs/search", body)
        self._note_token(body, first + len(found.get("runs", ())), found)
        return [self.run(each) for each in found.get("runs", ())], bool(found.get("next_page_token"))

    def _token(self, body: dict[str, Any], first: int) -> str | None:
        """By which the page from a row on is asked for; None where the list ends before it."""
        server = self._room.transport.server
        if server.own:
            return f"#{first}"
        if not self._room.transport.flavour.offsets:
            return self._walked(body, first)
        return base64.b64encode(msgspec.json.encode({"offset": first})).decode()

    def _walked(self, body: dict[str, Any], first: int) -> str | None:
        """Such a server tells only how the page after this one is asked for: go there from the nearest known row."""
        known = self._known(body)
        for _ in range(_STEPS):
            row = max((each for each in known if each <= first), default=0)
            if row == first:
                return known[row]
            asked = body | {"max_results": min(PIECE, first - row)} | ({"page_token": known[row]} if row else {})
            found = self._room.transport.search("runs/search", asked)
            came = len(found.get("runs", ()))
            if not came or not found.get("next_page_token"):
                return None
            self._note_token(body, row + came, found)
        raise Unsupported(
            f"this server's pages can only be read one after the other, and row {first:,} is too far; narrow the filter"
        )

    def _known(self, body: dict[str, Any]) -> dict[int, str]:
        """Row → token, of one list; for half a minute, or until we change something."""
        key = (tuple(body["experiment_ids"]), body.get("filter", ""), body["run_view_type"])
        at, changes, rows = self._tokens.get(key, (0.0, None, {}))
        if changes != self._room.changes or time.monotonic() - at > _KEPT_S:
            if len(self._tokens) >= _KEPT:
                self._tokens.clear()
            rows = {}
            self._tokens[key] = (time.monotonic(), self._room.changes, rows)
        return rows

    def _note_token(self, body: dict[str, Any], row: int, found: dict[str, Any]) -> None:
        if not self._room.transport.flavour.offsets and (token := found.get("next_page_token")):
            self._known(body)[row] = str(token)

    def run(self, found: dict[str, Any]) -> Run:
        return decode.run(found, self._experiments.name_of(str(found.get("info", {}).get("experiment_id", ""))))

    def by_prefix(self, run: str) -> Run:
        """By the beginning of an id."""
        body = {
            "experiment_ids": self._experiments.ids(deleted=None),
            "filter": f"attributes.run_id LIKE '{run}%'",
            "max_results": 2,
            "run_view_type": "ALL",
        }
        found = self._room.transport.search("runs/search", body, keep=False).get("runs", ())
        if len(found) > 1:
            ids = ", ".join(each["info"]["run_id"] for each in found)
            raise Invalid(f"several runs begin with {run}: {ids}, …; give more of the id.", "run")
        if not found:
            raise NotFound(f"run {run} is not there; give a run's id, or its first 4 characters or more.")
        return self.run(found[0])
