"""What a training run leaves: the model, what is known of it, the reference for monitoring, the environment."""

from __future__ import annotations

import json
import platform
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from backends.entities import Column, ColumnType, Signature
from console.model_meta import META, ModelMeta, TestData
from console.monitoring.counted.profile import REFERENCE_ROWS, REFERENCE_SAMPLE, build_profile
from console.training.channel import Channel
from console.training.frame import Rows
from console.training.held_out import FILE as HELD_OUT
from console.training.held_out import write_held_out
from console.training.mlflow_model import write_mlflow_model
from console.training.model_file import library_versions, load_model, save_model
from console.training.recipe import Recipe


def keep_model(
    out: Path,
    pipeline: Any,
    recipe: Recipe,
    rows: Rows,
    channel: Channel,
    *,
    classes: list[Any],
    positive: Any,
    kind: str,
    scores: Any,
    train_rows: Any,
    test_rows: Any,
    importance: dict[str, float],
    test: TestData,
) -> None:
    """Write `model/model.skops`, `model/meta.json`, `model/reference.json` with rows to go with it,
    `model/importance.json`, `held_out.parquet`, `environment.txt`, and what MLflow's clients load the model by."""
    channel.progress(0.94, "saving the model")
    folder = out / "model"
    file = save_model(pipeline, folder / "model.skops")
    signature = Signature(inputs=rows.columns, outputs=_outputs(recipe, classes, positive, kind))
    shared: tuple[str, ...] = ()
    if file.untrusted:
        channel.note(f"the model holds types that the console will not load: {', '.join(file.untrusted)}")
    else:
        _check_round_trip(pipeline, folder / "model.skops", file.sha256, rows, test_rows)
        features = rows.frame[[column.name for column in rows.columns]]
        shared = write_mlflow_model(folder, file, signature, features, rows.target, recipe.target)
    meta = ModelMeta(
        task=recipe.task,
        target=recipe.target,
        features=rows.columns,
        signature=signature,
        file=file,
        classes=tuple(classes),
        positive=positive,
        score=kind,
        libraries=library_versions(),
        seed=recipe.seed,
        recipe="recipe.toml",
        dropped=rows.features.dropped,
        importance=importance,
        train_rows=len(train_rows),
        test=test,
    )
    (folder / "meta.json").write_bytes(msgspec.json.format(msgspec.json.encode(meta)))
    (folder / "importance.json").write_text(json.dumps(importance, indent=1) + "\n")

    channel.progress(0.96, "profiling the reference")
    (folder / "reference.json").write_bytes(
        _reference(recipe, rows, classes, positive, kind, scores, train_rows, test_rows, importance)
    )
    _reference_sample(rows, test_rows, recipe.seed).to_parquet(out / REFERENCE_SAMPLE, index=False)
    (out / "environment.txt").write_text(_environment())
    order = np.argsort(rows.numbers[test_rows], kind="stable")
    write_held_out(
        out / HELD_OUT, rows.numbers[test_rows][order], rows.target[test_rows][order], scores[order], classes
    )
    names = [
        "model/model.skops",
        META,
        "model/importance.json",
        "model/reference.json",
        REFERENCE_SAMPLE,
        HELD_OUT,
        "environment.txt",
    ]
    for name in [*names, *(f"model/{each}" for each in shared)]:
        if (out / name).exists():
            channel.say(artifact=name)


def _reference_sample(rows: Rows, test_rows: Any, seed: int) -> pd.DataFrame:
    """Held-out rows as the model takes them, for what looks at many columns together."""
    frame = rows.frame.loc[test_rows, [column.name for column in rows.columns]]
    return frame if len(frame) <= REFERENCE_ROWS else frame.sample(REFERENCE_ROWS, random_state=seed)


def _reference(
    recipe: Recipe,
    rows: Rows,
    classes: list[Any],
    positive: Any,
    kind: str,
    scores: Any,
    train_rows: Any,
    test_rows: Any,
    importance: dict[str, float],
) -> bytes:
    times = rows.frame[recipe.time_column] if recipe.time_column else None
    if times is not None and not pd.api.types.is_datetime64_any_dtype(times.dtype):
        times = None
    profile = build_profile(
        rows.frame.loc[train_rows, [column.name for column in rows.columns]],
        scores,
        rows.target[test_rows],
        task=recipe.task,
        positive=positive,
        classes=classes,
        importances=importance,
        times=None if times is None else times.loc[train_rows],
        score_times=None if times is None else times.loc[test_rows],
        # Rows that were held out by whole groups can be ranked within them: of a query no row was trained on.
        queries=rows.frame.loc[test_rows, recipe.split.column] if recipe.split.by == "group" else None,
        scale=kind if kind == "decision" else "probability",
        seed=recipe.seed,
    )
    return profile.encode()


def _check_round_trip(pipeline: Any, path: Path, sha256: str, rows: Rows, test_rows: Any) -> None:
    """A model that would answer differently after loading must not be kept."""
    few = rows.frame.loc[test_rows[:50], rows.features.names]
    loaded = load_model(path, sha256)
    if not np.array_equal(np.asarray(pipeline.predict(few)), np.asarray(loaded.predict(few))):
        raise RuntimeError("the saved model predicts differently from the fitted one; it was not kept")


def _outputs(recipe: Recipe, classes: list[Any], positive: Any, kind: str) -> tuple[Column, ...]:
    if recipe.task == "regression":
        return (Column(name=recipe.target, type=ColumnType.FLOAT),)
    if positive is not None and len(classes) == 2:
        return (Column(name="score", type=ColumnType.FLOAT, note=f"{kind} of {positive}"),)
    return tuple(Column(name=str(value), type=ColumnType.FLOAT, note=kind) for value in classes)


def _environment() -> str:
    lines = sorted({f"{dist.metadata['Name']}=={dist.version}" for dist in distributions()}, key=str.casefold)
    return f"# python {platform.python_version()} on {platform.platform()}\n" + "\n".join(lines) + "\n"
