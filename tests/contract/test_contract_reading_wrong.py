"""An adapter that lies is found out: each lie, the promise it breaks, and that nothing was changed by looking."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backends.checks import Finding, Verdict, examine
from backends.contract import END, START, Backend, Mutation, NotFound, Page, Unauthorized, Unreachable, Unsupported
from backends.entities import Asked, MetricPoint, Run, Service, ServiceWindow, SourceAlert, SourceInfo
from backends.local import open_local
from tests.contract.a_little import fill

ANN = Mutation("ann@box", reason="because")


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    folder = tmp_path_factory.mktemp("honest")
    backend = open_local(folder / "workspace")
    fill(backend, folder, ANN)
    yield backend
    backend.close()


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


def wrong(backend: Backend, **limits: float) -> dict[str, Finding]:
    return {each.promise: each for each in examine(backend, **limits) if each.verdict is Verdict.WRONG}  # type: ignore[arg-type]


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


LIES: list[tuple[str, str, str, Callable[..., Any], str]] = [
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


@pytest.mark.parametrize(
    ("capability", "verb", "lie", "promise"), [each[1:] for each in LIES], ids=[e[0] for e in LIES]
)
def test_a_lie_is_found_out(honest: Backend, capability: str, verb: str, lie: Callable[..., Any], promise: str) -> None:
    found = wrong(lying(honest, capability, verb, lie))
    assert promise in found, sorted(found)
    assert found[promise].wanted
    assert found[promise].found


def test_an_honest_one_is_not_accused(honest: Backend) -> None:
    before = honest.changed()
    assert wrong(honest) == {}
    assert honest.changed() == before


def test_what_is_lacking_needs_a_reason(honest: Backend) -> None:
    said = "what is lacking has a reason, and what is there is not said to be lacking"
    assert said in wrong(msgspec.structs.replace(honest, registry=None))
    assert said not in wrong(msgspec.structs.replace(honest, registry=None, missing={"registry": "files alone"}))
    assert said in wrong(msgspec.structs.replace(honest, missing={"registry": "files alone"}))


def test_a_sign_of_change_is_steady_and_cheap(honest: Backend) -> None:
    def slow() -> int:
        time.sleep(0.15)
        return 1

    said = "the sign of change costs nothing, and stays while nothing changes"
    assert wrong(msgspec.structs.replace(honest, changed=object))[said].wanted == "the same sign while nothing changes"
    assert "milliseconds" in wrong(msgspec.structs.replace(honest, changed=slow))[said].wanted


def test_a_password_in_the_address_is_told_without_it(honest: Backend) -> None:
    (found,) = wrong(msgspec.structs.replace(honest, url="x+https://ann:s3cret@host/")).values()
    assert found.promise == "the address shows no secret"
    assert "s3cret" not in found.sentence


def test_features_that_are_not_so(honest: Backend) -> None:
    boast = msgspec.structs.replace(honest, features=msgspec.structs.replace(honest.features, count="yes"))
    assert "features are told as they are declared" in wrong(boast)
    no_numbers = lying(honest, "runs", "page", lambda ask, *a, **n: msgspec.structs.replace(ask(*a, **n), total=None))
    assert "what features say of lists is so: row numbers, places of ids, totals" in wrong(no_numbers)


class Figures:
    """A metrics store with nothing in it."""

    def where(self) -> str:
        return "http://metrics"

    def info(self) -> SourceInfo:
        return SourceInfo(product="Figures")

    def windows(self, service: Service, **named: Any) -> tuple[ServiceWindow, ...]:
        return ()

    def examine(self, service: Service) -> tuple[Asked, ...]:
        return (Asked(quantity="requests", query="up"),)

    def alerts(self) -> tuple[SourceAlert, ...]:
        return ()


class Zeros(Figures):
    """It makes a zero of no data, has a password in its address, and tells alerts in any order."""

    def where(self) -> str:
        return "http://ann:s3cret@metrics"

    def windows(self, service: Service, **named: Any) -> tuple[ServiceWindow, ...]:
        return (ServiceWindow(source=service.name, start=0, end=60_000, requests=0),)

    def alerts(self) -> tuple[SourceAlert, ...]:
        return tuple(SourceAlert(name=str(at), state="firing", since=1_760_000_000_000 - at) for at in range(2))


def test_a_metrics_store_tells_no_zeros_for_no_data(honest: Backend) -> None:
    assert wrong(msgspec.structs.replace(honest, metrics=Figures())) == {}
    assert set(wrong(msgspec.structs.replace(honest, metrics=Zeros()))) == {
        "it says what it is and where, without a secret",
        "a service without samples has no windows: no data is not zero",
        "alerts come the oldest first, each firing or pending",
    }


def test_what_it_says_to_lack_is_no_fault(honest: Backend) -> None:
    found = list(examine(lying(honest, "registry", "search", breaks(Unsupported("no search here")))))
    (search,) = [each for each in found if each.promise == "versions of all models are searched by model"]
    assert (search.verdict, search.said) == (Verdict.LACKS, "no search here")
    refused = lying(honest, "artifacts", "children", breaks(Unauthorized("files are not yours to read")))
    assert {each.verdict for each in examine(refused) if each.capability == "artifacts"} == {Verdict.LACKS}


def test_a_server_that_goes_away_ends_the_examination(honest: Backend) -> None:
    asked: list[int] = []

    def away(ask: Callable[..., Any], *args: Any, **named: Any) -> Any:
        asked.append(1)
        raise Unreachable("nobody there")

    gone = lying(lying(honest, "runs", "page", away), "experiments", "page", away)
    found = [each for each in examine(gone) if each.away]
    assert len(found) > 10
    assert len(asked) < 10


def test_a_verb_that_never_ends_is_given_up(honest: Backend) -> None:
    def hangs(ask: Callable[..., Any], *args: Any, **named: Any) -> Any:
        time.sleep(30)

    begun = time.monotonic()
    found = list(examine(lying(honest, "registry", "page", hangs), silent=1.0))
    assert time.monotonic() - begun < 25
    given_up = [each for each in found if "time limit" in each.wanted]
    assert [each.capability for each in given_up] == ["registry"]
    assert found[-1].said == "a verb before it did not come back"


def test_no_more_questions_than_allowed(honest: Backend) -> None:
    found = list(examine(honest, calls=20))
    assert sum(each.calls for each in found) <= 20
    assert "20 questions" in found[-1].said
