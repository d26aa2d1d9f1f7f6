"""Rows that a server answered and logged: counted with the version and score that they were answered with."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from backends.contract import Backend, Invalid, NotFound, Unreachable
from backends.entities import Deployment, Target
from console.monitoring.counted.counts import unpack
from console.monitoring.create import create_monitor
from console.monitoring.feeds import ingest, scored, versions
from console.monitoring.feeds.batch_log import recent_batches
from console.monitoring.feeds.champion import load_champion, scores_of
from console.monitoring.feeds.ingest import ingest_batch
from console.monitoring.feeds.sample import read_sample
from console.monitoring.folder import monitor_folder
from console.monitoring.quality.lag import added, lags_of, median_lag
from console.monitoring.scorer import Scorer
from console.serving.deployment.place import folder_of
from tests.monitored import FEATURES, WHO, deliveries, register, traffic

START = 1_709_251_200_000
"""2024-03-01 UTC."""


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    home = tmp_path_factory.mktemp("workspace")
    made = deliveries(home)
    train, held = traffic(2000, 50), traffic(500, 51)
    register(
        made, home / "made", "deliveries",
        train[FEATURES], train["late"].to_numpy(), held[FEATURES], held["late"].to_numpy(), iterations=10,
    )  # fmt: skip
    yield made
    made.close()


def watch(backend: Backend, name: str, **more: Any) -> Any:
    options = {
        "time_column": "prediction.time",
        "id_column": "prediction.id",
        "label_column": "late",
        "window": "hour",
        **more,
    }
    return create_monitor(backend, name, "deliveries", mutation=WHO, **options)


def log_of(rows: pd.DataFrame, scores: Any, version: Any, path: Path) -> Path:
    """As the server writes it."""
    named = [version] * len(rows) if isinstance(version, str) else version
    lines = []
    for at, row in enumerate(rows[FEATURES].to_dict("records")):
        own = {"id": f"p{at}", "time": START + at, "version": named[at], "value": "no", "score": scores[at]}
        lines.append(json.dumps({f"prediction.{key}": value for key, value in own.items()} | row))
    path.write_text("".join(line + "\n" for line in lines))
    return path


def test_logged_rows_keep_their_version_and_score_and_load_no_model(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor = watch(backend, "logged")
    rows = traffic(400, 5)
    both = np.where(np.arange(400) % 4 == 0, "2", "1").tolist()
    champions = {version: load_champion(backend, monitor, version=version) for version in ("1", "2")}
    scores = {version: scores_of(champion, rows[FEATURES]) for version, champion in champions.items()}
    given = [float(scores[version][at]) for at, version in enumerate(both)]

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded for rows that were scored before")

    monkeypatch.setattr(versions, "load_champion", refuse)
    record = ingest_batch(backend, "logged", log_of(rows, given, both, tmp_path / "log.jsonl"))
    assert (record.state, record.rows, record.scored, record.reason) == ("stored", 400, 400, "")
    assert record.version == "1, 2"
    found = {window.model_version: window for window in backend.need("monitors").windows("logged")}
    assert {version: window.rows for version, window in found.items()} == {"1": 300, "2": 100}
    for version, window in found.items():
        own = [score for score, named in zip(given, both, strict=True) if named == version]
        cells = np.array(unpack(window.counts).score(champions[version].layout)).sum(axis=0)
        at = np.clip((np.array(own) * len(cells)).astype(int), 0, len(cells) - 1)
        assert cells.tolist() == np.bincount(at, minlength=len(cells)).tolist()

    labels = tmp_path / "labels.csv"
    labels.write_text("prediction.id,late\n" + "".join(f"p{at},{late}\n" for at, late in enumerate(rows["late"])))
    os.utime(labels, ((START + 7_200_000) / 1000,) * 2)
    assert ingest_batch(backend, "logged", labels).labelled == 400
    for window in backend.need("monitors").windows("logged"):
        assert window.labelled == window.rows
        assert window.label_lag == pytest.approx(7200, rel=0.1), "two hours after the predictions"


def test_rows_without_a_score_or_of_an_unknown_version_are_said(backend: Backend, tmp_path: Path) -> None:
    watch(backend, "holes")
    rows = traffic(60, 6)
    scores: list[Any] = [0.5] * 20 + [None] * 20 + [0.5] * 20
    log = log_of(rows, scores, ["1"] * 40 + ["99"] * 20, tmp_path / "log.jsonl")
    record = ingest_batch(backend, "holes", log)
    assert (record.state, record.scored) == ("stored", 20)
    assert "99" in record.reason
    (window,) = backend.need("monitors").windows("holes")
    assert window.rows == 40
    assert ingest_batch(backend, "holes", log).state == "duplicate"


def test_redacted_columns_may_be_absent_and_are_in_no_sample(backend: Backend, tmp_path: Path) -> None:
    watch(backend, "discreet", redact=("weight",))
    rows = traffic(80, 7)
    log = log_of(rows, [0.5] * 80, "1", tmp_path / "log.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    log.write_text("".join(json.dumps({k: v for k, v in line.items() if k != "weight"}) + "\n" for line in lines))
    record = ingest_batch(backend, "discreet", log)
    assert (record.state, record.scored, record.reason) == ("stored", 80, "")
    (window,) = backend.need("monitors").windows("discreet")
    assert {column.column for column in window.columns} == {"distance", "carrier"}
    assert backend.need("monitors").alerts("discreet", open_only=True) == ()
    whole = tmp_path / "whole.csv"
    traffic(30, 8).assign(**{"prediction.time": START, "prediction.id": [f"w{n}" for n in range(30)]}).to_csv(
        whole, index=False
    )
    assert ingest_batch(backend, "discreet", whole).state == "stored"
    kept = read_sample(monitor_folder(backend, "discreet"))
    assert len(kept) == 110
    assert "weight" not in kept.columns
    assert {"distance", "carrier"} <= set(kept.columns)


def test_a_full_disk_is_tried_again_and_counts_nothing_twice(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch(backend, "full")
    log = log_of(traffic(50, 9), [0.4] * 50, "1", tmp_path / "log.jsonl")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    for module, name in ((ingest, "write_segment"), (ingest.sample, "write_atomically")):
        with monkeypatch.context() as patched:
            patched.setattr(module, name, full)
            with pytest.raises(Unreachable, match="No space left"):
                ingest_batch(backend, "full", log)
    assert ingest_batch(backend, "full", log).state == "stored"
    assert ingest_batch(backend, "full", log).state == "duplicate"
    assert [window.rows for window in backend.need("monitors").windows("full")] == [50]
    assert [record.state for record in recent_batches(monitor_folder(backend, "full"))] == ["duplicate", "stored"]
    assert scored.SEGMENTS in {path.name for path in monitor_folder(backend, "full").iterdir()}


def test_a_chunk_that_was_begun_is_finished_with_the_version_that_it_was_begun_with(tmp_path: Path) -> None:
    home = tmp_path / "own"
    backend = deliveries(home)
    create_monitor(backend, "m", "deliveries", mutation=WHO, time_column="at", id_column="id")
    frame = pd.concat([traffic(100, day, day=f"2024-03-0{day}") for day in (1, 2, 3)])
    file = tmp_path / "rows.csv"
    frame.to_csv(file, index=False)
    calls = []

    def dies(*_: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ingest, "review", dies)
        with pytest.raises(KeyboardInterrupt):
            ingest_batch(backend, "m", file)
    train, held = traffic(2000, 50), traffic(500, 51)
    register(
        backend, home / "made", "deliveries",
        train[FEATURES], train["late"].to_numpy(), held[FEATURES], held["late"].to_numpy(), iterations=10,
    )  # fmt: skip
    other = tmp_path / "other.csv"
    traffic(10, 9, day="2024-03-04").to_csv(other, index=False)
    assert ingest_batch(backend, "m", other).version == "2"
    windows = backend.need("monitors").windows("m")
    assert [(window.model_version, window.rows) for window in windows] == [("1", 100)] * 3 + [("2", 10)]
    backend.close()


def test_the_median_lag_is_that_of_all_labels_however_they_came() -> None:
    draw = np.random.default_rng(0)
    seconds = np.exp(draw.normal(9, 2, 5000))
    parts = [lags_of(part) for part in np.array_split(seconds, 7)]
    merged: dict[int, int] = {}
    for part in parts:
        merged = added(merged, part)
    assert merged == lags_of(seconds)
    assert median_lag(merged) == pytest.approx(float(np.median(seconds)), rel=0.1)
    assert median_lag({}) is None
    assert median_lag(lags_of([-5.0])) is not None


def test_a_monitor_follows_the_log_of_a_deployment(tmp_path: Path) -> None:
    home = tmp_path / "own"
    backend = deliveries(home)
    backend.need("deployments").create(
        Deployment(name="front", model="deliveries", targets=(Target(alias="champion"),), redact=("weight",)), WHO
    )
    with pytest.raises(Invalid, match="serves deliveries"):
        create_monitor(backend, "m", "other", mutation=WHO, deployment="front")
    with pytest.raises(NotFound):
        create_monitor(backend, "m", "", mutation=WHO, deployment="nobody")
    monitor = create_monitor(backend, "m", "", mutation=WHO, deployment="front", label_column="late", window="hour")
    assert (monitor.model, monitor.time_column, monitor.id_column) == ("deliveries", "prediction.time", "prediction.id")
    assert monitor.redact == ("weight",)
    scorer = Scorer(backend, "m")
    assert not scorer.step(monitor), "the server has answered nothing yet"
    log = folder_of(home, "front") / "log"
    log.mkdir(parents=True)
    log_of(traffic(30, 5), [0.5] * 30, "1", log / "20240301-w0-1.jsonl")
    log_of(traffic(40, 6), [0.5] * 40, "1", log / "20240301-w0-2.jsonl.part")
    os.utime(log / "20240301-w0-1.jsonl", (1, 1))
    assert scorer.step(monitor)
    assert not scorer.step(monitor)
    assert backend.need("monitors").get("m").rows == 30
    assert scorer.champion is None, "no model was loaded"
    backend.close()


def test_scored_and_unscored_rows_of_one_version_are_both_counted_in_every_window(
    backend: Backend, tmp_path: Path
) -> None:
    watch(backend, "mixed")
    rows, hour = traffic(300, 9), 3_600_000
    scores: list[float | None] = [0.5 if at % 3 else None for at in range(300)]
    lines = []
    for at, row in enumerate(rows[FEATURES].to_dict("records")):
        own = {"id": f"m{at}", "time": START + (at % 4) * hour, "version": "1", "value": "no", "score": scores[at]}
        lines.append(json.dumps({f"prediction.{key}": value for key, value in own.items()} | row) + "\n")
    file = tmp_path / "mixed.jsonl"
    file.write_text("".join(lines))
    assert ingest_batch(backend, "mixed", file).state == "stored"
    windows = backend.need("monitors").windows("mixed")
    assert [window.rows for window in windows] == [75, 75, 75, 75]
    assert sum(sum(map(sum, unpack(window.counts).score(_layout(backend)))) for window in windows) == 200


def _layout(backend: Backend) -> Any:
    return load_champion(backend, backend.need("monitors").get("mixed"), version="1").layout
