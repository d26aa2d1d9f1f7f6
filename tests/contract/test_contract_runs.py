"""What every `RunStore` promises."""

from __future__ import annotations

import math
import threading

import msgspec
import pytest

from backends.contract import (
    END,
    START,
    Backend,
    Conflict,
    Invalid,
    Mutation,
    NotFound,
    Refused,
    RunStore,
    all_pages,
)
from backends.entities import DatasetInput, MetricPoint, Progress, Run, RunStatus, Source
from backends.query import RUN_FIELDS, Query, parse, select

pytestmark = pytest.mark.needs("runs")


@pytest.fixture
def runs(backend: Backend) -> RunStore:
    assert backend.runs is not None
    return backend.runs


@pytest.fixture
def many(runs: RunStore, ann: Mutation) -> tuple[Run, ...]:
    """Forty runs in which every sort has ties and gaps."""
    for number in range(40):
        run = runs.create(
            name=f"Run {number % 7} Ünit",
            experiment="flights" if number % 3 else "boats",
            mutation=ann,
            params={"lr": ["0.1", "1e-3", "3", "auto", ""][number % 5], "depth": str(number)} if number % 4 else {},
            tags={"team": "red" if number % 2 else "blue"} if number % 6 else {},
            inputs=[DatasetInput(dataset="flights", version=str(number % 2), digest="d" * 64)] if number % 5 else [],
        )
        if number % 8:
            runs.start(run.id)
            values = [0.25, 0.5, math.nan, 0.5, -math.inf, 0.75][number % 6]
            runs.log_points(run.id, [MetricPoint(key="auc", value=values, step=1, at=number)])
            if number % 9 == 0:
                runs.log_points(run.id, [MetricPoint(key="rare", value=number, step=1)])
        if number % 8 > 2:
            runs.end(run.id, RunStatus.FINISHED if number % 2 else RunStatus.FAILED, exit_code=number % 2)
        if number % 10 == 0:
            runs.set_note(run.id, "look at this 100%_sure", ann)
    return runs.page(limit=100).items


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


def query_of(text: str) -> Query:
    return parse(text, RUN_FIELDS)


def forward(runs: RunStore, query: Query, limit: int) -> list[str]:
    return [run.id for run in all_pages(lambda at: runs.page(query, at=at, limit=limit))]


def backward(runs: RunStore, query: Query, limit: int) -> list[str]:
    found: list[str] = []
    at: str | None = END
    while at is not None:
        page = runs.page(query, at=at, limit=limit)
        found = [run.id for run in page.items] + found
        at = page.previous
    return found


def _few(backend: Backend, order: str) -> None:
    if not backend.features.server_sort and order not in ("", "order by metrics.auc desc", "order by params.lr"):
        pytest.skip("a server takes seconds for forty runs: three orders are tried there")
    if backend.name == "own" and order:
        pytest.skip("the orders are worked out by the client, whichever server it asks: tried on the real one")


@pytest.mark.parametrize("order", ORDERS)
def test_pages_forward_and_backward_hold_every_run_once_in_one_order(
    backend: Backend, runs: RunStore, order: str, request: pytest.FixtureRequest
) -> None:
    _few(backend, order)
    many: tuple[Run, ...] = request.getfixturevalue("many")
    query = query_of(order)
    there = forward(runs, query, 7)
    assert sorted(there) == sorted(run.id for run in many)
    assert backward(runs, query, 7) == there


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("where", FILTERS)
def test_a_query_gives_what_the_language_means(
    backend: Backend, runs: RunStore, where: str, order: str, request: pytest.FixtureRequest
) -> None:
    _few(backend, order)
    many: tuple[Run, ...] = request.getfixturevalue("many")
    query = query_of(f"{where} {order}".strip())
    found = list(all_pages(lambda at: runs.page(query, at=at, limit=6)))
    meant = select(query, many)
    assert sorted(run.id for run in found) == sorted(run.id for run in meant)
    keys = [by.key for by in query.order]
    assert [[_shown(run, key) for key in keys] for run in found] == [
        [_shown(run, key) for key in keys] for run in meant
    ]
    assert backward(runs, query, 6) == [run.id for run in found]
    count = runs.count(query)
    assert (count.value, count.exact) == (len(meant), True)


