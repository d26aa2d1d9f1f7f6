"""What a model that an MLflow client logged says of itself: the few fields of its MLmodel file that we need.

MLmodel is YAML as MLflow writes it. We read the scalars that we look for, line by line, and nothing else of YAML.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec

from backends.contract import Backend
from backends.entities import Artifact, Column, ColumnType, ModelFile, Signature

MLMODEL: Final = "MLmodel"
OURS: Final = "console.signature"
"""In MLmodel's metadata: the signature with the columns' types in training, and the score that the console answers."""
_MOST: Final = 4_000_000
_FORMATS: Final = {"skops": "skops", "onnx": "onnx", "cloudpickle": "pickle", "pickle": "pickle", "joblib": "pickle"}
_ENDINGS: Final = {".skops": "skops", ".onnx": "onnx", ".pkl": "pickle", ".pickle": "pickle", ".joblib": "pickle"}
_TYPES: Final = {
    "long": ColumnType.INT,
    "integer": ColumnType.INT,
    "double": ColumnType.FLOAT,
    "float": ColumnType.FLOAT,
    "boolean": ColumnType.BOOL,
    "string": ColumnType.STRING,
    "datetime": ColumnType.DATETIME,
}


class Described(msgspec.Struct, frozen=True):
    """A logged model, as registration keeps it."""

    file: ModelFile = ModelFile()
    signature: Signature = Signature()


def describe(backend: Backend, owner: str, folder: str, run: str) -> Described:
    """The model in a folder of a run or logged model; with an empty file where there is none that we can name."""
    store = backend.need("artifacts")
    prefix = f"{folder}/" if folder else ""
    found = {each.path: each for each in store.list(owner, prefix=prefix)}
    text = _text(store.open(owner, prefix + MLMODEL)) if prefix + MLMODEL in found else ""
    kept = _data_file(found, prefix, text)
    if kept is None:
        return Described(signature=signature_of(text))
    kind = _FORMATS.get(_scalar(text, "serialization_format"), "")
    kind = kind or _ENDINGS.get(Path(kept.path).suffix.lower(), "other")
    file = ModelFile(
        sha256=kept.sha256, bytes=kept.bytes, format=kind, path=kept.path, owner="" if owner == run else owner
    )
    return Described(file=file, signature=signature_of(text))


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_MOST).decode("utf-8", "replace")


def _data_file(found: dict[str, Artifact], prefix: str, text: str) -> Artifact | None:
    """The file that holds the fitted model: as MLmodel names it, else the only one of a known kind."""
    for key in ("pickled_model", "model_path", "data", "model_data"):
        named = _scalar(text, key)
        if named and prefix + named in found:
            return found[prefix + named]
    known = [each for path, each in sorted(found.items()) if Path(path).suffix.lower() in _ENDINGS]
    return known[0] if known else None


def _scalar(text: str, key: str) -> str:
    """The first plain or quoted value of a key, folded lines joined."""
    found = re.search(rf"^[ \t]*{re.escape(key)}:[ \t]*(\S.*)$", text, re.MULTILINE)
    if found is None:
        return ""
    start = found.group(1)
    if start.startswith("'"):
        whole = re.match(r"'((?:[^']|'')*)'", text[found.start(1) :])
        # A line break within quotes is a space; an empty line, a line break.
        return re.sub(r"[ \t]*\n[ \t]*", " ", whole.group(1)).replace("''", "'") if whole else ""
    if start.startswith('"'):
        whole = re.match(r'"((?:[^"\\]|\\.)*)"', text[found.start(1) :], re.DOTALL)
        if whole is None:
            return ""
        joined = re.sub(r"\\\n[ \t]*\\?", "", whole.group(1))
        try:
            return msgspec.json.decode('"' + re.sub(r"[ \t]*\n[ \t]*", " ", joined) + '"', type=str)
        except msgspec.DecodeError:
            return ""
    return start.strip()


def signature_of(text: str) -> Signature:
    """Its columns, where MLmodel has a signature of columns; as our own training knows them, where it wrote it."""
    ours = _scalar(text, OURS)
    if ours:
        try:
            return msgspec.json.decode(ours, type=Signature)
        except msgspec.DecodeError:
            pass  # somebody else's key of this name
    at = text.find("\nsignature:")
    if at < 0:
        return Signature()
    part = text[at:]
    return Signature(inputs=_columns(_scalar(part, "inputs")), outputs=_columns(_scalar(part, "outputs")))


def _columns(text: str) -> tuple[Column, ...]:
    try:
        said = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return ()
    if not isinstance(said, list):
        return ()
    columns = []
    for number, each in enumerate(said):
        if not isinstance(each, dict) or each.get("type") == "tensor":
            return ()
        kind = _TYPES.get(str(each.get("type")), ColumnType.OTHER)
        columns.append(Column(name=str(each.get("name", number)), type=kind))
    return tuple(columns)
