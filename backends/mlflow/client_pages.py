"""Pages of runs of an MLflow server: its own pages where they are what is meant, else a bounded part of its runs,
filtered and sorted here, with a word about how far it reaches.

What is asked is small: pages of at most a hundred rows, and of a list that was worked out here only what may have
changed since.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from backends.contract import END, START, Count, Invalid, NotFound, Page, Unsupported
from backends.entities import Run
from backends.listing import cut
from backends.mlflow import decode
from backends.mlflow.client_experiments import MlflowExperiments
from backends.mlflow.client_held import Held
from backends.mlflow.client_room import Room
from backends.mlflow.client_sorting import LIMIT_S, SLOW_S, Sorting
from backends.mlflow.compile_filter import Compiled, compile_filter
from backends.mlflow.seen import Seen
from backends.query import Key, Order, Query, select
from backends.query_nodes import asks
from backends.together import AT_ONCE, together

SORTED: Final = 3_000
"""So many runs are fetched whole to be sorted or filtered here; of more, the newest `NEWEST`."""
NEWEST: Final = 1_000
PIECE: Final = 100
"""Rows of one answer at most."""
HEAVY: Final = 180_000
"""Bytes that one page of a pane may have: of heavy runs it holds fewer."""
PANE: Final = 50
_STEPS: Final = 200
"""Pages that are gone through to come to a far one, on a server that knows no row numbers."""
_KEPT_S: Final = 30.0
_KEPT: Final = 8
_LAST: Final = 32
"""So many rows are read to be counted."""
_DELETED: Final = Key("attribute", "deleted")
_NEWEST_FIRST: Final = tuple((Order(Key("attribute", name), descending=True),) for name in ("created", "started"))
"""Orders that are the server's own."""


