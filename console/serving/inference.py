"""The Open Inference Protocol, version 2, over JSON: tensors by name, one a column, or one of all columns.

Source: github.com/kserve/open-inference-protocol, `specification/protocol/inference_rest.md`.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from backends.entities import Column, ColumnType
from console.serving.answering import Answer, Loaded
from console.serving.invocations import parse_json
from console.serving.refusal import Refusal
from console.serving.rows import Rows, Shape

DATATYPES: Final = frozenset(
    {"BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"}
)
_PATH: Final = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(ready|infer))?/?")
_OF_COLUMN: Final = {
    ColumnType.INT: "INT64",
    ColumnType.FLOAT: "FP64",
    ColumnType.BOOL: "BOOL",
}
_OUTPUTS: Final = ("predict", "score")


class Asked(msgspec.Struct):
    """What a path names."""

    model: str
    version: str = ""
    verb: str = ""
    """`ready`, `infer`, or empty for the metadata."""


class Inference(msgspec.Struct):
    """What a call wants."""

    inputs: list[dict[str, Any]]
    outputs: tuple[str, ...] = ()
    ident: str = ""


def read_path(path: str) -> Asked:
    found = _PATH.fullmatch(path)
    if found is None:
        raise Refusal(404, f"there is no {path[:100]}; there is /v2/models/NAME[/versions/V][/ready|/infer]")
    return Asked(unquote(found[1]), unquote(found[2] or ""), found[3] or "")


def read_inference(body: bytes) -> Inference:
    """Raises Refusal with the field that is wrong."""
    said = parse_json(body)
    inputs = said.get("inputs")
    if type(inputs) is not list or not inputs or not all(type(each) is dict for each in inputs):
        raise Refusal(400, "inputs: a list of tensors (name, shape, datatype, data) is wanted", "inputs")
    outputs = said.get("outputs") or []
    if type(outputs) is not list or not all(type(each) is dict and type(each.get("name")) is str for each in outputs):
        raise Refusal(400, "outputs: a list of objects with a name is wanted", "outputs")
    names = tuple(str(each["name"]) for each in outputs)
    for name in names:
        if name not in _OUTPUTS:
            raise Refusal(400, f"outputs: {name[:60]!r} is not known; there are {', '.join(_OUTPUTS)}", "outputs")
    ident = said.get("id", "")
    if type(ident) is not str:
        raise Refusal(400, "id: text is wanted", "id")
    return Inference(inputs, names, ident[:256])


def rows_of(call: Inference, shape: Shape) -> Rows:
    """One tensor a column, or a single one of shape [rows, columns] in the order of training."""
    tensors = [_tensor(each, at) for at, each in enumerate(call.inputs)]
    name, dims, flat = tensors[0]
    if len(tensors) == 1 and len(dims) == 2 and name not in shape.names:
        count, width = dims
        if width != len(shape.names):
            raise Refusal(400, f"{name}: {len(shape.names)} columns are wanted, shape says {width}", name)
        return shape.of_lists(None, [flat[at * width : (at + 1) * width] for at in range(count)], of=name)
    table: dict[str, Any] = {}
    for name, dims, flat in tensors:
        if name in table:
            raise Refusal(400, f"inputs: {name[:60]!r} is given twice", name)
        if len(dims) > 2 or (len(dims) == 2 and dims[1] != 1):
            raise Refusal(400, f"{name[:60]}: shape [rows] or [rows, 1] is wanted, is {dims}", name)
        table[name] = flat
    return shape.of_columns(table, of="inputs")


def _tensor(said: dict[str, Any], at: int) -> tuple[str, list[int], list[Any]]:
    name, dims, kind, data = (said.get(key) for key in ("name", "shape", "datatype", "data"))
    if type(name) is not str or not name:
        raise Refusal(400, f"inputs: tensor {at}: a name is wanted", "name")
    if kind not in DATATYPES:
        raise Refusal(400, f"{name[:60]}: datatype is one of {', '.join(sorted(DATATYPES))}", "datatype")
    if type(dims) is not list or not dims or not all(type(each) is int and each >= 0 for each in dims):
        raise Refusal(400, f"{name[:60]}: shape: a list of whole numbers is wanted", "shape")
    if type(data) is not list:
        raise Refusal(400, f"{name[:60]}: data: a list is wanted (binary tensors are not taken)", "data")
    flat = [value for row in data for value in row] if data and all(type(row) is list for row in data) else data
    wanted = 1
    for each in dims:
        wanted *= each
    if len(flat) != wanted:
        raise Refusal(400, f"{name[:60]}: shape {dims[:4]} holds {wanted} values, data has {len(flat)}", name)
    return name, dims, flat


def key_of(body: bytes, field: str) -> str | None:
    """The sticky field's first value, where the body has such a tensor."""
    inputs = parse_json(body).get("inputs")
    for each in inputs if type(inputs) is list else ():
        if type(each) is dict and each.get("name") == field and type(each.get("data")) is list and each["data"]:
            return str(each["data"][0])
    return None


def answered(call: Inference, loaded: Loaded, answer: Answer, ident: str) -> dict[str, Any]:
    """The answer to an inference."""
    outputs = []
    if not call.outputs or "predict" in call.outputs:
        outputs.append(_output("predict", answer.values if answer.predictions is None else answer.predictions))
    if answer.scores is not None and ("score" in call.outputs or (not call.outputs and loaded.classifies)):
        outputs.append(_output("score", answer.scores.tolist()))
    return {
        "model_name": loaded.file.model,
        "model_version": loaded.file.version,
        "id": call.ident or ident,
        "outputs": outputs,
    }


def _output(name: str, values: list[Any]) -> dict[str, Any]:
    first = values[0] if values else 0.0
    if any(type(each) is dict for each in values):  # several outputs a row: as JSON, for there is no such type
        values = [msgspec.json.encode(each).decode() for each in values]
        first = values[0]
    if type(first) is list:
        flat = [value for row in values for value in row]
        return {"name": name, "datatype": "FP64", "shape": [len(values), len(first)], "data": flat}
    kind = {bool: "BOOL", int: "INT64", float: "FP64"}.get(type(first), "BYTES")
    return {"name": name, "datatype": kind, "shape": [len(values)], "data": values}


def metadata(loaded: Loaded, versions: list[str]) -> dict[str, Any]:
    """What the model takes and gives."""
    classes = loaded.file.classes
    outputs = [{"name": "predict", "datatype": _class_type(loaded), "shape": [-1]}]
    if loaded.classifies:
        outputs.append({"name": "score", "datatype": "FP64", "shape": [-1, len(classes)] if len(classes) > 2 else [-1]})
    return {
        "name": loaded.file.model,
        "versions": versions,
        "platform": loaded.engine or "mlflow",
        "inputs": [_input(column) for column in loaded.file.features],
        "outputs": outputs,
    }


def _class_type(loaded: Loaded) -> str:
    if not loaded.classifies:
        return "FP64"
    first = loaded.class_values[0]
    return {bool: "BOOL", int: "INT64", float: "FP64"}.get(type(first), "BYTES")


def _input(column: Column) -> dict[str, Any]:
    return {"name": column.name, "datatype": _OF_COLUMN.get(column.type, "BYTES"), "shape": [-1]}
