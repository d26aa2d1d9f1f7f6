"""Carrying a recipe out: fit on the training part, write the parts, keep what was fitted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from backends.contract import DatasetStore, DefinitionStore, Invalid, Mutation, Refused
from backends.entities import Definition
from console.data.parquet_out import ParquetOut
from console.data.staging import own_folder
from console.data.transform.fitting import FORMAT, KIND, Fitted, Tell, Teller, fit, fitted_plan, kept_schema, opener
from console.data.transform.grammar import Recipe
from console.data.transform.operation import Context
from console.data.transform.plan import Plan
from console.data.transform.result import MadePart, Transformed
from console.data.transform.rows import Rows
from console.data.transform.source import Source
from console.data.transform.telling import described, reports


def transform_version(
    datasets: DatasetStore,
    definitions: DefinitionStore,
    ref: str,
    recipe: Recipe,
    mutation: Mutation,
    *,
    name: str = "",
    staging: Path,
    progress: Tell = None,
) -> Transformed:
    """Fit the recipe on a version and make new ones: `name`, or with a split `name-part` for each part.

    `name` is by default the dataset's with the recipe's. What was fitted is the next version of transform
    `recipe.name`. The same input and recipe give the same digests. Memory is bounded whatever the number of rows.
    """
    version = datasets.version(ref)
    with own_folder(staging) as folder:
        source = Source(datasets, version, labels=recipe.labels)
        plan = Plan(recipe, source.schema, Context(folder, opener(datasets)))
        teller = Teller(progress, version.rows)
        fit(plan, source.batches, teller)
        made = _write(plan, source, folder, teller)
        state = Fitted(
            FORMAT, version.ref, version.digest, kept_schema(source.schema.types),
            {part: out.rows for part, out in made.items()}, [operation.state for operation in plan.operations],
        )  # fmt: skip
        definition, _ = definitions.put(
            KIND, recipe.name, recipe.text, _part(mutation, "define"), state=msgspec.json.encode(state).decode(),
            note=recipe.note,
        )  # fmt: skip
        return _keep(datasets, plan, source, made, definition, name or f"{version.dataset}-{recipe.name}", mutation)


def apply_transform(
    datasets: DatasetStore,
    definitions: DefinitionStore,
    ref: str,
    use: str,
    mutation: Mutation,
    *,
    name: str = "",
    staging: Path,
    progress: Tell = None,
) -> Transformed:
    """Do to a version what the fitted transform `use` did, with nothing learned anew; one new version.

    It is not split, and not sampled; steps for named parts leave it alone. Columns that a step reads must be there, of
    a type that fits; labels, and what is only carried along, may be absent.
    """
    version, definition = datasets.version(ref), definitions.get(KIND, use)
    with own_folder(staging) as folder:
        plan, source = fitted_plan(datasets, version, definition, folder)
        teller = Teller(progress, version.rows)
        fit(plan, source.batches, teller, later=True)
        made = _write(plan, source, folder, teller, later=True)
        return _keep(datasets, plan, source, made, definition, name or f"{version.dataset}-{definition.name}", mutation)


class _Out:
    """One part in the making."""

    def __init__(self, path: Path, schema: Any) -> None:
        self.out = ParquetOut(path, schema)
        self.rows = 0

    def add(self, rows: Rows) -> None:
        if rows.count:
            self.rows += rows.count
            self.out.add(rows.batch(self.out.schema.names))


def _write(plan: Plan, source: Source, folder: Path, teller: Teller, *, later: bool = False) -> dict[str, _Out]:
    schema = pa.schema(list(plan.schema.present.items()))
    if not schema.names:
        raise Invalid("the steps leave no column; select or drop fewer.", "columns")
    made = {part: _Out(folder / f"part-{at}.parquet", schema) for at, part in enumerate(plan.parts(later))}
    try:
        reading = plan.reading()
        teller.begin("writing")
        for flow, rows in plan.flow(teller.counted(source.batches(reading.needed)), reading, later=later):
            made[flow.part].add(rows)
        for part, out in made.items():
            if not out.rows:
                raise _empty(plan, part)
            out.out.finish()
    finally:
        for out in made.values():
            out.out.abandon()
    return made


def _empty(plan: Plan, part: str) -> Refused:
    if part and plan.split is not None:
        at = plan.recipe.where(plan.split.number, "parts")
        return Refused(
            f"{at}: part {part} gets no row; nothing was kept. Give it a larger share, another seed, or split by "
            "something with more values."
        )
    emptied = next((number for number, (came, left) in plan.counts.items() if came and not left), 0)
    where = f"{plan.recipe.where(emptied)} leaves no row" if emptied else "no row is left"
    return Refused(f"{where}; nothing was kept. Look at it with a preview.")


def _keep(
    datasets: DatasetStore,
    plan: Plan,
    source: Source,
    made: Mapping[str, _Out],
    definition: Definition,
    name: str,
    mutation: Mutation,
) -> Transformed:
    version = source.version
    inputs = [operation.state["ref"] for operation in plan.operations if operation.step.do == "join"]
    parts = []
    for part, out in made.items():
        called = f"{name}-{part}" if part else name
        kept, created = datasets.add(
            called,
            out.out.path,
            digest=out.out.digest.hexdigest(),
            rows=out.rows,
            columns=described(plan, source, out.out.nulls),
            source=f"transform {definition.ref} of {version.ref}" + (f", part {part}" if part else ""),
            mutation=_part(mutation, part or "whole"),
            parent=version.ref,
            inputs=tuple(dict.fromkeys(inputs)),
            made_by=definition.whole,
        )
        parts.append(MadePart(part=part, version=kept, created=created))
    return Transformed(
        definition=definition, parts=tuple(parts), steps=reports(plan), notes=tuple(source.notes)
    )  # fmt: skip


def _part(mutation: Mutation, part: str) -> Mutation:
    """The same mutation for one of several changes: its key must not be taken for another's."""
    return msgspec.structs.replace(mutation, key=f"{mutation.key}:{part}" if mutation.key else "")
