"""A little of everything that a backend keeps, so that each promise has something to be seen by."""

from __future__ import annotations

import time
from pathlib import Path

from backends.contract import Backend, Mutation
from backends.entities import (
    DatasetInput,
    LoggedMetric,
    MetricPoint,
    ModelFile,
    ModelOutput,
    RunStatus,
    Signature,
)

RUNS = 6
HOSTILE = "a name\twith \x1b[31mred\u202e and ' \" %_ signs"


def fill(backend: Backend, folder: Path, ann: Mutation, *, runs: int = RUNS) -> None:
    """Runs with metrics, parameters, tags, notes and files; models with versions and moved aliases."""
    if backend.runs is not None:
        _runs(backend, folder, ann, runs)
    if backend.registry is not None:
        _models(backend, ann)


def _a_moment_later() -> None:
    """Times are kept in milliseconds, and of two in one nobody can tell which was first."""
    now = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 <= now:
        time.sleep(0.001)


def _runs(backend: Backend, folder: Path, ann: Mutation, many: int) -> None:
    store = backend.need("runs")
    file = folder / "made.txt"
    file.write_text("made by a run\n")
    for number in range(many):
        _a_moment_later()
        run = store.create(
            name=f"Run {number % 5} Ünit",
            experiment="flights" if number % 3 else "boats",
            mutation=ann,
            params={"lr": ["0.1", "1e-3", "auto"][number % 3], "depth": str(number)},
            tags={"team": "red" if number % 2 else "blue", "odd": HOSTILE},
            inputs=[DatasetInput(dataset="flights", version="1", digest="d" * 64)],
        ).id
        store.start(run)
        values = [0.25, 0.5, float("nan"), 0.75][number % 4]
        store.log_points(run, [MetricPoint(key="auc", value=values, step=1, at=1_700_000_000_000 + number)])
        if number % 4 == 0:
            steps = [MetricPoint(key="loss", value=1 / (n + 1), step=n, at=1_700_000_000_000 + n) for n in range(60)]
            store.log_points(run, steps)
        if backend.artifacts is not None and number > many - 3:
            for path in ("model/model.skops", "model/deep/card.md", "note.txt"):
                backend.artifacts.put(run, path, file)
        if number % 6:
            store.end(run, RunStatus.FINISHED if number % 2 else RunStatus.FAILED, exit_code=number % 2)
        if number == many - 2 and backend.logged_models is not None:
            logged = backend.logged_models.create(name="m", experiment="flights", mutation=ann, run=run)
            backend.logged_models.log_metrics(logged.id, [LoggedMetric(key="auc", value=0.7, run=run)])
            backend.logged_models.add_outputs(run, [ModelOutput(model=logged.id)])
            backend.logged_models.finish(logged.id, "ready")


def _models(backend: Backend, ann: Mutation) -> None:
    registry = backend.need("registry")
    run = backend.runs.page(limit=1).items[0].id if backend.runs is not None else "r1"
    for model, versions in (("churn", 3), ("fraud", 1)):
        for number in range(versions):
            registry.register(
                model, run=run, file=ModelFile(sha256=f"{number:064x}", bytes=10, format="skops"),
                signature=Signature(), mutation=ann, tags={"team": "red"}, note=f"the {number}th",
            )  # fmt: skip
    versions_of = [each.version for each in registry.versions("churn").items]
    newest, before = versions_of[0], versions_of[1]
    registry.set_alias("churn", "champion", before, expected=None, mutation=ann)
    _a_moment_later()
    registry.set_alias("churn", "champion", newest, expected=before, mutation=ann)
    registry.set_alias("churn", "challenger", before, expected=None, mutation=ann)
    registry.set_alias("fraud", "champion", registry.versions("fraud").items[0].version, expected=None, mutation=ann)
