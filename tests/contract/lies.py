"""Adapters that lie: verbs that do something else than is promised, each with the promise that it breaks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from backends.contract import END, START, Backend, NotFound, Page
from backends.entities import MetricPoint, Run
from backends.entities.holdings import Holdings, Leftover, Room, RunHolding


class Lying:
    """A capability, one verb of which does something else."""

    def __init__(self, whole: object, verb: str, lie: Callable[..., Any]) -> None:
        self._whole, self._verb, self._lie = whole, verb, lie

    def __getattr__(self, verb: str) -> Any:
        found = getattr(self._whole, verb)
        if verb != self._verb:
            return found
        return lambda *args, **named: self._lie(found, *args, **named)


def lying(backend: Backend, capability: str, verb: str, lie: Callable[..., Any]) -> Backend:
    return msgspec.structs.replace(backend, **{capability: Lying(getattr(backend, capability), verb, lie)})


def changed_items(change: Callable[[Any], Any]) -> Callable[..., Any]:
    """Every row of a page is another."""

    def lie(ask: Callable[..., Page[Any]], *args: Any, **named: Any) -> Page[Any]:
        page = ask(*args, **named)
        return msgspec.structs.replace(page, items=tuple(change(row) for row in page.items))

    return lie


def with_field(**fields: Any) -> Callable[[Any], Any]:
    return lambda row: msgspec.structs.replace(row, **fields)


def in_seconds(run: Run) -> Run:
    return msgspec.structs.replace(run, created_at=run.created_at // 1000)


def without_umlauts(run: Run) -> Run:
    return msgspec.structs.replace(run, name=run.name.replace("Ü", "U"))


def doubled(ask: Callable[..., Page[Any]], *args: Any, at: str = START, limit: int = 100, **named: Any) -> Page[Any]:
    """The last row of a page is the first of the next."""
    if at == START or limit > 20:
        return ask(*args, at=at, limit=limit, **named)
    page = ask(*args, at=at, limit=limit, **named)
    before = ask(*args, at=page.previous, limit=limit, **named).items[-1:] if page.previous else ()
    return msgspec.structs.replace(page, items=(*before, *page.items))


def loses_one(ask: Callable[..., Page[Any]], *args: Any, at: str = START, **named: Any) -> Page[Any]:
    page = ask(*args, at=at, **named)
    return page if at == START else msgspec.structs.replace(page, items=page.items[1:])


def all_of_them(ask: Callable[..., Page[Any]], *args: Any, limit: int = 100, **named: Any) -> Page[Any]:
    return ask(*args, limit=100, **named)


def turned(ask: Callable[..., Page[Any]], *args: Any, **named: Any) -> Page[Any]:
    page = ask(*args, **named)
    return msgspec.structs.replace(page, items=page.items[::-1])


def unfiltered(ask: Callable[..., Page[Any]], query: Any = None, **named: Any) -> Page[Any]:
    return ask(None, **named)


def never_ends(ask: Callable[..., Page[Any]], *args: Any, at: str = START, **named: Any) -> Page[Any]:
    return msgspec.structs.replace(ask(*args, at=at, **named), next="more") if at == END else ask(*args, at=at, **named)


def takes_any_cursor(ask: Callable[..., Page[Any]], *args: Any, at: str = START, **named: Any) -> Page[Any]:
    return ask(*args, at=START if at.startswith("nobody") else at, **named)


def an_empty_one(ask: Callable[..., Any], name: str, *args: Any, **named: Any) -> Any:
    """What is not there is something else that is."""
    try:
        return ask(name, *args, **named)
    except NotFound:
        return ()


def the_first_version(ask: Callable[..., Any], model: str, version: str) -> Any:
    found = ask(model, version)
    return ask(model, "1") if version.startswith("@") else found


def backwards(ask: Callable[..., Any], *args: Any, **named: Any) -> Any:
    return ask(*args, **named)[::-1]


def points_backwards(ask: Callable[..., Page[MetricPoint]], *args: Any, **named: Any) -> Page[MetricPoint]:
    page = ask(*args, **named)
    return msgspec.structs.replace(page, items=page.items[::-1])


def all_columns(ask: Callable[..., Page[Any]], *args: Any, columns: Any = None, **named: Any) -> Page[Any]:
    return ask(*args, **named)


def cut_short(ask: Callable[..., Path], run: str, path: str, **named: Any) -> Path:
    found = ask(run, path, **named)
    short = Path(f"{found}.short")
    if not short.exists():
        short.write_bytes(found.read_bytes()[:-1])
    return short


def breaks(error: Exception) -> Callable[..., Any]:
    def lie(ask: Callable[..., Any], *args: Any, **named: Any) -> Any:
        raise error

    return lie


def held(**change: Callable[[Any], Any]) -> Callable[..., Holdings]:
    """Holdings, a field of which is another."""

    def lie(ask: Callable[..., Holdings], **named: Any) -> Holdings:
        found = ask(**named)
        fields = {field: other(getattr(found, field)) for field, other in change.items()}
        return msgspec.structs.replace(found, **fields)

    return lie


def not_needed(runs: tuple[RunHolding, ...]) -> tuple[RunHolding, ...]:
    return tuple(msgspec.structs.replace(each, needed="", wanted="") for each in runs)


def with_those_at_work(runs: tuple[RunHolding, ...]) -> tuple[RunHolding, ...]:
    """As if the runs that have not ended had."""
    return tuple(msgspec.structs.replace(runs[0], run=run) for run in AT_WORK)


def more_log_than_all(ask: Callable[..., Room | None], run: str) -> Room | None:
    found = ask(run)
    return None if found is None else msgspec.structs.replace(found, log=found.bytes + 1)


AT_WORK: list[str] = []


LIES: list[tuple[str, str, str, Callable[..., Any], str]] = [
    ("a run twice in what could go", "retention", "holdings", held(runs=lambda runs: (*runs, runs[0])),
     "what could go is told once each, with when it ended and how much it is"),
    ("a file elsewhere", "retention", "holdings",
     held(leftovers=lambda _: (Leftover(path="../../etc/passwd", bytes=1, why="nobody names it"),)),
     "what could go is told once each, with when it ended and how much it is"),
    ("a run at work that could go", "retention", "holdings", held(runs=with_those_at_work),
     "a run that has not ended cannot go"),
    ("a version's run that nothing needs", "retention", "holdings", held(runs=not_needed),
     "no rule takes a run that a registered version came from, and why is told"),
    ("a log larger than all", "retention", "room", more_log_than_all,
     "what a run takes is told, at least as much as its log; of one that is not there NotFound"),
    ("a row on two pages", "runs", "page", doubled, "pages hold each of the runs once, in one order"),
    ("a row on no page", "runs", "page", loses_one, "pages hold each of the runs once, in one order"),
    ("a limit that is none", "runs", "page", all_of_them, "a page holds no more runs than its limit"),
    ("the oldest first", "runs", "page", turned, "runs come the newest first"),
    ("a filter that is none", "runs", "page", unfiltered, "runs are found by what they are: attributes compared"),
    ("an order that is none", "runs", "page", unfiltered, "runs come in the order that is asked for"),
    ("a metric that is none", "runs", "page", unfiltered, "runs are found by their metrics"),
    ("a list without end", "runs", "page", never_ends, "the last page of runs ends the list"),
    ("any cursor", "runs", "page", takes_any_cursor, "a cursor of runs that nobody gave is Invalid"),
    ("seconds", "runs", "page", changed_items(in_seconds),
     "the fields of runs hold what they are declared to, times in milliseconds"),
    ("numbers as texts", "runs", "page", changed_items(with_field(metrics={"auc": "0.5"})),
     "the fields of runs hold what they are declared to, times in milliseconds"),
    ("lists for tuples", "runs", "page", changed_items(with_field(inputs=[])),
     "the fields of runs hold what they are declared to, times in milliseconds"),
    ("changed texts", "runs", "page", changed_items(without_umlauts),
     "one of the runs by itself is as in the list"),
    ("deleted ones", "runs", "page", changed_items(with_field(deleted_at=1_700_000_000_000)),
     "deleted runs are listed only when they are asked for"),
    ("every column", "runs", "page", all_columns, "columns that are named are the only ones that are filled in"),
    ("nothing for something", "runs", "get", an_empty_one, "of the runs what is not there is NotFound"),
    ("a wrong count", "runs", "count", lambda ask, *a, **n: msgspec.structs.replace(ask(*a, **n), value=999),
     "a count is the length of its list, and stops at its limit"),
    ("steps backwards", "runs", "points", points_backwards,
     "the points of a metric come by step, the same over several pages"),
    ("keys that are none", "runs", "keys", lambda ask, scope, **n: ("nonsense",),
     "the keys that are known are those that runs have, by scope and by beginning"),
    ("no latest", "runs", "latest", lambda ask, run: ask(run)[:0] + tuple(
        msgspec.structs.replace(each, value=each.value + 1) for each in ask(run)),
     "the latest points are one of each metric, by key, as the run tells them"),
    ("many buckets", "runs", "series", lambda ask, run, key, **n: ask(run, key, buckets=400),
     "a course has no more buckets than asked for, in order, its lows under its highs"),
    ("experiments upside down", "runs", "experiments", backwards, "experiments of runs are there, by name"),
    ("an alias at another version", "registry", "version", the_first_version,
     "@alias is the version that the model's aliases name"),
    ("versions upside down", "registry", "versions", turned, "versions of a model come the newest first"),
    ("versions that deny their aliases", "registry", "versions", changed_items(with_field(aliases=())),
     "versions name the aliases that point at them, and no others"),
    ("an old latest", "registry", "get", lambda ask, name: msgspec.structs.replace(ask(name), latest="1"),
     "a model says how many versions it has, and which is the latest"),
    ("holders that do not hold", "registry", "holders", lambda ask, models, alias: {
        name: msgspec.structs.replace(version, version="77") for name, version in ask(models, alias).items()},
     "who holds an alias is the same for a list of models as for each of them"),
    ("a history upside down", "registry", "history", backwards,
     "a history comes newest first, of one alias alone where it is named, no longer than its limit"),
    ("moves that never were", "registry", "history", lambda ask, *a, **n: tuple(
        msgspec.structs.replace(each, version="77") for each in ask(*a, **n)),
     "the newest move of an alias is where the alias stands"),
    ("versions of anybody", "registry", "search", unfiltered, "versions of all models are searched by model"),
    ("models upside down", "registry", "page", turned, "models come by name"),
    ("bytes that are gone", "artifacts", "open", cut_short,
     "a file that is opened has the size and the sha256 that the list says"),
    ("files before folders", "artifacts", "children", backwards,
     "a folder shows its folders, then its files, each by name"),
    ("files that are not listed", "artifacts", "list", lambda ask, *a, **n: (),
     "the list of all files is what the folders hold, by path"),
    ("any path", "artifacts", "open", lambda ask, run, path, **n: Path("/etc/passwd"),
     "a file that is not there is NotFound, and no path leads out of the run"),
    ("entries upside down", "journal", "page", turned, "journal entries come the newest first"),
    ("a broken chain", "journal", "verify", lambda ask: (3, "entry 4 says another thing"),
     "the chain of entries holds"),
    ("a defect", "journal", "get", breaks(KeyError("id")), "one of the journal entries by itself is as in the list"),
]  # fmt: skip
