"""A workspace with a real trained champion, for the tests of monitoring."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from backends.contract import Backend, Mutation
from backends.entities import Column, ColumnType, ModelFile, ModelVersion, RunStatus, Signature
from backends.local import open_local
from console.monitoring.counted.profile import build_profile

WHO = Mutation(actor="me@here", reason="test")


def columns_of(frame: pd.DataFrame) -> tuple[Column, ...]:
    def kind(values: pd.Series) -> ColumnType:
        return ColumnType.FLOAT if pd.api.types.is_numeric_dtype(values) else ColumnType.STRING

    return tuple(Column(name=str(name), type=kind(frame[name])) for name in frame.columns)


def register(
    backend: Backend,
    folder: Path,
    model: str,
    train: pd.DataFrame,
    labels: np.ndarray,
    held: pd.DataFrame,
    held_labels: np.ndarray,
    *,
    iterations: int = 40,
    alias: str = "champion",
    times: pd.Series | None = None,
    held_times: pd.Series | None = None,
    held_queries: pd.Series | None = None,
) -> ModelVersion:
    """Fit gradient boosting, keep its files as a training run does, register, and point the alias at it."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OrdinalEncoder

    from console.training.columns import ModelColumns
    from console.training.model_file import save_model

    columns = columns_of(train)
    numeric = [column.name for column in columns if column.type is ColumnType.FLOAT]
    textual = [column.name for column in columns if column.type is ColumnType.STRING]
    encode = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2, max_categories=200
    )
    pipeline = Pipeline(
        [
            ("columns", ModelColumns(numeric, textual, [])),
            ("preprocess", ColumnTransformer([("numeric", "passthrough", numeric), ("categorical", encode, textual)])),
            ("model", HistGradientBoostingClassifier(max_iter=iterations, random_state=0)),
        ]
    ).fit(train, labels)
    made = folder / "model"
    made.mkdir(parents=True, exist_ok=True)
    file = save_model(pipeline, made / "model.skops")
    classes = [str(value) for value in pipeline.classes_]
    meta: dict[str, Any] = {
        "task": "classification",
        "target": "late",
        "features": columns,
        "classes": classes,
        "positive": "yes",
        "score": "probability",
    }
    (made / "meta.json").write_bytes(msgspec.json.encode(meta))
    profile = build_profile(
        train,
        pipeline.predict_proba(held)[:, classes.index("yes")],
        held_labels,
        task="classification",
        positive="yes",
        classes=classes,
        times=times,
        score_times=held_times,
        queries=held_queries,
    )
    (made / "reference.json").write_bytes(profile.encode())
    runs, artifacts, registry = backend.need("runs"), backend.need("artifacts"), backend.need("registry")
    run = runs.create(name=model, mutation=WHO)
    runs.start(run.id)
    for name in ("model.skops", "meta.json", "reference.json"):
        artifacts.put(run.id, f"model/{name}", made / name)
    runs.end(run.id, RunStatus.FINISHED, exit_code=0)
    version: ModelVersion = registry.register(
        model,
        run=run.id,
        file=ModelFile(
            sha256=file.sha256, bytes=file.bytes, format=file.format, path="model/model.skops", inspected=True
        ),
        signature=Signature(inputs=columns),
        mutation=WHO,
    )
    held_by = registry.get(model).aliases.get(alias)
    registry.set_alias(model, alias, version.version, expected=held_by, mutation=WHO)
    shutil.rmtree(made)
    return version


def traffic(rows: int, seed: int, *, day: str = "2024-03-01", shift: float = 0.0) -> pd.DataFrame:
    """Made-up deliveries: late when heavy and far, by a rule that a model can learn. Columns: id, at, late,
    features."""
    rng = np.random.default_rng(seed)
    weight, distance = rng.normal(5 + shift, 2, rows), rng.gamma(3, 100, rows)
    carrier = rng.choice(["ups", "dhl", "hermes"], rows, p=[0.5, 0.3, 0.2])
    push = 0.6 * (weight - 5) + 0.006 * (distance - 300) + 0.8 * (carrier == "hermes")
    late = np.where(rng.random(rows) < 1 / (1 + np.exp(-push)), "yes", "no")
    at = pd.Timestamp(day) + pd.to_timedelta(rng.integers(0, 86_400, rows), unit="s")
    return pd.DataFrame(
        {
            "id": [f"{day}-{seed}-{number}" for number in range(rows)],
            "at": pd.Series(at).dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "weight": weight,
            "distance": distance,
            "carrier": carrier,
            "late": late,
        }
    )


FEATURES = ["weight", "distance", "carrier"]


def deliveries(home: Path, *, seed: int = 1) -> Backend:
    """A workspace whose model `deliveries` has a champion trained on 4 000 rows of `traffic`."""
    backend = open_local(home)
    train, held = traffic(4000, seed), traffic(2000, seed + 1000)
    register(
        backend,
        home / "made",
        "deliveries",
        train[FEATURES],
        train["late"].to_numpy(),
        held[FEATURES],
        held["late"].to_numpy(),
    )
    return backend


def watched(home: Path, *, days: int = 7, rows: int = 150) -> Backend:
    """`deliveries` with the monitor `live` of some days, in the last three of which hermes is answered wrongly; no
    sample keeps the distance."""
    from console.monitoring.create import create_monitor
    from console.monitoring.feeds.champion import load_champion
    from console.monitoring.feeds.ingest import ingest_batch

    backend = deliveries(home)
    monitor = create_monitor(
        backend,
        "live",
        "deliveries",
        mutation=WHO,
        time_column="at",
        label_column="late",
        id_column="id",
        redact=("distance",),
    )
    champion = load_champion(backend, monitor)
    for day in range(1, days + 1):
        frame = traffic(rows, day, day=f"2024-03-{day:02d}", shift=0.0 if day <= days - 3 else 1.5)
        if day > days - 3:
            hermes = frame["carrier"] == "hermes"
            frame.loc[hermes, "late"] = frame.loc[hermes, "late"].map({"yes": "no", "no": "yes"})
        file = home / f"day-{day}.csv"
        frame.to_csv(file, index=False)
        record = ingest_batch(backend, "live", file, champion=champion)
        assert record.state == "stored", record.reason
    return backend


def until(check: Any, *, seconds: float = 180.0, what: str = "it") -> Any:
    """What `check` gives once it is truthy; fails after the deadline. Looked at ever more seldom, for what is waited
    for wants the processor too."""
    deadline, pause = time.monotonic() + seconds, 0.01
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(pause)
        pause = min(pause * 1.2, 0.2)
    raise AssertionError(f"{what} did not happen within {seconds:g} s")
