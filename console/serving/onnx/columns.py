"""The preparing steps of a pipeline as ONNX: numbers and texts in, one matrix of doubles out.

All numbers come as one matrix of doubles, NaN where one is missing, in the order that the model's metadata names under
`numbers`; booleans are 0 and 1, and of a time there are its parts in UTC, `<name>.month`, `.day`, `.weekday` (Monday is
0) and `.hour`. Each text column is an input of its own, shape [rows, 1], `facts.MISSING` where it is missing. One
matrix, because the cost of a run of one row is that of its inputs and nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, ValueInfoProto, helper

from console.serving.onnx.facts import MISSING, NUMBERS
from console.serving.onnx.nodes import Drawing, Unconvertible
from console.serving.quick import Number, Quick, Table


def draw_columns(drawing: Drawing, quick: Quick, names: Sequence[str]) -> tuple[str, list[ValueInfoProto], list[str]]:
    """The prepared matrix's name, shape [rows, quick.width]; the graph's inputs; what its numbers are."""
    numbers = [put for put in quick.puts if isinstance(put, Number)]
    tables = [put for put in quick.puts if isinstance(put, Table)]
    if len(numbers) + len(tables) < len(quick.puts) or not quick.puts:
        raise Unconvertible("one of its preparing steps has no ONNX form here")
    inputs: list[ValueInfoProto] = []
    blocks, taken = [], []
    if numbers:
        taken = [names[put.at] if put.kind == "number" else f"{names[put.at]}.{put.kind}" for put in numbers]
        inputs.append(helper.make_tensor_value_info(NUMBERS, TensorProto.DOUBLE, ["rows", len(numbers)]))
        blocks.append(_numbers(drawing, numbers))
    for put in tables:
        name = names[put.at]
        if name == NUMBERS:
            raise Unconvertible(f"a text column is called {NUMBERS!r}, as the matrix of numbers is")
        if name not in (each.name for each in inputs):
            inputs.append(helper.make_tensor_value_info(name, TensorProto.STRING, ["rows", 1]))
        blocks.append(_texts(drawing, put, name))
    return _in_order(drawing, drawing.joined(blocks), quick), inputs, taken


def _numbers(drawing: Drawing, puts: list[Number]) -> str:
    matrix = NUMBERS
    fills = np.array([put.fill for put in puts])
    if not np.isnan(fills).all():
        missing = drawing.add("IsNaN", [matrix])
        matrix = drawing.add("Where", [missing, drawing.constant(fills.reshape(1, -1)), matrix])
    if any(put.mean is not None for put in puts):
        matrix = drawing.add("Sub", [matrix, drawing.constant([[put.mean or 0.0 for put in puts]])])
    if any(put.scale is not None for put in puts):
        scales = [[1.0 if put.scale is None else put.scale for put in puts]]
        matrix = drawing.add("Div", [matrix, drawing.constant(scales)])
    return matrix


def _texts(drawing: Drawing, put: Table, name: str) -> str:
    if put.other is None:
        raise Unconvertible(f"column {name!r}: its encoder refuses texts that it does not know, which ONNX cannot say")
    texts = [MISSING if value is None else value for value in put.table if value is None or isinstance(value, str)]
    rows = [put.table[None if text == MISSING else text] for text in texts]
    if not texts:
        texts, rows = [MISSING], [put.other]
    number = drawing.add(
        "LabelEncoder",
        [name],
        domain="ai.onnx.ml",
        keys_strings=texts,
        values_int64s=list(range(len(texts))),
        default_int64=len(texts),
    )
    table: Any = np.array([*rows, put.other], dtype=np.float64)
    found = drawing.add("Gather", [drawing.constant(table), number], axis=0)
    return drawing.add("Flatten", [found], axis=1)


def _in_order(drawing: Drawing, matrix: str, quick: Quick) -> str:
    """Numbers stand first, then texts: the columns brought to where the estimator has them."""
    places: dict[bool, list[int]] = {True: [], False: []}
    start = 0
    for put in quick.puts:
        width = len(put.other or ()) if isinstance(put, Table) else 1
        places[isinstance(put, Number)] += range(start, start + width)
        start += width
    stands = places[True] + places[False]
    if stands == list(range(start)):
        return matrix
    return drawing.add("Gather", [matrix, drawing.constant(np.argsort(stands), np.int64)], axis=1)
