"""The label of a dataset, as whoever trained on it last named it."""

from __future__ import annotations

from backends.contract import Backend
from backends.entities import DatasetVersion
from backends.query import Compare, Key, Query


def last_target(backend: Backend, version: DatasetVersion) -> str:
    """A column of the version, or empty where no run says."""
    if backend.runs is None:
        return ""
    used = Query(where=Compare(Key("dataset", "name"), "=", version.dataset))
    names = {column.name for column in version.columns}
    for run in backend.runs.page(used, limit=20).items:
        if run.params.get("target", "") in names:
            return run.params["target"]
    return ""
