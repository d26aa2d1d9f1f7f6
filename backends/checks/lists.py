"""What every list promises: pages, order, and that each of its rows can be asked for by itself."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, Final, NamedTuple

from backends.checks.finding import Lacks, Unseen, Wrong, listed, shown
from backends.checks.look import MANY, Look
from backends.checks.promise import promise
from backends.checks.records import check_record
from backends.contract import END, START, Invalid, NotFound, Page
from backends.entities import (
    Dataset,
    DatasetVersion,
    Definition,
    Deployment,
    Experiment,
    JournalEntry,
    LoggedModel,
    Model,
    ModelVersion,
    Monitor,
    Report,
    Run,
    Trigger,
)

_STEP: Final = 7
_PAGES: Final = 6
NOBODY: Final = "nobody-gave-this-cursor"


class Listing(NamedTuple):
    """A list of the contract."""

    capability: str
    noun: str
    kind: type
    fetch: Callable[[Look, str, int], Page[Any]]
    name: Callable[[Any], str]
    by: Callable[[Any], Any] | None = None
    """By what it is ordered where nothing is asked; None where the contract leaves that open."""
    falling: bool = False
    order: str = ""
    get: Callable[[Look, Any], Any] | None = None
    lost: tuple[Callable[[Look], Any], ...] = ()
    """Verbs that have to say NotFound."""
    same: tuple[str, ...] = ()
    """Fields that a row and the record by itself have alike. What may move meanwhile is not among them."""


def unknown() -> str:
    """A name that nothing has."""
    return f"absent-{uuid.uuid4().hex}"


def rows(look: Look, listing: Listing) -> list[Any]:
    """The first rows of the list."""
    look.the(listing.capability)
    return list(_first(look, listing).items)


def _first(look: Look, listing: Listing) -> Page[Any]:
    return look.once(("first", listing.noun), lambda: listing.fetch(look, START, MANY))


def some(look: Look, listing: Listing) -> list[Any]:
    """The same, or that there are none."""
    found = rows(look, listing)
    if not found:
        raise Unseen(f"there are no {listing.noun}")
    return found


# ---------------------------------------------------------------- the promises


def limit_holds(listing: Listing, look: Look) -> str:
    some(look, listing)
    for limit in (1, 3):
        page = listing.fetch(look, START, limit)
        if not isinstance(page, Page):
            raise Wrong("a Page", f"a {type(page).__name__}")
        if not 1 <= len(page.items) <= limit:
            raise Wrong(f"1 to {limit} {listing.noun} for limit={limit}", f"{len(page.items)}")
    return ""


def once_each(listing: Listing, look: Look) -> str:
    whole = [listing.name(row) for row in some(look, listing)]
    step = max(1, min(_STEP, len(whole) // 3))
    pages = _walk(look, listing, step)
    walked = [listing.name(row) for page in pages for row in page.items]
    twice = sorted({name for name in walked if walked.count(name) > 1})
    if twice:
        raise Wrong(f"each of the {listing.noun} once over pages of {step}", f"{listed(twice)} more than once")
    seen = min(len(walked), len(whole))
    if walked[:seen] != whole[:seen]:
        lost = [name for name in whole[:seen] if name not in walked]
        what = f"{listed(lost)} left out" if lost else "another order"
        raise Wrong(f"the same {seen} {listing.noun} by pages of {step} as by one page", what)
    ended = pages[-1].next is None
    if _first(look, listing).next is None and (not ended or len(walked) < len(whole)):
        raise Wrong(f"all {len(whole)} {listing.noun} by pages of {step}", f"{len(walked)}, and the walk goes on")
    return f"{len(walked)} {listing.noun} over {len(pages)} pages"


def _walk(look: Look, listing: Listing, step: int) -> list[Page[Any]]:
    def ask() -> list[Page[Any]]:
        pages: list[Page[Any]] = []
        at: str | None = START
        while at is not None and len(pages) < _PAGES:
            pages.append(listing.fetch(look, at, step))
            at = pages[-1].next
        return pages

    return look.once(("walk", listing.noun, step), ask)


def back_again(listing: Listing, look: Look) -> str:
    whole = some(look, listing)
    step = max(1, min(_STEP, len(whole) // 3))
    pages = _walk(look, listing, step)
    if len(pages) < 2 or not pages[1].items:
        raise Unseen(f"there is one page of {listing.noun}")
    if pages[0].previous is not None:
        raise Wrong("previous=None for the first page", shown(pages[0].previous))
    before = pages[1].previous
    if before is None:
        raise Lacks(f"the list of {listing.noun} goes forward only")
    back = [listing.name(row) for row in listing.fetch(look, before, step).items]
    if back != (forth := [listing.name(row) for row in pages[0].items]):
        raise Wrong(f"{listed(forth)} before the second page", listed(back))
    return ""


def the_end(listing: Listing, look: Look) -> str:
    whole = some(look, listing)
    page = listing.fetch(look, END, 3)
    if page.next is not None:
        raise Wrong("next=None for the last page", shown(page.next))
    if not 1 <= len(page.items) <= 3:
        raise Wrong("1 to 3 rows at the end", f"{len(page.items)}")
    if _first(look, listing).next is None:
        names, last = [listing.name(row) for row in whole], [listing.name(row) for row in page.items]
        if sorted(last) != sorted(names[-len(last) :]):
            raise Wrong(f"{listed(names[-len(last) :])} at the end", listed(last))
    return ""


def no_such_cursor(listing: Listing, look: Look) -> str:
    look.the(listing.capability)
    some(look, listing)
    try:
        page = listing.fetch(look, NOBODY, 3)
    except Invalid:
        return ""
    raise Wrong("Invalid for a cursor that nobody gave", f"a page of {len(page.items)}")


def in_order(listing: Listing, by: Callable[[Any], Any], look: Look) -> str:
    found = some(look, listing)
    if len(found) < 2:
        raise Unseen(f"there is one of the {listing.noun}")
    for one, other in pairwise(found):
        a, b = by(one), by(other)
        if (a < b) if listing.falling else (a > b):
            raise Wrong(listing.order, f"{shown(listing.name(one), 60)} before {shown(listing.name(other), 60)}")
    return f"{len(found)} {listing.noun}"


def well_formed(listing: Listing, look: Look) -> str:
    found = some(look, listing)
    for row in found:
        check_record(row, listing.kind, shown(listing.name(row), 60))
    return f"{len(found)} {listing.noun}"


def by_itself(listing: Listing, get: Callable[[Look, Any], Any], look: Look) -> str:
    found = some(look, listing)
    for row in {0: found[0], 1: found[len(found) // 2], 2: found[-1]}.values():
        alone = get(look, row)
        check_record(alone, listing.kind, shown(listing.name(row), 60))
        for field in listing.same:
            here, there = getattr(row, field), getattr(alone, field)
            if here != there:
                raise Wrong(
                    f"{field} {shown(here)} of {shown(listing.name(row), 60)}, as the list tells",
                    f"{shown(there)} when it is asked for by itself",
                )
    return ""


def not_there(listing: Listing, look: Look) -> str:
    look.the(listing.capability)
    for ask in listing.lost:
        try:
            found = ask(look)
        except NotFound as error:
            if not str(error).strip():
                raise Wrong("a sentence with NotFound", "an empty one") from error
            continue
        raise Wrong("NotFound for what is not there", shown(found))
    return f"{len(listing.lost)} ways"


# ---------------------------------------------------------------- the lists


def a_model(look: Look) -> Model:
    """One with versions, the more the better."""
    found: list[Model] = [each for each in some(look, MODELS) if each.versions or each.latest]
    if not found:
        raise Unseen("no model has a version")
    return max(found, key=lambda model: (model.versions, bool(model.aliases)))


def a_dataset(look: Look) -> Dataset:
    found: Dataset = max(some(look, DATASETS), key=lambda each: each.versions)
    return found


def _definition_kind(look: Look) -> str:
    def ask() -> str:
        for kind in ("checks", "transform", "features"):
            if look.the("definitions").page(kind, limit=1).items:
                return kind
        return "checks"

    return look.once("kind of definitions", ask)


RUNS: Final = Listing(
    "runs", "runs", Run,
    lambda look, at, limit: look.the("runs").page(at=at, limit=limit),
    lambda run: run.id,
    by=lambda run: run.created_at, falling=True, order="the newest first",
    get=lambda look, run: look.the("runs").get(run.id),
    lost=(lambda look: look.the("runs").get(uuid.uuid4().hex), lambda look: look.the("runs").get("")),
    same=("id", "name", "experiment", "created_at", "params", "tags", "note"),
)  # fmt: skip
EXPERIMENTS: Final = Listing(
    "experiments", "experiments", Experiment,
    lambda look, at, limit: look.the("experiments").page(at=at, limit=limit),
    lambda experiment: experiment.id,
    by=lambda experiment: experiment.updated_at, falling=True, order="the last updated first",
    get=lambda look, experiment: look.the("experiments").get(experiment.id),
    lost=(lambda look: look.the("experiments").get(unknown()),),
    same=("id", "name", "created_at"),
)  # fmt: skip
LOGGED: Final = Listing(
    "logged_models", "logged models", LoggedModel,
    lambda look, at, limit: look.the("logged_models").page(at=at, limit=limit),
    lambda model: model.id,
    by=lambda model: model.created_at, falling=True, order="the newest first",
    get=lambda look, model: look.the("logged_models").get(model.id),
    lost=(lambda look: look.the("logged_models").get(f"m-{uuid.uuid4().hex}"),),
    same=("id", "name", "experiment", "run", "created_at"),
)  # fmt: skip
MODELS: Final = Listing(
    "registry", "models", Model,
    lambda look, at, limit: look.the("registry").page(at=at, limit=limit),
    lambda model: model.name,
    by=lambda model: model.name, order="by name",
    get=lambda look, model: look.the("registry").get(model.name),
    lost=(
        lambda look: look.the("registry").get(unknown()),
        lambda look: look.the("registry").versions(unknown()),
        lambda look: look.the("registry").version(unknown(), "1"),
        lambda look: look.the("registry").version(unknown(), "@champion"),
        lambda look: look.the("registry").history(unknown()),
        lambda look: look.the("registry").version(a_model(look).name, f"@{unknown()}"),
        lambda look: look.the("registry").version(a_model(look).name, "999999999"),
    ),
    same=("name", "created_at", "note", "tags", "kind"),
)  # fmt: skip
VERSIONS: Final = Listing(
    "registry", "versions of a model", ModelVersion,
    lambda look, at, limit: look.the("registry").versions(a_model(look).name, at=at, limit=limit),
    lambda version: version.ref,
    by=lambda version: version.created_at, falling=True, order="the newest first",
    get=lambda look, version: look.the("registry").version(version.model, version.version),
    same=("model", "version", "created_at", "run", "note", "tags"),
)  # fmt: skip
JOURNAL: Final = Listing(
    "journal", "journal entries", JournalEntry,
    lambda look, at, limit: look.the("journal").page(at=at, limit=limit),
    lambda entry: entry.id,
    by=lambda entry: entry.seq, falling=True, order="the newest first",
    get=lambda look, entry: look.the("journal").get(entry.id),
    lost=(lambda look: look.the("journal").get(unknown()),),
    same=("seq", "id", "at", "actor", "action", "target", "reason"),
)  # fmt: skip
DATASETS: Final = Listing(
    "datasets", "datasets", Dataset,
    lambda look, at, limit: look.the("datasets").page(at=at, limit=limit),
    lambda dataset: dataset.name,
    get=lambda look, dataset: look.the("datasets").get(dataset.name),
    lost=(
        lambda look: look.the("datasets").get(unknown()),
        lambda look: look.the("datasets").versions(unknown()),
        lambda look: look.the("datasets").version(unknown()),
    ),
    same=("name", "created_at", "note"),
)  # fmt: skip
DATASET_VERSIONS: Final = Listing(
    "datasets", "versions of a dataset", DatasetVersion,
    lambda look, at, limit: look.the("datasets").versions(a_dataset(look).name, at=at, limit=limit),
    lambda version: f"{version.dataset}@{version.version}",
    by=lambda version: version.created_at, falling=True, order="the newest first",
    get=lambda look, version: look.the("datasets").version(f"{version.dataset}@{version.version}"),
    same=("dataset", "version", "digest", "rows", "created_at"),
)  # fmt: skip
DEFINITIONS: Final = Listing(
    "definitions", "definitions", Definition,
    lambda look, at, limit: look.the("definitions").page(_definition_kind(look), at=at, limit=limit),
    lambda definition: definition.name,
    by=lambda definition: definition.name, order="by name",
    get=lambda look, definition: look.the("definitions").get(definition.kind, definition.name),
    lost=(lambda look: look.the("definitions").get("checks", unknown()),),
    same=("kind", "name", "version", "text"),
)  # fmt: skip
REPORTS: Final = Listing(
    "reports", "reports", Report,
    lambda look, at, limit: look.the("reports").page(at=at, limit=limit),
    lambda report: report.id,
    by=lambda report: report.at, falling=True, order="the newest first",
)  # fmt: skip
MONITORS: Final = Listing(
    "monitors", "monitors", Monitor,
    lambda look, at, limit: look.the("monitors").page(at=at, limit=limit),
    lambda monitor: monitor.name,
    get=lambda look, monitor: look.the("monitors").get(monitor.name),
    lost=(lambda look: look.the("monitors").get(unknown()),),
    same=("name", "model", "created_at"),
)  # fmt: skip
DEPLOYMENTS: Final = Listing(
    "deployments", "deployments", Deployment,
    lambda look, at, limit: look.the("deployments").page(at=at, limit=limit),
    lambda deployment: deployment.name,
    by=lambda deployment: deployment.name, order="by name",
    get=lambda look, deployment: look.the("deployments").get(deployment.name),
    lost=(lambda look: look.the("deployments").get(unknown()),),
    same=("name", "model", "created_at"),
)  # fmt: skip
TRIGGERS: Final = Listing(
    "triggers", "triggers", Trigger,
    lambda look, at, limit: look.the("triggers").page(at=at, limit=limit),
    lambda trigger: trigger.name,
    by=lambda trigger: trigger.name, order="by name",
    get=lambda look, trigger: look.the("triggers").get(trigger.name),
    lost=(lambda look: look.the("triggers").get(unknown()),),
    same=("name",),
)  # fmt: skip
LISTINGS: Final = (
    RUNS, EXPERIMENTS, LOGGED, MODELS, VERSIONS, JOURNAL, DATASETS, DATASET_VERSIONS, DEFINITIONS, REPORTS, MONITORS,
    DEPLOYMENTS, TRIGGERS,
)  # fmt: skip

for _each in LISTINGS:
    for _words, _check in (
        ("the fields of {} hold what they are declared to, times in milliseconds", well_formed),
        ("a page holds no more {} than its limit", limit_holds),
        ("pages hold each of the {} once, in one order", once_each),
        ("before a page of {} comes the page before it", back_again),
        ("the last page of {} ends the list", the_end),
        ("a cursor of {} that nobody gave is Invalid", no_such_cursor),
    ):
        promise(_each.capability, _words.format(_each.noun))(partial(_check, _each))
    if _each.by is not None:
        promise(_each.capability, f"{_each.noun} come {_each.order}")(partial(in_order, _each, _each.by))
    if _each.get is not None:
        promise(_each.capability, f"one of the {_each.noun} by itself is as in the list")(
            partial(by_itself, _each, _each.get)
        )
    if _each.lost:
        promise(_each.capability, f"of the {_each.noun} what is not there is NotFound")(partial(not_there, _each))