def _shown(run: Run, key: object) -> object:
    from backends.query import lookup_of

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


def test_a_next_page_stays_in_place_when_new_runs_arrive(runs: RunStore, many: tuple[Run, ...], ann: Mutation) -> None:
    whole = [run.id for run in many]
    first = runs.page(limit=10)
    assert first.next is not None
    runs.create(name="newcomer", mutation=ann)
    assert [run.id for run in runs.page(at=first.next, limit=10).items] == whole[10:20]


def test_a_cursor_that_nobody_gave_is_invalid(runs: RunStore) -> None:
    for cursor in ("nonsense", "#x", "~zz", "~00"):
        with pytest.raises(Invalid):
            runs.page(at=cursor)


def test_an_empty_store_has_an_empty_page(runs: RunStore) -> None:
    for at in (START, END, "#0", "#7"):
        page = runs.page(at=at)
        assert (page.items, page.next, page.previous) == ((), None, None)
    assert runs.count().value == 0


def test_a_run_comes_back_as_it_was_made(runs: RunStore, ann: Mutation) -> None:
    read = DatasetInput(dataset="flights", version="3", digest="d" * 64)
    made = runs.create(
        name="first",
        experiment="delays",
        mutation=ann,
        params={"lr": "0.1"},
        tags={"team": "ops"},
        inputs=[read],
        source=Source(commit="abc", dirty=True, branch="main"),
        parent="",
    )
    assert made.status is RunStatus.QUEUED
    assert made.created_by == "ann@box"
    assert made.inputs == (read,)
    assert made.source.commit == "abc"
    assert runs.get(made.id) == made
    assert msgspec.json.decode(msgspec.json.encode(made), type=Run) == made


def test_a_run_is_found_by_a_unique_beginning(runs: RunStore, ann: Mutation) -> None:
    made = runs.create(name="first", mutation=ann)
    assert runs.get(made.id[:8]).id == made.id
    for unknown in ("abc", "ffffffff", ""):
        with pytest.raises(NotFound):
            runs.get(unknown)


def test_a_run_is_found_by_the_beginning_of_its_id(backend: Backend, runs: RunStore, ann: Mutation) -> None:
    _needs_own_ids(backend)
    made = runs.create(name="first", mutation=ann, id="abcd" + "0" * 28)
    assert runs.get("abcd").id == made.id
    runs.create(name="second", mutation=ann, id="abcd" + "1" * 28)
    with pytest.raises(Invalid, match="several"):
        runs.get("abcd")
    for unknown in ("abc", "ffffffff", ""):
        with pytest.raises(NotFound):
            runs.get(unknown)


def test_creating_twice_with_one_key_makes_one_run(runs: RunStore) -> None:
    once = Mutation("ann@box", key="k1")
    assert runs.create(name="a", mutation=once).id == runs.create(name="a", mutation=once).id
    assert runs.count().value == 1


def _needs_own_ids(backend: Backend) -> None:
    if not backend.features.own_ids:
        pytest.skip("this backend gives runs their ids itself")


def test_creating_a_run_under_a_taken_id_is_a_conflict(backend: Backend, runs: RunStore, ann: Mutation) -> None:
    _needs_own_ids(backend)
    made = runs.create(name="a", mutation=ann)
    with pytest.raises(Conflict):
        runs.create(name="b", mutation=ann, id=made.id)


def test_a_run_needs_a_name(runs: RunStore, ann: Mutation) -> None:
    with pytest.raises(Invalid) as caught:
        runs.create(name="  ", mutation=ann)
    assert caught.value.field == "name"


