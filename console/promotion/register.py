"""Registration: a finished run's model becomes the next version of a registered model."""

from __future__ import annotations

import msgspec

from backends.contract import Backend, Mutation, NotFound, Refused, all_pages
from backends.entities import Artifact, DatasetInput, ModelFile, ModelVersion, Run, RunStatus
from backends.mlmodel import Described, describe
from backends.system_metrics import own
from console.model_meta import META, ModelMeta, read_meta
from console.promotion.measures import TEST_COUNT_TAG, TEST_ROWS_TAG
from console.training.measured import PRIMARY_TAG

_FORMATS = {"skops": "skops", "onnx": "onnx", "pkl": "pickle", "pickle": "pickle", "joblib": "pickle"}


def register_run(backend: Backend, run_id: str, model: str, mutation: Mutation) -> ModelVersion:
    """The version that the run became; asked again, the same one.

    Raises Refused where the run is not finished, or left no model or one that is not the file it described.
    """
    run: Run = backend.need("runs").get(run_id)
    known = _registered(backend, run.id, model)
    if known is not None:
        return known
    if run.status is not RunStatus.FINISHED:
        raise Refused(
            f"run {run.name} ({run.id[:8]}) is {run.status}; only a finished run can become a version of {model}. "
            + ("Train again." if run.status.ended else "Wait for its end.")
        )
    artifacts = {found.path: found for found in backend.need("artifacts").list(run.id, prefix="model/")}
    meta = read_meta(backend, run.id, f"run {run.name} ({run.id[:8]})") if META in artifacts else None
    logged = "" if meta is not None else _logged(backend, run)
    described = describe(backend, logged, "", run.id) if logged else Described()
    file = described.file if logged else _file(run, artifacts, meta)
    if logged and not file.path:
        raise Refused(
            f"logged model {logged} of run {run.name} ({run.id[:8]}) has no model file that can be told. Log it anew."
        )
    tags = {"task": meta.task, "target": meta.target} if meta else {}
    if PRIMARY_TAG in run.tags:
        tags[PRIMARY_TAG] = run.tags[PRIMARY_TAG]
    inputs = [read for read in run.inputs if meta is None or read.context != "test"]
    if meta is not None:
        test = meta.test
        inputs.append(DatasetInput(dataset=test.dataset, version=test.version, digest=test.digest, context="test"))
        tags |= {TEST_ROWS_TAG: test.rows_sha256, TEST_COUNT_TAG: str(test.rows)} if test.rows_sha256 else {}
    version: ModelVersion = backend.need("registry").register(
        model,
        run=run.id,
        file=file,
        signature=meta.signature if meta else described.signature,
        # One key for one run and one model, whoever asks: the agent and a person at once make one version.
        mutation=msgspec.structs.replace(mutation, key=f"model.register:{model}:{run.id}"),
        metrics={**own(run.metrics), **(meta.test.metrics if meta else {})},
        params=run.params,
        inputs=inputs,
        tags=tags,
        note=run.note,
        **({"source": f"models:/{logged}", "logged_model": logged} if logged else {}),
    )
    return version


def _logged(backend: Backend, run: Run) -> str:
    """Id of the last model that a tracking client logged in the run, or empty."""
    if backend.logged_models is None:
        return ""
    outputs = backend.logged_models.outputs(run.id)
    return outputs[-1].model if outputs else ""


def _registered(backend: Backend, run: str, model: str) -> ModelVersion | None:
    registry = backend.need("registry")
    try:
        versions = all_pages(lambda at: registry.versions(model, at=at, limit=500))
        return next((version for version in versions if version.run == run), None)
    except NotFound:
        return None


def _file(run: Run, artifacts: dict[str, Artifact], meta: ModelMeta | None) -> ModelFile:
    """The model file as the store keeps it; what the run said about it must agree."""
    if meta is not None:
        kept = artifacts.get(meta.file.path)
        if kept is None:
            raise Refused(
                f"run {run.name} ({run.id[:8]}) describes {meta.file.path} and did not leave it. Train again."
            )
        if kept.sha256 and kept.sha256 != meta.file.sha256:
            raise Refused(
                f"{meta.file.path} of run {run.name} ({run.id[:8]}) has sha256 {kept.sha256[:12]}…, and the run "
                f"described {meta.file.sha256[:12]}…: it was changed after it was written. Train again."
            )
        return msgspec.structs.replace(meta.file, bytes=kept.bytes)
    models = [found for path, found in sorted(artifacts.items()) if path.rpartition(".")[2].lower() in _FORMATS]
    if not models:
        raise Refused(
            f"run {run.name} ({run.id[:8]}) left no model (no {META} and no model file under model/). Register a run "
            "that trained one."
        )
    kept = models[0]
    return ModelFile(
        sha256=kept.sha256, bytes=kept.bytes, path=kept.path, format=_FORMATS[kept.path.rpartition(".")[2].lower()]
    )
