"""A fitted transform on one record at a time, by the very steps that made the training data: for a model server."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from backends.contract import DatasetStore
from backends.entities import Definition
from console.data.rows import plain
from console.data.transform.choosing import Deduping
from console.data.transform.fitting import fitted_state, opener, pinned
from console.data.transform.operation import Context
from console.data.transform.plan import Plan
from console.data.transform.reading import parse_recipe
from console.data.transform.rows import Flow, Rows, Schema
from console.data.transform.values import array_of

_LATER = Flow(later=True)


class RecordTransform:
    """Made once, then asked often. Not for several threads at once.

    `inputs` are the fields that a record must have (a missing value is None), `outputs` the columns it becomes.
    """

    def __init__(self, definition: Definition, datasets: DatasetStore, columns: Collection[str] | None = None) -> None:
        """`columns` are the fields that records have; without, all that the transform was fitted on but its labels.
        Invalid where a step reads one that they do not have."""
        state = fitted_state(definition)
        recipe = parse_recipe(definition.text, f"transform {definition.ref}", definition.name)
        types = state.types()
        have = set(types) - set(recipe.labels) if columns is None else set(columns)
        absent = {name: name in recipe.labels for name in types if name not in have}
        context = Context(Path(), opener(datasets, pinned(recipe, state)))
        plan = Plan(recipe, Schema(types, absent), context)
        plan.load(state.steps)
        self._name = f"transform {definition.ref}"
        self._types = {name: kind for name, kind in types.items() if name not in absent}
        self.inputs = tuple(self._types)
        self.outputs = tuple(plan.schema.present)
        self._line = [each for each in plan.operations if each.step.do not in ("split", "sample")]
        for operation in self._line:
            if isinstance(operation, Deduping):
                operation.alone()
            operation.start()

    def one(self, record: Mapping[str, Any]) -> dict[str, Any] | None:
        """The columns that become of a record, as plain values; None where a filter leaves it out."""
        found = self.rows([record])
        if not found.count:
            return None
        return {name: plain(found.columns[name][0].as_py()) for name in self.outputs}

    def rows(self, records: Collection[Mapping[str, Any]]) -> Rows:
        """What becomes of several, as Arrow columns. Invalid names the field that lacks or does not fit."""
        rows = Rows(
            {name: array_of(name, kind, records, self._name) for name, kind in self._types.items()}, len(records)
        )
        for operation in self._line:
            rows = operation.apply(rows, _LATER)
        return rows
