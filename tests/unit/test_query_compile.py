"""What SQLite gives for a compiled query is what the query means."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from backends.contract import all_pages
from backends.local import run_rows
from backends.local.compile import compile_hits, compile_runs
from backends.local.database import Database
from backends.local.runs import LocalRuns
from backends.query import RUN_FIELDS, Key, lookup_of, matches, parse, sort
from backends.query_nodes import asks
from backends.query_values import number_of
from tests.unit.queries import nodes, queries, runs

together = settings(
    max_examples=50,
    phases=(Phase.generate,),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    made = Database(folder / "console.db")
    yield made
    made.close()


TABLES = ("runs", "latest_metric", "params", "tags", "run_inputs", "run_text", "facets", "keys")


def fill(connection, some):
    """Exactly these runs, the first with seq 1."""
    for table in TABLES:
        connection.execute(f"DELETE FROM {table}")
    connection.execute("INSERT INTO run_search (run_search) VALUES ('delete-all')")
    for seq, run in enumerate(some, 1):
        connection.execute(
            "INSERT INTO runs (seq, id, name, experiment, status, created_at, created_by, started_at, ended_at, "
            "parent, engine, deleted_at, note) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(seq, run.id, run.name, run.experiment, run.status.value, run.created_at, run.created_by),
                *(run.started_at, run.ended_at, run.parent, run.engine, run.deleted_at, run.note),
            ),
        )
        for key, value in run.metrics.items():
            connection.execute(
                "INSERT INTO latest_metric (run, key, value, step, at, count, tail) VALUES (?, ?, ?, 0, 0, 1, 0)",
                (seq, key, value),
            )
        for table in ("params", "tags"):
            for key, value in getattr(run, table).items():
                row = (seq, key, value, number_of(value))
                connection.execute(f"INSERT INTO {table} VALUES (?, ?, ?, ?)", row)
        for read in run.inputs:
            row = (seq, read.dataset, read.version, read.context, read.digest)
            connection.execute(
                "INSERT INTO run_inputs (run, dataset, version, context, digest) VALUES (?, ?, ?, ?, ?)", row
            )
        run_rows.write_text(connection, seq)


def hits(connection, where, by, looking=False):
    condition, binds = compile_runs(where, by=by, connection=connection if looking else None)
    return [seq for (seq,) in connection.execute(f"SELECT r.seq FROM runs r WHERE {condition} ORDER BY r.seq", binds)]


@together
@given(runs(st.integers(5, 25)), st.lists(nodes, min_size=5, max_size=10))
def test_both_shapes_give_the_runs_that_the_query_means(database, some, conditions):
    with database.write() as connection:
        fill(connection, some)
        for where in conditions:
            meant = [seq for seq, run in enumerate(some, 1) if matches(where, lookup_of(run))]
            assert hits(connection, where, "row") == meant
            assert hits(connection, where, "set") == meant
            assert hits(connection, where, "set", looking=True) == meant


@together
@given(runs(st.integers(5, 25)), queries, st.integers(1, 9))
def test_pages_hold_what_the_query_means_in_its_order(database, some, query, limit):
    with database.write() as connection:
        fill(connection, some)
    # A filter that speaks of `deleted` says itself which runs are meant.
    every = query.where is not None and asks(query.where, Key("attribute", "deleted"))
    shown = [run for run in some if (every or run.deleted_at is None) and matches(query.where, lookup_of(run))]
    # Ties of the last key go by age, in its direction.
    last = query.order[-1] if query.order else None
    if last is None:
        shown.sort(key=lambda run: run.created_at)
    if last is None or last.descending:
        shown.reverse()
    store = LocalRuns(database)
    found = [run.id for run in all_pages(lambda at: store.page(query, at=at, limit=limit))]
    assert found == [run.id for run in sort(query.order, shown)]
    assert store.count(query).value == len(shown)


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("metrics.auc > 0.7", "latest_metric_value"),
        ("metrics.auc = 0.7", "latest_metric_value"),
        ("has:metrics.auc", "latest_metric"),
        ("params.lr = 0.1", "params_value (key=? AND number=?)"),
        ("params.lr = 'x'", "params_value (key=? AND number=? AND value=?)"),
        ("params.lr in (0.1, 0.2)", "params_value (key=? AND number=?)"),
        ("params.lr < 0.1", "params_value (key=? AND number>? AND number<?)"),
        ("tags.team = a", "tags_value (key=? AND number=? AND value=?)"),
        ("status = failed", "runs_status (deleted_at=? AND status=?)"),
        ("name = x", "runs_name (deleted_at=? AND name=?)"),
        ("created > 7d", "runs_created (deleted_at=? AND created_at>?)"),
        ("dataset = flights@4", "run_inputs_dataset"),
        ("flights", "run_search VIRTUAL TABLE INDEX 0:M1"),
        ("name ~ flights", "run_search VIRTUAL TABLE INDEX 0:M1"),
        ("tags.team ~ flights", "run_search VIRTUAL TABLE INDEX 0:M1"),
        ("fl", "runs_name (deleted_at=? AND name>? AND name<?)"),
        ("status = failed and note like 'x%'", "runs_status (deleted_at=? AND status=?)"),
        ("metrics.auc > 0.7 and name like '%x'", "latest_metric_value"),
        ("metrics.auc > 0.7 or params.lr = 3", "params_value (key=? AND number=?)"),
    ],
)
def test_a_rare_condition_drives_from_its_index(database, text, index):
    condition, binds = compile_runs(parse(text, RUN_FIELDS).where, by="set")
    with database.read() as connection:
        sql = f"EXPLAIN QUERY PLAN SELECT r.seq FROM runs r WHERE +r.deleted_at IS NULL AND {condition}"
        plan = [row[3] for row in connection.execute(sql, binds)]
    assert any(index in line for line in plan), plan
    assert any("SEARCH r USING INTEGER PRIMARY KEY" in line for line in plan), plan


@pytest.mark.parametrize("text", ["metrics.auc > 0.7", "params.lr = 'x'", "status = failed", "flights", "created > 7d"])
def test_a_frequent_condition_leaves_the_walk_to_the_order(database, text):
    condition, binds = compile_runs(parse(text, RUN_FIELDS).where, by="row")
    with database.read() as connection:
        sql = (
            f"EXPLAIN QUERY PLAN SELECT r.seq FROM runs r WHERE r.deleted_at IS NULL AND {condition} "
            "ORDER BY r.name DESC, r.seq DESC"
        )
        plan = [row[3] for row in connection.execute(sql, binds)]
    assert "runs_name (deleted_at=?)" in plan[0], plan
    assert not any("TEMP B-TREE" in line for line in plan), plan


def test_the_rarest_of_several_conditions_is_chosen(database):
    where = parse("status = finished and metrics.auc > 0.7 and params.lr = 3", RUN_FIELDS).where
    with database.write() as connection:
        fill(connection, [])
        for seq in range(1, 200):
            connection.execute(
                "INSERT INTO runs (seq, id, name, experiment, status, created_at) "
                "VALUES (?, ?, 'n', 'e', 'finished', 1)",
                (seq, f"{seq:032x}"),
            )
            connection.execute(
                "INSERT INTO latest_metric (run, key, value, step, at, count, tail) VALUES (?, 'auc', 0.8, 0, 0, 1, 0)",
                (seq,),
            )
        connection.execute("INSERT INTO params VALUES (7, 'lr', '3.0', 3.0)")
        condition, _ = compile_runs(where, by="set", connection=connection)
        assert condition.index("params") < condition.index("latest_metric")
        assert hits(connection, where, "set", looking=True) == [7]


@together
@given(runs(st.integers(5, 25)), st.lists(nodes, min_size=5, max_size=10))
def test_hits_one_by_one_are_the_same_runs(database, some, conditions):
    with database.write() as connection:
        fill(connection, some)
        for where in conditions:
            hits_by_index = compile_hits(where, connection=connection)
            if hits_by_index is not None:
                found = {seq for (seq,) in connection.execute(*hits_by_index)}
                assert found == {seq for seq, run in enumerate(some, 1) if matches(where, lookup_of(run))}


def test_values_are_bound_and_never_part_of_the_statement(database):
    evil = "x'); DROP TABLE runs; --"
    quoted = evil.replace("'", "''")
    for text in (f"name = '{quoted}'", f"params.`{evil}` ~ '{quoted}'", f"'{quoted}'", f"tags.a in ('{quoted}')"):
        where = parse(text, RUN_FIELDS).where
        for by in ("row", "set"):
            condition, binds = compile_runs(where, by=by)
            assert "DROP" not in condition.upper()
            assert any("drop table" in str(bind).lower() for bind in binds)
