"""A graph while it is drawn: nodes, constants and names that do not meet."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from backends.contract import BackendError


class Unconvertible(BackendError):
    """This model has no ONNX form here; the message says why."""


class Drawing:
    """Nodes and constants in the order in which they were added."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._next = 0

    def name(self, what: str) -> str:
        """One that no other has; of a column's own name nothing is kept, it may hold anything."""
        self._next += 1
        return f"{what}.{self._next}"

    def add(self, kind: str, inputs: list[str], *, to: str = "", domain: str = "", **attributes: Any) -> str:
        """A node of one output; gives its name."""
        output = to or self.name(kind.lower())
        if "to_type" in attributes:
            attributes["to"] = attributes.pop("to_type")  # Cast's own name for it is ours for the output
        self.nodes.append(helper.make_node(kind, inputs, [output], self.name(kind), domain=domain, **attributes))
        return output

    def constant(self, values: Any, kind: Any = np.float64) -> str:
        name = self.name("constant")
        found = np.asarray(values, dtype=object if kind is object else kind)
        if kind is object:
            texts = [str(value).encode() for value in found.ravel()]
            self.constants.append(helper.make_tensor(name, TensorProto.STRING, found.shape, texts))
        else:
            self.constants.append(numpy_helper.from_array(found, name))
        return name

    def joined(self, names: list[str]) -> str:
        """Matrices side by side."""
        return names[0] if len(names) == 1 else self.add("Concat", names, axis=1)
