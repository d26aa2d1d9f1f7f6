"""What a model that an MLflow client logged says of itself: the few fields of its MLmodel file that we need.

MLmodel is YAML as MLflow writes it. We read the scalars that we look for, line by line, and nothing else of YAML.
Where a version's files lie follows from its record; they are asked for when somebody wants to know, and kept.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from backends.contract import Backend, NotFound
from backends.entities import Artifact, Column, ColumnType, ModelFile, ModelVersion, Package, Signature

MLMODEL: Final = "MLmodel"
REQUIREMENTS: Final = "requirements.txt"
OPTIONAL: Final = "optional"
"""Note on an input that a caller may leave out."""
OURS: Final = "console.signature"
"""In MLmodel's metadata: the signature with the columns' types in training, and the score that the console answers."""
_MOST: Final = 4_000_000
_MOST_PACKAGES: Final = 500
_MOST_KEPT: Final = 512
_FORMATS: Final = {"skops": "skops", "onnx": "onnx", "cloudpickle": "pickle", "pickle": "pickle", "joblib": "pickle"}
_ENDINGS: Final = {".skops": "skops", ".onnx": "onnx", ".pkl": "pickle", ".pickle": "pickle", ".joblib": "pickle"}
_FILES: Final = ("pickled_model", "model_path", "data", "model_data")
"""Keys under which flavors name the file of the fitted model."""
_TYPES: Final = {
    "long": ColumnType.INT,
    "integer": ColumnType.INT,
    "double": ColumnType.FLOAT,
    "float": ColumnType.FLOAT,
    "boolean": ColumnType.BOOL,
    "string": ColumnType.STRING,
    "datetime": ColumnType.DATETIME,
}


class Place(NamedTuple):
    """A folder of the artifact store."""

    owner: str
    """Id of a run or of a logged model."""
    folder: str = ""


class _Said(msgspec.Struct, frozen=True):
    """What a folder's MLmodel says, read once."""

    package: Package
    signature: Signature
    file: ModelFile


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
    file = ModelFile(
        sha256=kept.sha256,
        bytes=kept.bytes,
        format=_format(text, kept.path),
        path=kept.path,
        owner="" if owner == run else owner,
    )
    return Described(file=file, signature=signature_of(text))


def place_of(version: ModelVersion) -> Place | None:
    """Where the version's files lie, as far as its record tells: by its file, its logged model, or its source."""
    if version.file.path:
        return Place(version.file.owner or version.run, version.file.path.rpartition("/")[0])
    scheme, _, rest = version.source.partition(":")
    rest = rest.strip("/")
    if scheme == "runs" or (scheme == "models" and rest.startswith("m-")):
        owner, _, folder = rest.partition("/")
        return Place(owner, folder.strip("/"))
    # mlflow-artifacts:/<experiment>/<run>/artifacts/<folder>, or the like in a bucket
    found = re.search(r"(?:^|/)(?:models/)?([A-Za-z0-9_-]+)/artifacts(?:/(.*))?$", rest)
    if found and found[1] in (version.run, version.logged_model):
        return Place(found[1], (found[2] or "").strip("/"))
    return Place(version.logged_model) if version.logged_model else None


_KEPT: Final[dict[tuple[str, Place], _Said]] = {}
"""By backend and place. A version's files are not written again, so that what they said stays true."""


def with_package(backend: Backend, version: ModelVersion) -> ModelVersion:
    """The version with what its MLmodel says: how it is packed, and signature and file where its record has none.

    Asks for two small files the first time, and for nothing after that. Unchanged where there is no MLmodel.
    """
    place = place_of(version)
    if place is None or backend.artifacts is None:
        return version
    said = _KEPT.get((backend.url, place))
    if said is None:
        try:
            said = _read(backend, place)
        except NotFound:
            return version
        if len(_KEPT) >= _MOST_KEPT:
            _KEPT.pop(next(iter(_KEPT)), None)
        _KEPT[backend.url, place] = said
    return msgspec.structs.replace(
        version,
        package=said.package,
        signature=version.signature if version.signature.inputs else said.signature,
        file=version.file
        if version.file.format
        else msgspec.structs.replace(said.file, owner="" if place.owner == version.run else place.owner),
    )


def _read(backend: Backend, place: Place) -> _Said:
    store = backend.need("artifacts")
    prefix = f"{place.folder}/" if place.folder else ""
    text = _text(store.open(place.owner, prefix + MLMODEL))
    try:
        needed = _text(store.open(place.owner, prefix + REQUIREMENTS)).splitlines()
    except NotFound:
        needed = []
    lines = [line.strip() for line in needed if line.strip() and not line.lstrip().startswith("#")]
    size = _scalar(text, "model_size_bytes")
    named = next((found for key in _FILES if (found := _scalar(text, key))), "")
    package = Package(
        flavors=tuple(re.findall(r"^  ([A-Za-z0-9_.-]+):", _part(text, "flavors"), re.MULTILINE)),
        loader=_scalar(text, "loader_module"),
        mlflow=_scalar(text, "mlflow_version"),
        python=_scalar(text, "python_version"),
        bytes=int(size) if size.isascii() and size.isdecimal() and len(size) < 19 else 0,
        requirements=tuple(lines[:_MOST_PACKAGES]),
    )
    # Its sha256 is not known: nobody recorded one when it was registered.
    file = ModelFile(format=_format(text, named), bytes=package.bytes, path=prefix + named) if named else ModelFile()
    return _Said(package, signature_of(text), file)


def _part(text: str, key: str) -> str:
    """The indented lines under a key at the left edge."""
    found = re.search(rf"^{re.escape(key)}:[ \t]*\n((?:[ \t]+.*\n?|\n)*)", text, re.MULTILINE)
    return found.group(1) if found else ""


def _format(text: str, path: str) -> str:
    said = _FORMATS.get(_scalar(text, "serialization_format"), "")
    return said or _ENDINGS.get(Path(path).suffix.lower(), "other")


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_MOST).decode("utf-8", "replace")


def _data_file(found: dict[str, Artifact], prefix: str, text: str) -> Artifact | None:
    """The file that holds the fitted model: as MLmodel names it, else the only one of a known kind."""
    for key in _FILES:
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
    return tuple(_column(each, number) for number, each in enumerate(said) if isinstance(each, dict))


def _column(said: dict[str, Any], number: int) -> Column:
    """A column, or a tensor with its type and shape in the note."""
    kind = str(said.get("type"))
    spec = said.get("tensor-spec")
    note = OPTIONAL if said.get("required") is False or said.get("optional") is True else ""
    if isinstance(spec, dict):
        shape = spec.get("shape")
        note = f"tensor {spec.get('dtype', '')} ({', '.join(map(str, shape if isinstance(shape, list) else ()))})"
    elif kind not in _TYPES:
        note = note or kind
    return Column(name=str(said.get("name", number)), type=_TYPES.get(kind, ColumnType.OTHER), note=note)
