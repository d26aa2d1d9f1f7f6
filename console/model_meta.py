"""What a training run leaves beside its model, and how it is read again: `model/meta.json`."""

from __future__ import annotations

from typing import Final

import msgspec

from backends.contract import Backend, Invalid
from backends.entities import Column, ModelFile, Record, Signature

META: Final = "model/meta.json"
_MOST: Final = 16_000_000
"""A description of a model is some kilobytes; a file above this size is not one."""


class TestData(Record, frozen=True, kw_only=True):
    """The rows a model was held against."""

    dataset: str = ""
    version: str = ""
    digest: str = ""
    rows: int = 0
    rows_sha256: str = ""
    """sha256 of the held-out rows' numbers in the dataset (int64, little-endian, ascending): two models with the
    same were held against the same rows."""
    metrics: dict[str, float] = msgspec.field(default_factory=dict)


class ModelMeta(Record, frozen=True, kw_only=True):
    """What `model/meta.json` says about a trained model."""

    task: str
    """`binary`, `multiclass`, `classification` or `regression`."""
    target: str
    features: tuple[Column, ...]
    signature: Signature = Signature()
    file: ModelFile = ModelFile()
    classes: tuple[str | int | float | bool, ...] = ()
    positive: str | int | float | bool | None = None
    score: str = "prediction"
    """What the score is: `probability`, `decision` (a margin, no probability) or `prediction`."""
    libraries: dict[str, str] = msgspec.field(default_factory=dict)
    seed: int = 0
    recipe: str = ""
    dropped: dict[str, str] = msgspec.field(default_factory=dict)
    """column → why it is not a feature."""
    importance: dict[str, float] = msgspec.field(default_factory=dict)
    """column → fall of the primary metric when its values are shuffled."""
    train_rows: int = 0
    test: TestData = TestData()


def read_meta(backend: Backend, run: str, subject: str) -> ModelMeta:
    """What the run left. NotFound where it left none; Invalid, naming `subject`, where it cannot be read."""
    path = backend.need("artifacts").open(run, META)
    try:
        if path.stat().st_size > _MOST:
            raise msgspec.DecodeError(f"it has {path.stat().st_size} bytes")
        return msgspec.json.decode(path.read_bytes(), type=ModelMeta)
    except msgspec.DecodeError as error:
        raise Invalid(f"{META} of {subject} cannot be read: {error}. Train it again.", "meta") from error
