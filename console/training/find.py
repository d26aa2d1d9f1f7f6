"""The run that somebody means: by its id, the beginning of one, or a name that only one run has."""

from __future__ import annotations

from backends.contract import Invalid, NotFound, RunStore
from backends.entities import Run
from backends.query import Compare, Key, Query
from console.wording import since

NAMED = 5
"""Runs of the same name that an error lists."""


def find_run(runs: RunStore, text: str) -> Run:
    """Ids win over names. Invalid where several runs have the name, with what tells them apart."""
    try:
        return runs.get(text)
    except NotFound as missing:
        named = Query(where=Compare(Key("attribute", "name"), "=", text))
        called = runs.page(named, limit=NAMED + 1).items or runs.page(named, limit=NAMED + 1, deleted=True).items
        if not called:
            raise NotFound(f"no run has the id or the name {text}; mlops-console run list shows them") from missing
        if len(called) == 1:
            return runs.get(called[0].id)
    these = ", ".join(f"{run.id[:8]} ({run.status}, {since(run.created_at)})" for run in called[:NAMED])
    more = ", …" if len(called) > NAMED else ""
    raise Invalid(f"several runs are named {text}: {these}{more}. Give the id of one.", "run")