class RunPages:
    """Lists of runs."""

    def __init__(self, room: Room, experiments: MlflowExperiments) -> None:
        self._room = room
        self._experiments = experiments
        self._held: dict[tuple[Query, bool], Held] = {}
        self._tokens: dict[object, tuple[float, object, dict[int, str]]] = {}
        self._sorting = Sorting(room)
        self._sizes: dict[object, int] = {}
        """Runs of a list, as they were counted last."""
        self._weight = 0.0
        """Bytes of a run, of late."""
        self.seen = Seen()

    # ------------------------------------------------------------ pages

    def page(self, query: Query, at: str, limit: int, deleted: bool) -> Page[Run]:
        if query.order in _NEWEST_FIRST:
            query = msgspec.structs.replace(query, order=())
        if limit <= PANE:
            limit = self.fitting(HEAVY, limit) if limit > 5 else limit
        compiled = compile_filter(query.where)
        if not query.order and compiled.exact:
            return self._plain(compiled, at, limit, deleted)
        if not query.order and compiled.dense and (at == START or at[:1] in "st"):
            return self._sieved(query, compiled, at, limit, deleted)
        note = ""
        if compiled.exact and (order := _by_metric(query)):
            found = self._server_sorted(compiled, order, at, limit, deleted)
            if found is not None:
                return found
            note = "sorting all takes this server too long: "
            at = {"o": ">", "p": "<"}.get(at[:1], at[:1]) + at[1:]
        held = self._worked_out(query, compiled, deleted)
        page = cut(select(query, held.newest_first()), at, limit, name=lambda run: run.id)
        return msgspec.structs.replace(page, note=f"{note if held.note else ''}{held.note}")

    def _plain(self, compiled: Compiled, at: str, limit: int, deleted: bool, order: str = "") -> Page[Run]:
        """The server's own page, at a row number."""
        first = self._first(compiled, at, limit, deleted)
        anchor = at.partition("~")[2] if at[:1] == "o" else ""
        if anchor:
            runs, more, first = self._after(compiled, anchor, first, limit, deleted, order)
        else:
            most = min(limit, int(at[1:])) if at[:1] == "p" else limit
            runs, more = self.fetch(compiled, first, most, deleted, order=order)
            more = more or at[:1] == "p"
        return Page(
            items=tuple(runs),
            next=f"o{first + len(runs)}~{runs[-1].id}" if more and runs else None,
            previous=f"p{first}" if first > 0 and runs else None,
            first=first,
        )

    def _after(
        self, compiled: Compiled, anchor: str, first: int, limit: int, deleted: bool, order: str
    ) -> tuple[list[Run], bool, int]:
        """What follows the run that the page before ended with: runs that came meanwhile have moved it down."""
        runs, more = self.fetch(compiled, max(0, first - 1), limit + 1, deleted, order=order)
        place = next((row for row, run in enumerate(runs) if run.id == anchor), None)
        if place is None:  # it is gone, or a crowd has come: go on from where it was
            return runs[1:], more, first
        found = runs[place + 1 :]
        begin = max(0, first - 1) + place + 1
        if place and more:
            rest, more = self.fetch(compiled, begin + len(found), limit - len(found), deleted, order=order)
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

    def _sieved(self, query: Query, compiled: Compiled, at: str, limit: int, deleted: bool) -> Page[Run]:
        """Of the server's pages what is meant, which is most: cursors are row numbers of the server's list."""
        number = at[1:] or "0"
        if not (number.isascii() and number.isdigit()):
            raise Invalid(f"{at!r} is no cursor of this list; start again from the first page.", "at")
        last = int(number)
        first = max(0, last - limit) if at[:1] == "t" else last
        row, more, found = first, True, list[Run]()
        while more and len(found) < limit and row - first < 3 * PIECE:
            most = last - first if at[:1] == "t" else min(PIECE, limit + 10)
            runs, more = self.fetch(compiled, row, most, deleted)
            meant = {run.id for run in select(Query(where=query.where), runs)}
            for run in runs:
                if len(found) == limit:
                    more = True
                    break
                row += 1
                if run.id in meant:
                    found.append(run)
            if at[:1] == "t":
                break
        return Page(
            items=tuple(found),
            next=f"s{row}" if more or at[:1] == "t" else None,
            previous=f"t{first}" if first > 0 else None,
            first=0 if first == 0 else None,
        )

    def _server_sorted(self, compiled: Compiled, order: str, at: str, limit: int, deleted: bool) -> Page[Run] | None:
        """By a metric, of all runs, where the server can; None where it cannot in time."""
        if at[:1] in (">", "<"):
            return None  # the list began as one that was worked out here
        every = Compiled("", exact=True)

        def sorts(rows: int) -> float | None:
            if self.seen.newest(PIECE) is None:
                self.fetch(every, 0, PIECE, deleted=False)
            bounded = f"attributes.start_time >= {self.seen.newest(rows, fewer=True)}"
            narrow = compiled._replace(text=" and ".join(filter(None, (compiled.text, bounded))))
            began = time.monotonic()
            try:
                self.fetch(narrow, 0, 1, deleted, order=order)
            except TooSlow:
                return None
            return time.monotonic() - began

        what = f"{order} {compiled.text} {sorted(compiled.experiments or ())}"
        if not self._sorting.may(what, sorts, lambda rows: self._more_than(every, rows, deleted)):
            return None
        try:
            return self._plain(compiled, at, limit, deleted, order)
        except TooSlow:
            self._sorting.too_slow(what)
            return None

    # ------------------------------------------------------------ lists that are worked out here

    def _worked_out(self, query: Query, compiled: Compiled, deleted: bool) -> Held:
        """What is fetched to be filtered and sorted here. Once it is there, only what may have changed is asked for."""
        either = query.where is not None and asks(query.where, _DELETED)
        key = (msgspec.structs.replace(query, order=()), deleted)
        held = self._held.get(key)
        if held is None or held.old or not self._renewed(held, compiled, deleted, either):
            held = self._gathered(compiled, deleted, either)
            if len(self._held) >= _KEPT:
                self._held.clear()
            self._held[key] = held
        return held

    def _gathered(self, compiled: Compiled, deleted: bool, either: bool) -> Held:
        """The newest runs, by pieces; fewer of a server that takes long for each."""
        changes = self._room.changes
        runs: list[Run] = []
        more, most = True, 0
        pieces = self._pieces(compiled, deleted, either)
        while more and (not most or len(runs) < most):
            piece, more = next(pieces)
            runs += piece
            if more and not most and len(runs) >= AT_ONCE * PIECE:
                slow = self._room.transport.seconds > SLOW_S
                most = len(runs) if slow else NEWEST if self._more_than(compiled, SORTED, deleted, either) else SORTED
        if most and len(runs) > most:
            runs, more = runs[:most], True
        note = f"only the newest {len(runs):,} runs, looked through here".replace(",", "\u2009") if more else ""
        return Held(runs, note, changes)

    def _pieces(self, compiled: Compiled, deleted: bool, either: bool) -> Iterator[tuple[list[Run], bool]]:
        """Rounds of pieces that are asked for at once; the first piece alone tells whether there are others."""
        first, more = self.fetch(compiled, 0, PIECE, deleted, either)
        yield first, more
        row = len(first)
        # Without row numbers pages can only be read one after the other.
        rounds = AT_ONCE if self._room.transport.flavour.offsets else 1
        while True:
            calls = [partial(self.fetch, compiled, row + n * PIECE, PIECE, deleted, either) for n in range(rounds)]
            found = together(calls)
            row += rounds * PIECE
            yield [run for runs, _ in found for run in runs], found[-1][1]

    def _renewed(self, held: Held, compiled: Compiled, deleted: bool, either: bool) -> bool:
        """Look for what has come, ended or changed; False where only a whole look can tell."""
        changes = self._room.changes
        wanted = held.unsure(self._room.changed_runs)
        if held.fresh and held.changes == changes:
            return True

        def ask(some: Sequence[str]) -> tuple[list[Run], bool]:
            listed = ", ".join(f"'{run}'" for run in some)
            words = filter(None, (f"attributes.run_id IN ({listed})", compiled.text))
            return self.fetch(compiled._replace(text=" and ".join(words)), 0, PIECE, deleted, either)

        # Runs under way are mostly among the newest, and told of with them.
        apart = [run for run in wanted if run not in held.foremost]
        calls = [partial(self.fetch, compiled, 0, held.NEW, deleted, either)]
        (newest, more), *others = together([*calls, partial(ask, apart)] if apart else calls)
        told = {run.id for run in newest}
        found = others[0][0] if others else []
        if pushed_out := [run for run in wanted if run in held.foremost and run not in told]:
            found = [*found, *ask(pushed_out)[0]]
        return held.take(newest, more, wanted, found, changes)

    # ------------------------------------------------------------ counting

    def count(self, query: Query, limit: int, deleted: bool) -> Count:
        compiled = compile_filter(query.where)
        if compiled.exact:
            found = self.size(compiled, deleted, limit)
            return Count(value=min(found, limit), exact=found <= limit)
        held = self._worked_out(Query(where=query.where), compiled, deleted)
        found = len(select(Query(where=query.where), held.newest_first()))
        return Count(value=min(found, limit), exact=not held.note and found <= limit)

    def size(self, compiled: Compiled, deleted: bool, limit: int) -> int:
        """How many the server would give: it tells no number, only whether there is a run at a row. Several rows are
        asked for at once; where the number was known before, one question tells how many came. Past the limit, the
        limit and one."""
        of = (compiled.text, compiled.experiments, deleted)
        low, high = 0, None
        if known := self._sizes.get(of, 0):
            found, more = self.fetch(compiled, known - 1, _LAST, deleted)
            low, high = (known, None) if more else (known - 1 + len(found), known - 1 + len(found))
            if not found:
                low, high = 0, known - 1
        while high is None or high - low > _LAST:
            rows = self._rows_between(low, high, limit)
            there = together([partial(self._more_than, compiled, row, deleted) for row in rows])
            low = max([low, *(row + 1 for row, some in zip(rows, there, strict=True) if some)])
            if low > limit:
                return limit + 1
            high = min([row for row, some in zip(rows, there, strict=True) if not some], default=high)
        if high > low:
            low += len(self.fetch(compiled, low, high - low, deleted)[0])
        if len(self._sizes) >= _KEPT:
            self._sizes.clear()
        self._sizes[of] = low
        return min(low, limit + 1)

    def _rows_between(self, low: int, high: int | None, limit: int) -> list[int]:
        """Rows to ask for, where there are `low` runs at least and `high` at most: one where they can only be gone
        through one after the other."""
        number = AT_ONCE if self._room.transport.flavour.offsets else 1
        if high is None and number == 1:
            return [min(limit, max(low, _LAST) * 8)]
        if high is None:
            return sorted({min(limit, low + _LAST * 8**step) for step in range(1, number + 1)})
        return sorted({low + (high - low) * step // (number + 1) for step in range(1, number + 1)})

    def _more_than(self, compiled: Compiled, rows: int, deleted: bool, either: bool = False) -> bool:
        return bool(self.fetch(compiled, rows, 1, deleted, either)[0])

    # ------------------------------------------------------------ asking

    def fitting(self, size: int, most: int) -> int:
        """How many runs have so many bytes, going by those of late; 5 at least."""
        return most if not self._weight else max(5, min(most, int(size / self._weight)))

    def fetch(
        self, compiled: Compiled, first: int, limit: int, deleted: bool, either: bool = False, order: str = ""
    ) -> tuple[list[Run], bool]:
        """(runs from a row on, whether there are more), newest first or in the server's order."""
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
        if order:
            body["order_by"] = [order]
        token = self._token(body, first) if first else ""
        if token is None:
            return [], False
        if token:
            body["page_token"] = token
        if order:
            found = self._room.transport.search_within("runs/search", body, LIMIT_S)
            if found is None:
                raise TooSlow
        else:
            found = self._room.transport.search("runs/search", body)
        runs = [self.run(each) for each in found.get("runs", ())]
        self._note_token(body, first + len(runs), found)
        if runs:
            self._weight = max(len(msgspec.json.encode(found)) / len(runs), self._weight * 0.9)
        if not (order or compiled.text or first or deleted or either) and compiled.experiments is None:
            self.seen.see_newest([int(each["info"].get("start_time") or 0) for each in found.get("runs", ())])
        return runs, bool(found.get("next_page_token"))

    def _token(self, body: dict[str, Any], first: int) -> str | None:
        """By which the page from a row on is asked for; None where the list ends before it."""
        server = self._room.server
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
        key = tuple(str(body.get(part, "")) for part in ("experiment_ids", "filter", "run_view_type", "order_by"))
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
        made = decode.run(found, self._experiments.name_of(decode.experiment_of(found)))
        self.seen.see(made)
        return made

    def by_ids(self, ids: Iterable[str]) -> list[Run]:
        """Those of these runs that are there, deleted or not."""
        listed = ", ".join(f"'{run}'" for run in ids if run.isalnum())
        compiled = Compiled(f"attributes.run_id IN ({listed})", exact=True)
        return self.fetch(compiled, 0, PIECE, deleted=False, either=True)[0] if listed else []

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


class TooSlow(Exception):
    """A sort did not come in time."""


def _by_metric(query: Query) -> str:
    """In MLflow's words; empty where the order is another, or MLflow cannot quote the key."""
    if len(query.order) != 1 or query.order[0].key.scope != "metric":
        return ""
    (order,) = query.order
    name = order.key.name
    return "" if "`" in name or '"' in name else f"metrics.`{name}` {'DESC' if order.descending else 'ASC'}"
