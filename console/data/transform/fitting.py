"""Fitting a plan to rows, reading after reading, and keeping what was learned as a definition's state."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from backends.contract import DatasetStore, Invalid
from backends.entities import DatasetVersion, Definition, Progress
from console.data.stored import stored_file
from console.data.transform.grammar import Join, Recipe
from console.data.transform.operation import Context
from console.data.transform.plan import Plan
from console.data.transform.reading import parse_recipe
from console.data.transform.rows import Rows
from console.data.transform.source import Source
from console.wording import thousands

KIND = "transform"
FORMAT = 1

Tell = Callable[[Progress], None] | None


class Fitted(msgspec.Struct, frozen=True):
    """`Definition.state` of a transform."""

    format: int
    fitted_on: str
    digest: str
    schema: str
    """The columns it was fitted on: an Arrow schema, base64."""
    rows: dict[str, int]
    steps: list[Any]
    """What each step learned, null where it learns nothing."""

    def types(self) -> dict[str, Any]:
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.schema)))
        return {field.name: field.type for field in schema}


def fitted_state(definition: Definition) -> Fitted:
    try:
        return msgspec.json.decode(definition.state, type=Fitted)
    except msgspec.DecodeError as error:
        raise Invalid(f"transform {definition.ref} holds nothing that was fitted ({error}); fit it anew.") from None


def fit(plan: Plan, batches: Callable[[Any], Iterable[Rows]], teller: Teller, *, later: bool = False) -> None:
    number = 0
    while True:
        reading = plan.reading()
        if not reading.learning:
            return
        number += 1
        teller.begin(f"learning, reading {number}: " + ", ".join(each.step.do for each, _ in reading.learning[:4]))
        for _ in plan.flow(teller.counted(batches(reading.needed)), reading, later=later):
            pass
        for operation, learner in reading.learning:
            operation.learned(learner.finish())


def fitted_plan(
    datasets: DatasetStore, version: DatasetVersion, definition: Definition, folder: Path
) -> tuple[Plan, Source]:
    state = fitted_state(definition)
    recipe = parse_recipe(definition.text, f"transform {definition.ref}", definition.name)
    source = Source(datasets, version, state.types(), recipe.labels, f"transform {definition.ref}")
    plan = Plan(recipe, source.schema, Context(folder, opener(datasets, pinned(recipe, state))))
    plan.load(state.steps)
    return plan, source


def pinned(recipe: Recipe, state: Fitted) -> Mapping[str, str]:
    """What a join names → the version that it was fitted with."""
    return {
        step.dataset: kept["ref"]
        for step, kept in zip(recipe.steps, state.steps, strict=True)
        if isinstance(step, Join) and kept
    }


def opener(datasets: DatasetStore, pins: Mapping[str, str] | None = None) -> Callable[[str], Any]:
    def other(ref: str) -> Any:
        version = datasets.version((pins or {}).get(ref, ref))
        return version, lambda: stored_file(datasets, version)

    return other


def kept_schema(types: Mapping[str, Any]) -> str:
    return base64.b64encode(pa.schema(list(types.items())).serialize()).decode()


class Teller:
    """Says how far a reading is."""

    def __init__(self, tell: Tell, rows: int) -> None:
        self._tell, self._rows = tell, max(rows, 1)
        self._stage, self._began, self._done = "", 0.0, 0

    def begin(self, stage: str) -> None:
        self._stage, self._began, self._done = stage, time.monotonic(), 0

    def counted(self, batches: Iterable[Rows]) -> Iterator[Rows]:
        for rows in batches:
            yield rows
            self._done += rows.count
            if self._tell is not None:
                speed = self._done / max(time.monotonic() - self._began, 1e-3)
                self._tell(
                    Progress(
                        at=int(time.time() * 1000),
                        fraction=min(self._done / self._rows, 1.0),
                        stage=self._stage,
                        rate=f"{thousands(int(speed))} rows/s",
                        eta_s=(self._rows - self._done) / speed if speed else None,
                    )
                )
