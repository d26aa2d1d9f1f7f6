"""The tables of the embedded store, and the only place that makes or migrates them.

sqlite-utils keeps the list of applied migrations and is imported only while one runs; a store that is up to date is
recognised by `PRAGMA user_version` alone.

What a query compiler may rely on:

- `runs AS r`, one row a run; `r.seq` is the rowid that the other tables call `run`. Times are milliseconds.
  `r.duration` is milliseconds, NULL until the run has ended. A run out of sight has `deleted_at`; the caller adds
  `r.deleted_at IS NULL`.
- `latest_metric (run, key, value …)`: `value` is NULL where the latest value is NaN, so comparing is false. `broke` is
  the step from which on it is not finite any more, NULL where it is, or never was.
- `params` and `tags` `(run, key, value, number)`: `number` is the finite REAL that the text spells, else NULL.
  The index is `(key, number, value, run)`; an equality names both: `key = ? AND number IS NULL AND value = ?`.
- `run_inputs (run, dataset, version, digest, context)`; what a tracking client said of the dataset besides is in
  `input_details`, which no list reads.
- `run_text (run, text)`: name, note, experiment, tag and parameter values in lower case (Unicode), one line each.
  `run_search` is its trigram FTS5 index with rowid = run:
  `r.seq IN (SELECT rowid FROM run_search WHERE run_search MATCH '"three or more letters"')`.

A condition comes in two shapes. *By row*, `EXISTS (SELECT 1 FROM latest_metric m WHERE m.run = r.seq AND …)` or `instr`
over `run_text`: right while walking an index in the wanted order, when hits are frequent. *By set*, `r.seq IN
(SELECT run FROM latest_metric WHERE key = ? AND value > ?)`: right when hits are rare.
The runs store tries the first for a few milliseconds and falls back to the second.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from backends.contract import Unreachable, Unsupported

if TYPE_CHECKING:
    from sqlite_utils import Database

VERSION: Final = 7
"""What this program reads and writes; stored as `PRAGMA user_version`."""

_RUNS = """
CREATE TABLE experiments (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    note TEXT NOT NULL DEFAULT '',
    tags TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE runs (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    experiment TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL DEFAULT '',
    started_at INTEGER,
    ended_at INTEGER,
    duration INTEGER AS (ended_at - started_at) VIRTUAL,
    parent TEXT NOT NULL DEFAULT '',
    engine TEXT NOT NULL DEFAULT 'local',
    exit_code INTEGER,
    reason TEXT NOT NULL DEFAULT '',
    deleted_at INTEGER,
    note TEXT NOT NULL DEFAULT '',
    source TEXT NOT NULL DEFAULT '{}',
    progress TEXT
);
CREATE TABLE latest_metric (
    run INTEGER NOT NULL,
    key TEXT NOT NULL,
    value REAL,
    step INTEGER NOT NULL,
    at INTEGER NOT NULL,
    count INTEGER NOT NULL,
    tail INTEGER NOT NULL,
    PRIMARY KEY (run, key)
) WITHOUT ROWID;
CREATE TABLE params (
    run INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    number REAL,
    PRIMARY KEY (run, key)
) WITHOUT ROWID;
CREATE TABLE tags (
    run INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    number REAL,
    PRIMARY KEY (run, key)
) WITHOUT ROWID;
CREATE TABLE run_inputs (
    run INTEGER NOT NULL,
    dataset TEXT NOT NULL,
    version TEXT NOT NULL,
    context TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (run, dataset, version, context)
) WITHOUT ROWID;
CREATE TABLE run_text (run INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE facets (
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    runs INTEGER NOT NULL,
    PRIMARY KEY (kind, value)
) WITHOUT ROWID;
CREATE TABLE keys (
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    runs INTEGER NOT NULL,
    measured INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (scope, name)
) WITHOUT ROWID;
CREATE TABLE metric_chunks (
    chunk INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    key TEXT NOT NULL,
    first_step INTEGER NOT NULL,
    last_step INTEGER NOT NULL,
    count INTEGER NOT NULL,
    summary BLOB NOT NULL
);
CREATE TABLE metric_points (chunk INTEGER PRIMARY KEY, pyramid BLOB NOT NULL, points BLOB NOT NULL);
CREATE TABLE metric_tail (
    seq INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    key TEXT NOT NULL,
    step INTEGER NOT NULL,
    at INTEGER NOT NULL,
    value REAL
);
CREATE TABLE artifacts (
    run TEXT NOT NULL,
    path TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (run, path)
) WITHOUT ROWID;
"""

RUN_INDEXES: Final = {
    "runs_created": "runs (deleted_at, created_at)",
    "runs_name": "runs (deleted_at, name)",
    "runs_status": "runs (deleted_at, status)",
    "runs_experiment": "runs (deleted_at, experiment)",
    "runs_started": "runs (deleted_at, started_at)",
    "runs_ended": "runs (deleted_at, ended_at)",
    "runs_duration": "runs (deleted_at, duration)",
    "runs_parent": "runs (parent) WHERE parent <> ''",
    "latest_metric_value": "latest_metric (key, value, run)",
    "params_value": "params (key, number, value, run)",
    "tags_value": "tags (key, number, value, run)",
    "run_inputs_dataset": "run_inputs (dataset, run)",
    "run_inputs_digest": "run_inputs (digest, run)",
    "metric_chunks_series": "metric_chunks (run, key, first_step)",
    "metric_tail_series": "metric_tail (run, key)",
    "artifacts_sha256": "artifacts (sha256)",
}

_SEEN = "deleted_at IS NULL"
_FACET = "INSERT INTO facets VALUES ({kind}, {value}, {by}) ON CONFLICT DO UPDATE SET runs = runs + excluded.runs;"
_KEY = (
    "INSERT INTO keys VALUES ('{scope}', {row}.key, {by}, {measured}) "
    "ON CONFLICT DO UPDATE SET runs = runs + excluded.runs, measured = measured + excluded.measured;"
)


def _facets(row: str, by: int) -> str:
    kinds = {"'status'": f"{row}.status", "'experiment'": f"{row}.experiment"}
    shown = f"iif({row}.{_SEEN}, {by}, 0)"
    seen = "".join(_FACET.format(kind=kind, value=value, by=shown) for kind, value in kinds.items())
    everything = _FACET.format(kind="'all'", value=f"iif({row}.{_SEEN}, 'live', 'deleted')", by=by)
    return seen + everything


def _key_triggers(table: str, scope: str, measured: str) -> dict[str, str]:
    gone = measured.format(row="old")
    come = measured.format(row="new")
    return {
        f"{table}_added": f"AFTER INSERT ON {table} BEGIN "
        f"{_KEY.format(scope=scope, row='new', by=1, measured=come)} END",
        f"{table}_removed": f"AFTER DELETE ON {table} BEGIN "
        f"{_KEY.format(scope=scope, row='old', by=-1, measured=f'-({gone})')} END",
    }


RUN_TRIGGERS: Final = {
    "runs_added": f"AFTER INSERT ON runs BEGIN {_facets('new', 1)} END",
    "runs_removed": f"AFTER DELETE ON runs BEGIN {_facets('old', -1)} END",
    "runs_moved": "AFTER UPDATE OF status, experiment, deleted_at ON runs "
    f"BEGIN {_facets('old', -1)} {_facets('new', 1)} END",
    **_key_triggers("latest_metric", "metrics", "{row}.value IS NOT NULL"),
    **_key_triggers("params", "params", "0"),
    **_key_triggers("tags", "tags", "0"),
    "latest_metric_changed": "AFTER UPDATE OF value ON latest_metric "
    "WHEN (old.value IS NULL) <> (new.value IS NULL) BEGIN "
    "UPDATE keys SET measured = measured + iif(new.value IS NULL, -1, 1) "
    "WHERE scope = 'metrics' AND name = new.key; END",
}

_REST = """
CREATE TABLE datasets (
    name TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    versions INTEGER NOT NULL,
    latest TEXT NOT NULL,
    rows INTEGER NOT NULL,
    note TEXT NOT NULL DEFAULT '',
    tags TEXT NOT NULL DEFAULT '{}'
) WITHOUT ROWID;
CREATE TABLE dataset_versions (
    seq INTEGER PRIMARY KEY,
    dataset TEXT NOT NULL,
    version INTEGER NOT NULL,
    digest TEXT NOT NULL,
    object TEXT NOT NULL,
    record BLOB NOT NULL,
    UNIQUE (dataset, version),
    UNIQUE (dataset, digest)
);
CREATE INDEX dataset_versions_digest ON dataset_versions (digest);
CREATE INDEX dataset_versions_object ON dataset_versions (object);
CREATE TABLE models (
    name TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    versions INTEGER NOT NULL,
    note TEXT NOT NULL DEFAULT '',
    tags TEXT NOT NULL DEFAULT '{}'
) WITHOUT ROWID;
CREATE TABLE model_versions (
    seq INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    version INTEGER NOT NULL,
    run TEXT NOT NULL,
    note TEXT NOT NULL,
    tags TEXT NOT NULL,
    record BLOB NOT NULL,
    UNIQUE (model, version)
);
CREATE INDEX model_versions_run ON model_versions (run);
CREATE TABLE aliases (
    model TEXT NOT NULL,
    alias TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (model, alias)
) WITHOUT ROWID;
CREATE TABLE alias_moves (
    seq INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    alias TEXT NOT NULL,
    at INTEGER NOT NULL,
    record BLOB NOT NULL
);
CREATE INDEX alias_moves_alias ON alias_moves (model, alias, seq);
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    reason TEXT NOT NULL,
    gates TEXT NOT NULL,
    outcome TEXT NOT NULL,
    detail TEXT NOT NULL,
    key TEXT NOT NULL,
    undoes TEXT NOT NULL,
    previous_hash TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX journal_undoes ON journal (undoes) WHERE undoes <> '';
CREATE INDEX journal_target ON journal (target, seq);
CREATE TRIGGER journal_kept BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_unchanged BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TABLE journal_head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash TEXT NOT NULL);
INSERT INTO journal_head VALUES (1, 0, '');
CREATE TABLE idempotency (
    key TEXT PRIMARY KEY,
    verb TEXT NOT NULL,
    result TEXT NOT NULL,
    at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE monitors (
    name TEXT PRIMARY KEY,
    record TEXT NOT NULL,
    state TEXT NOT NULL,
    rows INTEGER NOT NULL DEFAULT 0,
    windows INTEGER NOT NULL DEFAULT 0,
    last_at INTEGER
) WITHOUT ROWID;
CREATE TABLE windows (
    seq INTEGER PRIMARY KEY,
    monitor TEXT NOT NULL,
    segment TEXT NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    state TEXT NOT NULL,
    record BLOB NOT NULL,
    counts BLOB NOT NULL,
    UNIQUE (monitor, segment, start)
);
CREATE TABLE batches (monitor TEXT NOT NULL, batch TEXT NOT NULL, PRIMARY KEY (monitor, batch)) WITHOUT ROWID;
CREATE TABLE alerts (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    monitor TEXT NOT NULL,
    state TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX alerts_opened ON alerts (opened_at);
CREATE INDEX alerts_monitor ON alerts (monitor, opened_at);
CREATE TABLE requests (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    priority INTEGER NOT NULL,
    claimed_by TEXT NOT NULL DEFAULT '',
    claimed_at INTEGER,
    ended_at INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT ''
);
CREATE INDEX requests_queue ON requests (state, priority DESC, seq);
"""


def _statements(script: str) -> list[str]:
    """Single statements of a script, each ending where SQLite says that it is complete."""
    found, gathered = [], ""
    for line in script.splitlines(keepends=True):
        gathered += line
        if gathered.strip() and sqlite3.complete_statement(gathered):
            found.append(gathered)
            gathered = ""
    return found


def _tracking(db: Database) -> None:
    for statement in _statements(_TRACKING):
        db.execute(statement)
    db.execute("PRAGMA user_version = 2")


def _examined(db: Database) -> None:
    for statement in _statements(_EXAMINED):
        db.execute(statement)
    db.execute("PRAGMA user_version = 3")


def _served(db: Database) -> None:
    for statement in _statements(_SERVED):
        db.execute(statement)
    db.execute("PRAGMA user_version = 4")


def _watched(db: Database) -> None:
    for statement in _statements(_WATCHED):
        db.execute(statement)
    db.execute("PRAGMA user_version = 5")


def _alarmed(db: Database) -> None:
    for statement in _statements(_ALARMED):
        db.execute(statement)
    db.execute("PRAGMA user_version = 6")


LONG_MS: Final = 3_600_000
LONG: Final = f'"end" - start >= {LONG_MS}'
"""In these words `windows_long` finds them among a year's minutes."""


def _measured(db: Database) -> None:
    db.execute(f"CREATE INDEX windows_long ON windows (monitor, segment, start) WHERE {LONG}")
    db.execute("PRAGMA user_version = 7")


def _first(db: Database) -> None:
    for statement in _statements(_RUNS):
        db.execute(statement)
    for name, columns in RUN_INDEXES.items():
        db.execute(f"CREATE INDEX {name} ON {columns}")
    for name, body in RUN_TRIGGERS.items():
        db.execute(f"CREATE TRIGGER {name} {body}")
    db.execute(
        "CREATE VIRTUAL TABLE run_search USING fts5 (text, content='run_text', content_rowid='run', tokenize='trigram')"
    )
    for statement in _statements(_REST):
        db.execute(statement)
    db.execute("PRAGMA user_version = 1")


_TRACKING = """
ALTER TABLE experiments ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE experiments ADD COLUMN deleted_at INTEGER;
UPDATE experiments SET updated_at = created_at;
ALTER TABLE run_inputs ADD COLUMN source_type TEXT NOT NULL DEFAULT '';
ALTER TABLE run_inputs ADD COLUMN source TEXT NOT NULL DEFAULT '';
CREATE TABLE input_details (
    dataset TEXT NOT NULL,
    digest TEXT NOT NULL,
    schema TEXT NOT NULL,
    profile TEXT NOT NULL,
    PRIMARY KEY (dataset, digest)
);
CREATE TABLE logged_models (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    experiment TEXT NOT NULL,
    run TEXT NOT NULL,
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    params TEXT NOT NULL,
    tags TEXT NOT NULL
);
CREATE INDEX logged_models_experiment ON logged_models (experiment, created_at);
CREATE INDEX logged_models_run ON logged_models (run);
CREATE TABLE logged_metrics (
    model TEXT NOT NULL,
    key TEXT NOT NULL,
    run TEXT NOT NULL,
    dataset TEXT NOT NULL,
    digest TEXT NOT NULL,
    value REAL,
    step INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (model, key, run, dataset, digest)
) WITHOUT ROWID;
CREATE TABLE run_outputs (
    run TEXT NOT NULL,
    model TEXT NOT NULL,
    step INTEGER NOT NULL,
    PRIMARY KEY (run, model)
) WITHOUT ROWID;
ALTER TABLE models ADD COLUMN kind TEXT NOT NULL DEFAULT 'model';
ALTER TABLE models ADD COLUMN last_number INTEGER NOT NULL DEFAULT 0;
UPDATE models SET last_number = versions;
"""

_EXAMINED = """
CREATE TABLE column_notes (
    dataset TEXT NOT NULL,
    name TEXT NOT NULL,
    unit TEXT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (dataset, name)
) WITHOUT ROWID;
CREATE TABLE definitions (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    record BLOB NOT NULL,
    UNIQUE (kind, name, version)
);
CREATE TABLE reports (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    record BLOB NOT NULL
);
CREATE INDEX reports_subject ON reports (subject, kind, seq);
CREATE INDEX reports_kind ON reports (kind, seq);
"""

_WATCHED = """
ALTER TABLE runs ADD COLUMN heard_at INTEGER;
ALTER TABLE latest_metric ADD COLUMN broke INTEGER;
CREATE INDEX latest_metric_broke ON latest_metric (run, key, broke) WHERE broke IS NOT NULL;
"""

_ALARMED = """
CREATE TABLE service_windows (
    seq INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    record BLOB NOT NULL,
    UNIQUE (source, start)
);
CREATE TABLE mutes (
    monitor TEXT NOT NULL,
    rule TEXT NOT NULL,
    segment TEXT NOT NULL,
    until INTEGER NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (monitor, rule, segment)
) WITHOUT ROWID;
CREATE TABLE deliveries (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    alert TEXT NOT NULL,
    state TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX deliveries_due ON deliveries (state, due_at);
CREATE INDEX deliveries_alert ON deliveries (alert);
CREATE TABLE triggers (
    name TEXT PRIMARY KEY,
    record TEXT NOT NULL,
    state TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE trigger_firings (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    trigger TEXT NOT NULL,
    at INTEGER NOT NULL,
    state TEXT NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX trigger_firings_of ON trigger_firings (trigger, at);
"""


_SERVED = """
CREATE TABLE deployments (
    name TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    record TEXT NOT NULL,
    status TEXT NOT NULL
) WITHOUT ROWID;
"""


@contextmanager
def _without(*modules: str) -> Iterator[None]:
    """Let an optional import of these fail; those that are there already stay."""
    absent = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None is how the system says "not there"
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the connected database to `VERSION`, each step in a transaction of its own."""
    with _without("pandas", "numpy"):  # it would take them along, 0.5 s, for column types that no table here has
        from sqlite_utils import Database, Migrations  # 0.2 s: only when there is a schema to make

    migrations: Any = Migrations("mlops-console")
    migrations(name="0001 the first tables")(_first)
    migrations(name="0002 what tracking clients log")(_tracking)
    migrations(name="0003 what is known of data")(_examined)
    migrations(name="0004 what is served")(_served)
    migrations(name="0005 what runs are watched by")(_watched)
    migrations(name="0006 what monitors tell and do")(_alarmed)
    migrations(name="0007 which windows are long")(_measured)
    migrations.apply(Database(connection))


@contextmanager
def _alone(database: Path) -> Iterator[None]:
    """One process migrates; the others wait, and find it done."""
    handle = os.open(database.with_name(f"{database.name}.migrating"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def create(database: Path, staging: Path) -> None:
    """Make a new database whole under a temporary name and link it into place, so that nobody ever sees half of one."""
    staging.mkdir(mode=0o700, exist_ok=True)
    draft = staging / f"console-{os.getpid()}-{os.urandom(4).hex()}.db"
    connection = sqlite3.connect(draft, isolation_level=None)
    try:
        connection.execute("PRAGMA page_size = 4096")
        connection.execute("PRAGMA journal_mode = WAL")
        migrate(connection)
    finally:
        connection.close()
    try:
        draft.chmod(0o600)
        os.link(draft, database)
    except FileExistsError:
        pass  # another process was first: theirs is as good
    finally:
        draft.unlink()


def check(connection: sqlite3.Connection, database: Path) -> None:
    """Migrate an older database; refuse a newer or a foreign one."""
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found == VERSION:
        return
    if found > VERSION:
        raise Unsupported(
            f"{database} was written by a newer mlops-console (schema {found}, this program knows {VERSION}); "
            "nothing was changed. Upgrade the program, or use another workspace."
        )
    if found == 0:
        raise Unreachable(
            f"{database} is not a store of mlops-console (no schema version in it); nothing was changed. "
            "Move the file away, or use another workspace."
        )
    with _alone(database):
        if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            migrate(connection)
