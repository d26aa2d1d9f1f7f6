"""Many runs, models and versions in the PostgreSQL database of a real MLflow server, by its own SQL: a hundred thousand
runs take a minute or two. Ids, names and times are those of `mlflow_fill`, so both fillings look alike."""

from __future__ import annotations

from tests.mlflow_fill import BEGAN

METRICS = ("auc", "accuracy", "loss", "precision", "recall", "f1")
PARAMS = ("lr", "depth", "optimizer", "batch", "seed", "epochs", "dropout", "l2", "layers", "width")
EXPERIMENTS = 50
UNMEASURED, BROKEN = 33, 97
"""Every so many runs one has no `auc`, and one has NaN for it, as MLflow keeps a NaN: 0 and a mark. Of `recall` many
have the same."""
NEWEST = 11
"""So many runs have a course of every metric; the last few of them are running."""

_RUN = "lpad(to_hex(n), 32, '0')"
_CHANCE = "(('x' || substr(md5(n || key), 1, 8))::bit(32)::bigint & 16777215) / 16777216.0"


def _array(words: tuple[str, ...]) -> str:
    return f"ARRAY[{', '.join(repr(word) for word in words)}]"


def fill_runs(dsn: str, runs: int, *, running: int = 3, points: int = 20) -> None:
    """Runs with ten parameters, six metrics and six tags; three of five in the first of fifty experiments. Every
    fiftieth has failed, the newest few are running, and every seventh has a data set."""
    import psycopg

    experiment = f"CASE WHEN n % 5 < 3 THEN 1 ELSE n % {EXPERIMENTS - 1} + 2 END"
    of_all = f"generate_series(0, {runs} - 1) AS n"
    with psycopg.connect(dsn) as db:
        db.execute("SET synchronous_commit = off")
        db.execute(
            "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, "
            "last_update_time, workspace) "
            f"SELECT n, 'exp-' || n, 'mlflow-artifacts:/' || n, 'active', {BEGAN}, {BEGAN}, 'default' "
            f"FROM generate_series(1, {EXPERIMENTS}) AS n"
        )
        db.execute("SELECT setval('experiments_experiment_id_seq', (SELECT max(experiment_id) FROM experiments))")
        db.execute(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, "
            "start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id) "
            f"SELECT {_RUN}, 'run-' || n, "
            f"'UNKNOWN', '', '', 'user1', CASE WHEN n >= {runs - running} THEN 'RUNNING' WHEN n % 50 = 7 THEN 'FAILED' "
            f"ELSE 'FINISHED' END, {BEGAN} + n * 60000::bigint, CASE WHEN n < {runs - running} THEN {BEGAN} + n * "
            f"60000::bigint + 50000 END, '', 'active', 'mlflow-artifacts:/' || {experiment} || '/' || {_RUN} || "
            f"'/artifacts', {experiment} FROM {of_all}"
        )
        db.execute(
            f"INSERT INTO params (key, value, run_uuid) SELECT key, ((n * 7 + at) % 1000)::text, {_RUN} FROM {of_all}, "
            f"unnest({_array(PARAMS)}) WITH ORDINALITY AS keys (key, at)"
        )
        db.execute(
            f"INSERT INTO tags (key, value, run_uuid) SELECT key, value, {_RUN} FROM {of_all}, LATERAL (VALUES "
            "('mlflow.runName', 'run-' || n), ('mlflow.user', 'user1'), ('mlflow.source.name', 'train.py'), "
            "('mlflow.source.type', 'LOCAL'), ('mlflow.source.git.commit', md5((n / 40)::text)), "
            "('team', 'team-' || n % 7)) AS tags (key, value)"
        )
        _metrics(db, runs, points)
        _data_sets(db, runs)
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("ANALYZE")  # as its autovacuum does within a minute


