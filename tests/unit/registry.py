"""A workspace with a finished run and its model file, laid through the contract's own verbs."""

from __future__ import annotations

import hashlib
import json

import msgspec

from backends.contract import Mutation
from backends.entities import Column, ColumnType, DatasetInput, MetricPoint, ModelFile, RunStatus, Signature
from backends.local import open_local

ME = Mutation(actor="user1@host", reason="because")
COLUMNS = (Column(name="dep_delay", type=ColumnType.INT), Column(name="carrier", type=ColumnType.STRING))
OUTPUTS = (Column(name="score", type=ColumnType.FLOAT),)


def workspace(path):
    return open_local(path / "workspace")


def by(actor, reason="because", key=""):
    return Mutation(actor=actor, reason=reason, key=key)


def finished_run(
    backend,
    folder,
    *,
    auc=0.75,
    baseline=0.5,
    columns=COLUMNS,
    outputs=OUTPUTS,
    digest="d1",
    rows="r1",
    untrusted=(),
    status=RunStatus.FINISHED,
    content=b"a model",
    described=None,
    name="hgb",
):
    """What the worker leaves: metrics, `model/model.skops` and `model/meta.json`."""
    training = DatasetInput(dataset="flights", version="1", digest=digest)
    run = backend.runs.create(
        name=name, mutation=ME, params={"lr": "0.1"}, tags={"console.primary": "auc"}, inputs=(training,)
    )
    backend.runs.start(run.id)
    points = [MetricPoint(key="auc", value=auc), MetricPoint(key="baseline.auc", value=baseline)]
    backend.runs.log_points(run.id, points)
    file = folder / f"{run.id}.skops"
    file.write_bytes(content)
    sha256 = described or hashlib.sha256(content).hexdigest()
    backend.artifacts.put(run.id, "model/model.skops", file)
    meta = {
        "task": "classification",
        "target": "late",
        "features": [],
        "signature": msgspec.to_builtins(Signature(inputs=columns, outputs=outputs)),
        "file": msgspec.to_builtins(
            ModelFile(
                sha256=sha256,
                bytes=len(content),
                format="skops",
                path="model/model.skops",
                untrusted=untrusted,
                inspected=True,
            )
        ),
        "test": {"dataset": "flights", "version": "1", "digest": digest, "rows": 100, "rows_sha256": rows},
    }
    meta["test"]["metrics"] = {"auc": auc}
    described_in = folder / f"{run.id}.json"
    described_in.write_text(json.dumps(meta))
    backend.artifacts.put(run.id, "model/meta.json", described_in)
    backend.runs.end(run.id, status)
    return run.id


def version_of(backend, folder, model="churn", **facts):
    """The next version of a model, from a run with these facts."""
    from console.promotion.register import register_run

    return register_run(backend, finished_run(backend, folder, **facts), model, ME)
