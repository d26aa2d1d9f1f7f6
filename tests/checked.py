"""A store with a frame in it, and what checks say of it: what the tests of checks share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from backends.contract import Backend, Mutation
from backends.entities import CheckResult, Report
from backends.local import open_local
from console.data.checks.grammar import parse_checks
from console.data.checks.run import check_version
from console.data.importing import import_file

ACTOR = Mutation(actor="tester@here")


class Checked:
    """Versions of dataset `t`, made from frames."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backend: Backend = open_local(folder / "workspace")
        self._made = 0

    def add(self, frame: Any, name: str = "t") -> str:
        """A pandas frame or pyarrow table as the next version; its `name@version`."""
        table = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
        self._made += 1
        path = self.folder / f"{self._made}.parquet"
        pq.write_table(table, path)
        return import_file(self.backend.need("datasets"), path, name, ACTOR)[0].ref

    def run(self, toml: str, ref: str = "t", **more: Any) -> Report:
        return check_version(self.backend.need("datasets"), ref, parse_checks(toml), **more)

    def one(self, kind: str, ref: str = "t", **keys: Any) -> CheckResult:
        """What a single check found."""
        lines = "\n".join(f"{key} = {_toml(value)}" for key, value in keys.items())
        (result,) = self.run(f'[[check]]\nkind = "{kind}"\n{lines}', ref).results
        return result

    def figures(self, kind: str, ref: str = "t", **keys: Any) -> dict[str, Any]:
        """The numbers that a check measured."""
        from console.data.checks.finding import EXAMINERS
        from console.data.checks.source import Source

        lines = "\n".join(f"{key} = {_toml(value)}" for key, value in keys.items())
        (check,) = parse_checks(f'[[check]]\nkind = "{kind}"\n{lines}').checks
        datasets = self.backend.need("datasets")
        source = Source(datasets, datasets.version(ref), 0)
        examiner = EXAMINERS[type(check)](check, source)
        if examiner.reads:
            for rows in source.batches(list(examiner.reads), list(examiner.plain)):
                examiner.add(rows)
        return examiner.found().figures


def _toml(value: Any) -> str:
    from console.data.checks.suggest import _value

    return _value(value)
