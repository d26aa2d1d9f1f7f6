"""A workspace with models that are quick to fit, and a real model server on it, for the tests of serving."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pandas as pd

from backends.connect import place_of
from backends.contract import Backend, Mutation
from backends.entities import Column, ColumnType, ModelVersion, RunStatus, Signature
from console.serving.admin import State
from console.serving.spec import ServingSpec, Target

ROOT = Path(__file__).parents[1]
WHO = Mutation(actor="me@here", reason="test")
START_S = 240.0
"""A loaded machine imports scikit-learn slowly."""


def columns_of(frame: pd.DataFrame) -> tuple[Column, ...]:
    def kind(values: pd.Series) -> ColumnType:
        if pd.api.types.is_bool_dtype(values):
            return ColumnType.BOOL
        if pd.api.types.is_integer_dtype(values):
            return ColumnType.INT
        if pd.api.types.is_float_dtype(values):
            return ColumnType.FLOAT
        return ColumnType.DATETIME if pd.api.types.is_datetime64_any_dtype(values) else ColumnType.STRING

    return tuple(Column(name=str(name), type=kind(frame[name])) for name in frame.columns)


def rows(count: int, seed: int = 0) -> pd.DataFrame:
    """Made-up parcels, of every type that a column can have. No value is missing."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "weight": rng.normal(5, 2, count),
            "stops": rng.integers(0, 9, count),
            "express": rng.random(count) < 0.3,
            "carrier": rng.choice(["ups", "dhl", "hermes"], count),
            "sent": pd.Timestamp("2024-03-01") + pd.to_timedelta(rng.integers(0, 86_400 * 90, count), unit="s"),
        }
    )


def labels(frame: pd.DataFrame) -> np.ndarray:
    late = frame["weight"] + frame["stops"] - 3 * frame["express"] + 2 * (frame["carrier"] == "hermes") > 9
    return np.where(late, "yes", "no")


def json_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """As a caller would send them."""
    made = frame.assign(**{name: frame[name].map(str) for name in frame.select_dtypes("datetime")})
    found: list[dict[str, Any]] = made.to_dict("records")
    return found


def fitted(frame: pd.DataFrame, target: Any, estimator: Any) -> Any:
    """A pipeline as training makes it."""
    from console.training.frame import Features
    from console.training.pipeline import make_pipeline
    from console.training.recipe import parse_recipe

    kinds = {column.name: column.type for column in columns_of(frame)}
    features = Features(
        [name for name, kind in kinds.items() if kind.numeric],
        [name for name, kind in kinds.items() if kind is ColumnType.STRING],
        [name for name, kind in kinds.items() if kind is ColumnType.DATETIME],
        {},
    )
    recipe = parse_recipe(
        'dataset = "parcels"\ntarget = "late"\ntask = "classification"\n'
        '[estimator]\nclass = "sklearn.linear_model.LogisticRegression"\n',
        "recipe.toml",
    )
    return make_pipeline(recipe, features, estimator).fit(frame, target)


def keep_version(
    backend: Backend, folder: Path, pipeline: Any, frame: pd.DataFrame, *, model: str = "parcels", task: str = "binary"
) -> ModelVersion:
    """Save, keep as a training run does, register."""
    from console.training.model_file import save_model
    from console.training.scoring import score_kind

    made = folder / "model"
    made.mkdir(parents=True, exist_ok=True)
    file = save_model(pipeline, made / "model.skops")
    columns = columns_of(frame)
    classes = getattr(pipeline, "classes_", np.array([])).tolist()
    meta = {
        "task": task,
        "target": "late",
        "features": columns,
        "classes": classes,
        "positive": classes[1] if len(classes) == 2 else None,
        "score": score_kind(pipeline, "classification" if classes else "regression"),
    }
    (made / "meta.json").write_bytes(msgspec.json.encode(meta))
    runs = backend.need("runs")
    run = runs.create(name=model, mutation=WHO)
    runs.start(run.id)
    for name in ("model.skops", "meta.json"):
        backend.need("artifacts").put(run.id, f"model/{name}", made / name)
    runs.end(run.id, RunStatus.FINISHED, exit_code=0)
    version: ModelVersion = backend.need("registry").register(
        model, run=run.id, file=file, signature=Signature(inputs=columns), mutation=WHO
    )
    return version


def point(backend: Backend, alias: str, version: str, *, model: str = "parcels") -> None:
    registry = backend.need("registry")
    registry.set_alias(model, alias, version, expected=registry.get(model).aliases.get(alias), mutation=WHO)


class Served:
    """A running server."""

    def __init__(self, process: subprocess.Popen[bytes], spec: ServingSpec, url: str, log: Path) -> None:
        self.process = process
        self.spec = spec
        self.url = url
        self._log = log
        self.http = httpx.Client(base_url=url, timeout=60)
        self.admin = httpx.Client(
            transport=httpx.HTTPTransport(uds=spec.admin_socket), base_url="http://admin", timeout=120
        )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def state(self) -> State:
        return msgspec.json.decode(self.admin.get("/state").raise_for_status().content, type=State)

    def ask(self, record: dict[str, Any], **headers: str) -> httpx.Response:
        return self.http.post("/invocations", json={"dataframe_records": [record]}, headers=headers)

    def set_targets(self, *targets: Target) -> httpx.Response:
        return self.admin.post("/targets", content=msgspec.json.encode(targets))

    def end(self) -> int:
        self.http.close()
        self.admin.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(120)
        finally:
            self.process.kill()


@contextmanager
def serving(backend: Backend, folder: Path, *, hooks: Path | None = None, **said: Any) -> Iterator[Served]:
    """A server of model `parcels`; `said` are fields of its spec. `hooks` is a folder that its processes import
    from."""
    folder.mkdir(parents=True, exist_ok=True)
    targets = said.pop("targets", (Target(alias="champion"),))
    spec = ServingSpec(
        id="test", place=place_of(backend), model=said.pop("model", "parcels"), targets=targets,
        admin_socket=said.pop("admin_socket", str(folder / "a.sock")), **said,
    )  # fmt: skip
    process, line, log = start(spec, folder, hooks)
    assert line.get("ready") is True, (line, log.read_text())
    served = Served(process, spec, line["url"], log)
    try:
        yield served
    finally:
        served.end()


def start(
    spec: ServingSpec, folder: Path, hooks: Path | None = None
) -> tuple[subprocess.Popen[bytes], dict[str, Any], Path]:
    """The process, and the line that it printed when it was ready or could not be."""
    path, log = folder / "spec.json", folder / "server.log"
    path.write_bytes(msgspec.json.encode(spec))
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "console.serving", str(path)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(str(each) for each in (ROOT, hooks) if each)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=file,
        )
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], START_S)
    if not ready:
        process.kill()
    return process, json.loads(process.stdout.readline() or b"{}"), log


def until(check: Any, *, seconds: float = 120.0, what: str = "it") -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come within {seconds:g} s")
