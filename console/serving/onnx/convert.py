"""A version's ONNX file: made, held against the model on its held-out rows, and kept beside it where both say the same.

The model is loaded here: only workers come here.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from backends.contract import Backend, Mutation, Refused
from backends.entities import GateStatus, Report
from console.serving.fetched import OnnxFile, VersionFile, fetch_version
from console.serving.loaded import Fitted, load, odd_rows
from console.serving.onnx.facts import FILE, KIND, RECORD, OnnxFacts
from console.serving.onnx.graph import OPSET, onnx_model
from console.serving.onnx.nodes import Unconvertible
from console.serving.onnx.parity import Parity, both, compared, rows_from
from console.serving.onnx.session import load_onnx
from console.serving.quick import Uncompiled, compiled
from console.serving.rows import Rows
from console.telling import Told, tell

ROWS: Final = 5_000
"""Of the held-out rows."""
BATCH: Final = 1_000
LIBRARIES: Final = ("onnx", "onnxruntime", "skl2onnx", "scikit-learn")


def convert_version(
    backend: Backend,
    model: str,
    version: str,
    mutation: Mutation,
    *,
    progress: Told = None,
    rows: Callable[[VersionFile], Rows] | None = None,
) -> Report:
    """The report, which is kept, with the file where both say the same.

    `rows` are what both are asked for; without them a sample of the rows that were held out from its training.
    Refused where the model has no ONNX form, NotFound where its held-out rows are not kept.
    """
    file = fetch_version(backend, model, backend.need("registry").version(model, version).version)
    if not file.run:
        raise Refused(f"{file.ref} names no run beside whose model its ONNX file could lie.")
    asked = rows(file) if rows is not None else _held_out(backend, file)
    tell(progress, 0.1, "loading the model")
    fitted = load(file)
    with tempfile.TemporaryDirectory(prefix="mlops-console-onnx-") as folder:
        path = Path(folder) / "model.onnx"
        tell(progress, 0.3, "converting")
        facts = _made(fitted, path)
        tell(progress, 0.5, "asking both")
        onnx = OnnxFile(path=str(path), sha256=facts.sha256, required=facts.required, classes=facts.classes)
        same = _judged(fitted, msgspec.structs.replace(file, onnx=onnx), asked)
        kept = same.status is GateStatus.PASS
        report = Report(
            kind=KIND, subject=f"{file.model}@{file.version}", status=same.status, at=int(time.time() * 1000),
            actor=mutation.actor, digest=file.sha256, results=same.results(),
            figures=msgspec.to_builtins(
                msgspec.structs.replace(
                    facts, sha256=facts.sha256 if kept else "", bytes=facts.bytes if kept else 0, run=file.run,
                    rows=same.rows, equal=same.equal, largest=same.largest, compared=same.compared,
                )
            ),
        )  # fmt: skip
        if kept:
            artifacts = backend.need("artifacts")
            artifacts.put(file.run, FILE, path)
            record = Path(folder) / "onnx.json"
            record.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
            artifacts.put(file.run, RECORD, record)
        kept_report: Report = backend.need("reports").add(report)
        return kept_report


def _made(fitted: Fitted, path: Path) -> OnnxFacts:
    """Writes the file."""
    from importlib.metadata import version as installed

    file = fitted.file
    said = {"model": file.model, "version": file.version, "source_sha256": file.sha256, "task": file.task}
    try:
        content = onnx_model(fitted.model, fitted.shape.names, said=said).SerializeToString()
    except Unconvertible as error:
        raise Refused(f"{file.ref} has no ONNX form: {error}. It is served by scikit-learn.") from error
    path.write_bytes(content)
    return OnnxFacts(
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        source_sha256=file.sha256,
        required=tuple(sorted(fitted.shape.required)),
        classes=tuple(fitted.class_values) if fitted.classifies else (),
        opset=OPSET,
        libraries={name: installed(name) for name in LIBRARIES},
    )


def _judged(fitted: Fitted, file: VersionFile, asked: Rows) -> Parity:
    """Over the rows, and over some that no data has: texts that nobody saw, missing values, one row alone."""
    other = load_onnx(file)
    try:
        odd = odd_rows(fitted.shape, compiled(fitted.model, fitted.shape.names))
    except Uncompiled:
        odd = []
    found: Parity | None = None
    for start in range(0, asked.count, BATCH):
        part = Rows(min(BATCH, asked.count - start), [column[start : start + BATCH] for column in asked.columns])
        here = compared(fitted, other, part)
        found = here if found is None else _over(found, here)
    if found is None:
        raise Refused(f"{file.ref} kept no held-out row to be asked for; its ONNX file is not kept either.")
    for rows in odd:
        found = both(found, compared(fitted, other, rows))
    return found


def _over(first: Parity, second: Parity) -> Parity:
    rows = first.rows + second.rows
    return msgspec.structs.replace(
        first,
        rows=rows,
        equal=1.0 if first.equal == second.equal == 1.0 else _mean(first, second),
        largest=max(first.largest, second.largest),
        worst=max(first.worst, second.worst),
    )


def _mean(first: Parity, second: Parity) -> float:
    return (first.equal * first.rows + second.equal * second.rows) / (first.rows + second.rows)


def _held_out(backend: Backend, file: VersionFile) -> Rows:
    from console.training.held_out_rows import features_at, judged

    case = judged(backend, file.model, file.version)
    count = len(case.held.rows)
    at = np.arange(count)
    if count > ROWS:
        at = np.sort(np.random.default_rng(case.meta.seed).choice(count, ROWS, replace=False))
    return rows_from(features_at(backend, case, at), file.features)
