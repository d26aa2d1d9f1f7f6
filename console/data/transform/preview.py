"""What a transform does to a sample, before it is done to the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backends.contract import DatasetStore, DefinitionStore
from console.data.staging import own_folder
from console.data.transform.fitting import KIND, Teller, fit, fitted_plan, opener
from console.data.transform.grammar import Recipe
from console.data.transform.operation import Context
from console.data.transform.plan import Plan
from console.data.transform.result import Preview, PreviewPart
from console.data.transform.source import Source
from console.data.transform.telling import described, plain_rows, reports

SAMPLE = 20_000
"""Rows that a preview looks at."""


def preview_transform(
    datasets: DatasetStore,
    definitions: DefinitionStore | None,
    ref: str,
    recipe: Recipe | str,
    rows: int,
    *,
    staging: Path,
) -> Preview:
    """What a recipe (fitted on a sample), or a fitted transform by reference, does to a sample. Nothing is kept."""
    version = datasets.version(ref)
    later = isinstance(recipe, str)
    with own_folder(staging) as folder:
        if isinstance(recipe, str):
            assert definitions is not None  # noqa: S101 there is a reference to one
            plan, source = fitted_plan(datasets, version, definitions.get(KIND, recipe), folder)
        else:
            source = Source(datasets, version, labels=recipe.labels)
            plan = Plan(recipe, source.schema, Context(folder, opener(datasets)))
        sample = list(source.sample(max(SAMPLE, rows)))
        fit(plan, lambda _: iter(sample), Teller(None, 0), later=later)
        names = list(plan.schema.present)
        counts = dict.fromkeys(plan.parts(later), 0)
        first: dict[str, list[tuple[Any, ...]]] = {part: [] for part in counts}
        for flow, made in plan.flow(iter(sample), plan.reading(), later=later):
            counts[flow.part] += made.count
            first[flow.part] += plain_rows(made, names, rows - len(first[flow.part]))
        before = list(source.schema.present)
        shown: list[tuple[Any, ...]] = []
        for batch in sample:
            shown += plain_rows(batch, before, rows - len(shown))
        known = {column.name: column for column in version.columns}
        return Preview(
            ref=version.ref,
            name=plan.recipe.name,
            sample=sum(batch.count for batch in sample),
            total=version.rows,
            before=tuple(known[name] for name in before),
            rows=tuple(shown),
            after=described(plan, source, None),
            parts=tuple(
                PreviewPart(part=part, rows=counts[part], first=tuple(first[part])) for part in counts
            ),
            steps=reports(plan),
            notes=tuple(source.notes),
        )  # fmt: skip
