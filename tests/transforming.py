"""A workspace in which tables become versions and recipes are carried out on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from backends.contract import Backend, Mutation
from backends.entities import DatasetVersion
from backends.local import open_local
from console.data.importing import import_file
from console.data.transform.fitting import Fitted
from console.data.transform.preview import preview_transform
from console.data.transform.reading import parse_recipe
from console.data.transform.result import Preview, Transformed
from console.data.transform.run import apply_transform, transform_version

ACTOR = Mutation(actor="tester@here", reason="test")


class Bench:
    """Versions in, recipes on them, frames out."""

    def __init__(self, backend: Backend) -> None:
        assert backend.home is not None
        self.backend = backend
        self.home: Path = backend.home
        self._files = 0

    def take(self, table: Any, name: str = "table", *, row_group: int = 1 << 20) -> DatasetVersion:
        self._files += 1
        path = self.home / f"in-{self._files}.parquet"
        if not isinstance(table, pa.Table):
            table = pa.Table.from_pandas(pd.DataFrame(table), preserve_index=False)
        pq.write_table(table, path, row_group_size=row_group)
        version, _ = import_file(self.backend.need("datasets"), path, name, ACTOR, staging=self.home / "tmp")
        return version

    def fit(self, ref: str, recipe: str, name: str = "") -> Transformed:
        parsed = parse_recipe(recipe, "recipe.toml", "recipe")
        found = transform_version(
            self.backend.need("datasets"), self.backend.need("definitions"), ref, parsed, ACTOR, name=name,
            staging=self.home / "tmp",
        )  # fmt: skip
        self._clean()
        return found

    def use(self, ref: str, transform: str = "recipe", name: str = "later") -> Transformed:
        found = apply_transform(
            self.backend.need("datasets"), self.backend.need("definitions"), ref, transform, ACTOR, name=name,
            staging=self.home / "tmp",
        )  # fmt: skip
        self._clean()
        return found

    def preview(self, ref: str, recipe: str, rows: int = 5, *, use: bool = False) -> Preview:
        what: Any = recipe if use else parse_recipe(recipe, "recipe.toml", "recipe")
        stores = self.backend.need("datasets"), self.backend.need("definitions")
        return preview_transform(*stores, ref, what, rows, staging=self.home / "tmp")

    def frame(self, version: DatasetVersion) -> pd.DataFrame:
        return self.table(version).to_pandas()

    def table(self, version: DatasetVersion) -> pa.Table:
        return pq.read_table(self.backend.need("datasets").path(version.ref))

    def made(self, table: Any, recipe: str) -> pd.DataFrame:
        """What one step, or several without a split, make of a table."""
        return self.frame(self.fit(self.take(table).ref, recipe).parts[0].version)

    def learned(self, found: Transformed, step: int) -> Any:
        return msgspec.json.decode(found.definition.state, type=Fitted).steps[step - 1]

    def _clean(self) -> None:
        left = list((self.home / "tmp").iterdir())
        assert not left, f"the staging folder is left clean, and has {left}"


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    opened = open_local(folder / "workspace")
    try:
        yield Bench(opened)
    finally:
        opened.close()
