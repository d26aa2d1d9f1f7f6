"""What one of each costs, measured here: a run, a point, a version, a window, a row of a list, a request of the queue.

CPU seconds are those of this process, so that they hold on a machine that others use; bytes are those of the files
after a checkpoint. `estimate.py` multiplies.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from backends.contract import Backend, Mutation
from backends.entities import MetricPoint, ModelFile, RunStatus, ServiceWindow, Signature
from backends.local import open_local

ME = Mutation("a bench")
METRICS, PARAMS, TAGS, POINTS = 10, 10, 5, 1_000
"""Of one run: a thousand points are a hundred steps of ten metrics."""
MINUTE = 60_000
BEGIN = 1_760_000_000_000


class Unit(NamedTuple):
    """What one of something costs."""

    what: str
    cpu_ms: float
    bytes: float


def size(home: Path) -> int:
    """Of the store's file, its log written into it."""
    import sqlite3

    connection = sqlite3.connect(home / "console.db", isolation_level=None)
    connection.execute("PRAGMA wal_checkpoint (TRUNCATE)")
    connection.close()
    return (home / "console.db").stat().st_size


def points_of(number: int, many: int = POINTS) -> list[MetricPoint]:
    """As a training logs them: steps of ten metrics that fall, with noise in the last digits."""
    return [
        MetricPoint(
            key=f"metric_{at % METRICS}", value=(number % 97 + 1) / (at + 1.7), step=at // METRICS, at=BEGIN + at * 250
        )
        for at in range(many)
    ]


def whole_run(backend: Backend, number: int, many: int = POINTS) -> str:
    """One run from its making to its end, in the transactions that a supervised run takes."""
    runs = backend.need("runs")
    made = runs.create(
        name=f"sweep-{number}", experiment=f"e{number % 50}", mutation=ME,
        params={f"param_{at}": f"{number % (at + 2)}" for at in range(PARAMS)},
        tags={f"tag_{at}": f"v{number % 7}" for at in range(TAGS)},
    ).id  # fmt: skip
    runs.start(made)
    points = points_of(number, many)
    for at in range(0, len(points), 250):
        runs.log_points(made, points[at : at + 250])
    runs.end(made, RunStatus.FINISHED, exit_code=0)
    return str(made)


def _costs(what: str, home: Path, many: int, do: Any) -> Unit:
    before, begun = size(home), time.process_time()
    for number in range(many):
        do(number)
    spent = time.process_time() - begun
    return Unit(what, spent * 1000 / many, (size(home) - before) / many)


def store_units() -> dict[str, Unit]:
    """Of the embedded store."""
    with tempfile.TemporaryDirectory() as made:
        home = Path(made) / "workspace"
        backend = open_local(home)
        runs, registry, queue = backend.need("runs"), backend.need("registry"), backend.need("requests")
        for number in range(50):
            whole_run(backend, number)
        found = {
            "run": _costs("a run without points", home, 300, lambda n: whole_run(backend, n, 0)),
            "run+points": _costs(f"a run with {POINTS} points", home, 300, lambda n: whole_run(backend, n)),
        }
        found["point"] = Unit(
            "a point",
            (found["run+points"].cpu_ms - found["run"].cpu_ms) / POINTS,
            (found["run+points"].bytes - found["run"].bytes) / POINTS,
        )
        found["version"] = _costs(
            "a model version", home, 300,
            lambda n: registry.register(
                f"model-{n % 30}", run="r", file=ModelFile(sha256=f"{n:064x}"), signature=Signature(), mutation=ME,
                metrics={f"metric_{at}": at / (n + 1) for at in range(METRICS)},
            ),
        )  # fmt: skip

        def through_the_queue(number: int) -> None:
            asked = queue.add("run.launch", {"run": f"{number:032x}"}, key=f"k{number}", created_by="a bench")
            queue.claim("a bench", request=asked.id)
            queue.finish(asked.id)

        found["queued"] = _costs("a launch through the queue", home, 300, through_the_queue)
        monitors = backend.need("monitors")
        found["service"] = _costs(
            "a minute of a service", home, 600,
            lambda n: monitors.add_service(
                ServiceWindow(
                    source="s", start=BEGIN + n * MINUTE, end=BEGIN + (n + 1) * MINUTE, requests=1200 + n, errors=n % 9
                )
            ),
        )  # fmt: skip
        page = runs.page(limit=50)
        begun = time.process_time()
        for _ in range(50):
            runs.page(limit=50)
        found["row"] = Unit(
            "a row of a list of runs", (time.process_time() - begun) * 1000 / 50 / 50,
            len(msgspec.json.encode(page.items)) / 50,
        )  # fmt: skip
        backend.close()
        return found


def postgres_bytes(rows: int = 200_000) -> float | None:
    """Bytes of a point in MLflow's own table of metrics with its indexes, on a PostgreSQL made for this; None where
    there is none."""
    tools = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    try:
        import sqlalchemy as sql
        from mlflow.store.tracking.dbmodels.models import Base
    except ImportError:
        return None
    if not tools:
        return None
    import pwd

    as_user = pwd.getpwnam("nobody").pw_uid if os.getuid() == 0 else None  # it does not run as root
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if as_user is not None:
            os.chown(folder, as_user, -1)
        data = folder / "data"
        quiet: dict[str, Any] = {
            "user": as_user,
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
            "cwd": made,
        }
        subprocess.run([tools[-1], "-D", data, "-A", "trust", "-U", "m", "-N"], check=True, **quiet)
        server = subprocess.Popen(
            [tools[-1].with_name("postgres"), "-D", data, "-k", made, "-c", "listen_addresses=", "-c", "fsync=off"],
            **quiet,
        )
        try:
            engine = sql.create_engine(f"postgresql+psycopg://m@/postgres?host={made}")
            until = time.monotonic() + 60
            while True:
                try:
                    engine.connect().close()
                    break
                except sql.exc.OperationalError:
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.2)
            tables = [Base.metadata.tables[name] for name in ("experiments", "runs", "metrics")]
            Base.metadata.create_all(engine, tables=tables)
            with engine.begin() as db:
                db.execute(sql.text("INSERT INTO experiments (experiment_id, name) VALUES (1, 'e')"))
                db.execute(
                    sql.text(
                        "INSERT INTO runs (run_uuid, experiment_id) SELECT lpad(to_hex(n), 32, '0'), 1 "
                        f"FROM generate_series(1, {rows // POINTS}) n"
                    )
                )
                db.execute(
                    sql.text(
                        "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) "
                        f"SELECT 'metric_' || n % 10, random(), {BEGIN} + n, "
                        f"lpad(to_hex(1 + n / {POINTS}), 32, '0'), (n % {POINTS}) / 10, false "
                        f"FROM generate_series(0, {rows - 1}) n"
                    )
                )
                found = db.execute(sql.text("SELECT pg_total_relation_size('metrics')")).scalar_one()
            return float(found) / rows
        finally:
            server.send_signal(signal.SIGINT)  # it does not wait for clients then
            server.wait(timeout=30)
            shutil.rmtree(data, ignore_errors=True)
