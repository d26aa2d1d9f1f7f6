"""Which engine answers for a version: onnxruntime, where an ONNX file of this very model was held against it and gave
the same, else scikit-learn."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import msgspec

from backends.contract import Backend, BackendError, Refused
from backends.entities import GateStatus, Report
from console.serving.fetched import OnnxFile, VersionFile
from console.serving.onnx.facts import FILE, KIND, OnnxFacts, command, passed

if TYPE_CHECKING:
    from console.serving.answering import Loaded


def with_onnx(backend: Backend, file: VersionFile, engine: str) -> VersionFile:
    """The file, with the ONNX one where the engine is to take it. Under `onnx` Refused where there is none."""
    if engine == "sklearn" or file.isolation is not None:
        return file
    report = backend.reports.latest(KIND, f"{file.model}@{file.version}") if backend.reports is not None else None
    facts = passed(report, file.sha256)
    why = _unusable(report, facts, file)
    if facts is not None and not why:
        try:
            path = backend.need("artifacts").open(facts.run, FILE)
        except BackendError as error:
            why = str(error)
        else:
            kept = OnnxFile(
                path=str(path), sha256=facts.sha256, required=facts.required, classes=facts.classes or file.classes
            )
            return msgspec.structs.replace(file, onnx=kept)
    if engine == "onnx":
        raise Refused(
            f"{file.ref} is not served by onnxruntime: {why}. Make its ONNX file: "
            f"{command(file.model, file.version)}; or serve it with --engine auto, which takes scikit-learn then."
        )
    return msgspec.structs.replace(file, not_onnx=why)


def _unusable(report: Report | None, facts: OnnxFacts | None, file: VersionFile) -> str:
    if report is None:
        return "it has no ONNX file"
    if report.digest != file.sha256 or not file.sha256:
        return "its ONNX file was made of another model file"
    if report.status is not GateStatus.PASS:
        return "its ONNX form gave other answers than the model"
    if facts is None:
        return "the report on its ONNX file cannot be read"
    return "" if find_spec("onnxruntime") is not None else "onnxruntime is not installed"


def load_version(
    file: VersionFile,
    engine: str,
    *,
    sticky: str = "",
    ignore_extra: bool = False,
    most: int = 50_000,
    lean: bool = False,
) -> tuple[Loaded, str]:
    """The version, and why it is not answered for by ONNX although it was to be. Refused or NotFound with the reason.

    Under `auto` an ONNX file that does not load gives way to scikit-learn. What the engine does not need is not
    imported; `lean` is for a process that only serves.
    """
    why = ""
    if file.isolation is not None:
        from console.serving.isolated import reach

        return reach(file, sticky=sticky, ignore_extra=ignore_extra, most=most), ""
    if file.onnx is not None:
        from console.serving.onnx.session import load_onnx

        try:
            return load_onnx(file, sticky=sticky, ignore_extra=ignore_extra, most=most), ""
        except BackendError as error:
            if engine == "onnx":
                raise
            why = str(error)
    if lean:
        from console.serving.lean import import_lean

        import_lean()
    from console.serving.loaded import load

    return load(file, sticky=sticky, ignore_extra=ignore_extra, most=most), why or file.not_onnx
