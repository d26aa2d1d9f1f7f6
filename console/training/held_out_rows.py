"""The rows that were held out from a version's training, with the features it was given. Only workers come here."""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa

from backends.contract import Backend, Invalid, NotFound
from backends.entities import DatasetVersion, ModelVersion, Run
from console.data.stored import stored_file
from console.model_meta import META, ModelMeta, read_meta
from console.training.frame import frame_of
from console.training.held_out import HeldOut, read_held_out
from console.training.recipe import Recipe, parse_recipe


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A version with the run it came from, and what it said of the rows held out from it."""

    version: ModelVersion
    run: Run
    meta: ModelMeta
    held: HeldOut
    recipe: Recipe | None


def judged(backend: Backend, model: str, version: str) -> Judged:
    """NotFound where the version was not trained by this console, or its predictions were not kept."""
    found: ModelVersion = backend.need("registry").version(model, version)
    if not found.run:
        raise NotFound(f"{found.ref} names no run, so its held-out rows are not known.")
    run: Run = backend.need("runs").get(found.run)
    store = backend.need("artifacts")
    try:
        meta = read_meta(backend, run.id, found.ref)
    except NotFound as error:
        raise NotFound(f"{found.ref} was not trained by a recipe of this console ({META} is not there).") from error
    try:
        recipe = parse_recipe(store.open(run.id, "recipe.toml").read_text("utf-8"), "recipe.toml")
    except NotFound:
        recipe = None
    return Judged(version=found, run=run, meta=meta, held=read_held_out(backend, run), recipe=recipe)


def dataset_of(backend: Backend, case: Judged) -> DatasetVersion:
    """The very content that was held out from, also where its version was renamed or imported again."""
    test = case.meta.test
    try:
        data: DatasetVersion = backend.need("datasets").version(test.digest)
    except NotFound as error:
        raise NotFound(
            f"{test.dataset}@{test.version}, which {case.version.ref} was held against, is not kept here (digest "
            f"{test.digest[:12]}); import it again."
        ) from error
    if len(case.held.rows) and int(case.held.rows[-1]) >= data.rows:
        raise Invalid(
            f"{data.ref} has {data.rows} rows, and the held-out rows go to {int(case.held.rows[-1])}: they belong to "
            "other data. Train the model again.",
            "dataset",
        )
    return data


def features_at(backend: Backend, case: Judged, positions: Any) -> Any:
    """The features of some held-out rows as a frame, in the order of the signature.

    positions: shape (m,), ascending, into the held-out rows.
    """
    names = [column.name for column in case.meta.features]
    return frame_of(_taken(backend, dataset_of(backend, case), names, case.held.rows[positions]))


def row_at(backend: Backend, case: Judged, data: DatasetVersion, number: int) -> Any:
    """The features of any row of the dataset version, by its number, as a frame of one row."""
    import numpy as np

    names = [column.name for column in case.meta.features]
    return frame_of(_taken(backend, data, names, np.asarray([number])))


def _taken(backend: Backend, data: DatasetVersion, names: list[str], rows: Any) -> Any:
    """These columns of these rows (ascending numbers), read piece by piece."""
    import numpy as np

    taken, first = [], 0
    with stored_file(backend.need("datasets"), data) as file:
        for batch in file.iter_batches(batch_size=1 << 16, columns=names, use_threads=False):
            low, high = np.searchsorted(rows, [first, first + batch.num_rows])
            if high > low:
                taken.append(batch.take(pa.array(rows[low:high] - first)))
            first += batch.num_rows
        schema = file.schema_arrow
    return pa.Table.from_batches(taken, pa.schema([schema.field(name) for name in names])).select(names)