def test_a_run_starts_once_and_ends_once(runs: RunStore, ann: Mutation) -> None:
    run = runs.create(name="a", mutation=ann).id
    assert runs.start(run, at=1000).started_at == 1000
    with pytest.raises(Conflict):
        runs.start(run)
    ended = runs.end(run, RunStatus.FAILED, exit_code=3, reason="out of luck", at=5000)
    assert (ended.status, ended.exit_code, ended.reason, ended.ended_at) == (RunStatus.FAILED, 3, "out of luck", 5000)
    assert runs.end(run, RunStatus.FAILED, exit_code=3) == ended
    with pytest.raises(Conflict):
        runs.end(run, RunStatus.FINISHED)
    with pytest.raises(Conflict):
        runs.mark_stopping(run)


def test_a_run_does_not_end_as_running(runs: RunStore, ann: Mutation) -> None:
    run = runs.create(name="a", mutation=ann).id
    with pytest.raises(Invalid):
        runs.end(run, RunStatus.RUNNING)


def test_stopping_is_said_once_or_twice(runs: RunStore, ann: Mutation) -> None:
    run = runs.create(name="a", mutation=ann).id
    runs.start(run)
    assert runs.mark_stopping(run).status is RunStatus.STOPPING
    assert runs.mark_stopping(run).status is RunStatus.STOPPING
    assert runs.end(run, RunStatus.STOPPED).status is RunStatus.STOPPED


def test_a_parameter_cannot_change(runs: RunStore, ann: Mutation) -> None:
    run = runs.create(name="a", mutation=ann, params={"lr": "0.1"}).id
    runs.log_params(run, {"lr": "0.1", "depth": "3"})
    with pytest.raises(Invalid) as caught:
        runs.log_params(run, {"new": "1", "lr": "0.2"})
    assert caught.value.field == "params.lr"
    assert runs.get(run).params == {"lr": "0.1", "depth": "3"}


def test_tags_are_set_changed_and_taken_away(runs: RunStore, ann: Mutation) -> None:
    run = runs.create(name="a", mutation=ann, tags={"a": "1", "b": "2"}).id
    runs.set_tags(run, {"a": None, "b": "3", "c": "4"}, ann)
    assert runs.get(run).tags == {"b": "3", "c": "4"}


def test_progress_and_inputs_are_kept(runs: RunStore, ann: Mutation) -> None:
    run = runs.create(name="a", mutation=ann).id
    progress = Progress(at=5, fraction=0.5, stage="fold 2", rate="1 it/s", eta_s=4.5)
    runs.set_progress(run, progress)
    read = DatasetInput(dataset="d", version="1", digest="f" * 64, context="test")
    runs.add_inputs(run, [read, read])
    found = runs.get(run)
    assert (found.progress, found.inputs) == (progress, (read,))


def test_a_deleted_run_is_out_of_sight_until_restored(runs: RunStore, ann: Mutation) -> None:
    run = runs.create(name="a", mutation=ann).id
    runs.end(run, RunStatus.STOPPED)
    kept = runs.create(name="b", mutation=ann).id
    runs.delete(run, ann)
    assert [found.id for found in runs.page().items] == [kept]
    assert [found.id for found in runs.page(deleted=True).items] == [run]
    assert (runs.count().value, runs.count(deleted=True).value) == (1, 1)
    assert runs.get(run).deleted_at is not None
    runs.restore(run, ann)
    assert runs.count().value == 2
    assert runs.get(run).deleted_at is None


def test_a_filter_on_deleted_says_itself_which_runs_are_meant(runs: RunStore, ann: Mutation) -> None:
    kept, gone = (runs.create(name=name, mutation=ann).id for name in ("kept", "gone"))
    runs.start(gone)
    runs.end(gone, RunStatus.FAILED)
    runs.delete(gone, ann)
    found = {
        text: forward(runs, query_of(text), 1)
        for text in ("deleted = true", "deleted = false", "deleted = true or name = kept", "not deleted = true", "gone")
    }
    assert found == {
        "deleted = true": [gone],
        "deleted = false": [kept],
        "deleted = true or name = kept": [gone, kept],
        "not deleted = true": [kept],
        "gone": [],
    }
    assert runs.count(query_of("deleted = true")).value == 1
    assert forward(runs, query_of("deleted = true order by name"), 1) == [gone]


