"""A workspace with a million runs, for measuring.

`python tests/bench/generate.py FOLDER [RUNS]` makes FOLDER/runs-1000000 if it is not there yet (about two minutes and
1.3 GB). Names, parameters, tags and metrics look like those of real sweeps: ties, gaps, texts among numbers, failed
runs without metrics. Rows are written as one bulk load: indexes, triggers and counts afterwards. Only the latest value
of a metric is there, not its course.
"""

from __future__ import annotations

import math
import random
import shutil
import sqlite3
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from backends.local import DATABASE, schema
from backends.query_values import number_of

MILLION = 1_000_000
_BATCH = 20_000
_ARCHITECTURES = ("bert-base", "resnet50", "xgboost", "hist-gbm", "logreg", "vit-small", "lstm", "tabnet", "catboost")
_DATASETS = ("flights", "churn", "imagenet-subset", "clicks", "credit", "arxiv-abstracts")
_EXPERIMENTS = tuple(f"{data}-{goal}" for data in _DATASETS for goal in ("baseline", "sweep", "ablation"))
_MOODS = ("brave", "calm", "eager", "fuzzy", "gentle", "happy", "jolly", "keen", "lucid", "mellow", "noble", "proud")
_BEASTS = ("otter", "lynx", "heron", "badger", "marten", "falcon", "newt", "raven", "stoat", "tern", "vole", "wren")
_TEAMS = ("ranking", "risk", "vision", "search", "growth")
_PEOPLE = ("ann@box", "bob@box", "chen@gpu1", "dora@gpu2", "emre@gpu2")
_OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")
_START = 1_700_000_000_000


class Drawn:
    """The rows of one run, by table."""

    __slots__ = ("metrics", "params", "run", "tags", "text")

    def __init__(self, chance: random.Random, seq: int) -> None:
        architecture, data = chance.choice(_ARCHITECTURES), chance.choice(_DATASETS)
        rate = f"{10 ** chance.uniform(-5, -1):.2g}"
        name = f"{architecture}-{chance.choice(_MOODS)}-{chance.choice(_BEASTS)}-{seq % 10_000}"
        experiment = f"{data}-{chance.choice(('baseline', 'sweep', 'ablation'))}"
        status = chance.choices(
            ("finished", "failed", "stopped", "lost", "running", "queued"), (820, 110, 40, 20, 8, 2)
        )[0]
        created = _START + seq * 61_000 + chance.randrange(60_000)
        started = None if status == "queued" else created + chance.randrange(30_000)
        ended = None if started is None or status == "running" else started + int(chance.lognormvariate(14, 1.5))
        note = "worth a second look" if chance.random() < 0.002 else ""
        self.run = (
            seq,
            uuid.UUID(int=chance.getrandbits(128), version=4).hex,
            name,
            experiment,
            status,
            created,
            chance.choice(_PEOPLE),
            started,
            ended,
            note,
            None if ended is None else int(status != "finished"),
        )
        params = {
            "lr": rate,
            "batch_size": str(2 ** chance.randrange(4, 11)),
            "optimizer": chance.choice(_OPTIMIZERS),
            "seed": str(chance.randrange(100)),
            "depth": str(chance.randrange(2, 13)) if chance.random() < 0.9 else "auto",
        }
        tags = {"team": chance.choice(_TEAMS), "dataset": data}
        self.params = [(seq, key, value, number_of(value)) for key, value in params.items()]
        self.tags = [(seq, key, value, number_of(value)) for key, value in tags.items()]
        self.metrics = list(self._metrics(chance, seq, status, ended or created))
        self.text = "\n".join((name, note, experiment, *dict.fromkeys((*params.values(), *tags.values())))).lower()

    def _metrics(self, chance: random.Random, seq: int, status: str, at: int) -> Iterator[tuple[Any, ...]]:
        if status == "queued" or (status == "failed" and chance.random() < 0.6):
            return
        auc = min(0.999, max(0.4, chance.gauss(0.78, 0.08)))
        loss = math.nan if chance.random() < 0.003 else -math.log(auc) + chance.random() / 10
        values = {"auc": auc, "loss": loss, "accuracy": round(auc - chance.random() / 20, 4), "brier": (1 - auc) / 2}
        if chance.random() < 0.5:
            values["f1"] = auc * chance.uniform(0.8, 1)
        for key, value in values.items():
            yield seq, key, None if value != value else value, 100, at, 0, 0


def generate(folder: Path, runs: int = MILLION) -> Path:
    """The workspace under the folder; made now or taken from an earlier call."""
    home = folder / f"runs-{runs}"
    if home.exists():
        return home
    draft = folder / f"runs-{runs}.part"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True, mode=0o700)
    schema.create(draft / DATABASE, draft / "tmp")
    with closing(sqlite3.connect(draft / DATABASE, isolation_level=None)) as db:
        _load(db, runs)
    draft.rename(home)
    return home


def _load(db: sqlite3.Connection, runs: int) -> None:
    for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000", "temp_store = MEMORY"):
        db.execute(f"PRAGMA {setting}")
    for name in schema.RUN_TRIGGERS:
        db.execute(f"DROP TRIGGER {name}")
    for name in schema.RUN_INDEXES:
        db.execute(f"DROP INDEX {name}")
    chance = random.Random(2013)
    drawn = (Drawn(chance, seq) for seq in range(1, runs + 1))
    while batch := list(islice(drawn, _BATCH)):
        db.execute("BEGIN")
        db.executemany(
            "INSERT INTO runs (seq, id, name, experiment, status, created_at, created_by, started_at, ended_at, note, "
            "exit_code) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [one.run for one in batch],
        )
        for table, values in (("params", "?, ?, ?, ?"), ("tags", "?, ?, ?, ?"), ("metrics", "?, ?, ?, ?, ?, ?, ?")):
            into = "latest_metric" if table == "metrics" else table
            db.executemany(
                f"INSERT INTO {into} VALUES ({values})", [row for one in batch for row in getattr(one, table)]
            )
        db.executemany("INSERT INTO run_text VALUES (?, ?)", [(one.run[0], one.text) for one in batch])
        db.execute("COMMIT")
    db.executemany(
        "INSERT INTO experiments (id, name, created_at) VALUES (?, ?, ?)",
        [(uuid.uuid4().hex, name, _START) for name in _EXPERIMENTS],
    )
    for name, columns in schema.RUN_INDEXES.items():
        db.execute(f"CREATE INDEX {name} ON {columns}")
    db.execute("INSERT INTO run_search (run_search) VALUES ('rebuild')")
    db.execute("INSERT INTO facets SELECT 'status', status, count(*) FROM runs GROUP BY status")
    db.execute("INSERT INTO facets SELECT 'experiment', experiment, count(*) FROM runs GROUP BY experiment")
    db.execute("INSERT INTO facets VALUES ('all', 'live', ?)", (runs,))
    for table, scope, measured in (
        ("latest_metric", "metrics", "count(value)"),
        ("params", "params", "0"),
        ("tags", "tags", "0"),
    ):
        db.execute(f"INSERT INTO keys SELECT '{scope}', key, count(*), {measured} FROM {table} GROUP BY key")
    for name, body in schema.RUN_TRIGGERS.items():
        db.execute(f"CREATE TRIGGER {name} {body}")
    db.execute("PRAGMA journal_mode = WAL")


if __name__ == "__main__":
    began = time.perf_counter()
    made = generate(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else MILLION)
    size = (made / DATABASE).stat().st_size
    print(f"{made}  {size / 1024**2:,.0f} MB  {time.perf_counter() - began:.1f} s")