def _metrics(db: object, runs: int, points: int) -> None:
    """The last value of each, and the course of the newest runs' that led there."""
    from psycopg import Connection

    assert isinstance(db, Connection)
    broken = f"(key = 'auc' AND n % {BROKEN} = 5)"
    db.execute(
        "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) SELECT key, "
        f"CASE WHEN {broken} THEN 0 WHEN key = 'recall' THEN round({_CHANCE}, 2) ELSE {_CHANCE} END, "
        f"{BEGAN} + n * 60000::bigint, {points} - 1, {broken}, {_RUN} "
        f"FROM generate_series(0, {runs} - 1) AS n, unnest({_array(METRICS)}) AS key "
        f"WHERE NOT (key = 'auc' AND n % {UNMEASURED} = 2)"
    )
    db.execute(
        "INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid) "
        "SELECT key, value, timestamp, step, is_nan, run_uuid FROM latest_metrics"
    )
    db.execute(
        "INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid) SELECT key, "
        f"1.0 / (1 + step), {BEGAN} + n * 60000::bigint - 1000 + step, step, false, {_RUN} "
        f"FROM generate_series({max(0, runs - NEWEST)}, {runs} - 1) AS n, unnest({_array(METRICS)}) AS key, "
        f"generate_series(0, {points} - 2) AS step"
    )


def _data_sets(db: object, runs: int) -> None:
    from psycopg import Connection

    assert isinstance(db, Connection)
    db.execute(
        "INSERT INTO datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type, dataset_source, "
        "dataset_schema, dataset_profile) SELECT md5('data' || n), 1, 'churn', substr(md5(n::text), 1, 8), 'local', "
        "'{\"uri\": \"churn.csv\"}', '{}', '{\"num_rows\": 1000}' FROM generate_series(0, 19) AS n"
    )
    db.execute(
        "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step) "
        f"SELECT md5('input' || n), 'DATASET', md5('data' || n % 20), 'RUN', {_RUN}, 0 "
        f"FROM generate_series(0, {runs} - 1, 7) AS n"
    )


def fill_models(
    dsn: str, models: int, versions: int, *, champions: int, large: int, runs: int, challengers: int = 0
) -> None:
    """Models `model-00` …: the first has `large` versions, the others share the rest unevenly; each version from a run
    of its own, with two tags. The first `champions` of them have a champion, which isn't the newest version where there
    are several; the first `challengers` have the newest as challenger."""
    import psycopg

    rest = max(1, (versions - large) // max(1, models - 1))
    count = f"CASE WHEN n = 0 THEN {large} ELSE n * 7 % {2 * rest - 1} + 1 END"
    name = "'model-' || lpad(n::text, greatest(2, length(n::text)), '0')"
    of_all = f"generate_series(0, {models} - 1) AS n"
    with psycopg.connect(dsn) as db:
        db.execute(
            "INSERT INTO registered_models (name, creation_time, last_updated_time, description, workspace) "
            f"SELECT {name}, {BEGAN}, {BEGAN} + n, '', 'default' FROM {of_all}"
        )
        db.execute(
            "INSERT INTO registered_model_tags (key, value, name, workspace) "
            f"SELECT 'team', 'team-' || n % 7, {name}, 'default' FROM {of_all}"
        )
        db.execute(
            "INSERT INTO model_versions (name, version, creation_time, last_updated_time, description, user_id, "
            "current_stage, source, run_id, status, workspace) SELECT name, version, at, at, '', '', 'None', "
            "'mlflow-artifacts:/1/' || run || '/artifacts/model', run, 'READY', 'default' FROM ("
            f"SELECT {name} AS name, version, {BEGAN} + version AS at, "
            f"lpad(to_hex(((row_number() OVER ()) - 1) % {runs}), 32, '0') AS run "
            f"FROM {of_all}, LATERAL generate_series(1, {count}) AS version) AS made"
        )
        db.execute(
            "INSERT INTO model_version_tags (key, value, name, version, workspace) SELECT key, value, name, version, "
            "'default' FROM model_versions, LATERAL (VALUES ('framework', 'sklearn'), ('batch', (version % 9)::text)) "
            "AS tags (key, value)"
        )
        for alias, holders, held in (
            ("champion", champions, f"greatest(1, ({count}) - 1)"),
            ("challenger", challengers, f"({count})"),
        ):
            db.execute(
                "INSERT INTO registered_model_aliases (name, alias, version, workspace) "
                f"SELECT {name}, '{alias}', {held}, 'default' FROM generate_series(0, {holders} - 1) AS n"
            )
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("ANALYZE")
