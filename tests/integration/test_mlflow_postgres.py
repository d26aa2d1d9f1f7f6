"""MLflow on PostgreSQL: what the console asks of it stays little, and what it shows is right where PostgreSQL sorts and
compares otherwise than SQLite."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from backends.connect import connect
from backends.contract import END, START, Backend, BackendError, Conflict, Invalid, Mutation, Page
from backends.entities import ModelFile, ModelVersion, Run, RunStatus, Signature
from backends.mlflow import client_room
from backends.query import MODEL_FIELDS, RUN_FIELDS, parse
from console.promotion.promote import promote
from console.promotion.rollback import rollback
from tests.counting_proxy import CountingProxy
from tests.mlflow_fill import run_id
from tests.mlflow_fill_postgres import BROKEN, UNMEASURED, fill_models, fill_runs
from tests.mlflow_server import never_slow, start_mlflow
from tests.postgres_server import absent, start_postgres
from tests.remote_views import View, looking, open_session, refreshed

pytestmark = pytest.mark.skipif(bool(absent()), reason=absent())

RUNS, MODELS, LARGE = 5_000, 60, 300
REQUESTS, BYTES = 3, 200_000
ANN = Mutation("ann@box", reason="because")


class World(NamedTuple):
    url: str
    dsn: str


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    postgres = start_postgres()
    try:
        store = postgres.create("mlflow")
        server = start_mlflow(tmp_path_factory.mktemp("mlflow-postgres"), store=store)
        try:
            fill_runs(postgres.dsn("mlflow"), RUNS)
            fill_models(postgres.dsn("mlflow"), MODELS, 1_000, champions=40, challengers=10, large=LARGE, runs=RUNS - 9)
            yield World(server.url, postgres.dsn("mlflow"))
        finally:
            server.stop()
    finally:
        postgres.stop()


@pytest.fixture
def proxy(world: World) -> Iterator[CountingProxy]:
    found = CountingProxy(world.url)
    yield found
    found.stop()


@pytest.fixture
def backend(proxy: CountingProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    never_slow(monkeypatch)
    made = connect("prod", f"mlflow+{proxy.url}", sidecar=tmp_path / "sidecar", options={"timeout": "120"})
    yield made
    made.close()


def asked(world: World, statement: str) -> list[str]:
    """The oracle: PostgreSQL itself, past MLflow."""
    import psycopg

    with psycopg.connect(world.dsn) as db:
        return [str(row[0]) for row in db.execute(statement).fetchall()]  # type: ignore[call-overload]


def walked(backend: Backend, query: str, pages: int, at: str = START) -> list[Run]:
    found: list[Run] = []
    for _ in range(pages):
        page: Page[Run] = backend.need("runs").page(parse(query, RUN_FIELDS), at=at, limit=50)
        assert page.note == "", page.note
        found += page.items
        if page.next is None:
            break
        at = page.next
    return found


# ---------------------------------------------------------------- how much is asked


@pytest.mark.parametrize(
    "view", [View("Overview", "overview"), View("Models", "models"), View("one model", "models", "model-00")],
    ids=lambda view: view.name,
)  # fmt: skip
async def test_a_refresh_is_three_questions_and_200_kb_at_most(
    world: World, proxy: CountingProxy, view: View, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_slow(monkeypatch)
    monkeypatch.setattr(client_room, "POLL_S", 3_600.0)  # a look at the server is the test's to ask for
    opened = open_session(proxy.url, tmp_path / "sidecar")
    try:
        async with looking(opened, view) as (app, pilot):
            opening = proxy.taken()
            assert opening.requests <= 45, str(opening)
            for _ in range(2):
                await refreshed(app, pilot)
                tally = proxy.taken()
                assert tally.requests <= REQUESTS, str(tally)
                assert tally.bytes <= BYTES, str(tally)
    finally:
        opened.backend.close()


def test_each_page_of_runs_is_one_question(backend: Backend, proxy: CountingProxy) -> None:
    runs = backend.need("runs")
    runs.page(limit=50)
    by_metric = parse("order by metrics.auc desc", RUN_FIELDS)
    runs.page(by_metric, limit=50)  # the first sort by a metric tries a few runs before
    following = runs.page(limit=50).next
    for what, query, at in (
        ("newest", None, START),
        ("the next page", None, following),
        ("a jump", None, "#3000"),
        ("by metric", by_metric, START),
        ("a jump, by metric", by_metric, "#3000"),
        ("filtered", parse("params.optimizer = '9' and metrics.auc > 0.5", RUN_FIELDS), START),
        ("by name", parse("name ~ 'RUN-12'", RUN_FIELDS), START),
    ):
        proxy.taken()
        assert runs.page(query, at=at, limit=50).items, what
        tally = proxy.taken()
        assert tally.requests == 1, f"{what}: {tally}"
        assert tally.bytes <= BYTES, f"{what}: {tally}"


def test_the_end_is_found_in_few_questions_and_again_in_two(backend: Backend, proxy: CountingProxy) -> None:
    runs = backend.need("runs")
    proxy.taken()
    last = runs.page(at=END, limit=20)
    assert [run.id for run in last.items] == [run_id(number) for number in range(19, -1, -1)]
    first_time = proxy.taken()
    assert first_time.requests <= 26, str(first_time)
    assert runs.page(at=END, limit=20).items == last.items
    assert proxy.taken().requests == 2


def test_champions_of_many_models_are_told_by_their_numbers_not_one_by_one(
    backend: Backend, proxy: CountingProxy, world: World
) -> None:
    registry = backend.need("registry")
    models = registry.page(limit=100).items
    numbers = asked(world, "SELECT DISTINCT version FROM registered_model_aliases WHERE alias = 'champion'")
    proxy.taken()
    held = registry.holders(models, "champion")
    first = proxy.taken()
    assert len(held) == 40
    assert first.requests <= len(numbers) + 4, str(first)
    for _ in range(40):
        held = registry.holders(models, "champion")
        later = proxy.taken()
        assert later.requests <= 1, str(later)
        assert later.bytes <= BYTES - 100_000, "a list of models is read beside it"
    assert later.requests == 0, "all are known"
    assert all(version.metrics and "champion" in version.aliases for version in held.values())


def test_versions_of_a_large_model_are_read_page_by_page(backend: Backend, proxy: CountingProxy) -> None:
    registry = backend.need("registry")
    page: Page[ModelVersion] = registry.versions("model-00", limit=100)
    opening = proxy.taken()
    of_versions = [one for one in opening.passed if "model-versions" in one.what]
    assert len(of_versions) == 1, str(opening)
    found = list(page.items)
    while page.next is not None:
        page = registry.versions("model-00", at=page.next, limit=100)
        tally = proxy.taken()
        assert sum("model-versions" in one.what for one in tally.passed) <= 1, str(tally)
        found += page.items
    assert [version.version for version in found] == [str(number) for number in range(LARGE, 0, -1)]


# ---------------------------------------------------------------- what PostgreSQL does otherwise


@pytest.mark.parametrize("down", ["desc", "asc"])
def test_a_sort_by_metric_has_the_unmeasured_and_nan_last_and_loses_none_between_pages(
    backend: Backend, world: World, down: str
) -> None:
    found = walked(backend, f"order by metrics.auc {down}", 3)
    expected = asked(
        world, f"SELECT run_uuid FROM latest_metrics WHERE key = 'auc' AND NOT is_nan ORDER BY value {down} LIMIT 150"
    )
    assert [run.id for run in found] == expected
    measured = asked(world, "SELECT count(*) FROM latest_metrics WHERE key = 'auc' AND NOT is_nan")
    rest = walked(backend, f"order by metrics.auc {down}", 99, at=f"#{int(measured[0]) - 10}")
    assert [("auc" in run.metrics and run.metrics["auc"] == run.metrics["auc"]) for run in rest[:10]] == [True] * 10
    broken = {run_id(n) for n in range(RUNS) if n % BROKEN == 5 and n % UNMEASURED != 2}
    unmeasured = {run_id(n) for n in range(RUNS) if n % UNMEASURED == 2}
    assert {run.id for run in rest[10:]} == broken | unmeasured
    assert len(rest) == 10 + len(broken) + len(unmeasured), "none is there twice"


def test_runs_of_the_same_value_are_told_once_each(backend: Backend, world: World) -> None:
    found = [run.id for run in walked(backend, "metrics.recall > 0.9 order by metrics.recall desc", 30)]
    expected = asked(world, "SELECT run_uuid FROM latest_metrics WHERE key = 'recall' AND value > 0.9")
    assert len(found) == len(set(found)), "a run at the edge of two pages is not shown twice"
    assert set(found) == set(expected)


def test_nan_is_no_number_that_a_filter_finds(backend: Backend, world: World) -> None:
    found = {run.id for run in walked(backend, "metrics.auc < 0.01", 9)}
    expected = asked(world, "SELECT run_uuid FROM latest_metrics WHERE key = 'auc' AND value < 0.01 AND NOT is_nan")
    assert found == set(expected)


def test_case_counts_where_it_is_meant_to(backend: Backend) -> None:
    def names(query: str) -> list[str]:
        return [run.name for run in backend.need("runs").page(parse(query, RUN_FIELDS), limit=5).items]

    assert names("name ~ 'RUN-4999'") == names("name ~ 'run-4999'") == ["run-4999"]
    assert names("name = 'run-4999'") == ["run-4999"]
    assert names("name = 'RUN-4999'") == []
    assert len(names("tags.team = 'team-1'")) == 5
    assert names("tags.team = 'Team-1'") == []


def test_models_come_in_the_database_s_order_and_each_once(backend: Backend, proxy: CountingProxy) -> None:
    registry = backend.need("registry")
    odd = ["Alpha", "alpha-2", "Beta", "_beta", "Zeta 9", "zeta", "\u00e9t\u00e9"]
    for name in odd:
        registry.create(name, ANN)
    found, at = list[str](), START
    while True:
        page = registry.page(at=at, limit=7)
        found += [model.name for model in page.items]
        if page.next is None:
            break
        at = page.next
    assert len(found) == len(set(found)) == MODELS + len(odd)
    assert set(odd) <= set(found)
    proxy.taken()
    matching = registry.page(parse("name ~ 'ALPHA'", MODEL_FIELDS)).items
    assert {model.name for model in matching} == {"Alpha", "alpha-2"}
    few = [one for one in proxy.taken().passed if "registered-models" in one.what]
    assert [one.down < 10_000 for one in few] == [True], "the server is asked for those of the name only"
    for name in odd:
        registry.delete(name, ANN)


def test_what_its_columns_do_not_hold_is_refused_in_words_and_without_sql(backend: Backend) -> None:
    runs = backend.need("runs")
    for name, words in (("a\0b", "takes no NUL character"), ("n" * 300, "keeps 250 characters")):
        with pytest.raises(Invalid, match=words) as refused:
            runs.create(name=name, experiment="exp-1", mutation=ANN)
        assert "INSERT" not in str(refused.value)
        assert "psycopg" not in str(refused.value)
    with pytest.raises(BackendError, match="no experiment 99999999999"):
        backend.need("experiments").get("99999999999")  # beyond a 32-bit column


# ---------------------------------------------------------------- promotion


def test_promoting_and_rolling_back_among_many_versions(backend: Backend, proxy: CountingProxy) -> None:
    registry, runs = backend.need("registry"), backend.need("runs")
    run = runs.create(name="trained", experiment="exp-1", mutation=ANN).id
    runs.start(run)
    runs.end(run, RunStatus.FINISHED)
    first, second = (
        registry.register("model-00", run=run, file=ModelFile(), signature=Signature(), mutation=ANN).version
        for _ in range(2)
    )
    promote(backend, "model-00", first, "champion", ANN, expected=str(LARGE - 1), override=True)
    proxy.taken()
    promote(backend, "model-00", second, "champion", ANN, expected=first)
    promoting = proxy.taken()
    assert promoting.requests <= 25, str(promoting)
    assert registry.get("model-00").aliases["champion"] == second
    proxy.taken()
    rollback(backend, "model-00", "champion", ANN, expected=second)
    back = proxy.taken()
    assert back.requests <= 25, str(back)
    assert registry.get("model-00").aliases["champion"] == first
    moves = registry.history("model-00", alias="champion")
    assert [(move.version, move.previous) for move in moves[:2]] == [(first, second), (second, first)]
    for version in (first, second):
        if registry.get("model-00").aliases["champion"] == version:
            registry.set_alias("model-00", "champion", str(LARGE - 1), expected=version, mutation=ANN)
        registry.delete_version("model-00", version, ANN)


def test_of_two_who_promote_at_once_one_wins(backend: Backend, proxy: CountingProxy) -> None:
    registry = backend.need("registry")
    start, said = threading.Barrier(2), dict[str, object]()

    def go(version: str) -> None:
        start.wait(30)
        try:
            said[version] = registry.set_alias("model-00", "fresh", version, expected=None, mutation=ANN)
        except BackendError as error:
            said[version] = error

    threads = [threading.Thread(target=go, args=(version,)) for version in ("7", "8")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    lost = [version for version, what in said.items() if isinstance(what, BackendError)]
    assert len(lost) == 1, said
    assert isinstance(said[lost[0]], Conflict)
    assert registry.get("model-00").aliases["fresh"] == ({"7", "8"} - {lost[0]}).pop()
