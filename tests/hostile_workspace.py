"""A workspace in which everything that can be named is named by hostile texts: what the screen and the command line are
proved on."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from backends.contract import Backend, Mutation
from backends.entities import (
    Alert,
    AlertState,
    Column,
    ColumnType,
    Deployment,
    DeploymentStatus,
    DeploymentWish,
    MetricPoint,
    ModelFile,
    Monitor,
    Run,
    RunStatus,
    Served,
    Signature,
    Target,
)
from backends.local import open_local
from console.monitoring.feeds.ingest import ingest_batch
from console.serving.deployment.place import folder_of
from tests.hostile import HOSTILE
from tests.monitored import register

TEXTS: dict[str, str] = {key: text for key, text in HOSTILE.items() if text.strip() and key != "surrogate"}
"""What the store takes as a name."""

WATCHED = HOSTILE["action link"]
"""The model and the monitor that have real counts behind them."""

LOG = "run with a hostile log"


def by(text: str) -> Mutation:
    return Mutation(actor=text, reason=text)


def fill(home: Path) -> Backend:
    """Every noun once for every text; a monitor whose features are the texts; a log of all of them."""
    backend = open_local(home)
    _wide_dataset(backend, home)
    for text in TEXTS.values():
        run = _run(backend, text)
        _model(backend, text, run)
        if "@" not in text:
            _dataset(backend, home, text)
    _watched(backend, home)
    for text in TEXTS.values():
        _monitor(backend, text)
        _deployment(backend, text)
    _log(backend, home)
    return backend


def _run(backend: Backend, text: str) -> Run:
    runs = backend.need("runs")
    run: Run = runs.create(
        name=text, experiment=text, params={text: text}, tags={text: text}, mutation=by(text), engine="local"
    )
    runs.start(run.id)
    runs.log_points(run.id, [MetricPoint(key=text, value=0.5 + step / 10, step=step) for step in range(3)])
    runs.set_note(run.id, text, by(text))
    finished: Run = runs.end(run.id, RunStatus.FINISHED, exit_code=0)
    broken = runs.create(name=text, experiment=text, mutation=by(text))
    runs.start(broken.id)
    runs.end(broken.id, RunStatus.FAILED, exit_code=1, reason=text)
    return finished


def _model(backend: Backend, text: str, run: Run) -> None:
    registry = backend.need("registry")
    for _ in range(2):
        registry.register(
            text,
            run=run.id,
            file=ModelFile(sha256="ab" * 32, bytes=10, format=text, path="model/model.skops", untrusted=(text,)),
            signature=Signature(inputs=(Column(name=text, type=ColumnType.FLOAT),)),
            metrics={text: 0.7},
            params={text: text},
            tags={text: text},
            note=text,
            mutation=by(text),
        )
    registry.set_note(text, "", text, by(text))
    registry.set_alias(text, "champion", "1", expected=None, mutation=by(text))
    registry.set_alias(text, text, "1", expected=None, mutation=by(text))


def _dataset(backend: Backend, home: Path, text: str) -> None:
    file = home / "tmp" / "small.parquet"
    pq.write_table(pa.table({text: [text]}), file)
    backend.need("datasets").add(
        text,
        file,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        rows=1,
        columns=[Column(name=text, type=ColumnType.STRING, note=text)],
        source=text,
        note=text,
        mutation=by(text),
    )


def _wide_dataset(backend: Backend, home: Path) -> None:
    """`wide`: every text a column, and every text a value in each."""
    file = home / "tmp" / "wide.parquet"
    values = list(TEXTS.values())
    pq.write_table(pa.table(dict.fromkeys(values, values)), file)
    columns = [Column(name=text, type=ColumnType.STRING, note=text) for text in values]
    backend.need("datasets").add(
        "wide", file, digest="f" * 64, rows=len(values), columns=columns, source="a test", mutation=by("me@here")
    )


def _frame(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    texts = list(TEXTS.values())
    numbers = {text: rng.normal(seed, 1, rows) for text in texts[:-1]}
    return pd.DataFrame({**numbers, texts[-1]: rng.choice(texts[seed:], rows)})


def _watched(backend: Backend, home: Path) -> None:
    train, held = _frame(300, 0), _frame(300, 0)
    labels = np.where(train.iloc[:, 0] > 0, "yes", "no")
    register(backend, home / "made", WATCHED, train, labels, held, labels, iterations=2, alias="watched")
    backend.need("monitors").put(Monitor(name=WATCHED, model=WATCHED, alias="watched", window="batch"), by(WATCHED))
    batch = home / "tmp" / "batch.parquet"
    _frame(300, 3).to_parquet(batch)
    ingest_batch(backend, WATCHED, batch)
    batch.unlink()
    shutil.rmtree(home / "made", ignore_errors=True)


def _monitor(backend: Backend, text: str) -> None:
    monitors = backend.need("monitors")
    if text != WATCHED:
        monitors.put(Monitor(name=text, model=text, alias=text, source=text, note=text), by(text))
    for state in (AlertState.FIRING, AlertState.RESOLVED):
        monitors.put_alert(
            Alert(
                id=hashlib.sha256((state + text).encode()).hexdigest()[:32],
                monitor=text,
                metric=text,
                state=state,
                opened_at=1_790_000_000_000,
                text=text,
                severity="critical",
            )
        )


def _deployment(backend: Backend, text: str) -> None:
    store = backend.need("deployments")
    store.create(
        Deployment(
            name=text,
            model=text,
            targets=(Target(alias=text),),
            key=text,
            redact=(text,),
            note=text,
            halted=text,
            desired=DeploymentWish.STOPPED,
        ),
        by(text),
    )
    served = (Served(target=text, version=text, digest=text, trouble=text),)
    store.observe(text, DeploymentStatus(url=text, served=served, reason=text, tail=(text,)))
    if text == WATCHED:
        folder = folder_of(backend.home or Path(), text)
        folder.mkdir(parents=True)
        lines = [each.encode("utf-8", "surrogatepass") for each in HOSTILE.values()]
        (folder / "server.log").write_bytes(b"\n".join(lines))


def _log(backend: Backend, home: Path) -> None:
    """A run whose log holds every text as bytes, raw C1 and broken UTF-8 among them."""
    runs = backend.need("runs")
    run = runs.create(name=LOG, mutation=by("me@here"))
    runs.start(run.id)
    folder = home / "runs" / run.id
    folder.mkdir(parents=True, exist_ok=True)
    lines = [text.encode("utf-8", "surrogatepass") for text in HOSTILE.values()]
    (folder / "out.log").write_bytes(b"\n".join([*lines, b"\x9b31mraw\x9d52;c;eA==\x9c", b"\xff\xfe\x80", b""]))
    runs.end(run.id, RunStatus.FINISHED, exit_code=0)
