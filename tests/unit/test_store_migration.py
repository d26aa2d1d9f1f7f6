"""A store that an earlier version made: it is brought up to date once, whole, with everything in it."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from backends.contract import Mutation, Unsupported
from backends.entities import DatasetInput, Deployment, MetricPoint
from backends.local import DATABASE, open_local, schema

ANN = Mutation("ann@box")


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of schema 1, with a run, an experiment and a model in it."""
    home = tmp_path / "w"
    home.mkdir(mode=0o700)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "_tracking", lambda _: None)
        patch.setattr(schema, "_examined", lambda _: None)
        patch.setattr(schema, "_served", lambda _: None)
        patch.setattr(schema, "_watched", lambda _: None)
        patch.setattr(schema, "_alarmed", lambda _: None)
        patch.setattr(schema, "_measured", lambda _: None)
        schema.create(home / DATABASE, home / "tmp")
    with closing(sqlite3.connect(home / DATABASE)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        # As if the later steps had never been heard of.
        db.execute("DELETE FROM _sqlite_migrations WHERE name NOT LIKE '0001%'")
        db.execute("INSERT INTO experiments (id, name, created_at) VALUES ('e1', 'flights', 5)")
        db.execute(
            "INSERT INTO runs (id, name, experiment, status, created_at, created_by) "
            "VALUES (?, 'old', 'flights', 'finished', 7, 'ann@box')",
            ("ab" * 16,),
        )
        db.execute("INSERT INTO run_inputs VALUES (1, 'flights', '3', 'training', 'dd')")
        db.execute(
            "INSERT INTO models (name, created_at, created_by, updated_at, versions) "
            "VALUES ('churn', 1, 'ann@box', 1, 2)"
        )
        db.commit()
    return home


def test_an_old_store_is_brought_up_to_date_with_all_that_is_in_it(old: Path) -> None:
    backend = open_local(old)
    run = backend.need("runs").get("ab" * 16)
    assert (run.name, run.experiment) == ("old", "flights")
    assert run.inputs == (DatasetInput(dataset="flights", version="3", digest="dd"),)
    (experiment,) = backend.need("experiments").page().items
    assert (experiment.id, experiment.created_at, experiment.updated_at, experiment.runs) == ("e1", 5, 5, 1)
    model = backend.need("registry").get("churn")
    assert (model.versions, model.kind) == (2, "model")
    backend.need("runs").log_points(run.id, [MetricPoint(key="a", value=1)])
    assert backend.need("logged_models").page().items == ()
    backend.need("deployments").create(Deployment(name="live", model="churn"), ANN)
    backend.close()
    with closing(sqlite3.connect(old / DATABASE)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)


def test_of_several_that_open_it_at_once_one_migrates(old: Path) -> None:
    failures: list[Exception] = []

    def open_it() -> None:
        try:
            backend = open_local(old)
            assert backend.need("runs").page().items
            backend.close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_migration_that_fails_leaves_the_old_store_whole(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(schema, "_TRACKING", schema._TRACKING + "CREATE TABLE models (broken);\n")
        with pytest.raises(Exception, match="models"):
            open_local(old)
    with closing(sqlite3.connect(old / DATABASE)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'logged_models'").fetchone() == (0,)
    backend = open_local(old)
    assert backend.need("runs").get("ab" * 16).name == "old"
    backend.close()


def test_a_newer_store_is_left_alone(old: Path) -> None:
    with closing(sqlite3.connect(old / DATABASE)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(Unsupported, match="newer"):
        open_local(old)
