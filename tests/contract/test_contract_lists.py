"""What every `RunStore` promises of its lists: filters, orders, pages, counts. Forty runs are made once a backend."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from backends.contract import END, Backend, Invalid, Mutation, NotFound, RunStore, all_pages
from backends.entities import Run, RunStatus
from backends.query import lookup_of, select
from tests.contract.conftest import ADAPTERS
from tests.contract.forty import backward, forty, forward, query_of

ORDERS = [
    "",
    "order by created",
    "order by name",
    "order by name desc",
    "order by status",
    "order by started desc",
    "order by ended",
    "order by duration desc",
    "order by metrics.auc",
    "order by metrics.auc desc",
    "order by metrics.rare desc",
    "order by metrics.never",
    "order by params.lr",
    "order by params.lr desc",
    "order by params.depth desc",
    "order by tags.team",
    "order by status, metrics.auc desc",
    "order by metrics.auc desc, name",
    "order by params.lr desc, created",
]
FILTERS = [
    "",
    "status = finished",
    "metrics.auc > 0.3",
    "params.lr = 0.1 or tags.team = red",
    "not (experiment = flights) and has:metrics.auc",
    "ünit 3",
    "100%_sure",
    "dataset.name = flights",
    "metrics.never > 1",
]

# The orders of remote runs are worked out by the client or by the server's own sort: three are tried on the real one,
# and filters alone on ours, for a server takes seconds where the store takes milliseconds.
REMOTE = ["", "order by metrics.auc desc", "order by params.lr"]
ORDERED = [("local", each) for each in ORDERS] + [("mlflow", each) for each in REMOTE] + [("own", "")]
ASKED = (
    [("local", where, order) for where in FILTERS for order in ORDERS]
    + [("mlflow", where, order) for where in FILTERS for order in REMOTE]
    + [("own", where, "") for where in FILTERS]
)


@dataclass(frozen=True)
class Filled:
    backend: Backend
    many: tuple[Run, ...]


@pytest.fixture(scope="module")
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Filled]]:
    """By the name of an adapter. Made when first asked for, whatever the order of the tests."""
    made: dict[str, Filled] = {}

    def of(name: str) -> Filled:
        if name not in made:
            backend = ADAPTERS[name](request, tmp_path_factory.mktemp("lists"))
            made[name] = Filled(backend, forty(backend.need("runs"), Mutation("ann@box", reason="because")))
        return made[name]

    yield of
    for each in made.values():
        each.backend.close()


@pytest.fixture(params=sorted(ADAPTERS))
def there(request: pytest.FixtureRequest, filled: Callable[[str], Filled]) -> Filled:
    return filled(request.param)


@pytest.fixture
def backend(there: Filled) -> Backend:
    return there.backend


@pytest.fixture
def runs(there: Filled) -> RunStore:
    return there.backend.need("runs")


@pytest.fixture
def many(there: Filled) -> tuple[Run, ...]:
    return there.many


@pytest.mark.parametrize(("there", "order"), ORDERED, indirect=["there"])
def test_pages_forward_and_backward_hold_every_run_once_in_one_order(
    backend: Backend, runs: RunStore, many: tuple[Run, ...], order: str
) -> None:
    query = query_of(order)
    forth = forward(runs, query, 7)
    assert sorted(forth) == sorted(run.id for run in many)
    back = backward(runs, query, 7)
    assert sorted(back) == sorted(forth)
    if backend.features.server_sort or "metrics" not in order:  # how many ways a server may sort: the test below
        assert back == forth


@pytest.mark.parametrize(("there", "where", "order"), ASKED, indirect=["there"])
def test_a_query_gives_what_the_language_means(
    backend: Backend, runs: RunStore, many: tuple[Run, ...], where: str, order: str
) -> None:
    query = query_of(f"{where} {order}".strip())
    found = list(all_pages(lambda at: runs.page(query, at=at, limit=6)))
    meant = select(query, many)
    assert sorted(run.id for run in found) == sorted(run.id for run in meant)
    keys = [by.key for by in query.order]
    in_order = [[_shown(run, key) for key in keys] for run in found]
    assert in_order == [[_shown(run, key) for key in keys] for run in meant]
    back = backward(runs, query, 6)
    if backend.features.server_sort:
        assert back == [run.id for run in found]
    else:  # a server that slows down is no longer asked to sort, and orders equal runs in another way than we do
        shown = {run.id: [_shown(run, key) for key in keys] for run in found}
        assert [shown[each] for each in back] == in_order
        assert sorted(back) == sorted(shown)
    count = runs.count(query)
    assert (count.value, count.exact) == (len(meant), True)


def _shown(run: Run, key: object) -> object:
    found = lookup_of(run)(key)
    if isinstance(found, str):
        try:
            return float(found)
        except ValueError:
            return found
    return None if isinstance(found, float) and math.isnan(found) else found


@pytest.mark.parametrize("direction", ["", " desc"])
def test_runs_without_the_metric_come_last_in_both_directions(
    runs: RunStore, many: tuple[Run, ...], direction: str
) -> None:
    page = runs.page(query_of(f"order by metrics.auc{direction}"), limit=100)
    known = [not math.isnan(run.metrics.get("auc", math.nan)) for run in page.items]
    assert known == sorted(known, reverse=True)


@pytest.mark.parametrize("text", ["", "order by metrics.auc desc", "status = finished", "order by status, name"])
def test_rows_are_found_by_number_and_by_id(backend: Backend, runs: RunStore, many: tuple[Run, ...], text: str) -> None:
    if not backend.features.seek:
        pytest.skip("this backend cannot seek")
    query = query_of(text)
    whole = forward(runs, query, 100)
    for row in (0, 1, 5, len(whole) // 2, len(whole) - 3, len(whole) - 1):
        page = runs.page(query, at=f"#{row}", limit=5)
        assert [run.id for run in page.items] == whole[row : row + 5]
        assert page.first == row
        page = runs.page(query, at=f"@{whole[row]}", limit=5)
        assert whole[row] in [run.id for run in page.items]
        assert page.first is not None
        assert [run.id for run in page.items] == whole[page.first : page.first + 5]
    assert runs.page(query, at=f"#{len(whole) + 9}", limit=5).items == ()


def test_a_page_at_an_id_that_the_filter_leaves_out_is_not_found(
    backend: Backend, runs: RunStore, many: tuple[Run, ...]
) -> None:
    if not backend.features.seek:
        pytest.skip("this backend cannot seek")
    queued = next(run for run in many if run.status is RunStatus.QUEUED)
    with pytest.raises(NotFound):
        runs.page(query_of("status = finished"), at=f"@{queued.id}", limit=5)


def test_pages_know_their_row_numbers_and_the_total(backend: Backend, runs: RunStore, many: tuple[Run, ...]) -> None:
    first = runs.page(limit=15)
    assert (first.first, first.previous) == (0, None)
    assert first.total == (40 if backend.features.count else None)
    assert first.next is not None
    second = runs.page(at=first.next, limit=15)
    assert second.first == 15
    assert second.previous is not None
    back = runs.page(at=second.previous, limit=15)
    assert (back.first, back.items) == (0, first.items)
    last = runs.page(at=END, limit=15)
    assert (last.first, last.next) == (25, None)


def test_chosen_columns_alone_are_filled_in(runs: RunStore, many: tuple[Run, ...]) -> None:
    for run in runs.page(limit=100, columns=["metrics.rare", "params.lr"]).items:
        assert set(run.metrics) <= {"rare"}
        assert set(run.params) <= {"lr"}
        assert run.tags == {}


def test_known_keys_come_most_used_first(runs: RunStore, many: tuple[Run, ...]) -> None:
    assert runs.keys("metrics") == ("auc", "rare")
    assert runs.keys("params", prefix="d") == ("depth",)
    assert runs.keys("tags") == ("team",)
    with pytest.raises(Invalid):
        runs.keys("colours")


def test_experiments_count_their_runs(backend: Backend, runs: RunStore, many: tuple[Run, ...]) -> None:
    if not backend.features.count:
        assert {"boats", "flights"} <= {experiment.name for experiment in runs.experiments()}
        pytest.skip("this backend counts no runs of experiments")
    counted = {experiment.name: experiment.runs for experiment in runs.experiments()}
    assert counted == {name: sum(run.experiment == name for run in many) for name in ("boats", "flights")}


def test_counting_stops_at_the_limit(runs: RunStore, many: tuple[Run, ...]) -> None:
    count = runs.count(query_of("name ~ run"), limit=10)
    assert (count.value, count.exact) == (10, False)
