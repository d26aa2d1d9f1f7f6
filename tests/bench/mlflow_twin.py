"""The rows of a generated workspace, in the tables of a real MLflow server: the same runs on both sides.

MLflow makes its own schema; rows go in by SQL, as a server's life would have left
them (no statistics, its own indexes).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from backends.local import DATABASE

_STATUS = {
    "queued": "SCHEDULED", "running": "RUNNING", "stopping": "RUNNING", "finished": "FINISHED", "failed": "FAILED",
    "stopped": "KILLED", "lost": "FAILED",
}  # fmt: skip


def copy_runs(workspace: Path, mlflow: Path) -> None:
    """Every run of the workspace into MLflow's SQLite file; the server that owns it is at rest."""
    with closing(sqlite3.connect(mlflow)) as db:
        db.execute("ATTACH ? AS ours", (str(workspace / DATABASE),))
        db.executescript(
            """
            PRAGMA synchronous = OFF;
            INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time,
                                     last_update_time, workspace)
            SELECT seq, name, 'mlflow-artifacts:/' || seq, 'active', created_at, created_at, 'default'
            FROM ours.experiments;
            """
        )
        db.create_function("mlflow_status", 1, _STATUS.__getitem__)
        db.execute(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, "
            "start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id) "
            "SELECT r.id, r.name, 'UNKNOWN', '', '', r.created_by, mlflow_status(r.status), r.created_at, r.ended_at, "
            "'', 'active', 'mlflow-artifacts:/' || e.seq || '/' || r.id || '/artifacts', e.seq "
            "FROM ours.runs r JOIN ours.experiments e ON e.name = r.experiment"
        )
        for table in ("params", "tags"):
            db.execute(
                f"INSERT INTO {table} (key, value, run_uuid) SELECT t.key, t.value, r.id FROM ours.{table} t "
                "JOIN ours.runs r ON r.seq = t.run"
            )
        db.execute("INSERT INTO tags (key, value, run_uuid) SELECT 'mlflow.runName', name, id FROM ours.runs")
        for table in ("latest_metrics", "metrics"):
            db.execute(
                f"INSERT INTO {table} (key, value, timestamp, step, is_nan, run_uuid) SELECT m.key, "
                "coalesce(m.value, 0), m.at, m.step, m.value IS NULL, r.id FROM ours.latest_metric m "
                "JOIN ours.runs r ON r.seq = m.run"
            )
        db.commit()


def add_course(mlflow: Path, run: str, key: str, values: Iterator[float]) -> None:
    """A long metric of one run."""
    with closing(sqlite3.connect(mlflow)) as db:
        db.executemany(
            "INSERT OR IGNORE INTO metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, 0, ?)",
            ((key, value, 1_700_000_000_000 + step, step, run) for step, value in enumerate(values)),
        )
        db.execute(
            "INSERT OR REPLACE INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) "
            "SELECT key, value, timestamp, step, 0, run_uuid FROM metrics WHERE run_uuid = ? AND key = ? "
            "ORDER BY step DESC LIMIT 1",
            (run, key),
        )
        db.commit()


def add_versions(mlflow: Path, model: str, run: str, count: int) -> None:
    """A model with many versions."""
    with closing(sqlite3.connect(mlflow)) as db:
        at = 1_700_000_000_000
        db.execute(
            "INSERT INTO registered_models (name, creation_time, last_updated_time, description, workspace) "
            "VALUES (?, ?, ?, '', 'default')",
            (model, at, at),
        )
        db.executemany(
            "INSERT INTO model_versions (name, version, creation_time, last_updated_time, description, user_id, "
            "current_stage, source, run_id, status, workspace) "
            "VALUES (?, ?, ?, ?, '', '', 'None', ?, ?, 'READY', 'default')",
            (
                (model, number, at + number, at + number, f"mlflow-artifacts:/1/{run}/artifacts/model", run)
                for number in range(1, count + 1)
            ),
        )
        db.commit()
