"""Many runs, models and versions in the SQLite file of a real MLflow server that is at rest or young."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

BEGAN = 1_760_000_000_000
"""Milliseconds: when the oldest run began."""
METRICS = ("auc", "accuracy", "loss", "precision", "recall")
PARAMS = ("lr", "depth", "optimizer", "batch", "seed")


def run_id(number: int) -> str:
    return f"{number:032x}"


def fill_runs(mlflow: Path, runs: int, *, experiments: int = 5, running: int = 3, points: int = 20) -> None:
    """Runs with five parameters and five metrics; the newest few are running, and have a course of metrics.

    Every fiftieth has failed. Without statistics and with the server's own indexes, as its life would have left it.
    """
    with closing(sqlite3.connect(mlflow, timeout=30)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.executemany(
            "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, "
            "last_update_time, workspace) VALUES (?, ?, ?, 'active', ?, ?, 'default')",
            [(n, f"exp-{n}", f"mlflow-artifacts:/{n}", BEGAN, BEGAN) for n in range(1, experiments + 1)],
        )
        db.executemany(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, "
            "start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id) "
            "VALUES (?, ?, 'UNKNOWN', '', '', 'user1', ?, ?, ?, '', 'active', ?, ?)",
            (_run_row(n, runs, experiments, running) for n in range(runs)),
        )
        db.executemany(
            "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
            ((key, str((n * 7 + at) % 1_000), run_id(n)) for n in range(runs) for at, key in enumerate(PARAMS)),
        )
        db.executemany(
            "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
            (
                pair
                for n in range(runs)
                for pair in (
                    ("mlflow.runName", f"run-{n}", run_id(n)),
                    ("mlflow.user", "user1", run_id(n)),
                    ("team", f"team-{n % 7}", run_id(n)),
                )
            ),
        )
        for table in ("latest_metrics", "metrics"):
            db.executemany(
                f"INSERT INTO {table} (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, 0, ?)",
                _metric_rows(runs),
            )
        newest = [run_id(n) for n in range(max(0, runs - 2 * running - 5), runs)]
        add_courses(db, newest, range(points))
        db.commit()


def _run_row(n: int, runs: int, experiments: int, running: int) -> tuple[object, ...]:
    status = "RUNNING" if n >= runs - running else "FAILED" if n % 50 == 7 else "FINISHED"
    began = BEGAN + n * 60_000
    ended = None if status == "RUNNING" else began + 50_000
    exp = n % experiments + 1
    return run_id(n), f"run-{n}", status, began, ended, f"mlflow-artifacts:/{exp}/{run_id(n)}/artifacts", exp


def _metric_rows(runs: int) -> Iterable[tuple[object, ...]]:
    chance = random.Random(7)
    for n in range(runs):
        for key in METRICS:
            yield key, chance.random(), BEGAN + n, 0, run_id(n)


def add_courses(db: sqlite3.Connection, runs: Iterable[str], steps: Iterable[int]) -> None:
    """Further points of every metric; what is running goes on like this."""
    found = [
        (key, 1 / (1 + step + at), BEGAN + step, step, run)
        for run in runs
        for at, key in enumerate(METRICS)
        for step in steps
        if step
    ]
    db.executemany(
        "INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, 0, ?)", found
    )
    db.executemany(
        "INSERT OR REPLACE INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) "
        "VALUES (?, ?, ?, ?, 0, ?)",
        found,
    )


def fill_models(
    mlflow: Path, models: int, versions: int, *, champions: int, large: int = 200, runs: int = 1_000
) -> None:
    """Models `model-00` …: the first has `large` versions, the others share the rest; each version from a run of its
    own. The first `champions` of them have a champion, which isn't the newest version where there are several."""
    rest = max(1, (versions - large) // max(1, models - 1))
    with closing(sqlite3.connect(mlflow, timeout=30)) as db:
        number = 0
        for n in range(models):
            name, count = f"model-{n:02}", large if n == 0 else rest
            db.execute(
                "INSERT INTO registered_models (name, creation_time, last_updated_time, description, workspace) "
                "VALUES (?, ?, ?, '', 'default')",
                (name, BEGAN, BEGAN),
            )
            for version in range(1, count + 1):
                run = run_id(number % runs)
                number += 1
                source = f"mlflow-artifacts:/1/{run}/artifacts/model"
                db.execute(
                    "INSERT INTO model_versions (name, version, creation_time, last_updated_time, description, "
                    "user_id, current_stage, source, run_id, status, workspace) "
                    "VALUES (?, ?, ?, ?, '', '', 'None', ?, ?, 'READY', 'default')",
                    (name, version, BEGAN + version, BEGAN + version, source, run),
                )
            if n < champions:
                db.execute(
                    "INSERT INTO registered_model_aliases (name, alias, version, workspace) "
                    "VALUES (?, 'champion', ?, 'default')",
                    (name, max(1, count - 1)),
                )
        db.commit()
