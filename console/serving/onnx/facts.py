"""What is known of a version's ONNX file: which model it was made of, and how far its answers lie from that model's.
Light: no numbers are crunched here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from backends.entities import GateStatus, Record, Report

if TYPE_CHECKING:
    from backends.contract import Backend
    from backends.entities import ModelVersion

KIND: Final = "onnx"
"""Of the report that is kept, whose `digest` is that of the model's own file."""
FILE: Final = "model/model.onnx"
RECORD: Final = "model/onnx.json"
"""The report as a file beside the model, for whoever has the files and not the store."""
TOLERANCE: Final = 1e-4
"""So far apart two probabilities may lie; of predictions and margins, relative to the larger of 1 and their size."""
MISSING: Final = "\ue000 missing"
"""What stands for a missing text: ONNX has no null."""


NUMBERS: Final = "numbers"
"""The input that holds all numbers, and the entry of the model's metadata that names its columns, as JSON."""


class OnnxFacts(Record, frozen=True, kw_only=True):
    """`Report.figures` of `onnx`."""

    sha256: str = ""
    """Of the ONNX file; empty where it was not kept, because its answers differ."""
    bytes: int = 0
    run: str = ""
    """Whose artifact it is."""
    source_sha256: str = ""
    """Of the model file that it was made of."""
    rows: int = 0
    """Held-out rows that both were asked for."""
    equal: float = 0.0
    """Share of these rows for which both say the same class; of a regression, of those within the tolerance."""
    largest: float = 0.0
    """Largest absolute difference of a probability, a margin or a prediction."""
    compared: str = ""
    """What was compared: `probability`, `margin` or `prediction`."""
    tolerance: float = TOLERANCE
    required: tuple[str, ...] = ()
    """Columns for whose missing value the model has no answer."""
    classes: tuple[str | int | float | bool, ...] = ()
    """Of a classifier, in the order of its probabilities."""
    opset: int = 0
    libraries: dict[str, str] = msgspec.field(default_factory=dict)


def passed(report: Report | None, digest: str) -> OnnxFacts | None:
    """What the report says, where it is about the model file of this sha256 and the answers were the same."""
    if report is None or report.status is not GateStatus.PASS or not digest or report.digest != digest:
        return None
    try:
        facts = msgspec.convert(report.figures, OnnxFacts)
    except msgspec.ValidationError:
        return None
    return facts if facts.sha256 else None


def sentence(report: Report | None, digest: str) -> str:
    """What is known of the ONNX form of the model file of this sha256; empty where nobody made one."""
    if report is None:
        return ""
    try:
        facts = msgspec.convert(report.figures, OnnxFacts)
    except msgspec.ValidationError:
        return "the report on it cannot be read"
    if report.digest != digest:
        return "made of another model file"
    asked = f"{facts.rows:,} held-out rows".replace(",", "\u202f")
    far = f"largest difference of a {facts.compared} {facts.largest:.2g}"
    if report.status is not GateStatus.PASS:
        same = f"it says the same for {facts.equal:.2%} of {asked}"
        return f"not kept: {same}, {far}; at most {facts.tolerance:g} is taken"
    return f"the same as the model on {asked}, {far}; {facts.bytes:,} bytes, sha256 {facts.sha256[:12]}"


def said_of(backend: Backend, version: ModelVersion) -> str:
    """As `sentence`, of a version as its context knows it."""
    store = backend.reports
    return "" if store is None else sentence(store.latest(KIND, version.ref), version.file.sha256)


def command(model: str, version: str) -> str:
    """By which a version gets its ONNX file."""
    return f"mlops-console model export {model} {version} --onnx"
