"""What every `RunStore` promises."""

from __future__ import annotations

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
)
from backends.entities import DatasetInput, MetricPoint, Progress, Run, RunStatus, Source
from tests.contract.forty import backward, forty, forward, query_of

pytestmark = pytest.mark.needs("runs")


@pytest.fixture
def runs(backend: Backend) -> RunStore:
    assert backend.runs is not None
    return backend.runs


@pytest.fixture
def many(runs: RunStore, ann: Mutation) -> tuple[Run, ...]:
    return forty(runs, ann)


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
    try:
        run = runs.create(name=text, mutation=ann, params={key: text}, tags={key: text}).id
    except Invalid as error:  # a server on PostgreSQL
        if "\0" in text and "takes no NUL character" in str(error):
            return
        raise
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