def test_a_running_run_is_not_deleted(runs: RunStore, ann: Mutation) -> None:
    run = runs.create(name="a", mutation=ann).id
    runs.start(run)
    with pytest.raises(Refused):
        runs.delete(run, ann)


def test_deleted_runs_leave_no_hole_in_a_sorted_list(
    backend: Backend, runs: RunStore, many: tuple[Run, ...], ann: Mutation
) -> None:
    gone = [run.id for run in many if run.status.ended][::3]
    for run in gone:
        runs.delete(run, ann)
    for text in ("", "order by metrics.auc desc", "order by params.lr", "order by ended"):
        whole = forward(runs, query_of(text), 7)
        assert sorted(whole) == sorted({run.id for run in many} - set(gone))
        assert backward(runs, query_of(text), 7) == whole
        if backend.features.seek:
            assert [run.id for run in runs.page(query_of(text), at="#20", limit=5).items] == whole[20:25]


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


def test_a_change_of_text_is_found_at_once(runs: RunStore, ann: Mutation) -> None:
    run = runs.create(name="plain", mutation=ann, params={"model": "Xgboost"}).id
    for word in ("plain", "xgb", "Xgboost"):
        assert forward(runs, query_of(word), 10) == [run]
    runs.set_note(run, "a remarkable thing", ann)
    assert forward(runs, query_of("markab"), 10) == [run]
    runs.set_note(run, "nothing", ann)
    assert forward(runs, query_of("markab"), 10) == []


HOSTILE = [
    "[/red][@click=app.quit]x",
    "\x1b]52;c;aGk=\x07",
    "a\x00b",
    "‮abc​",
    "é" * 5_000,
    "'; DROP TABLE runs; --",
    '"quoted" % _ \\ *',
]


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_is_kept_as_it_is(backend: Backend, runs: RunStore, ann: Mutation, text: str) -> None:
    key = text
    if not backend.features.any_keys:  # such a key is refused, or it is kept: never changed
        try:
            odd = runs.create(name="a", mutation=ann, params={text: "x"}).id
            assert runs.get(odd).params == {text: "x"}
        except Invalid:
            key, text = "k", text[:200]
    run = runs.create(name=text, mutation=ann, params={key: text}, tags={key: text}).id
    runs.set_note(run, text, ann)
    runs.log_points(run, [MetricPoint(key=key, value=1.0)])
    found = runs.get(run)
    assert (found.name, found.params, found.tags, found.note) == (text, {key: text}, {key: text}, text)
    assert found.metrics == {key: 1.0}
    assert runs.keys("params") == (key,)
    assert runs.series(run, key).count == 1


def test_a_lone_surrogate_is_invalid(runs: RunStore, ann: Mutation) -> None:
    with pytest.raises(Invalid):
        runs.create(name="bad \udcff", mutation=ann)
    assert runs.count().value == 0


def test_changed_tells_of_any_change(backend: Backend, runs: RunStore, ann: Mutation) -> None:
    before = backend.changed()
    assert backend.changed() == before
    run = runs.create(name="a", mutation=ann).id
    after = backend.changed()
    assert after != before
    runs.log_points(run, [MetricPoint(key="a", value=1)])
    assert backend.changed() != after


def test_many_threads_may_write_at_once(runs: RunStore, ann: Mutation) -> None:
    run = runs.create(name="shared", mutation=ann).id
    failures: list[Exception] = []

    def write(number: int) -> None:
        try:
            for step in range(20):
                runs.log_points(run, [MetricPoint(key=f"m{number}", value=step, step=step)])
                runs.page(limit=5)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [runs.series(run, f"m{number}").count for number in range(6)] == [20] * 6
